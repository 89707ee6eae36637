"""Sealing a day's bars: one canonical line per instrument and day, their Merkle root, and how two versions differ.

Belongs here: the bytes of `market_bars`. Does not belong here: where they are kept, gates.

A line is the canonical JSON (``identity.canonical_bytes``) of ``{"schema_version", "day", "instrument",
"interval_seconds", "bars", "segments", "references", "quarantined"}``. ``bars.slots`` lists which bars of the day are
there (slot 0 opens at 00:00 UTC) and the other arrays of ``bars`` go with it (`close` alone for closes; `volume` left
out where the whole day's is unknown, null for a single unknown). ``segments`` lists [first slot, segment name] at each
change. ``references`` gives for each name the states [slot, value, event time, available at] in which the value seen at
a bar's close changed, the first slot's state always, null for not known; so a line says all that its day's panel says
and needs no other day's line. An instrument without bars and without quarantined rows on the day has no line.

``price_factors``, after a corporate action, lists [slot, factor] at each change: what the prices as read were
multiplied with, so that they are in the units in which the instrument's history began. Without one the key is left out.

Numbers are written straight as text, since a year of hourly bars is millions of them; tests hold that the bytes are
those of `canonical_bytes`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.identity import (
    canonical_bytes,
    content_hash,
    decimal_text,
    parse_time,
    seal_of,
    time_text_ms,
    time_to_ms,
)
from throughline.market.panel import MarketPanel, Reference

KIND = "market_bars"
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class DayBlocks:
    """The bars of a day as they are sealed.

    Args:
        lines: canonical bytes, ordered by instrument.
        hashes: the content hash of each line.
        bars: number of believed bars.
        quarantined: rows by rule.
        root: the partition seal (hex).
    """

    lines: tuple[bytes, ...]
    hashes: tuple[str, ...]
    bars: int
    quarantined: Mapping[str, int]
    root: str


@dataclass(frozen=True)
class BlockDiff:
    """Facts (bars, reference states, quarantined rows) by which one version of a day differs from another, and the
    instruments concerned in order.
    """

    added: int
    changed: int
    removed: int
    instruments: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Say whether the two versions are equal."""
        return not (self.added or self.changed or self.removed)


def segment_name(instrument: str, start_ms: int) -> str:
    """Return the name of an instrument segment, as in ``LUNAUSDT@20220531T060000Z``. ValueError for -1 (no segment)."""
    if start_ms < 0:
        raise ValueError(f"{instrument} has no segment yet (start {start_ms})")
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(start_ms))
    return f"{instrument}@{start:%Y%m%dT%H%M%SZ}"


def segment_ms(name: str) -> int:
    """Return the open (ms) of the first bar of a segment, from its name."""
    stamp = name.rsplit("@", 1)[1]
    return time_to_ms(parse_time(f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:11]}:{stamp[11:13]}:{stamp[13:15]}.000000Z"))


def day_blocks(panel: MarketPanel, day: date) -> DayBlocks:
    """Return the sealed lines of one day that the panel holds whole. Raises ValueError if it does not."""
    start = time_to_ms(datetime(day.year, day.month, day.day, tzinfo=UTC))
    slots = _DAY_MS // panel.interval_ms
    first = (start - int(panel.open_time[0])) // panel.interval_ms
    if first < 0 or first + slots > len(panel.open_time):
        raise ValueError(f"the panel does not hold the whole of {day}")
    rows = slice(first, first + slots)
    writer = _DayWriter(panel, rows, day)
    by_instrument = _refused_by_instrument(panel, start)
    refused = dict(by_instrument)
    lines: list[bytes] = []
    bars = 0
    for column, instrument in enumerate(panel.instruments):
        count = int(writer.counts[column])
        rows_refused = refused.pop(instrument, [])
        if count or rows_refused:
            lines.append(writer.line(column, instrument, rows_refused))
            bars += count
    if refused:
        raise ValueError(f"quarantined rows of instruments that the panel does not name: {sorted(refused)}")
    rules = Counter(row["rule"] for rows_refused in by_instrument.values() for row in rows_refused)
    hashes = tuple(block_hashes(lines))
    return DayBlocks(tuple(lines), hashes, bars, {rule: rules[rule] for rule in sorted(rules)}, seal_of(hashes))


def block_hashes(lines: Iterable[bytes]) -> list[str]:
    """Return the content hash of each line."""
    return [content_hash(KIND, line) for line in lines]


def root_of(lines: Iterable[bytes]) -> str:
    """Return the partition seal of lines."""
    return seal_of(block_hashes(lines))


def parse_blocks(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    """Return the bodies of lines. Raises ValueError if a line is not canonical (so not written by this module)."""
    bodies = []
    for number, line in enumerate(lines, start=1):
        body = json.loads(line)
        if canonical_bytes(body) != line:
            raise ValueError(f"line {number} of the day's bars is not in canonical form")
        bodies.append(body)
    return bodies


def diff_blocks(old_lines: Sequence[bytes], new_lines: Sequence[bytes]) -> BlockDiff:
    """Return how many facts were added, changed and removed between two versions of a day."""
    kept = set(old_lines) & set(new_lines)
    old = _facts(line for line in old_lines if line not in kept)
    new = _facts(line for line in new_lines if line not in kept)
    added = [key for key in new if key not in old]
    removed = [key for key in old if key not in new]
    changed = [key for key in new if key in old and old[key] != new[key]]
    names = {key[0] for key in (*added, *removed, *changed)}
    return BlockDiff(
        len(added), len(changed), len(removed), tuple(sorted(names, key=lambda name: name.encode("utf-8")))
    )


def _facts(lines: Iterable[bytes]) -> dict[tuple[str, str, str], Any]:
    facts: dict[tuple[str, str, str], Any] = {}
    for line in lines:
        body = json.loads(line)
        name, bars = body["instrument"], body["bars"]
        columns = [bars[key] for key in sorted(bars) if key != "slots"]
        segments = dict(body["segments"])
        segment = None
        for place, slot in enumerate(bars["slots"]):
            segment = segments.get(slot, segment)
            facts[name, "bar", str(slot)] = (segment, [column[place] for column in columns])
        for reference, states in body["references"].items():
            for state in states:
                facts[name, f"reference {reference}", str(state[0])] = state[1:]
        for number, row in enumerate(body["quarantined"]):
            facts[name, "quarantined", f"{row['time']} {row['rule']} {number}"] = row["detail"]
    return facts


def _refused_by_instrument(panel: MarketPanel, start: int) -> dict[str, list[dict[str, str]]]:
    result: dict[str, list[dict[str, str]]] = {}
    for row in panel.quarantined:
        if start <= row.event_time < start + _DAY_MS:
            entry = {"detail": row.detail, "rule": row.rule, "time": time_text_ms(row.event_time)}
            result.setdefault(row.instrument, []).append(entry)
    return result


class _DayWriter:
    """Writes the lines of one day of a panel."""

    def __init__(self, panel: MarketPanel, rows: slice, day: date) -> None:
        self._panel, self._day = panel, day.isoformat()
        present: NDArray[np.bool_] = np.logical_not(np.isnan(panel.close[rows]))
        self.counts = present.sum(axis=0)
        self._full = ",".join(map(str, range(present.shape[0])))
        self._present: NDArray[np.bool_] = np.ascontiguousarray(present.T)
        names = ("close",) if panel.close_only else ("close", "high", "low", "open")
        self._columns = {name: np.ascontiguousarray(getattr(panel, name)[rows].T) for name in (*names, "volume")}
        self._has_volume = np.asarray(np.logical_not(np.isnan(panel.volume[rows])).any(axis=0))
        segment: NDArray[np.int64] = panel.segment_start[rows]
        self._segment = np.ascontiguousarray(segment.T)
        self._one_segment = np.equal(segment, segment[0]).all(axis=0).tolist()
        factor = panel.price_factor
        self._factor = None if factor is None else np.ascontiguousarray(factor[rows].T)
        self._starts: dict[int, str] = {}
        self._references = [(name, _ReferenceDay(panel.references[name], rows)) for name in sorted(panel.references)]

    def line(self, column: int, instrument: str, refused: list[dict[str, str]]) -> bytes:
        """Return the canonical line of one instrument. Keys are written in the order of their bytes."""
        there = self._present[column]
        whole = int(self.counts[column]) == len(there)
        slots = self._full if whole else ",".join(map(str, np.flatnonzero(there).tolist()))
        parts = []
        for name, grid in self._columns.items():
            values = grid[column] if whole else grid[column][there]
            if name == "volume":
                parts.append(f'"slots":[{slots}]')
                if not self._has_volume[column]:
                    break
            parts.append(f'"{name}":{_decimal_array(values.tolist())}')
        references = ",".join(f'"{name}":{item.states(column)}' for name, item in self._references)
        text = (
            f'{{"bars":{{{",".join(parts)}}},"day":"{self._day}","instrument":{_text(instrument)},'
            f'"interval_seconds":{self._panel.interval_ms // 1000},{self._price_factors(column, there)}'
            f'"quarantined":{_plain(refused)},'
            f'"references":{{{references}}},"schema_version":1,"segments":{self._segments(column, instrument, there)}}}'
        )
        return text.encode("utf-8")

    def _price_factors(self, column: int, there: NDArray[np.bool_]) -> str:
        if self._factor is None:
            return ""
        slots = np.flatnonzero(there)
        chosen = self._factor[column][slots]
        if (chosen == 1.0).all():
            return ""
        change = np.flatnonzero(np.append(True, chosen[1:] != chosen[:-1]))
        items = ",".join(f'[{int(slots[i])},"{decimal_text(float(chosen[i]))}"]' for i in change)
        return f'"price_factors":[{items}],'

    def _segment_name(self, instrument: str, start: int) -> str:
        text = self._starts.get(start)
        if text is None:
            text = self._starts[start] = segment_name("", start)
        return instrument + text

    def _segments(self, column: int, instrument: str, there: NDArray[np.bool_]) -> str:
        slots = np.flatnonzero(there)
        if len(slots) == 0:
            return "[]"
        starts = self._segment[column]
        if self._one_segment[column]:
            return f"[[{int(slots[0])},{_text(self._segment_name(instrument, int(starts[slots[0]])))}]]"
        chosen = starts[slots]
        change = np.flatnonzero(np.append(True, chosen[1:] != chosen[:-1]))
        return _plain([[int(slots[i]), self._segment_name(instrument, int(chosen[i]))] for i in change])


class _ReferenceDay:
    """One reference of one day, with the slots at which each instrument's state changed."""

    def __init__(self, reference: Reference, rows: slice) -> None:
        values, event = reference.values[rows], reference.event_time[rows]
        available = reference.available_at[rows]
        changed = np.ones(values.shape, np.bool_)
        same = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
        changed[1:] = ~(same & (event[1:] == event[:-1]) & (available[1:] == available[:-1]))
        slot, column = _changes(changed)
        self._bounds = np.searchsorted(column, np.arange(values.shape[1] + 1)).tolist()
        self._slots = slot.tolist()
        self._values: list[float] = values[slot, column].tolist()
        self._event: list[int] = event[slot, column].tolist()
        self._available: list[int] = available[slot, column].tolist()
        self._times = {time: time_text_ms(time) for time in {*self._event, *self._available} if time >= 0}

    def states(self, column: int) -> str:
        """Return the JSON list of states of one instrument."""
        parts = []
        for i in range(self._bounds[column], self._bounds[column + 1]):
            value = self._values[i]
            if value != value:
                parts.append(f"[{self._slots[i]},null,null,null]")
            else:
                event, available = self._times[self._event[i]], self._times[self._available[i]]
                parts.append(f'[{self._slots[i]},"{_decimal(value)}","{event}","{available}"]')
        return f"[{','.join(parts)}]"


def _changes(changed: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    column, slot = np.nonzero(changed.T)
    return slot, column


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _plain(value: Any) -> str:
    if not value:
        return "[]"
    return canonical_bytes({"v": value})[5:-1].decode("utf-8")


def _decimal(value: float) -> str:
    text = repr(value)
    # At most 20 characters without exponent are at most 18 decimals: already what decimal_text writes.
    if len(text) <= 20 and "e" not in text and text[0] != "-":
        return text[:-2] if text.endswith(".0") else text
    return decimal_text(value)


def _decimal_array(values: list[float]) -> str:
    """Return a JSON array of decimal texts; NaN as null."""
    if not values:
        return "[]"
    texts = list(map(repr, values))
    joined = '","'.join(texts)
    # The quick path holds when no number has an exponent, a sign, more than 18 decimals, or is NaN or infinite.
    if "e" not in joined and "n" not in joined and "-" not in joined and len(max(texts, key=len)) <= 20:
        return f'["{joined}"]'.replace('.0"', '"')
    return f"[{','.join('null' if value != value else f'{chr(34)}{_decimal(value)}{chr(34)}' for value in values)}]"
