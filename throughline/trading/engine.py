"""`simulate`: the one engine. Turns bars, entries, rules and costs into fills, trades and dispositions.

Belongs here: names, keys, states and result columns around the compiled core (kernel). Does not belong here: rules that
touch a price. Imports numba; reach it through ``throughline.trading.simulate``, which loads it at first use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from throughline.trading import kernel, ordering
from throughline.trading.results import fill_columns, open_positions, trade_columns
from throughline.trading.types import (
    FLAGS,
    PATHS,
    REASONS,
    Bars,
    Costs,
    Entries,
    ExitRules,
    PathResult,
    PathState,
    Position,
    Simulation,
    SimulationInputError,
    Waiting,
)

Keys = Sequence[str] | NDArray[np.object_]

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
) -> Simulation:
    """Run `entries` through `bars` on each of `paths` and return what was filled, closed, refused and carried.

    Order within a bar (DESIGN section 7): time limit, emergency exit and gap at its open, then new entries, then stop,
    then target. A slot (and the cash) of a position that closes in a bar serves entries that fill on bars opening
    strictly later. Competing entries of one bar: highest score, then instrument name by UTF-8
    bytes, then decision time, then number.

    Parameters
    ----------
    max_positions : slots per path; None = unlimited. Always at most one position per instrument (except `overlap`).
    cash : starting USD of every path that `state` does not name; None = unlimited. An entry is cut to the cash after
        its fee; below 1 USD it is `no_cash`.
    state : what an earlier call returned as ``result.paths[p].state``, by path.
    keys : the caller's name of each entry (needed to carry positions meaningfully); None = its number as text.
    until : Unix ms; bars that open at or after it are not touched, entries decided at or after it wait in the state,
        halts at or after it stay open. None = the close of the last bar. Calling bar range after bar range with the
        state, or once over all, gives exactly the same trades.
    end : 'close' sells what is open at its last close (reason `end_of_data`); 'carry' leaves it in the state.
    overlap : every entry is an independent position (shadow outcomes): no slots, no `already_held`, cash untouched.
    blocked : the bars of this call are not traded: no entries (`gate_closed`), positions carry over with the flag
        `blocked_day`; the last close and its time are noted, so that a blocked day is not a halt.

    Returns
    -------
    Simulation, per path a `PathResult`. `fills`, one row per entry fill, in order of service:
        entry (int64 number, -1 for one that had waited in the state), key (object), instrument (object, name), segment
        (int64), entry_time (ms; the bar's open, or its close with close-only bars), bar_open_time (ms), raw_price,
        price (with spread and impact), quantity, notional (= quantity x price; USD paid without the fee), fee,
        spread_cost, impact_cost (both inside notional), participation (notional / bar volume, NaN if unknown), partial
        (bool: less than wished).
    `trades`, one row per closed position, by exit_bar_open, then in order of entry:
        entry (int64 number, -1 if entered in an earlier call), key, instrument, segment, entry_time, entry_bar_open,
        exit_time (the open for fills at the open, the close of the bar for fills inside it, the instant of a halt),
        exit_bar_open (open of the exit bar; a halt has none: its instant), entry_price, exit_price (execution prices;
        exit weighted by quantity), raw_entry_price, raw_exit_price, quantity, notional, reason (int8 code into
        REASONS), gross_pnl (raw prices), fees, costs (spread and impact), attrition, net_pnl = gross_pnl - fees - costs
        - attrition, return_percent (100 x net_pnl / notional), ambiguous (bool), pnl_low, pnl_high (net_pnl under
        stop-first and target-first in the ambiguous bar; equal otherwise), hold_ms (exit_time - entry_time), flags
        (int64 bits, see FLAGS and `flag_names`).

    Fills and exits: a fill takes at most max_participation of its bar's volume; what an entry lacks is cancelled, what
    an exit lacks is sold at the opens (close-only: closes) of the following bars; the reason is that of the first
    trigger. A bar of zero volume fills nothing: an entry expires, an exit waits. A reserve of 0 at an exit is a total
    loss (`rug_pull`), on an entry it expires. A halt (no bar of the segment for halt_ms after the last close, or a bar
    of another segment before that) closes at the path's share of the last close with the fee alone.
    Costs of a fill of value v: fee x v; price moved by multiplier x (half_spread + impact), multiplier 2, 1, 0 on the
    three paths, a sale's price never below 0; impact as in `Costs`. Attrition is taken from the exit value after its
    fee: x attrition_48h x hours held / 48 (not on the optimistic path).

    Raises SimulationInputError for an unknown path or instrument, a negative limit, keys of the wrong number.
    """
    _check(bars, entries, max_positions, cash, keys, paths)
    state = state or {}
    names, starts = _all_instruments(bars, state)
    arrays = _bar_arrays(bars, len(names))
    if until is None:
        until = int(bars.open_time.max()) + bars.interval_ms if len(bars.open_time) else ordering.LONG_AGO
    everywhere = np.arange(len(names))
    ordering.find_rows(
        starts, starts[1:], arrays.open_time, everywhere, np.full(len(names), until), bars.interval_ms, arrays.stops
    )
    rank = np.empty(len(names), np.int64)
    rank[sorted(range(len(names)), key=lambda k: names[k].encode())] = everywhere
    rank = _read_only(rank)
    index = {name: k for k, name in enumerate(names)} if state else {}
    named = _Names(np.array(names, dtype=object), keys, len(entries.decision_time))
    space = _Space(len(names))
    wishes: dict[tuple[Waiting, ...], _Wished] = {}
    orders: dict[tuple[tuple[Waiting, ...], bool], kernel.Served] = {}
    results: dict[str, PathResult] = {}
    for path in paths:
        before = state.get(path) or PathState(cash=np.inf if cash is None else float(cash))
        late = before.waiting
        if late not in wishes:
            wishes[late] = _wish(bars, starts, arrays, entries, late, index, rules, until, blocked)
        independent = overlap or (max_positions is None and before.cash == np.inf)
        if (late, independent) not in orders:
            orders[late, independent] = wishes[late].served(rank, bars.interval_ms, independent)
        terms = _terms(bars, rules, costs, path, max_positions, until, end, overlap, blocked)
        served = orders[late, independent]
        results[path] = _run(
            arrays, starts, wishes[late], served, independent, rank, terms, before, index, named, space
        )
    return Simulation(results)


@dataclass(frozen=True)
class _Wished:
    """Entries with those that waited put in front, and where each fills."""

    waiting: tuple[Waiting, ...]
    instrument: NDArray[np.int64]
    decision_time: NDArray[np.int64]
    score: NDArray[np.float64]
    notional: NDArray[np.float64]
    segment: NDArray[np.int64]
    check_segment: NDArray[np.int8]
    fill_bar: NDArray[np.int64]
    fill_time: NDArray[np.int64]
    disposition: NDArray[np.int8]
    in_order: bool

    def served(self, rank: NDArray[np.int64], interval: int, independent: bool) -> kernel.Served:
        """The entries that have a fill bar, by time, score and name; by instrument and time where nothing is shared
        between instruments, because memory likes that better."""
        order = np.flatnonzero(self.fill_bar >= 0)
        if not (independent and self.in_order):
            ordering.sort_by_time(
                order, self.fill_time, self.score, self.instrument, rank, self.decision_time, interval
            )
            if independent:
                order = ordering.by_group(order, self.instrument, len(rank))
        taken = (self.fill_bar[order], self.fill_time[order], self.instrument[order], self.notional[order])
        return kernel.Served(_frozen(order, np.int64), *map(_read_only, taken))


class _Space:
    """Scratch memory of the core, used by one path after another; results are copied out of it."""

    def __init__(self, instruments: int) -> None:
        self.busy = np.empty(instruments, np.int64)
        self._ints = np.empty((0, kernel.INT_COLUMNS), np.int64)
        self._floats = np.empty((0, kernel.FLOAT_COLUMNS), np.float64)
        self._heap = np.empty(0, np.int64)

    def rows(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """Integer rows, float rows and a heap for `count` positions."""
        if len(self._heap) < count:
            self._ints = np.empty((count, kernel.INT_COLUMNS), np.int64)
            self._floats = np.empty((count, kernel.FLOAT_COLUMNS), np.float64)
            self._heap = np.empty(count, np.int64)
        return self._ints[:count], self._floats[:count], self._heap


class _Names:
    """Names of instruments and keys of entries; keys that are only numbers are made for the rows that need them."""

    def __init__(self, instruments: NDArray[np.object_], keys: Keys | None, entries: int) -> None:
        self.instruments = instruments
        self._keys = np.empty(entries, dtype=object)
        self._known = np.full(entries, keys is not None)
        if keys is not None:
            self._keys[:] = keys

    def keys_of(self, numbers: NDArray[np.int64]) -> NDArray[np.object_]:
        """Keys of entries by number; of negative numbers None, which the caller replaces."""
        keys = np.empty(len(numbers), dtype=object)
        mine = np.flatnonzero(numbers >= 0)
        wanted = numbers[mine]
        fresh = wanted[~self._known[wanted]]
        if len(fresh):
            self._keys[fresh] = list(map(str, fresh.tolist()))
            self._known[fresh] = True
        keys[mine] = self._keys[wanted]
        return keys


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


def _all_instruments(bars: Bars, state: Mapping[str, PathState]) -> tuple[list[str], NDArray[np.int64]]:
    """The instruments of the bars, then those that only the state knows (without bars)."""
    names = list(bars.instruments)
    known = set(names)
    for path in sorted(state):
        carried = state[path]
        for name in [p.instrument for p in carried.positions] + [w.instrument for w in carried.waiting]:
            if name not in known:
                known.add(name)
                names.append(name)
    starts = np.full(len(names) + 1, len(bars.open_time), dtype=np.int64)
    starts[: len(bars.starts)] = bars.starts
    return names, starts


def _frozen(values: Any, dtype: type[Any]) -> NDArray[Any]:
    """A contiguous read-only view: one memory layout, so one compiled version of the core."""
    array = np.ascontiguousarray(values if values is not None else (), dtype=dtype).view()
    array.flags.writeable = False
    return array


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def _bar_arrays(bars: Bars, instruments: int) -> kernel.BarArrays:
    floats = {
        name: _frozen(getattr(bars, name), np.float64)
        for name in ("open", "high", "low", "close", "volume", "liquidity", "volatility", "reserve")
    }
    return kernel.BarArrays(
        stops=np.empty(instruments, np.int64),
        open_time=_frozen(bars.open_time, np.int64),
        rug=_frozen(bars.rug, np.int8),
        segment=_frozen(bars.segment, np.int64),
        **floats,
    )


def _terms(
    bars: Bars,
    rules: ExitRules,
    costs: Costs,
    path: str,
    max_positions: int | None,
    until: int,
    end: str,
    overlap: bool,
    blocked: bool,
) -> kernel.Terms:
    if end not in ("carry", "close"):
        raise SimulationInputError(f"end is {end!r}; it must be 'carry' or 'close'")
    optimistic = path == "optimistic"
    return kernel.Terms(
        interval=int(bars.interval_ms),
        until=int(until),
        halt=int(rules.halt_ms),
        max_hold=int(rules.max_hold_ms),
        stop_loss=float(rules.stop_loss),
        take_profit=float(rules.take_profit),
        max_participation=np.inf if rules.max_participation is None else float(rules.max_participation),
        fee=float(costs.fee),
        half_spread=float(costs.half_spread),
        coefficient=float(costs.impact_coefficient),
        floor=float(costs.impact_floor),
        attrition=0.0 if optimistic else float(costs.attrition_48h),
        halted_share={"pessimistic": 0.0, "base": float(costs.halted_recovery), "optimistic": 1.0}[path],
        multiplier=_SPREAD_AND_IMPACT[path],
        target_first=optimistic,
        gap_at_target=path == "pessimistic",
        close_only=bool(bars.close_only),
        close_at_end=end == "close",
        blocked=bool(blocked),
        overlap=bool(overlap),
        max_positions=-1 if max_positions is None else int(max_positions),
    )


def _wish(
    bars: Bars,
    starts: NDArray[np.int64],
    arrays: kernel.BarArrays,
    entries: Entries,
    waiting: tuple[Waiting, ...],
    index: Mapping[str, int],
    rules: ExitRules,
    until: int,
    blocked: bool,
) -> _Wished:
    def merged(late: list[Any], values: Any, dtype: type[Any]) -> NDArray[Any]:
        return _frozen(np.concatenate([np.array(late, dtype=dtype), values]) if late else values, dtype)

    count = len(entries.decision_time)
    has_segment = entries.segment is not None
    instrument = merged([index[w.instrument] for w in waiting], entries.instrument, np.int64)
    decision_time = merged([w.decision_time for w in waiting], entries.decision_time, np.int64)
    segment = merged(
        [w.segment or 0 for w in waiting], entries.segment if has_segment else np.zeros(count, np.int64), np.int64
    )
    check_segment = merged([w.segment is not None for w in waiting], np.full(count, has_segment, np.int8), np.int8)
    fill_bar, fill_time = np.empty((2, len(instrument)), np.int64)
    disposition = np.empty(len(instrument), np.int8)
    in_order = ordering.find_fill_bars(
        starts,
        arrays.stops,
        arrays.open_time,
        arrays.volume,
        arrays.reserve,
        arrays.segment,
        instrument,
        decision_time,
        segment,
        check_segment,
        bars.interval_ms,
        until,
        bool(rules.contiguous),
        blocked,
        fill_bar,
        fill_time,
        disposition,
    )
    return _Wished(
        waiting=waiting,
        instrument=instrument,
        decision_time=decision_time,
        score=merged([w.score for w in waiting], entries.score, np.float64),
        notional=merged([w.notional for w in waiting], entries.notional, np.float64),
        segment=segment,
        check_segment=check_segment,
        fill_bar=fill_bar,
        fill_time=_read_only(fill_time),
        disposition=disposition,
        in_order=bool(in_order),
    )


def _run(
    arrays: kernel.BarArrays,
    starts: NDArray[np.int64],
    wished: _Wished,
    served: kernel.Served,
    by_instrument: bool,
    rank: NDArray[np.int64],
    terms: kernel.Terms,
    before: PathState,
    index: Mapping[str, int],
    named: _Names,
    space: _Space,
) -> PathResult:
    carried, late = len(before.positions), len(wished.waiting)
    ints, floats, heap = space.rows(carried + len(served.entry))
    for p, position in enumerate(before.positions):
        _load(position, index[position.instrument], ints[p], floats[p])
    if carried:
        held, seen = ints[:carried, kernel.INSTRUMENT].copy(), ints[:carried, kernel.LAST_CLOSE].copy()
        rows = np.empty(carried, np.int64)
        ordering.find_rows(starts, arrays.stops, arrays.open_time, held, seen, terms.interval, rows)
        ints[:carried, kernel.NEXT_ROW] = rows
    disposition = wished.disposition.copy()
    positions, cash = kernel.run_path(
        arrays, served, rank, terms, disposition, carried, ints, floats, heap, space.busy, before.cash
    )
    ints, floats = ints[:positions], floats[:positions]
    order = np.arange(positions)
    if by_instrument:
        scores = np.zeros(positions)
        scores[carried:] = wished.score[ints[carried:, kernel.ENTRY]]
        times, which = (_read_only(ints[:, column].copy()) for column in (kernel.ENTRY_BAR, kernel.INSTRUMENT))
        ordering.sort_by_time(order[carried:], times, _read_only(scores), which, rank, times, terms.interval)
    ints[carried:, kernel.ENTRY] -= late  # numbers of this call's entries; those that waited become negative
    keys = named.keys_of(ints[:, kernel.ENTRY])
    for p in range(carried):
        keys[p] = before.positions[p].key
    for p in (np.flatnonzero(ints[carried:, kernel.ENTRY] < 0) + carried).tolist() if late else ():
        keys[p] = wished.waiting[int(ints[p, kernel.ENTRY]) + late].key
    np.maximum(ints[:, kernel.ENTRY], -1, out=ints[:, kernel.ENTRY])
    still = np.flatnonzero(disposition == ordering.WAITING)
    still = still[np.argsort(wished.decision_time[still], kind="stable")]
    left = tuple(_waiting_of(wished, i, named) for i in still.tolist())
    return PathResult(
        disposition=disposition[late:],
        fills=fill_columns(ints, floats, keys, named.instruments, order[carried:]),
        trades=trade_columns(ints, floats, keys, named.instruments, order),
        state=PathState(cash, open_positions(ints, floats, keys, named.instruments, order), left),
        waited={
            w.key: int(code)
            for w, code in zip(wished.waiting, disposition[:late], strict=True)
            if code != ordering.WAITING
        },
    )


def _waiting_of(wished: _Wished, i: int, named: _Names) -> Waiting:
    late = len(wished.waiting)
    if i < late:
        return wished.waiting[i]
    a = wished
    return Waiting(
        key=str(named.keys_of(np.array([i - late]))[0]),
        instrument=str(named.instruments[a.instrument[i]]),
        decision_time=int(a.decision_time[i]),
        score=float(a.score[i]),
        notional=float(a.notional[i]),
        segment=int(a.segment[i]) if a.check_segment[i] else None,
    )


def _load(p: Position, instrument: int, ints: NDArray[np.int64], floats: NDArray[np.float64]) -> None:
    """Write a carried position into its rows of the core."""
    reason = -1 if p.exit_reason is None else REASONS.index(p.exit_reason)
    ints[:] = 0
    ints[[kernel.ENTRY, kernel.INSTRUMENT, kernel.SEGMENT]] = -1, instrument, p.segment
    ints[[kernel.ENTRY_TIME, kernel.ENTRY_BAR, kernel.LAST_CLOSE]] = p.entry_time, p.entry_bar, p.last_bar_close
    ints[[kernel.RESUME, kernel.REASON, kernel.AMBIGUOUS]] = p.resume_time, reason, p.ambiguous
    ints[kernel.FLAG_BITS] = sum(1 << FLAGS.index(name) for name in p.flags)
    floats[:] = 0.0
    floats[[kernel.PRICE, kernel.RAW_PRICE]] = p.entry_price, p.raw_entry_price
    floats[[kernel.QUANTITY, kernel.BOUGHT]] = p.quantity, p.initial_quantity
    floats[[kernel.NOTIONAL, kernel.FEE, kernel.ENTRY_COSTS]] = p.notional, p.entry_fee, p.entry_costs
    floats[[kernel.LAST_PRICE, kernel.SOLD_VALUE, kernel.EXIT_VALUE]] = p.last_price, p.sold_value, p.exit_value
    floats[[kernel.EXIT_FEES, kernel.ATTRITION, kernel.OTHER_GAIN]] = p.exit_fees, p.attrition, p.alternative_gain
