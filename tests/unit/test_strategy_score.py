"""Scores in [0, 1] that rise with what is good, and sizes that shrink with what is dangerous."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.configuration import SizingSettings, StrategySettings
from throughline.strategy.score import rationale, score
from throughline.strategy.sizing import position_size

NAN = float("nan")
NONE: dict[str, float | None] = dict.fromkeys(
    ("momentum", "volatility", "volume_24h", "market_cap", "rug_risk", "reserve_drop", "sentiment")
)
RANGES = {
    "momentum": st.floats(-0.9, 50),
    "volatility": st.floats(0, 5),
    "volume_24h": st.floats(0, 1e11),
    "market_cap": st.floats(0, 1e12),
    "rug_risk": st.floats(0, 1),
    "reserve_drop": st.floats(-5, 1),
    "sentiment": st.floats(-0.5, 1.5),
}
features = st.fixed_dictionaries({name: st.none() | values for name, values in RANGES.items()})


def _score(told: dict[str, float | None]) -> tuple[float, float]:
    result = score(told, StrategySettings(), SizingSettings())
    return result.opportunity, result.confidence


@given(features)
def test_scores_are_bounded_and_confidence_never_exceeds_the_opportunity(told: dict[str, float | None]) -> None:
    opportunity, confidence = _score(told)
    assert 0.0 <= confidence <= opportunity <= 1.0
    result = score(told, StrategySettings(), SizingSettings())
    assert result.missing == tuple(sorted(name for name, value in told.items() if value is None))
    assert all(0.0 <= part <= 1.0 for part in result.parts.values())


@given(features, st.sampled_from(["momentum", "volatility", "volume_24h", "sentiment"]), st.data())
def test_scores_never_fall_when_something_good_rises(
    told: dict[str, float | None], name: str, data: st.DataObject
) -> None:
    low, high = sorted([data.draw(RANGES[name]), data.draw(RANGES[name])])
    assert _score(told | {name: low}) <= _score(told | {name: high})


@given(features, st.floats(0, 1), st.floats(0, 1))
def test_scores_never_rise_with_rug_risk(told: dict[str, float | None], one: float, other: float) -> None:
    low, high = sorted([one, other])
    assert _score(told | {"rug_risk": low}) >= _score(told | {"rug_risk": high})


@given(features, st.sampled_from(sorted(NONE)))
def test_not_knowing_something_never_raises_the_confidence(told: dict[str, float | None], name: str) -> None:
    assert _score(told | {name: None})[1] <= _score(told)[1]


def test_a_score_by_hand() -> None:
    told = NONE | {"momentum": 0.3, "volatility": 0.1, "volume_24h": 3_000_000.0, "rug_risk": 0.2}
    # 0.3/(0.3+0.1), 0.1/(0.1+0.1), 3e6/(3e6+1e6), 1-0.2; weights 0.4, 0.2, 0.2, 0.1 of 0.9 known
    total = 0.4 * 0.75 + 0.2 * 0.5 + 0.2 * 0.75 + 0.1 * 0.8
    assert _score(told) == (pytest.approx(total / 0.9, rel=1e-9), pytest.approx(total, rel=1e-9))


def test_nothing_known_scores_nothing() -> None:
    assert _score(NONE) == (0.0, 0.0)


def test_the_rationale_says_what_was_unknown_admitted_and_off() -> None:
    told = NONE | {"momentum": 0.123, "volatility": 0.05}
    verdicts = {"market_cap": "off", "rug_risk": "missing_admitted", "volatility": "passed"}
    words = rationale("BTC", told, score(told, StrategySettings(), SizingSettings()), verdicts)
    assert "BTC rose 12.3 %" in words
    assert "a market cap of unknown" in words
    assert "Admitted without a value: rug_risk." in words
    assert "Filters switched off: market_cap." in words


def _size(volatility: float, volume: float, **changes: float) -> float:
    sizes = SizingSettings(**changes)  # type: ignore[arg-type]
    return float(position_size(np.array([[volatility]]), np.array([[volume]]), sizes)[0, 0])


def test_a_calm_and_liquid_coin_gets_its_share_of_the_fund() -> None:
    assert _size(0.05, 1e9) == 2000.0
    assert _size(0.10, 1e9) == 2000.0
    assert _size(0.0, 1e9) == 2000.0


def test_size_shrinks_with_volatility_and_unknown_volatility_gets_half() -> None:
    assert _size(0.20, 1e9) == 1000.0
    assert _size(NAN, 1e9) == 1000.0


def test_size_is_at_most_a_share_of_the_volume_where_that_is_known() -> None:
    assert _size(0.05, 100_000.0) == 1000.0
    assert _size(0.05, NAN) == 2000.0


def test_what_falls_below_the_minimum_position_is_nothing() -> None:
    assert _size(0.05, 999.0) == 0.0
    assert _size(0.05, 1000.0) == 10.0
    assert _size(0.05, 0.0) == 0.0


@given(st.floats(0, 10) | st.just(NAN), st.floats(0, 1e12) | st.just(NAN))
def test_sizes_are_never_negative_never_unknown_and_never_above_the_slot(volatility: float, volume: float) -> None:
    size = _size(volatility, volume)
    assert size == 0.0 or 10.0 <= size <= 2000.0
    if volume == volume:
        assert size <= 0.01 * volume * (1 + 1e-9)
