"""Which days an archive holds: its first day, its last complete day, and rows that stand far from all others.

Belongs here: the calendar of believed bars. A day that is not over, or that a download cut off, must not be sealed: the
next download would read it differently. Does not belong here: whether a complete day may be traded (the gate of
`market_bars` judges that).

A day is over if at least half of its instruments have a bar on a later day; or if its last bar time has at least half
as many bars as its bar times usually have (the median), and the day at least half as many instruments as the day with
bars before it. The archive ends with the last such day.
Days that no bar within a week connects to the others, and that are fewer than three, are strays (a wrong year, a stamp
of zero): they move neither the first nor the last day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from throughline.market.rows import I32, I64

DAY_MS = 86_400_000
FAR_DAYS = 7
"""Days without any bar that separate a stray from the rest."""
FEW_DAYS = 3
"""Fewer days than these, far from all others, are strays."""
HALF = 0.5


@dataclass(frozen=True)
class ArchiveDays:
    """first, last: the days that can be run; last is None where no day has reached its end. after_last: a sentence on
    what follows the last day in the files, empty where nothing does. strays: days that stand far from all others."""

    first: date
    last: date | None
    after_last: str
    strays: tuple[date, ...]


def archive_days(code: I32, time: I64, interval_ms: int) -> ArchiveDays:
    """Return which days believed bars cover.

    Args:
        code: instrument number of each bar.
        time: its open (Unix ms), ascending; at least one bar.
        interval_ms: length of a bar.
    """
    number = time // DAY_MS
    days, first_row = np.unique(number, return_index=True)
    strays = _strays(days)
    kept = np.flatnonzero(~strays)
    bounds = np.append(first_row, len(time))
    last: int | None = None
    reason = ""
    later = np.zeros(int(code.max()) + 1, np.bool_)
    for number_kept in range(len(kept) - 1, -1, -1):
        place = int(kept[number_kept])
        before = int(kept[number_kept - 1]) if number_kept else None
        mine = code[bounds[place] : bounds[place + 1]]
        previous = code[:0] if before is None else code[bounds[before] : bounds[before + 1]]
        fault = _not_over(mine, time[bounds[place] : bounds[place + 1]], previous, later, interval_ms)
        if fault is None:
            last = int(days[place])
            break
        later[mine] = True
        reason = reason or f"{_day(int(days[place]))} is not over or not complete in the files: {fault}"
    return ArchiveDays(
        first=_day(int(days[kept[0]])),
        last=None if last is None else _day(last),
        after_last=reason,
        strays=tuple(_day(int(day)) for day in days[strays]),
    )


def _not_over(code: I32, time: I64, code_before: I32, later: NDArray[np.bool_], interval_ms: int) -> str | None:
    """Return why a day is not over, None if it is. code, time: its bars; later: instruments with bars on later days."""
    own = np.unique(code)
    if later[own].mean() >= HALF:
        return None
    slots = DAY_MS // interval_ms
    counts = np.bincount((time % DAY_MS // interval_ms).astype(np.int64), minlength=slots)
    there = counts[counts > 0]
    if counts[-1] < HALF * float(np.median(there)):
        have = f"{len(there)} of its {slots} bar times have bars"
        return f"{have}, and its last one has {counts[-1]} where {np.median(there):g} are usual"
    instruments, usual = len(own), len(np.unique(code_before))
    if instruments < HALF * usual:
        return f"it has {instruments} instruments, and the day before has {usual}"
    return None


def _strays(days: I64) -> NDArray[np.bool_]:
    """Say which days belong to a small group at either end that is far from all others."""
    strays = np.zeros(len(days), np.bool_)
    groups = np.split(np.arange(len(days)), np.flatnonzero(np.diff(days) > FAR_DAYS) + 1)
    while len(groups) > 1 and len(groups[-1]) < FEW_DAYS:
        strays[groups.pop()] = True
    while len(groups) > 1 and len(groups[0]) < FEW_DAYS:
        strays[groups.pop(0)] = True
    return strays


def _day(number: int) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=number)).date()
