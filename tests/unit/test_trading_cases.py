"""Fills, exits and costs worked out by hand: one small market per rule of docs/architecture.md, Fills."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from throughline.trading import (
    DISPOSITIONS,
    REASONS,
    Bars,
    Costs,
    Entries,
    ExitRules,
    PathState,
    SimulationInputError,
    flag_names,
    simulate,
)

ROOT = Path(__file__).resolve().parents[2]
HOUR = 3_600_000
DAY = 24 * HOUR
T0 = 1_609_459_200_000  # 2021-01-01T00:00Z
FREE = Costs(fee=0.0, half_spread=0.0, impact_coefficient=0.0, impact_floor=0.0)
QUIET = (100, 101, 99, 100)
PESSIMISTIC, BASE, OPTIMISTIC = "pessimistic", "base", "optimistic"

Row = tuple[float, ...]  # hour, open, high, low, close


def hours(first: int, last: int, prices: Row = QUIET) -> list[Row]:
    return [(h, *prices) for h in range(first, last)]


def market(rows: dict[str, list[Row]], interval: int = HOUR, **columns: Any) -> Bars:
    flat = [row for name in rows for row in rows[name]]
    table = np.array(flat, float).reshape(-1, 5).T
    starts = np.cumsum([0] + [len(rows[name]) for name in rows])
    return Bars(
        instruments=tuple(rows),
        starts=starts.astype(np.int64),
        open_time=T0 + (table[0] * interval).astype(np.int64),
        open=table[1],
        high=table[2],
        low=table[3],
        close=table[4],
        interval_ms=interval,
        **{k: v if isinstance(v, bool) else np.asarray(v) for k, v in columns.items()},
    )


def orders(*rows: tuple[int, float], score: tuple[float, ...] | None = None, usd: float = 1000.0) -> Entries:
    """Entries as (instrument, hour of decision)."""
    return Entries(
        np.array([k for k, _ in rows], np.int32),
        np.array([T0 + int(h * HOUR) for _, h in rows], np.int64),
        np.array(score or [1.0] * len(rows)),
        np.full(len(rows), usd),
    )


def run(bars: Bars, entries: Entries, costs: Costs = FREE, slots: int | None = 5, **options: Any) -> Any:
    rules = options.pop("rules", ExitRules())
    return simulate(bars, entries, rules, costs, slots, **options).paths


def only(path: Any) -> dict[str, Any]:
    """The single trade of a path, its codes in words and its exit time in hours."""
    assert len(path.trades["entry"]) == 1
    row = {name: values[0] for name, values in path.trades.items()}
    row["reason"] = REASONS[row["reason"]]
    row["flags"] = flag_names(int(row["flags"]))
    row["hour"] = (row["exit_time"] - T0) / HOUR
    row["bar"] = (row["exit_bar_open"] - T0) / HOUR
    return row


def words(path: Any) -> list[str]:
    return [DISPOSITIONS[code] for code in path.disposition]


# rules: name -> (rows after a quiet first hour, {path: (reason, raw exit price, hour of exit, ambiguous)}) ------------
TABLE: dict[str, tuple[list[Row], dict[str, tuple[str, float, float, bool]]]] = {
    "a stop inside a bar fills at the stop, at the bar's close": (
        [(1, 100, 101, 84, 90)],
        dict.fromkeys((PESSIMISTIC, BASE, OPTIMISTIC), ("stop_loss", 85.0, 2, False)),
    ),
    "a low that meets the stop exactly is a stop": (
        [(1, 100, 101, 85, 90)],
        dict.fromkeys((PESSIMISTIC, BASE, OPTIMISTIC), ("stop_loss", 85.0, 2, False)),
    ),
    "a target inside a bar fills at the target": (
        [(1, 100, 130, 99, 110)],
        dict.fromkeys((PESSIMISTIC, BASE, OPTIMISTIC), ("profit_target", 130.0, 2, False)),
    ),
    "a gap through the stop fills at the open, not at the stop": (
        [(1, 70, 75, 60, 72)],
        dict.fromkeys((PESSIMISTIC, BASE, OPTIMISTIC), ("stop_loss", 70.0, 1, False)),
    ),
    "a gap up through the target fills at the open, pessimistic at the target": (
        [(1, 139, 150, 135, 150)],
        {
            PESSIMISTIC: ("profit_target", 130.0, 1, False),
            BASE: ("profit_target", 139.0, 1, False),
            OPTIMISTIC: ("profit_target", 139.0, 1, False),
        },
    ),
    "a bar that touches both barriers is the stop, optimistic the target": (
        [(1, 100, 140, 80, 100)],
        {
            PESSIMISTIC: ("stop_loss", 85.0, 2, True),
            BASE: ("stop_loss", 85.0, 2, True),
            OPTIMISTIC: ("profit_target", 130.0, 2, True),
        },
    ),
    "a gap decides before the rest of the bar, so it is not ambiguous": (
        [(1, 84, 140, 80, 100)],
        dict.fromkeys((PESSIMISTIC, BASE, OPTIMISTIC), ("stop_loss", 84.0, 1, False)),
    ),
    "the time limit is the open of the first bar 48 h after the entry": (
        [*hours(1, 48), (48, 103, 200, 1, 100)],
        dict.fromkeys((PESSIMISTIC, BASE, OPTIMISTIC), ("time_limit", 103.0, 48, False)),
    ),
    "the time limit comes before a gap": (
        [*hours(1, 48), (48, 60, 60, 60, 60)],
        dict.fromkeys((PESSIMISTIC, BASE, OPTIMISTIC), ("time_limit", 60.0, 48, False)),
    ),
    "a missing bar at 48 h moves the time limit to the next open": (
        [*hours(1, 48), (51, 104, 104, 104, 104)],
        dict.fromkeys((PESSIMISTIC, BASE, OPTIMISTIC), ("time_limit", 104.0, 51, False)),
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_exit(name: str) -> None:
    rows, expected = TABLE[name]
    paths = run(market({"A": [(0, *QUIET), *rows]}), orders((0, 0)))
    for path, (reason, price, hour, ambiguous) in expected.items():
        trade = only(paths[path])
        assert (trade["reason"], trade["raw_exit_price"], trade["hour"]) == (reason, pytest.approx(price), hour), path
        assert trade["ambiguous"] == ambiguous
        assert trade["net_pnl"] == pytest.approx(1000 * (price / 100 - 1))


def test_barriers_are_live_on_the_entry_bar() -> None:
    trade = only(run(market({"A": [(0, 100, 101, 80, 90)]}), orders((0, 0)))[BASE])
    assert (trade["reason"], trade["hour"], trade["bar"], trade["hold_ms"]) == ("stop_loss", 1, 0, HOUR)


def test_an_ambiguous_trade_carries_the_interval_of_both_orders() -> None:
    paths = run(market({"A": [(0, 100, 140, 80, 90)]}), orders((0, 0)))
    for path, booked in ((PESSIMISTIC, -150), (BASE, -150), (OPTIMISTIC, 300)):
        trade = only(paths[path])
        interval = (trade["net_pnl"], trade["pnl_low"], trade["pnl_high"])
        assert interval == pytest.approx((booked, -150, 300))


def test_daily_bars_hold_48_hours_until_the_open_of_the_day_after_next() -> None:
    bars = market({"A": [(d, 100 + d, 104, 99, 100) for d in range(4)]}, interval=DAY)
    trade = only(run(bars, orders((0, 0)))[BASE])
    assert (trade["hour"], trade["raw_exit_price"]) == (48, pytest.approx(102))


def test_an_entry_fills_at_the_open_of_the_bar_that_opens_at_the_decision() -> None:
    fills = run(market({"A": [(0, *QUIET), (1, 101, 102, 100, 101)]}), orders((0, 1)))[BASE].fills
    assert (fills["raw_price"][0], fills["entry_time"][0], fills["quantity"][0]) == (101, T0 + HOUR, 1000 / 101)


def test_an_entry_without_a_contiguous_next_bar_expires() -> None:
    bars = market({"A": [(0, *QUIET), (2, *QUIET), (3, *QUIET)]})
    assert words(run(bars, orders((0, 1), (0, 1.5), (0, 2)))[BASE]) == ["expired", "expired", "taken"]


def test_without_contiguity_the_next_bar_there_is_serves() -> None:
    bars = market({"A": [(0, *QUIET), (2, *QUIET), (3, *QUIET)]})
    path = run(bars, orders((0, 1)), rules=ExitRules(contiguous=False))[BASE]
    assert (words(path), path.fills["entry_time"][0]) == (["taken"], T0 + 2 * HOUR)


def test_an_entry_into_another_segment_expires() -> None:
    bars = market({"A": hours(0, 3)}, segment=np.array([7, 7, 8]))
    e = orders((0, 1), (0, 2))
    e = Entries(e.instrument, e.decision_time, e.score, e.notional, segment=np.array([7, 7]))
    assert words(run(bars, e)[BASE])[1] == "expired"


# slots ----------------------------------------------------------------------------------------------------------------


def test_a_slot_freed_in_a_bar_serves_entries_from_the_next_bar_on() -> None:
    falling = [(0, *QUIET), (1, 80, 80, 80, 80), (2, *QUIET), (3, *QUIET)]
    bars = market({"A": falling, "B": hours(0, 4)})
    path = run(bars, orders((0, 0), (1, 1), (1, 2)), slots=1)[BASE]
    assert words(path) == ["taken", "no_slot", "taken"]  # A leaves at the open of hour 1; B gets in at hour 2


def test_re_entry_is_possible_from_the_bar_after_the_exit() -> None:
    rows = [(0, *QUIET), (1, 80, 80, 80, 80), (2, *QUIET), (3, *QUIET)]
    path = run(market({"A": rows}), orders((0, 0), (0, 0), (0, 1), (0, 2), (0, 3)))[BASE]
    assert words(path) == ["taken", "already_held", "already_held", "taken", "already_held"]


def test_competing_entries_are_served_by_score_then_by_name_in_bytes() -> None:
    bars = market({"é": hours(0, 2), "b": hours(0, 2), "Z": hours(0, 2), "a": hours(0, 2)})
    entries = orders((0, 0), (1, 0), (2, 0), (3, 0), score=(1.0, 1.0, 1.0, 2.0))
    assert words(run(bars, entries, slots=3)[BASE]) == ["no_slot", "taken", "taken", "taken"]
    assert list(run(bars, entries, slots=4)[BASE].fills["instrument"]) == ["a", "Z", "b", "é"]


def test_each_path_has_its_own_slots() -> None:
    rows = [(0, *QUIET), (1, 100, 140, 80, 100), (2, 100, 101, 90, 91), (3, 100, 101, 99, 100)]
    bars = market({"A": rows, "B": hours(0, 4)})
    paths = run(bars, orders((0, 0), (1, 2)), slots=1)
    assert {p: words(paths[p]) for p in paths} == {p: ["taken", "taken"] for p in paths}
    gap = market({"A": [(0, *QUIET), (1, *QUIET)], "B": hours(0, 30), "C": hours(0, 30)})
    assert words(run(gap, orders((0, 0), (1, 26)), slots=1)[BASE]) == ["taken", "no_slot"]  # halted at 26, free after
    assert words(run(gap, orders((0, 0), (1, 27)), slots=1)[BASE]) == ["taken", "taken"]


def test_no_slots_at_all_takes_nothing() -> None:
    assert words(run(market({"A": hours(0, 2)}), orders((0, 0)), slots=0)[BASE]) == ["no_slot"]


def test_overlapping_entries_are_independent_of_each_other_and_of_cash() -> None:
    path = run(market({"A": hours(0, 60)}), orders((0, 0), (0, 0), (0, 1)), slots=1, overlap=True, cash=10.0)[BASE]
    assert words(path) == ["taken"] * 3
    assert len(path.trades["entry"]) == 3
    assert path.state.cash == 10.0


# cash and costs -------------------------------------------------------------------------------------------------------


def test_cash_cuts_an_entry_and_below_one_dollar_refuses_it() -> None:
    bars = market({name: hours(0, 2) for name in "ABC"})
    path = run(bars, orders((0, 0), (1, 0), (2, 0), score=(3, 2, 1)), Costs(fee=0.01), cash=1515.0)[BASE]
    assert words(path) == ["taken", "taken", "no_cash"]
    assert path.fills["notional"][1] == pytest.approx(500.0)  # 1515 - 1010 = 505 = 500 + its fee of 5
    assert path.fills["partial"].tolist() == [False, True]
    assert path.state.cash == pytest.approx(0.0, abs=1e-9)
    assert path.state.positions[1].flags == ("cash_cut",)


def test_proceeds_become_cash_for_the_bars_after_the_exit() -> None:
    bars = market({"A": [(0, *QUIET), (1, 80, 80, 80, 80)], "B": hours(0, 3)})
    path = run(bars, orders((0, 0), (1, 1), (1, 2)), cash=1000.0)[BASE]
    assert words(path) == ["taken", "no_cash", "taken"]
    assert path.fills["notional"][1] == pytest.approx(800.0)


# In USD: entry 1,000 at 100 x (1 + m x (0.1 % + 0.1 %)), exit at 130 x (1 - m x 0.2 %), fee 0.1 % a side.
@pytest.mark.parametrize(
    ("path", "price", "quantity", "value", "fees", "costs", "net"),
    [
        (PESSIMISTIC, 100.4, 9.960159, 1289.64, 2.29, 9.16, 287.35),
        (BASE, 100.2, 9.980040, 1294.81, 2.29, 4.59, 292.52),
        (OPTIMISTIC, 100.0, 10.0, 1300.00, 2.30, 0.00, 297.70),
    ],
)
def test_costs_to_the_cent(
    path: str, price: float, quantity: float, value: float, fees: float, costs: float, net: float
) -> None:
    paths = run(market({"A": [(0, *QUIET), (1, 100, 130, 100, 120)]}), orders((0, 0)), Costs())
    trade = only(paths[path])
    assert trade["entry_price"] == pytest.approx(price)
    assert trade["quantity"] == pytest.approx(quantity, abs=1e-6)
    assert trade["exit_price"] * trade["quantity"] == pytest.approx(value, abs=0.005)
    assert trade["fees"] == pytest.approx(fees, abs=0.006)
    assert trade["costs"] == pytest.approx(costs, abs=0.005)
    assert trade["net_pnl"] == pytest.approx(net, abs=0.005)
    assert trade["return_percent"] == pytest.approx(net / 10, abs=0.0005)
    assert trade["gross_pnl"] == pytest.approx(30 * quantity, abs=0.001)


def test_square_root_impact_uses_the_liquidity_of_the_bar_of_the_fill() -> None:
    # entry: 1 x 0.2 x sqrt(1000 / 250000) = 1.2649 %; exit: volume has fallen to 10,000 a day
    bars = market({"A": [(0, *QUIET), (1, 100, 130, 100, 120)]}, liquidity=[250_000.0, 10_000.0], volatility=[0.2, 0.2])
    trade = only(run(bars, orders((0, 0)), Costs(fee=0, half_spread=0))[BASE])
    assert trade["entry_price"] == pytest.approx(101.264911)
    value = 1000 / 101.264911 * 130
    assert trade["exit_price"] == pytest.approx(130 * (1 - 0.2 * (value / 10_000) ** 0.5))


def test_impact_is_at_least_the_floor() -> None:
    bars = market({"A": [(0, *QUIET)]}, liquidity=[1e12], volatility=[0.01])
    assert run(bars, orders((0, 0)), Costs(half_spread=0))[BASE].fills["price"][0] == pytest.approx(100.1)


def test_a_known_pool_is_priced_by_constant_product() -> None:
    # paying 1,000 into a reserve of 9,000: 100 x (1 + 1/9); selling a value of 1,170 out of 9,000: x / (x + q)
    bars = market({"A": [(0, *QUIET), (1, 100, 130, 100, 120)]}, reserve=[9000.0, 9000.0])
    trade = only(run(bars, orders((0, 0)), Costs(fee=0, half_spread=0))[BASE])
    assert trade["entry_price"] == pytest.approx(100 * (1 + 1 / 9))
    assert trade["quantity"] == pytest.approx(9)
    assert trade["exit_price"] == pytest.approx(130 * 9000 / (9000 + 1170))


def test_attrition_is_charged_by_the_hours_held_but_not_on_the_optimistic_path() -> None:
    paths = run(market({"A": hours(0, 50)}), orders((0, 0)), Costs(0, 0, 0, 0, attrition_48h=0.0027))
    assert {p: round(float(only(paths[p])["attrition"]), 6) for p in paths} == {
        PESSIMISTIC: 2.7,
        BASE: 2.7,
        OPTIMISTIC: 0.0,
    }
    early = run(market({"A": [(0, *QUIET), (12, 80, 80, 80, 80)]}), orders((0, 0)), Costs(0, 0, 0, 0, 0.0027))
    assert only(early[BASE])["attrition"] == pytest.approx(800 * 0.0027 * 12 / 48)


# volume ---------------------------------------------------------------------------------------------------------------


def test_zero_volume_fills_neither_way() -> None:
    bars = market({"A": [(0, *QUIET), (1, 80, 80, 80, 80), (2, 82, 82, 82, 82)]}, volume=[1e6, 0.0, 1e6])
    trade = only(run(bars, orders((0, 0)))[BASE])
    assert (trade["reason"], trade["raw_exit_price"], trade["hour"]) == ("stop_loss", pytest.approx(82), 2)
    assert trade["flags"] == ("no_volume", "gap")
    assert words(run(bars, orders((0, 1)))[BASE]) == ["expired"]


def test_unknown_volume_fills_without_limit() -> None:
    bars = market({"A": [(0, *QUIET), (1, 80, 80, 80, 80)]}, volume=[np.nan, np.nan])
    path = run(bars, orders((0, 0)))[BASE]
    assert only(path)["flags"] == ()
    assert (path.fills["notional"][0], np.isnan(path.fills["participation"][0])) == (1000, True)


def test_a_partial_entry_is_cancelled_for_the_rest() -> None:
    bars = market({"A": hours(0, 2)}, volume=[4000.0, 1e9])
    path = run(bars, orders((0, 0)))[BASE]
    assert path.fills["notional"].tolist() == [200.0]
    assert path.fills["participation"].tolist() == [0.05]
    assert path.fills["partial"].tolist() == [True]
    assert path.state.positions[0].quantity == 2.0


def test_a_partial_exit_is_carried_to_the_following_opens_and_frees_the_slot_at_its_last_fill() -> None:
    rows = [(0, *QUIET), (1, 100, 100, 80, 81), (2, 80, 90, 80, 90), (3, 90, 90, 90, 90), (4, *QUIET)]
    bars = market({"A": rows, "B": hours(0, 5)}, volume=[1e6, 8500.0, 4000.0, 1e6, 1e6, *[1e6] * 5])
    path = run(bars, orders((0, 0), (1, 3), (1, 4)), slots=1)[BASE]
    trade = only(path)
    # 425 USD at 85 = 5, then 200 USD at 80 = 2.5, then the last 2.5 at 90
    assert trade["raw_exit_price"] == pytest.approx((5 * 85 + 2.5 * 80 + 2.5 * 90) / 10)
    assert (trade["reason"], trade["hour"], trade["flags"]) == ("stop_loss", 3, ("partial_exit",))
    assert words(path) == ["taken", "no_slot", "taken"]


# ends -----------------------------------------------------------------------------------------------------------------

HALT_VALUES = {PESSIMISTIC: -1000.0, BASE: -520.0, OPTIMISTIC: -40.0}


def test_delisting_while_holding_ends_24_hours_after_the_last_close() -> None:
    rows = [(0, *QUIET), (1, 100, 101, 95, 96)]
    paths = run(market({"A": rows, "B": hours(0, 40)}), orders((0, 0)))
    for path, value in HALT_VALUES.items():
        trade = only(paths[path])
        assert (trade["reason"], trade["hour"], trade["bar"]) == ("halted", 26, 26)
        assert trade["net_pnl"] == pytest.approx(value)


def test_a_halt_at_or_after_the_end_of_the_call_stays_open() -> None:
    bars = market({"A": hours(0, 2), "B": hours(0, 2)})
    assert len(run(bars, orders((0, 0)), until=T0 + 26 * HOUR)[BASE].state.positions) == 1
    assert len(run(bars, orders((0, 0)), until=T0 + 26 * HOUR + 1)[BASE].state.positions) == 0


def test_a_redenomination_of_1000_to_1_gives_no_profit() -> None:
    """COCOS/USDT, January 2021: 0.000695 before and 0.695 after 97 h without bars."""
    before, after = (0.000695,) * 4, (0.695,) * 4
    bars = market({"COCOS": [(0, *before), (98, *after), (99, *after)]}, segment=[1, 2, 2])
    paths = run(bars, orders((0, 0)))
    for path, share in ((PESSIMISTIC, -1.0), (BASE, -0.5), (OPTIMISTIC, 0.0)):
        trade = only(paths[path])
        assert (trade["reason"], trade["hour"]) == ("halted", 25)
        assert trade["net_pnl"] == pytest.approx(1000 * share, abs=1e-9)


def test_a_new_segment_after_a_short_gap_ends_the_position_at_its_first_open() -> None:
    bars = market({"A": [(0, *QUIET), (4, 900, 900, 900, 900), (5, 900, 900, 900, 900)]}, segment=[1, 2, 2])
    for path, value in {PESSIMISTIC: 0, BASE: 300, OPTIMISTIC: 300}.items():
        trade = only(run(bars, orders((0, 0)))[path])
        assert (trade["reason"], trade["hour"], trade["net_pnl"]) == ("profit_target", 4, pytest.approx(value))
        assert trade["flags"] == ("gap", "doubtful_jump")
        assert (trade["pnl_low"], trade["pnl_high"]) == pytest.approx((0, 8000))


@pytest.mark.parametrize("path", [PESSIMISTIC, BASE, OPTIMISTIC])
def test_a_jump_over_missing_bars_earns_the_target_and_no_more(path: str) -> None:
    bars = market({"A": [(0, *QUIET), (3, 138, 250, 130, 240)]})
    trade = only(run(bars, orders((0, 0)))[path])
    assert (trade["reason"], trade["hour"]) == ("profit_target", 3)
    assert trade["net_pnl"] == pytest.approx(300.0)


@pytest.mark.parametrize("path", [PESSIMISTIC, BASE, OPTIMISTIC])
def test_a_time_limit_over_missing_bars_earns_the_target_at_most(path: str) -> None:
    bars = market({"A": [*hours(0, 40), (50, 138, 250, 130, 240)]})
    trade = only(run(bars, orders((0, 0)))[path])
    assert (trade["reason"], trade["hour"]) == ("time_limit", 50)
    assert trade["net_pnl"] == pytest.approx(300.0)


def test_a_fall_over_missing_bars_is_borne_in_full() -> None:
    bars = market({"A": [(0, *QUIET), (3, 40, 41, 39, 40)]})
    assert only(run(bars, orders((0, 0)))[BASE])["net_pnl"] == pytest.approx(-600.0)


def test_a_gap_of_24_hours_ends_a_position_with_segmentation_off_too() -> None:
    bars = market({"A": [(0, *QUIET), (25, 300, 300, 300, 300)]})
    trade = only(run(bars, orders((0, 0)))[BASE])
    assert (trade["reason"], trade["hour"], trade["net_pnl"]) == ("halted", 25, pytest.approx(-500))
    assert only(run(market({"A": [(0, *QUIET), (24, *QUIET), (48, *QUIET)]}), orders((0, 0)))[BASE])["hour"] == 48


def test_a_drained_pool_is_a_total_loss_on_every_path() -> None:
    bars = market({"A": [(0, *QUIET), (1, 80, 80, 80, 80)]}, reserve=[1e9, 0.0])
    for trade in map(only, run(bars, orders((0, 0))).values()):
        assert (trade["reason"], trade["net_pnl"]) == ("rug_pull", pytest.approx(-1000, abs=0.01))
    assert words(run(bars, orders((0, 1)))[BASE]) == ["expired"]


def test_what_is_left_of_a_partial_exit_is_lost_when_the_pool_is_drained() -> None:
    rows = [(0, *QUIET), (1, 100, 100, 80, 81), (2, 80, 90, 80, 90)]
    bars = market({"A": rows}, volume=[1e6, 8500.0, 4000.0], reserve=[np.nan, np.nan, 0.0])
    trade = only(run(bars, orders((0, 0)))[BASE])
    assert (trade["reason"], trade["flags"]) == ("stop_loss", ("partial_exit", "remainder_lost"))
    assert trade["net_pnl"] == pytest.approx(5 * 85 - 1000)


def test_rug_evidence_at_an_open_sells_there_before_the_gap_and_after_the_time_limit() -> None:
    bars = market({"A": [(0, *QUIET), (1, 80, 80, 80, 80)]}, rug=np.array([1, 1], np.int8))
    trade = only(run(bars, orders((0, 0)))[BASE])  # the evidence on the entry bar was known to who decided
    assert (trade["reason"], trade["raw_exit_price"], trade["hour"]) == ("emergency_exit", pytest.approx(80), 1)
    late = market({"A": hours(0, 50)}, rug=np.array([0] * 48 + [1, 0], np.int8))
    assert only(run(late, orders((0, 0)))[BASE])["reason"] == "time_limit"


def test_the_end_closes_nothing_unless_asked_to() -> None:
    bars = market({"A": [(0, *QUIET), (1, 100, 105, 99, 104)]})
    path = run(bars, orders((0, 0)))[BASE]
    assert (len(path.trades["entry"]), path.state.positions[0].last_price) == (0, 104.0)
    trade = only(run(bars, orders((0, 0)), end="close")[BASE])
    assert (trade["reason"], trade["hour"], trade["bar"]) == ("end_of_data", 2, 1)
    assert trade["net_pnl"] == pytest.approx(40)


# close-only data ------------------------------------------------------------------------------------------------------


def closes(*prices: float) -> Bars:
    return market({"A": [(h, p, p, p, p) for h, p in enumerate(prices)]}, close_only=True)


def test_close_only_data_fills_at_closes() -> None:
    # decided at the close of bar 0 (hour 1), bought at the close of bar 1 (hour 2); bar 1 tests no barrier
    path = run(closes(100, 50, 60, 70, 80), orders((0, 1)))[BASE]
    trade = only(path)
    assert (trade["entry_time"], path.fills["bar_open_time"][0]) == (T0 + 2 * HOUR, T0 + HOUR)
    assert (trade["raw_entry_price"], trade["raw_exit_price"]) == (50, pytest.approx(70))  # 70 is beyond 65
    assert (trade["reason"], trade["hour"], trade["bar"]) == ("profit_target", 4, 3)
    assert not trade["ambiguous"]


def test_close_only_time_limit_is_the_first_close_48_hours_after_the_entry() -> None:
    trade = only(run(closes(*[100.0] * 60), orders((0, 0)))[BASE])
    assert (trade["reason"], trade["entry_time"], trade["hour"]) == ("time_limit", T0 + HOUR, 49)


def test_close_only_costs_are_at_the_floor() -> None:
    bars = market({"A": [(0, 100, 100, 100, 100)]}, close_only=True, liquidity=[1.0], volatility=[1.0])
    assert run(bars, orders((0, 0)), Costs(half_spread=0, impact_floor=0.01))[BASE].fills["price"][0] == 101.0


def test_a_decision_whose_bar_lies_beyond_the_call_waits_and_fills_in_the_next() -> None:
    bars = closes(100, 101, 102, 103)
    first = run(bars, orders((0, 2)), until=T0 + 2 * HOUR, keys=["k"])[BASE]
    assert (words(first), len(first.fills["key"])) == (["waiting"], 0)
    second = run(bars, orders((0, 2)), state={BASE: first.state}, keys=["k"])[BASE]
    assert (words(second), second.fills["raw_price"].tolist()) == (["taken"], [102.0])


# blocked days ---------------------------------------------------------------------------------------------------------


def test_a_blocked_stretch_trades_nothing_and_is_not_a_halt() -> None:
    rows = [*hours(0, 24), *hours(24, 48, (10, 500, 1, 10)), *hours(48, 72, (97, 98, 96, 97))]
    bars = market({"A": rows})
    first = run(bars, orders((0, 20)), until=T0 + DAY, keys=["k"])
    states = {p: first[p].state for p in first}
    blocked = run(bars, orders((0, 30)), until=T0 + 2 * DAY, state=states, keys=["x"], blocked=True)
    assert words(blocked[BASE]) == ["gate_closed"]
    held = blocked[BASE].state.positions[0]
    assert (held.flags, held.last_price, held.last_bar_close) == (("blocked_day",), 10.0, T0 + 2 * DAY)
    states = {p: blocked[p].state for p in blocked}
    third = run(bars, orders(), until=T0 + 3 * DAY, state=states, keys=[])
    trade = only(third[BASE])
    assert (trade["key"], trade["reason"], trade["hour"], trade["flags"]) == ("k", "time_limit", 68, ("blocked_day",))


def test_a_halt_that_falls_into_a_blocked_stretch_is_booked_at_its_end() -> None:
    first = run(market({"A": hours(0, 2)}), orders((0, 0)), until=T0 + DAY)
    blocked = run(market({}), orders(), until=T0 + 2 * DAY, state={p: first[p].state for p in first}, blocked=True)
    assert blocked[BASE].state.positions[0].flags == ("blocked_day",)
    third = run(market({}), orders(), until=T0 + 3 * DAY, state={p: blocked[p].state for p in blocked})
    assert (only(third[BASE])["reason"], only(third[BASE])["hour"]) == ("halted", 48)


# the boundary ---------------------------------------------------------------------------------------------------------

GOOD = {"A": [(0, *QUIET), (1, *QUIET)]}


@pytest.mark.parametrize(
    ("rows", "columns", "words_in_message"),
    [
        ({"A": [(0, *QUIET), (0, *QUIET)]}, {}, ["open_time", "A", "row 1"]),
        ({"A": [(0, *QUIET)], "B": [(0, *QUIET), (1, 100, 101, -3, 100)]}, {}, ["low", "B", "row 2"]),
        ({"A": [(0, 100, 101, 99, float("nan"))]}, {}, ["close", "A", "row 0"]),
        ({"A": [(0, 100, 99, 98, 99)]}, {}, ["open", "outside low..high"]),
        (GOOD, {"volume": [1.0, -1.0]}, ["volume", "row 1", "negative"]),
        (GOOD, {"volume": [1.0]}, ["volume", "shape"]),
    ],
)
def test_unusable_bars_are_refused_by_name(rows: Any, columns: Any, words_in_message: list[str]) -> None:
    with pytest.raises(SimulationInputError) as refused:
        market(rows, **columns)
    assert all(word in str(refused.value) for word in words_in_message)


@pytest.mark.parametrize(
    "call",
    [
        lambda: ExitRules(stop_loss=1.5),
        lambda: ExitRules(max_participation=0.0),
        lambda: ExitRules(max_hold_ms=0),
        lambda: ExitRules(doubtful_jump=1.0005),
        lambda: run(market(GOOD), orders((0, 0)), minimum_notional=-1.0),
        lambda: Costs(fee=-0.1),
        lambda: orders((0, 0), usd=-1.0),
        lambda: orders((0, 0), score=(float("nan"),)),
        lambda: run(market(GOOD), orders((4, 0))),
        lambda: run(market(GOOD), orders((0, 0)), slots=-1),
        lambda: run(market(GOOD), orders((0, 0)), keys=["a", "b"]),
        lambda: run(market(GOOD), orders((0, 0)), paths=("best",)),
        lambda: run(market(GOOD), orders((0, 0)), end="never"),
        lambda: run(market(GOOD), orders((0, 0)), cash=-5.0),
    ],
)
def test_unusable_arguments_are_refused(call: Any) -> None:
    with pytest.raises(SimulationInputError):
        call()


def test_an_empty_market_gives_an_empty_result_and_keeps_the_state() -> None:
    state = {BASE: PathState(123.0)}
    path = run(market({}), orders(), state=state)[BASE]
    assert (len(path.fills["entry"]), len(path.trades["entry"]), path.state) == (0, 0, PathState(123.0))


def test_importing_the_package_does_not_load_the_compiler() -> None:
    code = "import sys, throughline.trading; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_codes_of_the_core_are_the_published_ones() -> None:
    from throughline.exits import NEVER
    from throughline.trading import FLAGS, ordering
    from throughline.trading.kernel import layout

    codes = {name: getattr(layout, name.upper()) for name in ("halted", "rug_pull", "end_of_data")}
    assert codes == {name: REASONS.index(name) for name in codes}
    assert [getattr(layout, name.upper()) for name in FLAGS] == [1 << bit for bit in range(len(FLAGS))]
    for module in (layout, ordering):
        for code, name in enumerate(DISPOSITIONS):
            assert getattr(module, name.upper(), code) == code
    assert layout.NEVER == NEVER


def test_the_machine_code_has_no_fused_multiply_add(tmp_path: Any) -> None:
    """A fused operation rounds once where + and * round twice: other bits on processors that have it."""
    code = (
        "import numpy as np\n"
        "from tests.unit.test_trading_cases import *\n"
        "from throughline.trading.kernel.path import run_path\n"
        "run(market(GOOD), orders((0, 0)), Costs())\n"
        "text = ''.join(run_path.inspect_asm().values())\n"
        "from throughline.exits import all_rules\n"
        "from throughline.trading.kernel.hooks import CARRY, LEVELS, compiled_hook\n"
        "rules = [rule for rule in all_rules().values() if rule.levels]\n"
        "hooks = [compiled_hook(rule.levels, LEVELS) for rule in rules]\n"
        "hooks += [compiled_hook(rule.carry, CARRY) for rule in rules if rule.carry]\n"
        "text += ''.join(hook._library.get_asm_str() for hook in hooks)\n"
        "assert 'mulsd' in text and 'sqrtsd' in text, 'no machine code to look at'\n"
        "assert not any(word in text for word in ('vfmadd', 'vfmsub', 'vfnmadd', 'vfnmsub'))\n"
    )
    run_in = {"NUMBA_CACHE_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=run_in, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
