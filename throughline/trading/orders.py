"""Entries as the orders that the core is to serve: where each fills, in which order, under which name.

Belongs here: arrays in one memory layout, fill bars, keys. Does not belong here: prices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.trading import ordering
from throughline.trading.kernel import layout
from throughline.trading.types import F64, I8, I64, Bars, Entries, ExitRules

Keys = Sequence[str] | NDArray[np.object_]


def frozen(values: Any, dtype: type[Any]) -> NDArray[Any]:
    """Return a contiguous read-only view: one memory layout, so one compiled version of the core."""
    array = np.ascontiguousarray(values if values is not None else (), dtype=dtype).view()
    array.flags.writeable = False
    return array


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array itself, no longer writeable."""
    array.flags.writeable = False
    return array


def bar_arrays(bars: Bars, instruments: int) -> layout.BarArrays:
    """Return the bars in the form of the core; the caller fills in `stops`."""
    floats = {
        name: frozen(getattr(bars, name), np.float64)
        for name in ("open", "high", "low", "close", "volume", "liquidity", "volatility", "reserve")
    }
    return layout.BarArrays(
        stops=np.empty(instruments, np.int64),
        open_time=frozen(bars.open_time, np.int64),
        rug=frozen(bars.rug, np.int8),
        segment=frozen(bars.segment, np.int64),
        **floats,
    )


class Names:
    """Names of instruments and keys of entries; keys that are only numbers are formatted when a row needs them."""

    def __init__(self, instruments: NDArray[np.object_], keys: Keys | None, entries: int) -> None:
        self.instruments = instruments
        self._keys = np.empty(entries, dtype=object)
        self._known = np.full(entries, keys is not None)
        if keys is not None:
            self._keys[:] = keys

    def keys_of(self, numbers: I64) -> NDArray[np.object_]:
        """Keys of entries by number; of negative numbers None, which the caller replaces."""
        keys = np.empty(len(numbers), dtype=object)
        mine = np.flatnonzero(numbers >= 0)
        own = numbers[mine]
        fresh = own[~self._known[own]]
        if len(fresh):
            self._keys[fresh] = list(map(str, fresh.tolist()))
            self._known[fresh] = True
        keys[mine] = self._keys[own]
        return keys


@dataclass(frozen=True)
class MatchedOrders:
    """Orders by the number of their entry, and the bar that each fills on (-1: none). in_order: see `ordering`."""

    instrument: I64
    decision_time: I64
    score: F64
    notional: F64
    fill_bar: I64
    fill_time: I64
    disposition: I8
    in_order: bool

    def queue(self, rank: I64, interval: int, independent: bool) -> layout.OrderQueue:
        """The orders that have a fill bar, by time, score and name; by instrument and time where nothing is shared
        between instruments, because memory likes that better."""
        if independent and self.in_order:  # as they stand; the core passes over those without a fill bar
            count = read_only(np.arange(len(self.fill_bar)))
            return layout.OrderQueue(count, read_only(self.fill_bar), self.fill_time, self.instrument, self.notional)
        order = np.flatnonzero(self.fill_bar >= 0)
        ordering.sort_by_time(order, self.fill_time, self.score, self.instrument, rank, self.decision_time, interval)
        if independent:
            order = ordering.by_group(order, self.instrument, len(rank))
        taken = (self.fill_bar[order], self.fill_time[order], self.instrument[order], self.notional[order])
        return layout.OrderQueue(frozen(order, np.int64), *map(read_only, taken))


def match_orders(
    bars: Bars,
    starts: I64,
    arrays: layout.BarArrays,
    entries: Entries,
    rules: ExitRules,
    until: int,
    blocked: bool,
) -> MatchedOrders:
    """Return the entries as orders, each with the bar on which it fills. until: Unix ms; blocked: as in `simulate`."""
    instrument = frozen(entries.instrument, np.int64)
    decision_time = frozen(entries.decision_time, np.int64)
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
        frozen(entries.segment, np.int64),
        bars.interval_ms,
        until,
        bool(rules.contiguous),
        blocked,
        fill_bar,
        fill_time,
        disposition,
    )
    return MatchedOrders(
        instrument=instrument,
        decision_time=decision_time,
        score=frozen(entries.score, np.float64),
        notional=frozen(entries.notional, np.float64),
        fill_bar=fill_bar,
        fill_time=read_only(fill_time),
        disposition=disposition,
        in_order=bool(in_order),
    )
