"""Notes: facts about an archive's rows that are no faults of a row, so they are listed and not quarantined.

Belongs here: making them from what cleaning decided. Notes stand beside a day's bars and are not part of its seal: a
gap that was written as flat candles and one that was written as missing rows give the same seal, and different notes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from throughline.market.cleaning import CleanBars
from throughline.market.corporate_actions import Unapplied
from throughline.market.panel import DataNote
from throughline.market.rows import F64, I32, I64, Mask
from throughline.market.segments import likely_ratio

DAY_MS = 86_400_000


def clean_notes(verdict: CleanBars, names: Sequence[str]) -> list[DataNote]:
    """Return the notes on rows: days with untraded candles, doubtful jumps, corporate actions."""
    bars = verdict.bars
    notes = _per_day("untraded", bars.code, bars.time, verdict.untraded, names)
    notes += doubtful_jumps(bars.code, bars.time, verdict.jump, names)
    changed = np.zeros(len(bars.time), np.bool_)
    rows = np.flatnonzero(verdict.believed)
    factor = verdict.factor[rows]
    step = (factor[1:] != factor[:-1]) & (bars.code[rows[1:]] == bars.code[rows[:-1]])
    changed[rows[1:][step]] = True
    for row in np.flatnonzero(changed).tolist():
        detail = f"prices from here on are multiplied by {verdict.factor[row]:.12g}"
        notes.append(DataNote("corporate_action", names[bars.code[row]], int(bars.time[row]), 1, detail))
    return notes + [_unapplied(item, names) for item in verdict.unapplied]


def doubtful_jumps(code: I32, time: I64, jump: F64, names: Sequence[str]) -> list[DataNote]:
    """Return a note for each segment that begins at a doubtful jump. jump: open over last close, NaN elsewhere."""
    notes = []
    for row in np.flatnonzero(~np.isnan(jump)).tolist():
        ratio = float(jump[row])
        likely = likely_ratio(ratio)
        detail = f"opens at {ratio:.6g} times the last close" + (f", which looks like {likely}" if likely else "")
        notes.append(DataNote("doubtful_jump", names[code[row]], int(time[row]), 1, detail))
    return notes


def not_closed_notes(code: I32, time: I64, names: Sequence[str]) -> list[DataNote]:
    """Return notes on bars that close after the reader's clock, one per instrument and day."""
    return _per_day("not_closed_yet", code, time, np.ones(len(time), np.bool_), names)


def _per_day(kind: str, code: I32, time: I64, mask: Mask, names: Sequence[str]) -> list[DataNote]:
    rows = np.flatnonzero(mask)
    if len(rows) == 0:
        return []
    pair = np.stack([code[rows].astype(np.int64), time[rows] // DAY_MS])
    change = np.append(True, (np.diff(pair, axis=1) != 0).any(axis=0))
    heads = np.flatnonzero(change)
    counts = np.diff(np.append(heads, len(rows)))
    return [
        DataNote(kind, names[code[rows[head]]], int(time[rows[head]]), int(count), "")
        for head, count in zip(heads.tolist(), counts.tolist(), strict=True)
    ]


def _unapplied(item: Unapplied, names: Sequence[str]) -> DataNote:
    action = item.action
    detail = f"ratio {action.ratio:g} is not applied: {item.reason}"
    return DataNote("corporate_action_not_applied", names[action.code], action.time, 1, detail)
