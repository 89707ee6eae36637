"""Buckets and neighbours as of each decision: what they find when it is there, and that the future changes nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_analytics_registry_figures import EPOCH, make_trade
from throughline.analytics.trade_registry.entries import Trade
from throughline.analytics.trade_registry.evidence import (
    bucket_effectiveness,
    bucket_scores,
    nearest_earlier,
    neighbour_agreement,
    terciles,
)
from throughline.analytics.trade_registry.model import MINIMUM_BEHIND
from throughline.registry.winrate import base_prior, win_rate
from throughline.signals.vector import COMPONENTS


def bucket_trades(count: int, odds: dict[str, float], seed: int = 1) -> list[Trade]:
    """Trades whose bucket decides how likely they win."""
    draw = random.Random(seed)
    keys = sorted(odds)
    trades = []
    for k in range(count):
        key = draw.choice(keys)
        won = draw.random() < odds[key]
        trades.append(make_trade(k, buckets=(key,), net_return=0.1 if won else -0.1))
    return trades


def near(values: dict[str, float]) -> dict[str, float | None]:
    return {
        item.name: item.center + values.get(item.name, 0.0) * item.scale for item in COMPONENTS if item.name != "phase"
    }


def print_trades(count: int, told: bool, seed: int = 3) -> list[Trade]:
    """Trades of two kinds of soulprint; where `told`, the kind decides the outcome."""
    draw = random.Random(seed)
    trades = []
    for k in range(count):
        kind = draw.choice((1.0, -1.0))
        values = near({"drift": 2 * kind, "slope": kind + draw.gauss(0, 0.2), "momentum": draw.gauss(0, 0.2)})
        won = (kind > 0) if told else draw.random() < 0.5
        trades.append(make_trade(k, values=values, simhash="0" * 16, net_return=0.1 if won else -0.1))
    return trades


def test_a_score_is_the_shrunken_rate_of_the_registry_as_of_the_decision() -> None:
    trades = [
        make_trade(k, buckets=("a", "b") if k % 2 else ("b",), net_return=0.1 if k % 3 else -0.1) for k in range(40)
    ]
    found = {trade.uuid: (score, base) for trade, score, base in bucket_scores(trades)}
    last = trades[-1]
    behind = [item for item in trades if item.closed_at < last.decided_at]
    prior = base_prior(sum(item.won for item in behind), len(behind), "strategy")
    expected = []
    for key in last.buckets:
        inside = [item for item in behind if key in item.buckets]
        expected.append(win_rate(sum(item.won for item in inside), len(inside), prior).rate)
    assert found[last.uuid] == (
        pytest.approx(sum(expected) / 2),
        pytest.approx(prior.alpha / (prior.alpha + prior.beta)),
    )


def test_a_trade_that_closes_at_the_very_decision_is_not_behind_it() -> None:
    behind = [make_trade(k, buckets=("a",)) for k in range(MINIMUM_BEHIND)]
    last = make_trade(100, buckets=("a",))
    assert [item[0].uuid for item in bucket_scores([*behind, last])] == [last.uuid]
    behind[3] = replace(behind[3], known_at=last.decided_at)
    assert list(bucket_scores([*behind, last])) == []


def test_a_trade_in_several_buckets_counts_once_behind() -> None:
    behind = [make_trade(k, buckets=("a", "b", "c", "d")) for k in range(MINIMUM_BEHIND - 1)]
    last = make_trade(100, buckets=("a", "b", "c", "d"))
    assert list(bucket_scores([*behind, last])) == []
    assert len(list(bucket_scores([*behind, make_trade(50, buckets=("d",)), last]))) == 1


def test_strategies_do_not_share_a_base_rate() -> None:
    lost = [make_trade(k, strategy="other", net_return=-0.1) for k in range(50)]
    won = [make_trade(k + 100, buckets=("a",)) for k in range(12)]
    last = make_trade(200, buckets=("a",))
    assert [base for trade, _, base in bucket_scores([*lost, *won, last]) if trade is last] == [13 / 14]


def test_buckets_that_tell_are_found_to_tell() -> None:
    found = bucket_effectiveness(bucket_trades(400, {"a": 0.85, "b": 0.15}))
    assert found.correlation.low is not None
    assert found.correlation.low > 0.4
    assert found.gain_low is not None
    assert found.gain_low > 0.05
    assert [item.rate for item in found.terciles] == sorted(item.rate for item in found.terciles)
    assert found.terciles[-1].score == pytest.approx(found.terciles[-1].rate, abs=0.1)
    assert found.judged + 25 > found.trades


def test_buckets_that_do_not_tell_are_rarely_found_to() -> None:
    found = [bucket_effectiveness(bucket_trades(300, dict.fromkeys("abcdef", 0.5), seed)) for seed in range(40)]
    told = [item for item in found if item.gain_low is not None and item.gain_low > 0]
    assert len(told) <= 4
    assert sum(item.correlation.p_value < 0.05 for item in found if item.correlation.p_value is not None) <= 6


def test_buckets_that_explain_the_past_alone_do_not_pass() -> None:
    # Each bucket holds trades of one outcome, but none is ever seen again: in sample this would be perfect.
    trades = [make_trade(k, buckets=(f"{k // 3}",), net_return=0.1 if (k // 3) % 2 else -0.1) for k in range(300)]
    found = bucket_effectiveness(trades)
    assert (found.judged, found.terciles) == (0, ())
    assert "0 trades could be compared" in str(found.note)


def altered_future(trades: list[Trade], cut: Any) -> list[Trade]:
    """The same trades, but every outcome that is not known before `cut` is another."""
    return [
        item if item.known_at < cut else replace(item, net_return=-item.net_return, profit_usd=-item.profit_usd)
        for item in trades
    ]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), hour=st.integers(20, 90))
def test_no_score_knows_an_outcome_that_was_not_known_before_the_decision(seed: int, hour: int) -> None:
    draw = random.Random(seed)
    trades = [
        replace(item, known_at=item.decided_at + timedelta(hours=draw.randrange(0, 40)))
        for item in bucket_trades(100, {"a": 0.7, "b": 0.3}, seed)
    ]
    cut = EPOCH + timedelta(hours=hour)
    before = {t.uuid: (score, base) for t, score, base in bucket_scores(trades) if t.decided_at <= cut}
    after = {
        t.uuid: (score, base) for t, score, base in bucket_scores(altered_future(trades, cut)) if t.decided_at <= cut
    }
    assert before == after


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), hour=st.integers(20, 90))
def test_no_neighbour_knows_an_outcome_that_was_not_known_before_the_decision(seed: int, hour: int) -> None:
    trades = print_trades(100, True, seed)
    cut = EPOCH + timedelta(hours=hour)

    def told(items: list[Trade]) -> dict[str, tuple[str, float, float, bool]]:
        # The share that ended alike turns with the trade's own outcome, so it is told for winners.
        return {
            t.uuid: (other.uuid, other.net_return, cosine, t.won)
            for t, other, cosine, _ in nearest_earlier(items)
            if t.decided_at <= cut and t.known_at < cut
        }

    assert told(trades) == told(altered_future(trades, cut))
    assert all(other.known_at < t.decided_at for t, other, _, _ in nearest_earlier(trades))


def test_near_soulprints_that_end_alike_are_found_to() -> None:
    found = neighbour_agreement(print_trades(300, told=True))
    assert found.agreement == 1.0
    assert found.random == pytest.approx(0.5, abs=0.1)
    assert found.low is not None
    assert found.low > 0.4
    assert len(found.terciles) == 3


def test_near_soulprints_that_do_not_are_not_found_to() -> None:
    found = neighbour_agreement(print_trades(300, told=False))
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high


def test_the_nearest_is_the_one_of_largest_cosine_among_the_earlier() -> None:
    values = [near({"drift": 1.0}), near({"slope": 1.0}), near({"drift": 1.0, "slope": 0.2})] * 5
    trades = [make_trade(10 * k, values=item, simhash="0" * 16) for k, item in enumerate(values)]
    trades.append(make_trade(1000, values=near({"slope": 3.0, "drift": 0.1}), simhash="0" * 16))
    pairs = {t.uuid: (other.uuid, share) for t, other, _, share in nearest_earlier(trades)}
    assert pairs[trades[-1].uuid] == (trades[1].uuid, 1.0)


def test_trades_without_a_soulprint_have_no_neighbour() -> None:
    assert list(nearest_earlier([make_trade(k) for k in range(100)])) == []
    assert "0 trades have earlier ones" in str(neighbour_agreement([make_trade(0)]).note)


def test_thirds_are_whole_and_ordered_by_score() -> None:
    rows = [(k / 100, 0.5, k % 2 == 0, 0.01 * k) for k in reversed(range(100))]
    found = terciles(rows)
    assert [item.n for item in found] == [33, 34, 33]
    assert found[0].score < found[1].score < found[2].score
    assert sum(item.n * item.mean_return for item in found) == pytest.approx(sum(row[3] for row in rows))
