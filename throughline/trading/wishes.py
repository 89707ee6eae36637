"""Entries as the core is to serve them: where each fills, in which order, under which name.

Belongs here: arrays in one memory layout, entries that waited merged with new ones, keys. Does not belong here: prices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.trading import kernel, ordering
from throughline.trading.types import Bars, Entries, ExitRules, Waiting

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


def bar_arrays(bars: Bars, instruments: int) -> kernel.BarArrays:
    """Return the bars as the core wants them; `stops` is still to be filled in."""
    floats = {
        name: frozen(getattr(bars, name), np.float64)
        for name in ("open", "high", "low", "close", "volume", "liquidity", "volatility", "reserve")
    }
    return kernel.BarArrays(
        stops=np.empty(instruments, np.int64),
        open_time=frozen(bars.open_time, np.int64),
        rug=frozen(bars.rug, np.int8),
        segment=frozen(bars.segment, np.int64),
        **floats,
    )


class Names:
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


@dataclass(frozen=True)
class Wished:
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
        if independent and self.in_order:  # as they stand; the core passes over those without a fill bar
            count = read_only(np.arange(len(self.fill_bar)))
            return kernel.Served(count, read_only(self.fill_bar), self.fill_time, self.instrument, self.notional)
        order = np.flatnonzero(self.fill_bar >= 0)
        ordering.sort_by_time(order, self.fill_time, self.score, self.instrument, rank, self.decision_time, interval)
        if independent:
            order = ordering.by_group(order, self.instrument, len(rank))
        taken = (self.fill_bar[order], self.fill_time[order], self.instrument[order], self.notional[order])
        return kernel.Served(frozen(order, np.int64), *map(read_only, taken))


def wish(
    bars: Bars,
    starts: NDArray[np.int64],
    arrays: kernel.BarArrays,
    entries: Entries,
    waiting: tuple[Waiting, ...],
    index: Mapping[str, int],
    rules: ExitRules,
    until: int,
    blocked: bool,
) -> Wished:
    """Merge entries with those that waited, and find the bar on which each fills."""

    def merged(late: list[Any], values: Any, dtype: type[Any]) -> NDArray[Any]:
        return frozen(np.concatenate([np.array(late, dtype=dtype), values]) if late else values, dtype)

    count = len(entries.decision_time)
    has_segment = entries.segment is not None
    instrument = merged([index[w.instrument] for w in waiting], entries.instrument, np.int64)
    decision_time = merged([w.decision_time for w in waiting], entries.decision_time, np.int64)
    segment, check_segment = frozen((), np.int64), frozen((), np.int8)
    if has_segment or any(w.segment is not None for w in waiting):
        given = entries.segment if has_segment else np.zeros(count, np.int64)
        segment = merged([w.segment or 0 for w in waiting], given, np.int64)
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
    return Wished(
        waiting=waiting,
        instrument=instrument,
        decision_time=decision_time,
        score=merged([w.score for w in waiting], entries.score, np.float64),
        notional=merged([w.notional for w in waiting], entries.notional, np.float64),
        segment=segment,
        check_segment=check_segment,
        fill_bar=fill_bar,
        fill_time=read_only(fill_time),
        disposition=disposition,
        in_order=bool(in_order),
    )


def waiting_of(wished: Wished, i: int, named: Names) -> Waiting:
    """Return entry i, which has no fill bar yet, as the state carries it."""
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
        segment=int(a.segment[i]) if len(a.segment) and a.check_segment[i] else None,
    )
