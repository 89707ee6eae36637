"""References: what was known beside the bars (caps, reported volumes), joined as of each bar's close.

Belongs here: the as-of join and the rules for reference rows. The join is strict: at close t it takes the row with the
latest event time among those with ``available_at <= t`` (before t, where t is midnight and the row is not the bar's
own), and nothing older than `max_age`. Does not belong here: files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from throughline.market.rows import LARGEST

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
Mask = NDArray[np.bool_]

_DAY_MS = 86_400_000
_SHIFT = 42  # Unix ms stay below 2**42 until the year 2109, so (code, time) fits one int64 that sorts like the pair


def pair_key(code: NDArray[np.integer], time: I64) -> I64:
    """Return one int64 per row that orders as (code, time) does."""
    return (code.astype(np.int64) << _SHIFT) + time


@dataclass(frozen=True)
class Series:
    """Believed values of one reference, in order of (code, available_at). Parallel arrays; times in Unix ms."""

    key: I64
    code: I32
    value: F64
    event_time: I64
    available_at: I64
    max_age_ms: int
    source: str
    own_row: bool

    def as_of(self, codes: I32, closes: I64) -> tuple[F64, I64, I64]:
        """Return (value, event_time, available_at) as grids [closes, codes]; NaN and -1 where nothing is known.

        At a close at midnight UTC, a value of another table must have been known before that instant: what appears at
        midnight belongs to the new day, and the old day's seal must not change when the new day's file comes.
        """
        shape = (len(closes), len(codes))
        if len(self.key) == 0:
            return np.full(shape, np.nan), np.full(shape, -1, np.int64), np.full(shape, -1, np.int64)
        latest = closes if self.own_row else np.where(closes % _DAY_MS == 0, closes - 1, closes)
        lookup_key = (codes.astype(np.int64) << _SHIFT)[None, :] + latest[:, None]
        place = np.searchsorted(self.key, lookup_key.ravel(), "right") - 1
        row = np.maximum(place, 0).reshape(shape)
        event = self.event_time[row]
        known = (place.reshape(shape) >= 0) & (self.code[row] == codes[None, :])
        known &= closes[:, None] - event <= self.max_age_ms
        return (
            np.where(known, self.value[row], np.nan),
            np.where(known, event, -1),
            np.where(known, self.available_at[row], -1),
        )


def value_faults(name: str, value: F64, may_be_negative: bool, others: list[tuple[str, F64]]) -> list[tuple[str, Mask]]:
    """Return (rule, rows) for reference rows that are not believed. `others`: columns that must be positive."""
    with np.errstate(invalid="ignore"):
        faults: list[tuple[str, Mask]] = [
            (f"infinite_{name}", np.isinf(value)),
            (f"huge_{name}", np.abs(value) >= LARGEST),
        ]
        if not may_be_negative:
            faults.append((f"negative_{name}", value < 0))
        faults.extend((f"non_positive_{column}", other <= 0) for column, other in others)
    return faults


def build_series(
    code: I32, value: F64, event_time: I64, available_at: I64, max_age_ms: int, source: str, *, own_row: bool
) -> tuple[Series, NDArray[np.intp]]:
    """Order believed rows and return (the series, numbers of rows that conflict and are left out).

    own_row: the values stand in the bars' own rows.

    Rows equal in code, event time, availability and value are one row. Rows equal in the first three that differ in
    value are both left out. A row that tells of an earlier event than one already known is never looked at (causal).
    """
    order = np.lexsort((value, event_time, available_at, code))
    c, e, a, v = code[order], event_time[order], available_at[order], value[order]
    same = np.zeros(len(order), np.bool_)
    same[1:] = (c[1:] == c[:-1]) & (e[1:] == e[:-1]) & (a[1:] == a[:-1])
    keep = ~same
    conflicts = np.zeros(len(order), np.bool_)
    if same.any():
        head = np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))
        differs = np.zeros(len(order), np.bool_)
        differs[head[same & (v != v[head])]] = True
        conflicts = differs[head]
        keep &= ~conflicts
    refused = order[conflicts]
    c, e, a, v = c[keep], e[keep], a[keep], v[keep]
    latest = np.maximum.accumulate(pair_key(c, e)) if len(c) else pair_key(c, e)
    fresh = latest == pair_key(c, e)
    c, e, a, v = c[fresh], e[fresh], a[fresh], v[fresh]
    return Series(pair_key(c, a), c, v, e, a, max_age_ms, source, own_row), refused
