"""`simulate`: the one engine. Turns bars, entries, rules and costs into fills, trades and dispositions.

Belongs here: names, keys, states and result columns around the compiled core (kernel). Does not belong here: rules that
touch a price. Imports numba; reach it through ``throughline.trading.simulate``, which loads it at first use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from throughline.market.jumps import threshold
from throughline.trading import ordering
from throughline.trading.kernel import layout
from throughline.trading.kernel.hooks import compiled_rules
from throughline.trading.orders import Keys, Names, bar_arrays, match_orders, read_only
from throughline.trading.passes import Market, Pass
from throughline.trading.types import (
    PATHS,
    Bars,
    Costs,
    Entries,
    ExitRules,
    PathState,
    Simulation,
    SimulationInputError,
)

_SPREAD_AND_IMPACT = {"pessimistic": 2.0, "base": 1.0, "optimistic": 0.0}


def simulate(
    bars: Bars,
    entries: Entries,
    rules: ExitRules,
    costs: Costs,
    max_positions: int | None,
    *,
    cash: float | None = None,
    state: Mapping[str, PathState] | None = None,
    keys: Keys | None = None,
    until: int | None = None,
    end: Literal["carry", "close"] = "carry",
    paths: Sequence[str] = PATHS,
    overlap: bool = False,
    blocked: bool = False,
    minimum_notional: float = 0.0,
) -> Simulation:
    """Run `entries` through `bars` on each of `paths` and return what was filled, closed, refused and carried.

    Order within a bar: at its open a rule that leaves, a gap; then new entries; then stop, then target. A slot (and the
    cash) of a position that closes in a bar serves entries that fill on bars opening strictly later. Competing entries
    of one bar: highest score, then instrument name by UTF-8 bytes, then decision time, then number.

    Fills and exits: a fill takes at most max_participation of its bar's volume; what an entry lacks is cancelled, what
    an exit lacks is sold at the opens (close-only: closes) of the following bars; the reason is that of the first
    trigger. A bar of zero volume fills nothing: an entry expires, an exit waits. A reserve of 0 at an exit is a total
    loss (`rug_pull`), on an entry it expires. A halt (no bar for halt_ms after the last close) closes at the path's
    share of the last close with the fee alone.

    Gaps and jumps (with contiguous rules): a gap is a time in which nobody could trade: bars are missing, had no
    volume, or were blocked. At the first price after it a position is sold for its target at most, on every path, and a
    fall is booked in full. At a doubtful jump (`ExitRules.doubtful_jump`, with or without a gap, or a bar of another
    segment within halt_ms) a position ends, whole, at the first price at which somebody could trade: for its target and
    the believed rise at most, on the pessimistic path for the last close at most. The reason is that of the level or
    limit that it meets there, else `halted`. On the pessimistic path no first price that triggers a sale gives more
    than the target, whatever the reason. `throughline.trading.kernel.interruptions` has the table of cases.

    The interval [pnl_low, pnl_high] contains net_pnl. For an ambiguous bar it spans what stop-first and target-first
    give, each under its own volume limit and sold on at the following opens; for a sale after a gap, what the last
    price before it gives if that is lower, and what the price as it stood gives; for a doubtful jump, both of these
    prices. Where a reading could sell less than was booked, its rest at the booked exit is counted at the last price of
    that exit (the close of an ambiguous bar, else the open), because what it would fetch later is not known by then. On
    the pessimistic and base paths the stop of an ambiguous bar is booked, so a target-first high with such a rest is
    the one figure of an interval that is an estimate; it is exact wherever the volume limit leaves no rest.

    Costs of a fill of value v: fee x v; price moved by multiplier x (half_spread + impact), multiplier 2, 1, 0 on the
    three paths, a sale's price never below 0; impact as in `Costs`. Attrition is taken from the exit value after its
    fee: x attrition_48h x hours held / 48 (not on the optimistic path).

    Args:
        bars: The bars of all instruments.
        entries: The entries to make.
        rules: When positions end.
        costs: What fills cost.
        max_positions: Slots per path; None = unlimited. Always at most one position per instrument (except `overlap`).
        cash: Starting USD of every path that `state` does not name; None = unlimited. An entry is cut to the cash after
            its fee.
        state: What an earlier call returned as ``result.paths[p].state``, by path.
        keys: The caller's name of each entry (needed to carry positions meaningfully); None = its number as text.
        until: Unix ms; bars that open at or after it are not touched, entries decided at or after it are `waiting`
            (hand them to the next call), halts at or after it stay open. None = the close of the last bar. Calling bar
            range after bar range with the state, or once over all, gives exactly the same trades.
        end: 'close' sells what is open at its last close (reason `end_of_data`); 'carry' leaves it in the state.
        paths: The fill models to run.
        overlap: Every entry is an independent position (counterfactual outcomes): no slots, no `already_held`, cash
            untouched.
        blocked: The bars of this call are not traded: no entries (`gate_closed`), positions carry over with the flag
            `blocked_day`; the last close and its time are noted, so that a blocked day is not a halt.
        minimum_notional: USD; a position that would be smaller is not entered: `below_minimum` where the order or the
            volume limit is the cause, `no_cash` where the cash is (or leaves less than 1 USD).

    Returns:
        Simulation, per path a `PathResult`. `fills` has one row per entry fill, in order of service: entry (int64
        number), key (object), instrument (object, name), segment (int64), entry_time (ms; the bar's open, or its close
        with close-only bars), bar_open_time (ms), raw_price, price (with spread and impact), quantity, notional
        (= quantity x price; USD paid without the fee), fee, spread_cost, impact_cost (both inside notional),
        participation (notional / bar volume, NaN if unknown), partial (bool: less than ordered).

        `trades` has one row per closed position, by exit_bar_open, then in order of entry: entry (int64 number, -1 if
        entered in an earlier call), key, instrument, segment, entry_time, entry_bar_open, exit_time (the open for fills
        at the open, the close of the bar for fills inside it, the instant of a halt), exit_bar_open (open of the exit
        bar; a halt has none: its instant), entry_price, exit_price (execution prices; exit weighted by quantity),
        raw_entry_price, raw_exit_price, quantity, notional, reason (int8 code into REASONS), gross_pnl (raw prices),
        fees, costs (spread and impact), attrition, net_pnl = gross_pnl - fees - costs - attrition, return_percent
        (100 x net_pnl / notional), ambiguous (bool), pnl_low, pnl_high (equal to net_pnl where nothing is open to
        doubt), hold_ms (exit_time - entry_time), flags (int64 bits, see FLAGS and `flag_names`).

    Raises:
        SimulationInputError: An unknown path or instrument, a negative limit, keys of the wrong number, or a state that
            carries what no rule of this call has.
    """
    _check(bars, entries, max_positions, cash, keys, paths)
    if not 0.0 <= minimum_notional < np.inf:
        raise SimulationInputError(f"minimum_notional is {minimum_notional}; it must be 0 or more USD")
    state = state or {}
    if until is None:
        last = bars.starts[1:][bars.starts[1:] > bars.starts[:-1]] - 1
        until = int(bars.open_time[last].max()) + bars.interval_ms if len(last) else layout.LONG_AGO
    market = market_of(bars, state, until, keys, len(entries.decision_time))
    orders = match_orders(bars, market.starts, market.arrays, entries, rules, until, blocked)
    exits = compiled_rules(rules.numbers)
    queues: dict[bool, layout.OrderQueue] = {}
    passes: dict[str, Pass] = {}
    for path in paths:
        before = state.get(path) or PathState(cash=np.inf if cash is None else float(cash))
        independent = overlap or (max_positions is None and before.cash == np.inf)
        if independent not in queues:
            queues[independent] = orders.queue(market.rank, bars.interval_ms, independent)
        terms = terms_of(
            bars, rules, costs, path, max_positions, until, end, overlap, blocked, minimum_notional=minimum_notional
        )
        passes[path] = Pass(market, orders, queues[independent], terms, exits, rules.slots, before, independent)
    for stops in zip_longest(*(part.stops for part in passes.values())):
        for part, stop in zip(passes.values(), stops, strict=True):
            if stop is not None:
                part.serve(stop)
    return Simulation({path: part.finish() for path, part in passes.items()})


def _check(
    bars: Bars, entries: Entries, max_positions: int | None, cash: float | None, keys: Keys | None, paths: Sequence[str]
) -> None:
    for path in paths:
        if path not in PATHS:
            raise SimulationInputError(f"path {path!r} is unknown; the paths are {', '.join(PATHS)}")
    if max_positions is not None and max_positions < 0:
        raise SimulationInputError(f"max_positions is {max_positions}; it must be 0 or more, or None for no limit")
    if cash is not None and not cash >= 0.0:
        raise SimulationInputError(f"cash is {cash}; it must be 0 or more USD, or None for unlimited")
    if keys is not None and len(keys) != len(entries.decision_time):
        raise SimulationInputError(f"{len(keys)} keys for {len(entries.decision_time)} entries; give one per entry")
    k = entries.instrument
    if len(k) and (int(k.min()) < 0 or int(k.max()) >= len(bars.instruments)):
        row = int(np.flatnonzero((k < 0) | (k >= len(bars.instruments)))[0])
        raise SimulationInputError(
            f"Entries.instrument, row {row}, is {int(k[row])}; the bars have instruments 0..{len(bars.instruments) - 1}"
        )


def market_of(bars: Bars, state: Mapping[str, PathState], until: int, keys: Keys | None, entries: int) -> Market:
    """Return what all passes over `bars` up to `until` (Unix ms) share. state: may carry instruments without bars."""
    names, starts = _all_instruments(bars, state)
    arrays = bar_arrays(bars, len(names))
    everywhere = np.arange(len(names))
    ordering.find_rows(
        starts, starts[1:], arrays.open_time, everywhere, np.full(len(names), until), bars.interval_ms, arrays.stops
    )
    rank = np.empty(len(names), np.int64)
    rank[sorted(range(len(names)), key=lambda k: names[k].encode())] = everywhere
    index = {name: k for k, name in enumerate(names)} if state else {}
    return Market(arrays, starts, read_only(rank), index, Names(np.array(names, dtype=object), keys, entries))


def _all_instruments(bars: Bars, state: Mapping[str, PathState]) -> tuple[list[str], NDArray[np.int64]]:
    """The instruments of the bars, then those that only the state knows (without bars)."""
    names = list(bars.instruments)
    known = set(names)
    for path in sorted(state):
        carried = state[path]
        for position in carried.positions:
            if position.instrument not in known:
                known.add(position.instrument)
                names.append(position.instrument)
    starts = np.full(len(names) + 1, len(bars.open_time), dtype=np.int64)
    starts[: len(bars.starts)] = bars.starts
    return names, starts


def terms_of(
    bars: Bars,
    rules: ExitRules,
    costs: Costs,
    path: str,
    max_positions: int | None,
    until: int,
    end: str = "carry",
    overlap: bool = False,
    blocked: bool = False,
    minimum_notional: float = 0.0,
) -> layout.Terms:
    """Return rules, costs and path of one pass in the form of the core. until: Unix ms; the rest as in `simulate`."""
    if end not in ("carry", "close"):
        raise SimulationInputError(f"end is {end!r}; it must be 'carry' or 'close'")
    optimistic = path == "optimistic"
    believed = rules.believed_jump(bars.close_only)
    return layout.Terms(
        interval=int(bars.interval_ms),
        until=int(until),
        halt=int(rules.halt_ms),
        max_participation=np.inf if rules.max_participation is None else float(rules.max_participation),
        jump=threshold(believed) if rules.contiguous else np.inf,
        believed=believed,
        minimum=float(minimum_notional),
        fee=float(costs.fee),
        half_spread=float(costs.half_spread),
        coefficient=float(costs.impact_coefficient),
        floor=float(costs.impact_floor),
        attrition=0.0 if optimistic else float(costs.attrition_48h),
        halted_share={"pessimistic": 0.0, "base": float(costs.halted_recovery), "optimistic": 1.0}[path],
        multiplier=_SPREAD_AND_IMPACT[path],
        target_first=optimistic,
        at_target=path == "pessimistic",
        jump_gains=path != "pessimistic",
        contiguous=bool(rules.contiguous),
        close_only=bool(bars.close_only),
        close_at_end=end == "close",
        moving=any(rule.moves for rule, _ in rules.numbers),
        blocked=bool(blocked),
        overlap=bool(overlap),
        max_positions=-1 if max_positions is None else int(max_positions),
    )


def warm_up() -> None:
    """Compile the core (some seconds) into numba's disk cache, so that the first real simulation need not.

    For set-up steps; nothing depends on it. Every argument layout has one compiled version, so once is enough.
    """
    market = Bars(
        instruments=("A", "B"),
        starts=np.array([0, 2, 4]),
        open_time=np.array([0, 1, 0, 1]),
        open=np.ones(4),
        high=np.ones(4),
        low=np.ones(4),
        close=np.ones(4),
        interval_ms=1,
    )
    backwards = Entries(np.array([1, 0], np.int32), np.array([0, 0]), np.ones(2), np.ones(2))
    simulate(market, backwards, ExitRules(), Costs(), 1)
    simulate(market, backwards, ExitRules(), Costs(), None)
