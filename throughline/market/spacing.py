"""Whether bars stand as far apart as the description says.

Belongs here: telling an interval that is described wrongly (4 h bars as 1 h, daily bars as hourly) from hours that are
missing. Where hours are missing at random, however many, two bars one interval apart are the most frequent case; where
all bars stand k intervals apart, there is none. Does not belong here: refusing single rows (`cleaning`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from throughline.market.rows import HOUR_MS, I32, I64

LEAST_STEPS = 12
"""Fewer distances than these say nothing; instruments with fewer are judged together."""
MOST = 0.6
"""Share of the distances that must be one and the same other distance."""
NEAR = 0.15
"""Distances that differ by this part are the same one: months have 28 to 31 days."""
RARE = 0.02
"""Share of the distances that may be the described interval all the same."""


def wrong_spacing(code: I32, time: I64, names: Sequence[str], interval_ms: int) -> str | None:
    """Return a sentence on instruments whose bars stand another distance apart than `interval_ms`, or None.

    With hours missing at random with probability p, a distance of two intervals has a share of p (1 - p), at most a
    quarter, so 60 % of 12 or more distances without one of the described interval do not come about by chance.

    Args:
        code: instrument number of each bar.
        time: its open, Unix ms; ordered by (code, time).
        names: of the instruments.
        interval_ms: the described length of a bar.
    """
    same = (code[1:] == code[:-1]) & (time[1:] > time[:-1])
    steps, owner = np.diff(time)[same], code[1:][same]
    bounds = np.searchsorted(owner, np.arange(len(names) + 1))
    other_steps: list[tuple[str, int]] = []
    rest: list[I64] = []
    for number, name in enumerate(names):
        mine = steps[bounds[number] : bounds[number + 1]]
        if len(mine) < LEAST_STEPS:
            rest.append(mine)
            continue
        usual = _other_distance(mine, interval_ms)
        if usual is not None:
            other_steps.append((name, usual))
    together = np.concatenate(rest) if rest else np.zeros(0, np.int64)
    if not other_steps:
        usual = _other_distance(together, interval_ms) if len(together) >= LEAST_STEPS else None
        if usual is None:
            return None
        return f"bars stand {duration_words(usual)} apart where the description says {duration_words(interval_ms)}"
    usual = other_steps[0][1]
    alike = [name for name, step in other_steps if step == usual]
    shown = ", ".join(alike[:3]) + (f" and {len(alike) - 3} more" if len(alike) > 3 else "")
    return (
        f"bars stand {duration_words(usual)} apart where the description says {duration_words(interval_ms)} "
        f"({len(alike)} of {len(names)} instruments: {shown})"
    )


def _other_distance(steps: I64, interval_ms: int) -> int | None:
    values, counts = np.unique(steps, return_counts=True)
    usual = int(values[int(np.argmax(counts))])
    described = int(counts[values == interval_ms].sum())
    near = int(counts[np.abs(values - usual) <= NEAR * usual].sum())
    if usual == interval_ms or described > RARE * len(steps) or near < MOST * len(steps):
        return None
    return usual


def duration_words(milliseconds: int) -> str:
    """Return a duration in the largest unit that divides it: "4 h", "1 d", "15 min"."""
    for unit, size in (("d", 24 * HOUR_MS), ("h", HOUR_MS), ("min", 60_000), ("s", 1_000)):
        if milliseconds % size == 0:
            return f"{milliseconds // size} {unit}"
    return f"{milliseconds} ms"
