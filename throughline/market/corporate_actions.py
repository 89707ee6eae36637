"""Corporate actions: splits and re-denominations that an archive names, applied exactly and causally.

Belongs here: the arithmetic. The ratio is new units per old unit: 1,000 where one old unit became a thousand (a split),
0.1 where ten old units became one. From the action on, prices are multiplied by the ratio, so that they stay in the
units in which the instrument's history began: a window or a position that spans the action sees neither a gain nor a
loss. Later bars are changed and never earlier ones, so sealed days stay as they are. Volumes are amounts of money and
do not change.

An action counts only if it was known when the first bar in new units opened. It does not fit the prices if it leaves a
doubtful jump, or if the prices are clearly nearer to each other without it: a source that adjusts its prices already,
and an action that is named an hour late, would otherwise be applied where a move of their size is believed (over gaps,
and with closes only). One ratio named twice in one gap is one action. What does not fit is not applied, and where the
price moved by as much as a doubtful jump all the same, the segment ends. All are listed. Does not belong here: reading
the table (`archive_actions`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from throughline.market.jumps import DOUBTFUL_JUMP, is_doubtful_step
from throughline.market.rows import F64, CleaningRules, Mask, RawBars

OWN_MOVE = 1.25
"""A move that is the market's own beside an action: with it alone an action is not doubted."""
MOVE_IN_A_GAP = 5.0
"""What may be left beside an action over a gap, in which the market moved as well: where it is a doubtful jump the
segment ends, in the right units."""


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
) -> tuple[RawBars, F64, list[Unapplied], Mask]:
    """Return rows with prices in the units in which each instrument's history began.

    Args:
        raw: all rows.
        rows: those that broke no rule, ordered by (code, time), one per bar.
        interval_ms: length of a bar.
        rules: thresholds.
        actions: what to apply, at most one per instrument and time.

    Returns:
        The rows with scaled prices; the factor of each row of `raw` (1 = as read); what was not applied; and which of
        `rows` are the first after an action that was known and does not fit, at a price that is a doubtful jump; with
        closes only the smaller factor of bars with an open counts, since the archive itself gives a reason to doubt.
    """
    factor = np.ones(len(raw.time))
    doubted = np.zeros(len(rows), np.bool_)
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
            group = between.setdefault((first - 1, first), [])
            if any(other.ratio == action.ratio for other in group):
                unapplied.append(Unapplied(action, "the same ratio is named before it, between the same two bars"))
            else:
                group.append(action)
    for (before, after), group in between.items():
        last, first = int(rows[before]), int(rows[after])
        ratio = math.prod(action.ratio for action in group)
        move = float(raw.open[first] / raw.close[last])
        farther = abs(math.log(move * ratio)) > abs(math.log(move)) + math.log(OWN_MOVE)
        adjacent = raw.time[first] - raw.time[last] == interval_ms
        limit = rules.doubtful_jump if adjacent else max(rules.doubtful_jump, MOVE_IN_A_GAP)
        if farther or is_doubtful_step(1.0, move * ratio, limit):
            unapplied += [
                Unapplied(item, f"the price after it is {move:.6g} times the price before it") for item in group
            ]
            least = min(rules.doubtful_jump, DOUBTFUL_JUMP)
            doubted[after] = is_doubtful_step(1.0, move, least)
            continue
        end = int(np.searchsorted(raw.code, group[0].code, "right"))
        factor[first:end] *= ratio
    return raw.scaled(factor), factor, unapplied, doubted
