"""One pass: one path from its state to its result.

Belongs here: loading carried positions, giving the core room, collecting what it did. Does not belong here: rules that
touch a price (kernel), columns (results).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from throughline.exits.registry import reason_names
from throughline.trading import ordering
from throughline.trading.kernel import layout
from throughline.trading.kernel.path import run_path
from throughline.trading.kernel.worth import worth_at
from throughline.trading.orders import MatchedOrders, Names, read_only
from throughline.trading.results import Table, fill_columns, open_positions, trade_columns
from throughline.trading.state import round18
from throughline.trading.types import F64, FLAGS, I64, PathResult, PathState, Position, SimulationInputError

Number = TypeVar("Number", bound=np.generic)

ROWS_AT_ONCE = 65_536
"""Bars (about) that all paths go through before the next ones, so that they are still in the processor's cache."""


@dataclass(frozen=True)
class Market:
    """What all passes of one call share: bars, first rows of the instruments, their ranks by name, and names."""

    arrays: layout.BarArrays
    starts: I64
    rank: I64
    index: Mapping[str, int]
    named: Names


class Pass:
    """One path: `serve` up to the entries that `stops` names, one after another, then `finish`."""

    def __init__(
        self,
        market: Market,
        orders: MatchedOrders,
        queue: layout.OrderQueue,
        terms: layout.Terms,
        exits: layout.Rules,
        slots: Sequence[str],
        before: PathState,
        independent: bool,
    ) -> None:
        self._market, self._orders, self._queue, self._terms = market, orders, queue, terms
        self._exits, self._slot_names = exits, slots
        self._before, self._independent = before, independent
        self._disposition = orders.disposition.copy()
        self._next, self._size, self._cash = -1, 0, before.cash
        self._positions = len(before.positions)
        room = _room(self._positions + 16 + len(queue.entry) // 8)
        self._busy = np.empty(len(market.rank), np.int64)
        self._ints = np.empty((layout.INT_COLUMNS, room), np.int64)
        self._floats = np.empty((layout.FLOAT_COLUMNS, room), np.float64)
        self._slots = np.zeros((room, len(slots)), np.float64)
        self._heap = np.empty(room, np.int64)
        self._load_state()
        carried = self._positions
        self._loaded = (self._ints[:, :carried].copy(), self._floats[:, :carried].copy(), self._slots[:carried].copy())

    @property
    def stops(self) -> list[int]:
        """Numbers of served entries to stop at: between instruments where nothing is shared, else the end alone."""
        count = len(self._queue.entry)
        if not self._independent:
            return [count]
        portion = self._market.starts[:-1] // ROWS_AT_ONCE
        first = np.flatnonzero(np.diff(portion)) + 1
        return [*np.searchsorted(self._queue.instrument, first).tolist(), count]

    def serve(self, stop: int) -> None:
        """Serve entries up to number `stop`, making room for positions where it runs out."""
        while True:
            self._next, self._positions, self._size, self._cash = run_path(
                self._market.arrays,
                self._queue,
                self._market.rank,
                self._terms,
                self._exits,
                self._disposition,
                self._next,
                stop,
                self._positions,
                self._ints,
                self._floats,
                self._slots,
                self._heap,
                self._size,
                self._busy,
                self._cash,
            )
            if self._next == stop:
                return
            room = _room(2 * len(self._heap))
            self._ints, self._floats = _grown(self._ints, room), _grown(self._floats, room)
            self._slots, self._heap = _grown(self._slots.T, room).T.copy(), _grown(self._heap, room)

    def worth(self, instant: int) -> tuple[float, float]:
        """Return (equity, cash) in USD at `instant` (Unix ms); every order that fills before it must have been served.

        As `state.equity_usd` and the cash of a run that ends there. The core has followed every position to its end
        already, so what ended in a bar that opens before the instant is cash.
        """
        if self._next < 0:
            self.serve(0)
        waiting, values = self._heap[: self._size].copy(), np.empty(self._size)
        cash, count = worth_at(
            self._market.arrays,
            self._market.starts,
            self._market.rank,
            self._ints,
            self._floats,
            self._loaded[1],
            waiting,
            self._size,
            self._cash,
            instant,
            values,
        )
        equity = cash
        for p, value in zip(waiting[:count].tolist(), values[:count].tolist(), strict=True):
            equity += self._value(p, instant) if math.isnan(value) else value
        return equity, cash

    def _value(self, p: int, instant: int) -> float:
        """Return the worth at `instant` of a position open then: what is left at its last close, and what it sold.

        It is followed once more, on the bars before the instant.
        """
        arrays, k = self._market.arrays, self._ints[layout.INSTRUMENT, p]
        first = int(self._market.starts[k])
        seen = first + int(np.searchsorted(arrays.open_time[first : arrays.stops[k]], instant))
        ints, floats, slots = self._at_first(p)
        stops = arrays.stops.copy()
        stops[k] = seen
        no_order = layout.OrderQueue(*(read_only(column[:0].copy()) for column in self._queue))
        run_path(
            arrays._replace(stops=stops),
            no_order,
            self._market.rank,
            self._terms._replace(until=instant),
            self._exits,
            self._disposition[:0],
            -1,
            0,
            1,
            ints,
            floats,
            slots,
            np.empty(1, np.int64),
            0,
            np.empty(len(self._market.rank), np.int64),
            0.0,
        )
        return float(floats[layout.QUANTITY, 0] * floats[layout.LAST_PRICE, 0]) + _proceeds(floats[:, 0])

    def _at_first(self, p: int) -> tuple[I64, F64, F64]:
        """Return position p as it was when it was entered or loaded, alone."""
        if p < len(self._before.positions):
            return self._loaded[0][:, [p]].copy(), self._loaded[1][:, [p]].copy(), self._loaded[2][[p]].copy()
        ints, floats = self._ints[:, [p]].copy(), self._floats[:, [p]].copy()
        row = self._queue.row[self._queue_place(p)]
        ints[layout.REASON], ints[layout.EXIT_BAR], ints[layout.AMBIGUOUS] = -1, layout.NEVER, 0
        ints[layout.LAST_CLOSE] = ints[layout.TRADED_CLOSE] = ints[layout.ENTRY_BAR] + self._terms.interval
        ints[layout.NEXT_ROW] = row + int(self._terms.close_only)
        floats[[layout.QUANTITY, layout.LOW_QUANTITY, layout.HIGH_QUANTITY]] = floats[layout.BOUGHT]
        floats[[layout.LAST_PRICE, layout.TRADED_PRICE]] = round18(self._market.arrays.close[row])
        floats[layout.SOLD_VALUE : layout.HIGH_GAIN + 1] = 0.0
        return ints, floats, np.zeros((1, len(self._slot_names)))

    def _queue_place(self, p: int) -> int:
        """Return the place of position p's entry in the order of service."""
        return int(np.flatnonzero(self._queue.entry == self._ints[layout.ENTRY, p])[0])

    def finish(self) -> PathResult:
        """Return what happened."""
        carried = len(self._before.positions)
        ints = self._ints[:, : self._positions]
        order = self._order_of_entry(ints)
        keys = self._market.named.keys_of(ints[layout.ENTRY])
        for p, position in enumerate(self._before.positions):
            keys[p] = position.key
        table = Table(self._ints, self._floats, self._slots, keys, self._market.named.instruments, self._slot_names)
        return PathResult(
            disposition=self._disposition,
            fills=fill_columns(table, order[carried:]),
            trades=trade_columns(table, order),
            state=PathState(self._cash, open_positions(table, order)),
        )

    def _load_state(self) -> None:
        market, positions = self._market, self._before.positions
        for p, position in enumerate(positions):
            _load(position, market.index[position.instrument], self._ints[:, p], self._floats[:, p])
            self._slots[p] = self._carried_slots(position)
        if positions:
            instruments, last, resume = self._ints[
                [layout.INSTRUMENT, layout.LAST_CLOSE, layout.RESUME], : len(positions)
            ]
            seen = np.maximum(last, resume)  # bars of a blocked day are not traded later either
            rows = np.empty(len(positions), np.int64)
            arrays = market.arrays
            ordering.find_rows(
                market.starts, arrays.stops, arrays.open_time, instruments, seen, self._terms.interval, rows
            )
            self._ints[layout.NEXT_ROW, : len(positions)] = rows

    def _carried_slots(self, position: Position) -> list[float]:
        unknown = sorted(set(position.slots) - set(self._slot_names))
        if unknown:
            raise SimulationInputError(
                f"the state of {position.instrument} carries '{unknown[0]}', which no exit rule of this call has; "
                "continue with the rules that the position was entered with"
            )
        return [position.slots.get(name, 0.0) for name in self._slot_names]

    def _order_of_entry(self, ints: I64) -> I64:
        """Positions in order of service, whatever order the core took them in."""
        carried, order = len(self._before.positions), np.arange(ints.shape[1])
        if self._independent:
            scores = np.zeros(ints.shape[1])
            scores[carried:] = self._orders.score[ints[layout.ENTRY, carried:]]
            times, which = (read_only(ints[row].copy()) for row in (layout.ENTRY_BAR, layout.INSTRUMENT))
            ordering.sort_by_time(
                order[carried:], times, read_only(scores), which, self._market.rank, times, self._terms.interval
            )
        return order


def _proceeds(floats: F64) -> float:
    """Return what the position in this column has been paid for what it sold, in USD."""
    return float(floats[layout.EXIT_VALUE] - floats[layout.EXIT_FEES] - floats[layout.ATTRITION])


def _room(positions: int) -> int:
    """Room for so many positions, such that the values of one do not fall on the same cache lines."""
    return (positions + 511) // 512 * 512 + 8


def _grown(old: NDArray[Number], room: int) -> NDArray[Number]:
    new = np.empty((*old.shape[:-1], room), old.dtype)
    new[..., : old.shape[-1]] = old
    return new


def _load(p: Position, instrument: int, ints: I64, floats: F64) -> None:
    """Write a carried position into its rows of the core."""
    reason = -1 if p.exit_reason is None else reason_names().index(p.exit_reason)
    ints[:] = 0
    ints[[layout.ENTRY, layout.INSTRUMENT, layout.SEGMENT]] = -1, instrument, p.segment
    ints[[layout.ENTRY_TIME, layout.ENTRY_BAR, layout.LAST_CLOSE]] = p.entry_time, p.entry_bar, p.last_bar_close
    ints[[layout.RESUME, layout.REASON, layout.AMBIGUOUS]] = p.resume_time, reason, p.ambiguous
    ints[layout.FLAG_BITS] = sum(1 << FLAGS.index(name) for name in p.flags)
    floats[:] = 0.0
    floats[[layout.PRICE, layout.RAW_PRICE]] = p.entry_price, p.raw_entry_price
    floats[[layout.QUANTITY, layout.BOUGHT]] = p.quantity, p.initial_quantity
    floats[[layout.NOTIONAL, layout.FEE, layout.ENTRY_COSTS]] = p.notional, p.entry_fee, p.entry_costs
    floats[[layout.LAST_PRICE, layout.SOLD_VALUE, layout.EXIT_VALUE]] = p.last_price, p.sold_value, p.exit_value
    floats[[layout.EXIT_FEES, layout.ATTRITION]] = p.exit_fees, p.attrition
    ints[layout.TRADED_CLOSE], floats[layout.TRADED_PRICE] = p.traded_close, p.traded_price
    floats[[layout.LOW_GAIN, layout.LOW_QUANTITY]] = p.low_gain, p.low_quantity
    floats[[layout.HIGH_GAIN, layout.HIGH_QUANTITY]] = p.high_gain, p.high_quantity
