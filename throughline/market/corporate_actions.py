"""Corporate actions: splits and re-denominations that an archive names, applied exactly and causally.

Belongs here: the arithmetic. The ratio is new units per old unit: 1,000 where one old unit became a thousand (a split),
0.1 where ten old units became one. From the action on, prices are multiplied by the ratio, so that a segment goes on in
the units in which it began: a window or a position that spans the action sees neither a gain nor a loss. Later bars are
changed and never earlier ones, so sealed days stay as they are. Volumes are amounts of money and do not change.

An action counts only if it was known when the first bar in new units opened. An action that does not fit the prices is
not applied: the jump, if there is one, ends the segment as any doubtful jump does. Both are listed. Does not belong
here: reading the table (`archive_actions`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from throughline.market.rows import F64, CleaningRules, RawBars


@dataclass(frozen=True)
class Action:
    """One action. code: instrument number; time: open of the first bar in new units (Unix ms); ratio: new units per old
    unit, above zero; known: when it was public (Unix ms)."""

    code: int
    time: int
    ratio: float
    known: int


@dataclass(frozen=True)
class Unapplied:
    """An action that was not applied, and why, in words."""

    action: Action
    reason: str


def apply_actions(
    raw: RawBars, rows: NDArray[np.intp], interval_ms: int, rules: CleaningRules, actions: Sequence[Action]
) -> tuple[RawBars, F64, list[Unapplied]]:
    """Return rows with prices in the units in which each instrument's history began.

    Args:
        raw: all rows.
        rows: those that broke no rule, ordered by (code, time), one per bar.
        interval_ms: length of a bar.
        rules: thresholds; an action fits the prices if with it the first open is no doubtful jump.
        actions: what to apply, at most one per instrument and time.

    Returns:
        The rows with scaled prices, the factor of each row of `raw` (1 = as read), and what was not applied.
    """
    factor = np.ones(len(raw.time))
    unapplied: list[Unapplied] = []
    for action in sorted(actions, key=lambda item: (item.code, item.time)):
        codes = raw.code[rows]
        low, high = np.searchsorted(codes, [action.code, action.code + 1])
        times = raw.time[rows[low:high]]
        place = int(np.searchsorted(times, action.time))
        if action.known > action.time:
            unapplied.append(Unapplied(action, "it became known after the first bar in new units had opened"))
            continue
        if 0 < place < len(times):
            last, first = rows[low + place - 1], rows[low + place]
            gap = int(raw.time[first] - raw.time[last]) - interval_ms
            move = float(raw.open[first] / raw.close[last])
            adjacent = rules.segment_jump_factor if raw.close_only else rules.doubtful_open_jump
            limit = adjacent if gap == 0 else rules.segment_jump_factor
            if gap < rules.segment_gap_ms and not 1 / limit < move * action.ratio < limit:
                unapplied.append(Unapplied(action, f"the price after it is {move:.6g} times the price before it"))
                continue
        later = slice(int(np.searchsorted(raw.code, action.code)), int(np.searchsorted(raw.code, action.code + 1)))
        factor[later] *= np.where(raw.time[later] >= action.time, action.ratio, 1.0)
    return raw.scaled(factor), factor, unapplied
