"""Rows in which one instrument has several kinds of bars: of 4 h beside 1 h, or of two markets under one name.

Belongs here: telling a column that is not described (the interval, the exchange, the quote currency) from bars that
stand twice by accident. A bar of 4 h contains the bar of 1 h that opens with it, so the rule for overlapping downloads
would take it for that hour, three hours before it was known. Does not belong here: single bars that stand twice
(`duplicates`), two files of one instrument (`pieces`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from throughline.errors import ArchiveError, shown
from throughline.identity import time_text_ms
from throughline.market.cleaning import RULE_NAMES, CleanBars
from throughline.market.references import pair_key
from throughline.market.rows import RawBars
from throughline.market.spacing import duration_words
from throughline.market.tables import Table

MAX_CONFLICTING, MAX_CONFLICTING_SHARE = 5, 0.1
"""Bars of an instrument, and share of its bars, whose rows may differ without one that contains the others."""
LEAST_LONGER, LONGER_SHARE = 3, 0.8
"""So many of the bars that contain another row, and this share of them, show a longer interval."""
_LONGER = (2, 3, 4, 5, 6, 8, 12, 15, 24, 30, 48, 60, 72, 96, 120, 144, 168, 180, 240, 288, 480, 720, 1440)
"""Ratios of common intervals."""
_CONFLICT = RULE_NAMES.index("conflicting_duplicate")


def require_one_kind_of_bar(table: Table, raw: RawBars, verdict: CleanBars, interval_ms: int) -> None:
    """Refuse an instrument whose rows cannot be of one market and one interval.

    Args:
        table: where the rows stand, for messages.
        raw: the rows, ordered by (code, time).
        verdict: what cleaning decided about them.
        interval_ms: length of a bar.

    Raises:
        ArchiveError: naming two rows of one bar.
    """
    _require_few_conflicts(table, raw, verdict)
    if not raw.close_only:
        _require_no_longer_bars(table, raw, verdict, interval_ms)


def _require_few_conflicts(table: Table, raw: RawBars, verdict: CleanBars) -> None:
    rows = np.flatnonzero(verdict.rule == _CONFLICT)
    if len(rows) <= MAX_CONFLICTING:
        return
    size = len(table.names)
    conflicting = np.bincount(raw.code[rows[_heads(raw, rows)]], minlength=size)
    every = np.arange(len(raw.code))
    bars = np.bincount(raw.code[every[_heads(raw, every)]], minlength=size)
    wrong = np.flatnonzero((conflicting > MAX_CONFLICTING) & (conflicting > MAX_CONFLICTING_SHARE * bars))
    if len(wrong) == 0:
        return
    name = int(wrong[0])
    first = rows[raw.code[rows] == name][:2]
    one, other = sorted((int(row) for row in first), key=lambda row: int(table.origin[row]))
    raise ArchiveError(
        f"{table.place(one)} and {table.place(other)} both give the bar of {shown(table.names[name])} at "
        f"{time_text_ms(int(raw.time[one]))} and differ, as {int(conflicting[name]):,} of its "
        f"{int(bars[name]):,} bars do; "
        "are they two markets or two intervals under one name, or times without their hour? Keep one kind of rows, or "
        "name them apart"
    )


def _require_no_longer_bars(table: Table, raw: RawBars, verdict: CleanBars, interval_ms: int) -> None:
    bars = np.flatnonzero(verdict.believed & (verdict.rule < 0))
    smaller, owner = _contained_rows(raw, verdict, bars)
    if len(owner) < LEAST_LONGER:
        return
    multiple: NDArray[np.int64] = np.zeros(len(owner), np.int64)
    for longer in _LONGER:
        multiple[(multiple == 0) & _is_longer(raw, bars, owner, longer, interval_ms)] = longer
    code = raw.code[smaller]
    for name in np.unique(code[multiple > 0]).tolist():
        lengths = multiple[code == name]
        longer_bars = lengths[lengths > 0]
        if len(longer_bars) < LEAST_LONGER or len(longer_bars) < LONGER_SHARE * len(lengths):
            continue
        place = int(np.flatnonzero((code == name) & (multiple > 0))[0])
        raise ArchiveError(
            f"{table.place(int(bars[owner[place]]))} is a bar of "
            f"{duration_words(int(multiple[place]) * interval_ms)} and "
            f"{table.place(int(smaller[place]))} one of {duration_words(interval_ms)}, both of "
            f"{shown(table.names[name])} at {time_text_ms(int(raw.time[smaller[place]]))}: the rows are of two "
            "intervals; keep those of one"
        )


def _contained_rows(
    raw: RawBars, verdict: CleanBars, bars: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the dropped rows that a bar contains without being equal to it, and the place in `bars` of that bar."""
    dropped = np.flatnonzero(verdict.dropped)
    if len(dropped) == 0 or len(bars) == 0:
        return dropped[:0], dropped[:0]
    low = np.searchsorted(pair_key(raw.code[bars], raw.time[bars]), pair_key(raw.code[dropped], raw.time[dropped]))
    low = np.minimum(low, len(bars) - 1)
    same = (raw.code[bars[low]] == raw.code[dropped]) & (raw.time[bars[low]] == raw.time[dropped])
    differs = (raw.high[dropped] != raw.high[bars[low]]) | (raw.low[dropped] != raw.low[bars[low]])
    chosen = same & differs
    return dropped[chosen], low[chosen]


def _is_longer(
    raw: RawBars, bars: NDArray[np.intp], owner: NDArray[np.intp], longer: int, interval_ms: int
) -> NDArray[np.bool_]:
    """Say which bars end where the bar `longer` - 1 intervals later ends, and span all bars up to it."""
    last = np.minimum(owner + longer - 1, len(bars) - 1)
    first_row, last_row = bars[owner], bars[last]
    result = (raw.code[first_row] == raw.code[last_row]) & (raw.close[first_row] == raw.close[last_row])
    result &= raw.time[last_row] - raw.time[first_row] == (longer - 1) * interval_ms
    for place in np.flatnonzero(result).tolist():
        inner = bars[owner[place] + 1 : last[place] + 1]
        spans = (
            raw.high[inner].max() <= raw.high[first_row[place]] and raw.low[inner].min() >= raw.low[first_row[place]]
        )
        result[place] = bool(spans)
    return np.asarray(result)


def _heads(raw: RawBars, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Say which of `rows` (ordered by code and time) are the first of their bar."""
    change = (raw.code[rows[1:]] != raw.code[rows[:-1]]) | (raw.time[rows[1:]] != raw.time[rows[:-1]])
    return np.append(True, change)
