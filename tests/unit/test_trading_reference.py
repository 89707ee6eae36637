"""The compiled engine against the slow reference, and call by call against all at once, on random markets."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.reference_engine import Reference
from tests.unit.trading_random import HOUR, START, Case, random_case, some_bars
from throughline.identity import decimal_text
from throughline.trading import (
    DISPOSITIONS,
    FLAGS,
    PATHS,
    REASONS,
    Entries,
    PathState,
    flag_names,
    ordering,
    passes,
    simulate,
    warm_up,
)
from throughline.trading.kernel.path import run_path
from throughline.trading.state import equity_usd, rounded_state

SEEDS = st.integers(0, 2**32 - 1)


def run(case: Case, **options: Any) -> Any:
    passes.ROWS_AT_ONCE = 7  # so that small markets are served in several portions too
    return simulate(
        case.bars,
        case.entries,
        case.rules,
        case.costs,
        case.max_positions,
        cash=case.cash,
        overlap=case.overlap,
        minimum_notional=case.minimum,
        **options,
    )


def compare(case: Case) -> int:
    trades = 0
    result = run(case)
    for path in PATHS:
        got = result.paths[path]
        want = Reference(
            case.bars,
            case.entries,
            case.rules,
            case.costs,
            case.max_positions,
            path,
            case.cash,
            case.overlap,
            minimum=case.minimum,
        ).run()
        assert [DISPOSITIONS[code] for code in got.disposition] == want.disposition
        fills = {
            "entry": [p.entry for p in want.taken],
            "instrument": [case.bars.instruments[p.instrument] for p in want.taken],
            "segment": [p.segment for p in want.taken],
            "entry_time": [p.entry_time for p in want.taken],
            "bar_open_time": [p.entry_bar for p in want.taken],
            "raw_price": [p.raw for p in want.taken],
            "price": [p.price for p in want.taken],
            "quantity": [p.quantity for p in want.taken],
            "notional": [p.notional for p in want.taken],
            "fee": [p.fee for p in want.taken],
            "spread_cost": [p.spread for p in want.taken],
            "impact_cost": [p.impact for p in want.taken],
            "partial": [p.partial for p in want.taken],
        }
        for name, values in fills.items():
            assert got.fills[name].tolist() == values, name
        t, w = got.trades, want.trades
        trades += len(w)
        expected = {
            "entry": [p.entry for p in w],
            "exit_time": [p.exit_time for p in w],
            "exit_bar_open": [p.exit_bar for p in w],
            "entry_price": [p.price for p in w],
            "exit_price": [p.value / p.quantity for p in w],
            "raw_exit_price": [p.sold / p.quantity for p in w],
            "gross_pnl": [p.sold - p.quantity * p.raw for p in w],
            "fees": [p.fee + p.fees for p in w],
            "costs": [p.costs + (p.sold - p.value) for p in w],
            "attrition": [p.attrition for p in w],
            "ambiguous": [p.ambiguous for p in w],
            "hold_ms": [p.exit_time - p.entry_time for p in w],
        }
        for name, values in expected.items():
            assert t[name].tolist() == values, name
        assert [REASONS[code] for code in t["reason"]] == [p.reason for p in w]
        assert [set(flag_names(int(bits))) for bits in t["flags"]] == [p.flags for p in w]
        net = [g - f - c - a for g, f, c, a in zip(t["gross_pnl"], t["fees"], t["costs"], t["attrition"], strict=True)]
        assert t["net_pnl"].tolist() == net
        for name, bound in (("pnl_low", min), ("pnl_high", max)):
            gains = [bound(0.0, *(reading.gain for reading in p.readings)) for p in w]
            assert t[name].tolist() == [n + gain for n, gain in zip(net, gains, strict=True)]
        assert got.state.cash == want.cash
        still = [p for p in want.taken if p in want.open]
        assert [
            (p.key, p.quantity, p.last_price, p.exit_reason, p.last_bar_close, (p.traded_close, p.traded_price))
            for p in got.state.positions
        ] == [(str(p.entry), p.left, p.last_price, p.reason, p.last_close, p.traded) for p in still]
    return trades


@settings(max_examples=max(300, settings().max_examples))
@given(SEEDS)
def test_the_engine_agrees_bit_for_bit_with_a_slow_reference(seed: int) -> None:
    compare(random_case(seed))


def test_the_random_markets_reach_every_reason_disposition_and_flag() -> None:
    reasons, dispositions, flags, ambiguous = set(), set(), set(), 0
    for seed in range(450):
        for got in run(random_case(seed)).paths.values():
            reasons |= {REASONS[code] for code in got.trades["reason"]}
            dispositions |= {DISPOSITIONS[code] for code in got.disposition}
            flags |= {name for bits in got.trades["flags"] for name in flag_names(int(bits))}
            ambiguous += int(got.trades["ambiguous"].sum())
    assert reasons == set(REASONS) - {"end_of_data"}
    assert dispositions == set(DISPOSITIONS) - {"gate_closed", "canary_cap"}
    assert flags == set(FLAGS) - {"blocked_day"}
    assert ambiguous > 50


def through_text(state: PathState) -> PathState:
    """A state after its floats were decimal text of 18 places in a ledger."""

    def read(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: read(item) for name, item in value.items()}
        return float(decimal_text(value)) if isinstance(value, float) and np.isfinite(value) else value

    def copy(record: Any) -> Any:
        return replace(record, **{f.name: read(getattr(record, f.name)) for f in fields(record)})

    return PathState(read(state.cash), tuple(copy(p) for p in state.positions))


@settings(max_examples=max(200, settings().max_examples))
@given(SEEDS, st.lists(st.integers(1, 45), max_size=6, unique=True), st.booleans())
def test_call_by_call_with_the_state_gives_exactly_what_one_call_gives(
    seed: int, hours: list[int], whole_bars: bool
) -> None:
    case = random_case(seed)
    case = replace(case, rules=replace(case.rules, contiguous=True))  # else an entry may fill in a later call's bars
    keys = [f"k{i}" for i in range(len(case.entries.decision_time))]
    last = START + 60 * HOUR
    whole = run(case, keys=keys, until=last)
    state: dict[str, PathState] = {}
    parts: dict[str, list[Any]] = {path: [] for path in PATHS}
    dispositions: dict[str, dict[str, int]] = {path: {} for path in PATHS}
    begin = START - HOUR
    for end in [*(START + h * HOUR for h in sorted(hours)), last]:
        bars = some_bars(case.bars, START if whole_bars else begin, end)
        t = case.entries.decision_time
        mine = np.flatnonzero((t >= begin) & (t < end))
        known = {name: k for k, name in enumerate(bars.instruments)}
        names = [case.bars.instruments[k] for k in case.entries.instrument[mine]]
        extra = tuple(sorted(set(names) - set(known)))
        if extra:
            starts = np.concatenate([bars.starts, np.full(len(extra), bars.starts[-1])])
            bars = replace(bars, instruments=bars.instruments + extra, starts=starts)
            known = {name: k for k, name in enumerate(bars.instruments)}
        entries = Entries(
            np.array([known[name] for name in names], np.int32),
            t[mine],
            case.entries.score[mine],
            case.entries.notional[mine],
            None if case.entries.segment is None else case.entries.segment[mine],
        )
        step = replace(case, bars=bars, entries=entries)
        result = run(step, keys=[keys[i] for i in mine], until=end, state=state)
        for path in PATHS:
            got = result.paths[path]
            parts[path].append(got)
            dispositions[path].update({keys[i]: int(code) for i, code in zip(mine, got.disposition, strict=True)})
            assert through_text(got.state) == got.state == rounded_state(got.state)
        state = {path: through_text(result.paths[path].state) for path in PATHS}
        begin = end
    for path in PATHS:
        want = whole.paths[path]
        assert state[path] == want.state
        assert equity_usd(state[path]) == equity_usd(want.state)
        for table in ("fills", "trades"):
            for name, values in getattr(want, table).items():
                if name != "entry":
                    joined = np.concatenate([getattr(part, table)[name] for part in parts[path]])
                    assert np.array_equal(joined, values, equal_nan=values.dtype.kind == "f"), (path, table, name)
        for i, code in enumerate(want.disposition):
            assert dispositions[path].get(keys[i], code) == code  # off-grid decisions may precede the first call


@pytest.mark.parametrize("scale", [1.0, 1e-7, 1e-11])
def test_equity_is_start_plus_profit(scale: float) -> None:
    for seed in range(40):
        case = random_case(seed)
        if case.overlap:
            continue
        case = replace(case, cash=10_000.0)
        for got in run(case).paths.values():
            held = sum(p.notional + p.entry_fee - p.proceeds for p in got.state.positions)
            invested = held + sum(p.proceeds for p in got.state.positions)
            assert got.state.cash + invested == pytest.approx(10_000.0 + got.trades["net_pnl"].sum(), abs=1e-6)


def test_the_core_has_one_compiled_version_whatever_the_arguments() -> None:
    """A second one would be compiled in the middle of somebody's run; `warm_up` makes the one there is."""
    warm_up()
    for seed in range(100):
        run(random_case(seed))
    entrances = [
        run_path,
        ordering.find_rows,
        ordering.find_fill_bars,
        ordering.sort_by_time,
        ordering.by_group,
    ]
    assert [len(entrance.signatures) for entrance in entrances] == [1] * len(entrances)
