"""What a gap, a doubtful jump and a halt may book: cases by hand and laws over all sizes of jump."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.test_trading_cases import (
    BASE,
    FREE,
    HOUR,
    OPTIMISTIC,
    PESSIMISTIC,
    QUIET,
    T0,
    Row,
    hours,
    market,
    only,
    orders,
    run,
)
from tests.unit.trading_random import random_case
from throughline.market.jumps import DOUBTFUL_CLOSE_JUMP, DOUBTFUL_JUMP, threshold
from throughline.trading import PATHS, Costs, ExitRules, flag_names, simulate

LAST = 100.0
"""Entry and last price before every interruption here."""
RATIOS = st.one_of(
    st.floats(1e-4, 1e4),
    st.sampled_from([0.001, 0.1, 0.25, 0.5, 2 / 3, 0.75, 0.9, 1.1, 1.22, 1.39, 1.4, 1.5, 1.94, 3, 4, 9.7, 10, 1000]),
)
BELIEVED = DOUBTFUL_JUMP
LAW_COSTS = Costs(fee=0.001, half_spread=0.001, impact_floor=0.001, halted_recovery=0.5)
FLAT: Row = (LAST, LAST, LAST, LAST)


def flat(hour: float, price: float) -> Row:
    return (hour, price, price, price, price)


def world(kind: str, ratio: float) -> Any:
    """Bars of a coin that is quiet at 100, interrupted in the way of `kind`, and flat at `ratio` x 100 afterwards."""
    after = [flat(h, LAST * ratio) for h in range(5, 9)]
    before = [(h, *FLAT) for h in range(2)]
    filled = [(h, *FLAT) for h in range(2, 5)]
    unpriced = [flat(h, LAST * (1 + (ratio - 1) * (h - 1) / 5)) for h in range(2, 5)]
    ones = [1e9] * 9
    if kind == "missing":
        return market({"A": before + after}, volume=ones[:6])
    if kind == "flat candles without volume":
        return market({"A": before + filled + after}, volume=[*ones[:2], 0.0, 0.0, 0.0, *ones[:4]])
    if kind == "moving candles without volume":
        return market({"A": before + unpriced + after}, volume=[*ones[:2], 0.0, 0.0, 0.0, *ones[:4]])
    if kind == "missing, another segment":
        return market({"A": before + after}, volume=ones[:6], segment=[1, 1, 2, 2, 2, 2])
    if kind == "adjacent, another segment":
        return market({"A": before + filled + after}, volume=ones, segment=[1] * 5 + [2] * 4)
    assert kind == "adjacent"
    return market({"A": before + filled + after}, volume=ones)


GAPS = ["missing", "flat candles without volume", "moving candles without volume"]
SEGMENTS = ["missing, another segment", "adjacent, another segment"]


def ended(bars: Any, costs: Costs = LAW_COSTS, **rules: Any) -> dict[str, dict[str, Any]]:
    """The trade of each path; what is still open at the end is closed there."""
    paths = run(bars, orders((0, 0)), costs, rules=ExitRules(**rules), end="close")
    return {path: only(paths[path]) for path in PATHS}


@pytest.mark.parametrize("kind", [*GAPS, *SEGMENTS])
@given(ratio=RATIOS, target=st.sampled_from([0.1, 0.3, 2.0]))
def test_no_path_gains_more_than_its_target_over_a_gap(kind: str, ratio: float, target: float) -> None:
    for trade in ended(world(kind, ratio), FREE, take_profit=target).values():
        assert trade["net_pnl"] <= 1000.0 * target + 1e-9


@given(
    ratio=st.one_of(
        st.floats(BELIEVED, 1e4),
        st.floats(1e-4, 1 / BELIEVED),
        st.sampled_from([0.25, 1 / 3, 0.5, 2 / 3, 1.5, 2.0, 4.0]),
    ),
    target=st.sampled_from([0.1, 0.3, 2.0, 1e9]),
)
@pytest.mark.parametrize("kind", ["adjacent", "missing", "flat candles without volume", *SEGMENTS])
def test_a_doubtful_jump_gains_what_is_believed_at_most_and_its_fall_is_borne(
    kind: str, ratio: float, target: float
) -> None:
    for path, trade in ended(world(kind, ratio), FREE, take_profit=target, stop_loss=0.9999999).items():
        most = {PESSIMISTIC: 0.0}.get(path, min(target, BELIEVED - 1.0))
        booked = trade["net_pnl"] / 1000.0
        assert booked == pytest.approx(min(ratio - 1.0, most), abs=1e-9)
        assert "doubtful_jump" in trade["flags"]
        assert trade["hour"] == 5, "whatever the barriers, the position ends at the jump"
        low, high = trade["pnl_low"] / 1000.0, trade["pnl_high"] / 1000.0
        assert low == pytest.approx(min(ratio - 1.0, 0.0), abs=1e-9)  # one of the two readings: value unchanged
        assert high == pytest.approx(max(ratio - 1.0, 0.0), abs=1e-6)  # the other: the price is what it says


@pytest.mark.parametrize("kind", [*GAPS, *SEGMENTS])
@given(first=RATIOS, second=RATIOS, target=st.sampled_from([0.1, 0.3, 2.0]))
def test_a_lower_reopening_never_gives_a_higher_result(kind: str, first: float, second: float, target: float) -> None:
    low, high = sorted((first, second))
    worse, better = (ended(world(kind, r), take_profit=target) for r in (low, high))
    for path in PATHS:
        believed = 0.0 if path == PESSIMISTIC else BELIEVED - 1.0
        if "doubtful_jump" in better[path]["flags"] and high > 1.0 and target > believed:
            continue  # a rise beyond belief gives what is believed, which may be less than the target
        assert worse[path]["net_pnl"] <= better[path]["net_pnl"] + 1e-9, path


@pytest.mark.parametrize("path", PATHS)
def test_a_harder_crash_over_a_short_gap_loses_more(path: str) -> None:
    results = [ended(world("missing", ratio), FREE)[path]["net_pnl"] for ratio in (0.72, 0.71, 0.21, 0.20, 0.01)]
    assert results == pytest.approx([-280.0, -290.0, -790.0, -800.0, -990.0])


@given(ratio=RATIOS, target=st.sampled_from([0.1, 0.3, 2.0]))
def test_a_gap_is_worth_the_same_however_it_is_written(ratio: float, target: float) -> None:
    names = ("reason", "net_pnl", "pnl_low", "pnl_high", "exit_time")
    missing = ended(world("missing", ratio), take_profit=target)
    filled = ended(world("flat candles without volume", ratio), take_profit=target)
    for path in PATHS:
        assert [missing[path][n] for n in names] == [filled[path][n] for n in names]
        assert missing[path]["flags"] == filled[path]["flags"]


@pytest.mark.parametrize(
    ("price", "flags"), [(135.0, ("blocked_day", "gap")), (70.0, ("blocked_day", "gap", "doubtful_jump"))]
)
def test_a_blocked_day_is_a_gap_too(price: float, flags: tuple[str, ...]) -> None:
    first = run(market({"A": hours(0, 24)}), orders((0, 20)), until=T0 + 24 * HOUR)
    told = {path: first[path].state for path in PATHS}
    blocked = run(market({"A": hours(24, 48)}), orders(), until=T0 + 48 * HOUR, state=told, blocked=True)
    told = {path: blocked[path].state for path in PATHS}
    third = run(market({"A": [flat(48, price)]}), orders(), until=T0 + 49 * HOUR, state=told)
    for path in PATHS:
        trade = only(third[path])
        assert (trade["net_pnl"], trade["flags"]) == (pytest.approx(min(10.0 * (price - LAST), 300.0)), flags)


def test_a_sale_after_a_gap_carries_no_gain_and_the_price_as_it_stood() -> None:
    for trade in ended(world("missing", 1.35), FREE).values():
        assert (trade["net_pnl"], trade["pnl_low"], trade["pnl_high"]) == pytest.approx((300.0, 0.0, 350.0))
        assert trade["flags"] == ("gap",)
    for trade in ended(world("missing", 0.75), FREE).values():
        assert (trade["net_pnl"], trade["pnl_low"], trade["pnl_high"]) == pytest.approx((-250.0, -250.0, -250.0))
        assert trade["flags"] == ("gap",)
    assert all(trade["flags"] == () for trade in ended(world("missing", 1.0), FREE, max_hold_ms=5 * HOUR).values())


def test_a_position_goes_on_over_a_gap_at_which_nothing_sells_it() -> None:
    for trade in ended(world("missing", 1.2), FREE).values():
        assert (trade["reason"], trade["net_pnl"], trade["flags"]) == ("end_of_data", pytest.approx(200.0), ())


def test_the_interval_of_a_halt_is_its_result_and_the_reopening_bounds_it_where_it_is_known_by_then() -> None:
    """Daily bars with a day missing: the next bar opens exactly when the halt is booked."""
    for ratio in (0.3, 0.9, 4.0):
        bars = market({"A": [flat(0, 100.0), flat(2, 100.0 * ratio)]}, interval=24 * HOUR)
        for path, share in ((PESSIMISTIC, 0.0), (BASE, 0.5), (OPTIMISTIC, 1.0)):
            trade = only(run(bars, orders((0, 0)))[path])
            assert (trade["reason"], trade["hour"]) == ("halted", 48)
            assert trade["net_pnl"] == pytest.approx(1000.0 * (min(share, ratio) - 1.0), abs=1e-9)


def test_a_drained_pool_is_a_known_loss_and_no_doubtful_jump() -> None:
    bars = market({"A": [(0, *QUIET), flat(1, 1.0)]}, reserve=[1e9, 0.0])
    trade = only(run(bars, orders((0, 0)))[BASE])
    assert (trade["reason"], trade["flags"]) == ("rug_pull", ())
    assert trade["pnl_low"] == trade["net_pnl"] == trade["pnl_high"]


def test_a_doubtful_jump_is_sold_whole_where_the_volume_limit_would_leave_some() -> None:
    bars = market({"A": [(0, *QUIET), flat(1, 0.1), flat(2, 0.1)]}, volume=[1e6, 1.0, 1e6])
    trade = only(run(bars, orders((0, 0)))[BASE])
    assert (trade["hour"], trade["flags"]) == (1, ("doubtful_jump",))
    assert trade["net_pnl"] == pytest.approx(-999.0)


@given(quote=RATIOS)
def test_a_quote_at_which_nobody_trades_is_no_gain_of_a_halt_and_no_worth_in_other_units(quote: float) -> None:
    rows = [flat(0, LAST), flat(1, LAST), flat(2, LAST * quote)]
    bars = market({"A": rows}, volume=[1e9, 1e9, 0.0])
    open_ = run(bars, orders((0, 0)), FREE)
    halted = run(bars, orders((0, 0)), FREE, until=T0 + 40 * HOUR)
    worth = quote if quote < threshold(BELIEVED) else 1.0
    for path, share in ((PESSIMISTIC, 0.0), (BASE, 0.5), (OPTIMISTIC, 1.0)):
        (position,) = open_[path].state.positions
        assert position.last_price == pytest.approx(LAST * worth)
        gone = only(halted[path])
        assert gone["net_pnl"] == pytest.approx(1000 * (share * min(worth, 1.0) - 1), abs=1e-9)


@pytest.mark.parametrize("close_only", [False, True])
@pytest.mark.parametrize("kind", ["adjacent", "missing"])
@pytest.mark.parametrize(("part", "doubtful"), [(1.0, True), (0.9995, True), (0.99, False)])
@pytest.mark.parametrize("up", [True, False])
def test_the_factor_itself_is_doubtful_whatever_the_last_digit_says(
    close_only: bool, kind: str, part: float, doubtful: bool, up: bool
) -> None:
    factor = part * (DOUBTFUL_CLOSE_JUMP if close_only else DOUBTFUL_JUMP)
    price = 0.3 * (factor if up else 1 / factor)
    hours_after = {"adjacent": 2, "missing": 9}[kind]
    bars = market({"A": [flat(h, 0.3) for h in range(2)] + [flat(hours_after, price)]}, close_only=close_only)
    trade = only(run(bars, orders((0, 0)), end="close", rules=ExitRules(stop_loss=0.99, take_profit=5.0))[BASE])
    assert ("doubtful_jump" in trade["flags"]) == doubtful


def test_a_jump_of_closes_is_booked_as_far_as_it_is_believed_and_at_the_target_on_the_pessimistic_path() -> None:
    cases = ((1.5, 1.5, 1.3), (1.75, 1.75, 1.3), (1.8, 1.3, 1.0), (2.0, 1.3, 1.0), (4.9, 1.3, 1.0), (0.25, 0.25, 0.25))
    for ratio, base, pessimistic in cases:
        bars = market({"A": [flat(h, LAST) for h in range(3)] + [flat(3, LAST * ratio)]}, close_only=True)
        paths = run(bars, orders((0, 0)))
        for path, share in ((PESSIMISTIC, pessimistic), (BASE, base), (OPTIMISTIC, base)):
            assert only(paths[path])["raw_exit_price"] == pytest.approx(LAST * share), (ratio, path)


@pytest.mark.parametrize("close_only", [False, True])
@pytest.mark.parametrize("trigger", ["target", "time limit", "evidence"])
@given(ratio=st.floats(1.3, 1.39))
def test_no_first_price_is_sold_above_the_target_on_the_pessimistic_path(
    close_only: bool, trigger: str, ratio: float
) -> None:
    rows = [flat(h, LAST) for h in range(3)] + [flat(3, LAST * ratio)]
    rug = [0, 0, 0, int(trigger == "evidence")]
    bars = market({"A": rows}, close_only=close_only, rug=rug)
    hold = (3 if trigger == "time limit" else 48) * HOUR
    trade = only(run(bars, orders((0, 0)), rules=ExitRules(max_hold_ms=hold))[PESSIMISTIC])
    assert trade["raw_exit_price"] == pytest.approx(LAST * 1.3)


@given(ratio=RATIOS, quote=RATIOS)
def test_a_quote_at_which_nobody_trades_ends_nothing(ratio: float, quote: float) -> None:
    """A candle of zero volume in other units: the position is sold at the next price at which somebody could trade."""
    rows = [flat(0, LAST), flat(1, LAST), flat(2, LAST * quote), flat(3, LAST * ratio)]
    bars = market({"A": rows}, volume=[1e9, 1e9, 0.0, 1e9], segment=[1, 1, 2, 2])
    for path, trade in ended(bars, FREE).items():
        most = 0.0 if path == PESSIMISTIC else 0.3
        assert (trade["hour"], trade["net_pnl"] / 1000.0) == (3, pytest.approx(min(ratio - 1.0, most), abs=1e-9))
        assert "doubtful_jump" in trade["flags"]


# intervals of partly sold positions -----------------------------------------------------------------------------------


def test_the_interval_of_an_ambiguous_bar_follows_the_volume_limit_of_each_order() -> None:
    """850 USD a bar: stop-first sells 10 coins at 85, target-first 6.54 at 130 and the rest at the close of 90."""
    bars = market({"A": [(0, 100, 100, 100, 100), (1, 100, 140, 80, 90)]}, volume=[1e6, 17_000.0])
    trade = only(run(bars, orders((0, 0)))[BASE])
    sold = 850.0 / 130.0
    assert trade["net_pnl"] == pytest.approx(-150.0)
    assert (trade["pnl_low"], trade["pnl_high"]) == pytest.approx((-150.0, sold * 130 + (10 - sold) * 90 - 1000))


def test_both_orders_go_on_at_the_following_opens() -> None:
    """425 USD a bar: the stop sells 5 coins at 85 and 5 at 85; the target 3.27 at 130, then 5 at 85, then the rest."""
    rows = [(0, 100, 100, 100, 100), (1, 100, 140, 80, 85), flat(2, 85), flat(3, 84)]
    bars = market({"A": rows}, volume=[1e6, 8500.0, 8500.0, 8500.0])
    first = 425.0 / 130.0
    base, optimistic = (only(run(bars, orders((0, 0)))[path]) for path in (BASE, OPTIMISTIC))
    assert (base["hour"], base["net_pnl"]) == (2, pytest.approx(-150.0))
    high = first * 130 + 5 * 85 + (5 - first) * 85 - 1000  # the last price of the booked exit
    assert (base["pnl_low"], base["pnl_high"]) == pytest.approx((-150.0, high))
    assert optimistic["hour"] == 3
    assert optimistic["net_pnl"] == pytest.approx(first * 130 + 5 * 85 + (5 - first) * 84 - 1000)
    assert optimistic["pnl_low"] == pytest.approx(-150.0)  # stop-first ended before, so it is exact


def _independent(seed: int) -> Any:
    """A random market whose positions do not depend on each other, without gaps and jumps."""
    case = random_case(seed)
    rules = replace(case.rules, contiguous=False, max_participation=0.05)
    bars = replace(case.bars, segment=None)
    return replace(case, bars=bars, overlap=True, cash=None, max_positions=None, rules=rules)


def test_the_interval_holds_exactly_what_the_other_order_would_have_booked() -> None:
    """The other order is simulated whole by the reference engine, bar by bar, with the path's own costs."""
    from tests.unit.reference_engine import Reference

    exact = {PESSIMISTIC: 0, BASE: 0, OPTIMISTIC: 0}
    estimated = 0
    for seed in range(400):
        case = _independent(seed)
        if case.bars.volume is None or case.bars.close_only:
            continue
        got = simulate(case.bars, case.entries, case.rules, case.costs, None, overlap=True)
        for path in PATHS:
            trades = got.paths[path].trades
            doubted = np.flatnonzero(trades["ambiguous"])
            if not len(doubted):
                continue
            other = Reference(
                case.bars,
                case.entries,
                case.rules,
                case.costs,
                None,
                path,
                overlap=True,
                target_first=path != OPTIMISTIC,
            ).run()
            by_entry = {p.entry: p for p in other.trades}
            for k in doubted.tolist():
                twin = by_entry.get(int(trades["entry"][k]))
                net, bounds = trades["net_pnl"][k], (trades["pnl_low"][k], trades["pnl_high"][k])
                assert bounds[0] <= net <= bounds[1]
                if twin is None or twin.exit_bar > trades["exit_bar_open"][k]:
                    assert path != OPTIMISTIC, "stop-first is never later than target-first"
                    estimated += 1
                    continue
                booked = twin.value - twin.fees - twin.attrition - twin.notional - twin.fee
                assert min(abs(booked - bound) for bound in bounds) < 1e-6 * max(1.0, abs(booked))
                exact[path] += 1
    assert min(exact.values()) >= 30, exact
    assert estimated > 0


@given(st.integers(0, 2**32 - 1))
def test_paths_and_intervals_stand_in_order(seed: int) -> None:
    """Without a volume limit (a smaller position could be sold earlier): pessimistic <= low <= base <= high, and base
    <= optimistic; the pessimistic path may be above the low of a plain gap, whose target it is granted."""
    case = random_case(seed)
    rules = replace(case.rules, max_participation=None)
    assume(len(case.entries.decision_time) > 0)
    got = simulate(case.bars, case.entries, rules, case.costs, None, overlap=True)
    told = [dict(zip(got.paths[path].trades["entry"].tolist(), range(10**6), strict=False)) for path in PATHS]
    trades = [got.paths[path].trades for path in PATHS]
    for entry in set(told[0]) & set(told[1]) & set(told[2]):
        worst, base, best = (t["net_pnl"][rows[entry]] for t, rows in zip(trades, told, strict=True))
        k = told[1][entry]
        low, high = trades[1]["pnl_low"][k], trades[1]["pnl_high"][k]
        slack = 1e-9 * trades[1]["notional"][k]
        assert worst <= base + slack
        assert base <= best + slack
        assert low <= base <= high
        if "gap" not in flag_names(int(trades[1]["flags"][k])) or trades[1]["pnl_low"][k] == base:
            assert worst <= low + slack


# the smallest position ------------------------------------------------------------------------------------------------


def test_a_position_below_the_minimum_is_not_entered_whatever_made_it_small() -> None:
    bars = market({"A": hours(0, 3), "B": hours(0, 3), "C": hours(0, 3)}, volume=[1e9] * 3 + [100.0] * 3 + [1e9] * 3)
    entries = orders((0, 0), (1, 0), (2, 0), usd=20.0, score=(3.0, 2.0, 1.0))
    path = run(bars, entries, cash=29.0, minimum_notional=10.0)[BASE]
    names = ["taken", "below_minimum", "no_cash"]  # the volume limit leaves 5 USD, the cash 9
    assert [names.index(word) for word in map(str, _words(path))] == [0, 1, 2]
    assert path.fills["notional"].tolist() == [20.0]
    assert _words(run(bars, orders((0, 0), usd=9.99), minimum_notional=10.0)[BASE]) == ["below_minimum"]
    assert _words(run(bars, orders((0, 0), usd=10.0), minimum_notional=10.0)[BASE]) == ["taken"]


def _words(path: Any) -> list[str]:
    from throughline.trading import DISPOSITIONS

    return [DISPOSITIONS[code] for code in path.disposition]


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 10.0, 150.0]))
def test_no_fill_is_smaller_than_the_minimum(seed: int, minimum: float) -> None:
    case = random_case(seed)
    cash = case.cash
    got = simulate(
        case.bars,
        case.entries,
        case.rules,
        case.costs,
        case.max_positions,
        cash=cash,
        overlap=case.overlap,
        minimum_notional=minimum,
    )
    for path in got.paths.values():
        assert (path.fills["notional"] >= minimum).all()
