"""One pass: one path from its state to its result.

Belongs here: loading carried positions, giving the core room, collecting what it did. Does not belong here: rules that
touch a price (kernel), columns (results).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from throughline.trading import kernel, ordering
from throughline.trading.results import Table, fill_columns, open_positions, trade_columns
from throughline.trading.types import F64, FLAGS, I64, REASONS, PathResult, PathState, Position
from throughline.trading.wishes import Names, Wished, read_only, waiting_of

Number = TypeVar("Number", bound=np.generic)

ROWS_AT_ONCE = 65_536
"""Bars (about) that all paths go through before the next ones, so that they are still in the processor's cache."""


@dataclass(frozen=True)
class Market:
    """What all passes of one call share: bars, first rows of the instruments, their ranks by name, and names."""

    arrays: kernel.BarArrays
    starts: I64
    rank: I64
    index: Mapping[str, int]
    named: Names


class Pass:
    """One path: `serve` up to the entries that `stops` names, one after another, then `finish`."""

    def __init__(
        self,
        market: Market,
        wished: Wished,
        served: kernel.Served,
        terms: kernel.Terms,
        before: PathState,
        independent: bool,
    ) -> None:
        self._market, self._wished, self._served, self._terms = market, wished, served, terms
        self._before, self._independent = before, independent
        self._disposition = wished.disposition.copy()
        self._next, self._size, self._cash = -1, 0, before.cash
        self._positions = len(before.positions)
        room = _room(self._positions + 16 + len(served.entry) // 8)
        self._busy = np.empty(len(market.rank), np.int64)
        self._ints = np.empty((kernel.INT_COLUMNS, room), np.int64)
        self._floats = np.empty((kernel.FLOAT_COLUMNS, room), np.float64)
        self._heap = np.empty(room, np.int64)
        self._load_state()

    @property
    def stops(self) -> list[int]:
        """Numbers of served entries to stop at: between instruments where nothing is shared, else the end alone."""
        count = len(self._served.entry)
        if not self._independent:
            return [count]
        portion = self._market.starts[:-1] // ROWS_AT_ONCE
        first = np.flatnonzero(np.diff(portion)) + 1
        return [*np.searchsorted(self._served.instrument, first).tolist(), count]

    def serve(self, stop: int) -> None:
        """Serve entries up to number `stop`, making room for positions where it runs out."""
        while True:
            self._next, self._positions, self._size, self._cash = kernel.run_path(
                self._market.arrays,
                self._served,
                self._market.rank,
                self._terms,
                self._disposition,
                self._next,
                stop,
                self._positions,
                self._ints,
                self._floats,
                self._heap,
                self._size,
                self._busy,
                self._cash,
            )
            if self._next == stop:
                return
            room = _room(2 * len(self._heap))
            self._ints, self._floats = _grown(self._ints, room), _grown(self._floats, room)
            self._heap = _grown(self._heap, room)

    def finish(self) -> PathResult:
        """Return what happened."""
        late, carried = len(self._wished.waiting), len(self._before.positions)
        named, disposition = self._market.named, self._disposition
        ints = self._ints[:, : self._positions]
        order = self._order_of_entry(ints)
        ints[kernel.ENTRY, carried:] -= late  # numbers of this call's entries; those that waited become negative
        keys = self._keys(ints[kernel.ENTRY])
        np.maximum(ints[kernel.ENTRY], -1, out=ints[kernel.ENTRY])
        still = np.flatnonzero(disposition == ordering.WAITING)
        still = still[np.argsort(self._wished.decision_time[still], kind="stable")]
        waiting = tuple(waiting_of(self._wished, i, named) for i in still.tolist())
        table = Table(self._ints, self._floats, keys, named.instruments)
        return PathResult(
            disposition=disposition[late:],
            fills=fill_columns(table, order[carried:]),
            trades=trade_columns(table, order),
            state=PathState(self._cash, open_positions(table, order), waiting),
            waited={
                w.key: int(code)
                for w, code in zip(self._wished.waiting, disposition[:late], strict=True)
                if code != ordering.WAITING
            },
        )

    def _load_state(self) -> None:
        market, positions = self._market, self._before.positions
        for p, position in enumerate(positions):
            _load(position, market.index[position.instrument], self._ints[:, p], self._floats[:, p])
        if positions:
            held, seen = self._ints[[kernel.INSTRUMENT, kernel.LAST_CLOSE], : len(positions)]
            rows = np.empty(len(positions), np.int64)
            arrays = market.arrays
            ordering.find_rows(market.starts, arrays.stops, arrays.open_time, held, seen, self._terms.interval, rows)
            self._ints[kernel.NEXT_ROW, : len(positions)] = rows

    def _order_of_entry(self, ints: I64) -> I64:
        """Positions in order of service, whatever order the core took them in."""
        carried, order = len(self._before.positions), np.arange(ints.shape[1])
        if self._independent:
            scores = np.zeros(ints.shape[1])
            scores[carried:] = self._wished.score[ints[kernel.ENTRY, carried:]]
            times, which = (read_only(ints[row].copy()) for row in (kernel.ENTRY_BAR, kernel.INSTRUMENT))
            ordering.sort_by_time(
                order[carried:], times, read_only(scores), which, self._market.rank, times, self._terms.interval
            )
        return order

    def _keys(self, numbers: I64) -> NDArray[np.object_]:
        """Keys of positions by their entries' numbers: carried ones first, negative numbers had waited."""
        keys = self._market.named.keys_of(numbers)
        for p, position in enumerate(self._before.positions):
            keys[p] = position.key
        waiting, carried = self._wished.waiting, len(self._before.positions)
        if waiting:
            for p in (np.flatnonzero(numbers[carried:] < 0) + carried).tolist():
                keys[p] = waiting[int(numbers[p]) + len(waiting)].key
        return keys


def _room(positions: int) -> int:
    """Room for so many positions, such that the values of one do not fall on the same cache lines."""
    return (positions + 511) // 512 * 512 + 8


def _grown(old: NDArray[Number], room: int) -> NDArray[Number]:
    new = np.empty((*old.shape[:-1], room), old.dtype)
    new[..., : old.shape[-1]] = old
    return new


def _load(p: Position, instrument: int, ints: I64, floats: F64) -> None:
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
