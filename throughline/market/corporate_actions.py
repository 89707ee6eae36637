"""Corporate actions: splits and re-denominations that an archive names, applied exactly and causally.

Belongs here: the arithmetic. The ratio is new units per old unit: 1,000 where one old unit became a thousand (a split),
0.1 where ten old units became one. From the action on, prices are multiplied by the ratio, so that they stay in the
units in which the instrument's history began: a window or a position that spans the action sees neither a gain nor a
loss. Later bars are changed and never earlier ones, so sealed days stay as they are. Volumes are amounts of money and
do not change.

An action counts only if it was known when the first bar in new units opened. An action that does not fit the prices is
not applied: the jump, if there is one, ends the segment as any doubtful jump does. Both are listed. Does not belong
here: reading the table (`archive_actions`).
"""

from __future__ import annotations

import math
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
        rules: thresholds; actions between two bars fit the prices if with them the open is no doubtful jump.
        actions: what to apply, at most one per instrument and time.

    Returns:
        The rows with scaled prices, the factor of each row of `raw` (1 = as read), and what was not applied.
    """
    factor = np.ones(len(raw.time))
    unapplied: list[Unapplied] = []
    between: dict[tuple[int, int], list[Action]] = {}
    codes = raw.code[rows]
    for action in sorted(actions, key=lambda item: (item.code, item.time)):
        low, high = (int(at) for at in np.searchsorted(codes, [action.code, action.code + 1]))
        first = low + int(np.searchsorted(raw.time[rows[low:high]], action.time))
        if action.known > action.time:
            unapplied.append(Unapplied(action, "it became known after the first bar in new units had opened"))
        elif first == low:
            unapplied.append(Unapplied(action, "there is no bar before it"))
        elif first < high:
            between.setdefault((first - 1, first), []).append(action)
    for (before, after), group in between.items():
        last, first = int(rows[before]), int(rows[after])
        ratio = math.prod(action.ratio for action in group)
        move = float(raw.open[first] / raw.close[last])
        adjacent = raw.time[first] - raw.time[last] == interval_ms and not raw.close_only
        limit = rules.doubtful_open_jump if adjacent else rules.segment_jump_factor
        if not 1 / limit < move * ratio < limit:
            unapplied += [
                Unapplied(item, f"the price after it is {move:.6g} times the price before it") for item in group
            ]
            continue
        end = int(np.searchsorted(raw.code, group[0].code, "right"))
        factor[first:end] *= ratio
    return raw.scaled(factor), factor, unapplied
