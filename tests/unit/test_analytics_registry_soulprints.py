"""Vectors against net return: planted relations are found, noise is not, patterns and splits see the past only."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from tests.unit.test_analytics_registry_figures import make_trade
from throughline.analytics.trade_registry.entries import Trade
from throughline.analytics.trade_registry.groups import exact_sum
from throughline.analytics.trade_registry.model import MINIMUM_BEHIND
from throughline.analytics.trade_registry.soulprints import (
    FITTED_SHARE,
    NAMES,
    canonical_correlations,
    correlation_matrix,
    mode_figures,
    profit_track,
    profit_vectors,
    soulprint_figures,
    trade_tensor,
)
from throughline.signals.simhash import COMPARED


def vectors(count: int, seed: int = 5, strength: float = 0.0) -> list[Trade]:
    """Trades with independent components; `volatility` moves the net return by `strength`."""
    draw = random.Random(seed)
    trades = []
    for k in range(count):
        scores = {item.name: draw.gauss(0, 1) for item in COMPARED}
        values: dict[str, float | None] = {item.name: item.center + item.scale * scores[item.name] for item in COMPARED}
        net = 0.1 * (strength * scores["volatility"] + draw.gauss(0, 1))
        trades.append(make_trade(k, values={**values, "phase": 0.0}, net_return=net))
    return trades


def test_a_component_that_tells_stands_out_after_adjustment_and_the_others_do_not() -> None:
    found = soulprint_figures(vectors(300, strength=0.6))
    told = {item.name: item for item in found.correlations}
    assert told["volatility"].rho == pytest.approx(0.5, abs=0.1)
    strong = [item.name for item in found.correlations if item.adjusted is not None and item.adjusted < 0.05]
    assert strong == ["volatility"]


def test_noise_stands_out_rarely_over_many_questions() -> None:
    runs = [soulprint_figures(vectors(120, seed)).correlations for seed in range(12)]
    assert sum(any((item.adjusted or 1.0) < 0.05 for item in run) for run in runs) <= 2
    assert sum(any((item.p_value or 1.0) < 0.05 for item in run) for run in runs) >= 4  # what the adjustment is for


def test_a_component_is_correlated_over_the_trades_that_have_it() -> None:
    trades = vectors(100)
    for trade in trades[:60]:
        assert trade.values is not None
        trade.values["lead"] = None
    for trade in trades[:75]:
        assert trade.values is not None
        trade.values["psi"] = None
    found = {item.name: item for item in soulprint_figures([*trades, make_trade(500)]).correlations}
    assert (found["lead"].n, found["drift"].n) == (40, 100)
    assert found["psi"].n == 25
    assert found["psi"].rho is found["psi"].adjusted is None
    matrix = correlation_matrix(trades)
    place, other = NAMES.index("psi"), NAMES.index("drift")
    assert matrix[place][other] is matrix[other][place] is None
    assert matrix[other][other] == 1.0


def test_what_a_canonical_entry_knew_is_correlated_too() -> None:
    trades = [replace(item, signal_strength=item.net_return, confidence=0.5) for item in vectors(50)]
    strength, confidence = canonical_correlations(trades)
    assert strength.rho == 1.0
    assert confidence.rho is None


def test_the_tensor_holds_means_of_the_decisions_up_to_each_trade() -> None:
    trades = vectors(40)
    tensor = trade_tensor(trades)
    assert tensor.shape == (25, len(NAMES), 3)
    place = NAMES.index("drift")
    drift = COMPARED[place]
    scores = [((t.values or {})["drift"] - drift.center) / drift.scale for t in trades]  # type: ignore[operator]
    np.testing.assert_allclose(tensor[0, place], [scores[15], np.mean(scores[12:16]), np.mean(scores[:16])], rtol=1e-5)
    np.testing.assert_allclose(tensor[-1, place], [scores[-1], np.mean(scores[-4:]), np.mean(scores[-16:])], rtol=1e-5)
    assert len(trade_tensor(trades[:15])) == 0


def test_patterns_are_those_of_the_earlier_trades_whatever_comes_later() -> None:
    trades = vectors(200)
    whole = mode_figures(trades)
    assert whole.fitted == int((200 - 15) * FITTED_SHARE)
    wild = [
        item if k < 15 + whole.fitted else replace(item, values=dict.fromkeys(item.values or {}, 9.0))
        for k, item in enumerate(trades)
    ]
    other = mode_figures(wild)
    assert other.energies == whole.energies
    assert other.explained_fitted == whole.explained_fitted
    assert other.explained_held != whole.explained_held


def test_one_common_pattern_holds_in_the_later_trades_and_noise_does_not() -> None:
    draw = random.Random(2)
    common = []
    for trade in vectors(300):
        push = draw.gauss(0, 2)
        values = {
            item.name: (trade.values or {})[item.name] + item.scale * push  # type: ignore[operator]
            for item in COMPARED
        }
        common.append(replace(trade, values=values))
    strong, weak = mode_figures(common), mode_figures(vectors(300))
    assert strong.energies is not None
    assert strong.energies["feature"][0] > 0.6
    assert sum(strong.energies["scale"]) == pytest.approx(1.0)
    assert (strong.explained_held or 0.0) > 0.6
    assert (weak.explained_held or 1.0) < 0.4
    assert (weak.explained_fitted or 0.0) > (weak.explained_held or 1.0)  # what fitting on noise gains in sample


def test_too_few_trades_have_no_pattern() -> None:
    found = mode_figures(vectors(50))
    assert found.energies is None
    assert "35 trades have 16 decisions up to them: below 60" in str(found.note)
    still = [replace(item, values=dict.fromkeys(item.values or {}, 0.5)) for item in vectors(100)]
    assert "do not vary" in str(mode_figures(still).note)


def test_the_direction_of_profit_is_compared_with_the_month_before() -> None:
    def month(number: int, sign: float) -> list[Trade]:
        closed = datetime(2021, number, 15, tzinfo=UTC)
        return [
            replace(item, closed_at=closed, net_return=sign * item.net_return)
            for item in vectors(50, number, strength=5.0)
        ]

    found = profit_vectors([*month(1, 1.0), *month(2, 1.0), *month(3, -1.0), *month(4, 1.0)[:9]])
    assert [(item.month, item.n) for item in found] == [("2021-01", 50), ("2021-02", 50), ("2021-03", 50)]
    assert found[0].cosine is None
    assert found[1].cosine is not None
    assert found[2].cosine is not None
    assert found[1].cosine > 0.7
    assert found[2].cosine < -0.7
    assert max(found[0].vector, key=lambda name: abs(found[0].vector[name])) == "volatility"


def test_a_track_splits_at_the_median_of_earlier_decisions() -> None:
    trades = vectors(60, strength=1.0)
    track = profit_track("volatility", trades)
    assert track is not None
    assert len(track.times) == track.trades_above + track.trades_below == 60 - MINIMUM_BEHIND
    split = trades[MINIMUM_BEHIND:]
    assert track.above[-1] + track.below[-1] == pytest.approx(float(exact_sum(item.profit_usd for item in split)))
    assert track.above[-1] > 0 > track.below[-1]
    # An outlier at the end moves no earlier trade to the other side.
    last = replace(trades[-1], values={**(trades[-1].values or {}), "volatility": 1e6})
    other = profit_track("volatility", [*trades[:-1], last])
    assert other is not None
    assert other.above[:-1] == track.above[:-1]
    assert profit_track("volatility", trades[:MINIMUM_BEHIND]) is None
