"""Time-ordered parts of a labelled frame: train, validation and test, without a label that sees into the next part.

Belongs here: where parts begin and which labels are dropped between them. Does not belong here: folds of training
(learning.splits), selection.

Parts begin at whole UTC days, so that decisions of one day, whose outcomes hang together, are never apart. A label of
an earlier part is purged where its real interval [t0, t1] or the embargo after it reaches the first decision of the
next one. The parts that follow see the earlier ones' labels as the past, which they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from throughline.features.errors import FeatureError

DAY_MS = 86_400_000
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class SplitRule:
    """Shares of the labels, and the embargo between parts in hours. What train and validation leave is the test."""

    train: float = 0.6
    validation: float = 0.2
    embargo_hours: int = 24

    def __post_init__(self) -> None:
        if not (self.train > 0 and self.validation > 0 and self.train + self.validation < 1):
            raise ValueError(
                f"train {self.train} and validation {self.validation} must be above 0 and leave a share for the test"
            )
        if self.embargo_hours < 0:
            raise ValueError(f"embargo_hours {self.embargo_hours} is below 0")


@dataclass(frozen=True)
class Parts:
    """Rows (positions) of each part in order of decision, and how many rows each lost to purging."""

    rows: dict[str, NDArray[np.int64]]
    purged: dict[str, int]


def milliseconds(column: pd.Series) -> NDArray[np.int64]:
    """Return a column of instants as Unix ms."""
    return np.asarray(pd.DatetimeIndex(column).tz_convert("UTC").tz_localize(None).to_numpy("datetime64[ms]")).view(
        np.int64
    )


def time_ordered_parts(frame: pd.DataFrame, rule: SplitRule) -> Parts:
    """Return the parts of a frame with columns decision_time and t1 (aware instants).

    Raises FeatureError where the labels stand on too few days for three parts, or purging leaves one empty.
    """
    decided, ends = milliseconds(frame["decision_time"]), milliseconds(frame["t1"])
    order = np.argsort(decided, kind="stable")
    days = decided[order] // DAY_MS
    starts = [0]
    for share in (rule.train, rule.train + rule.validation):
        at = int(share * len(order))
        starts.append(int(np.searchsorted(days, days[at], side="left")) if len(order) else 0)
    starts.append(len(order))
    rows: dict[str, NDArray[np.int64]] = {}
    purged: dict[str, int] = {}
    for k, name in enumerate(PARTS):
        part = order[starts[k] : starts[k + 1]]
        kept = part
        if starts[k + 1] < len(order):
            begins = decided[order[starts[k + 1]]]
            kept = part[ends[part] + rule.embargo_hours * 3_600_000 < begins]
        if len(kept) == 0:
            raise FeatureError(
                f"the {name} part has no labels: {len(order)} labels on {len(np.unique(days))} days are too few for "
                "train, validation and test with their embargo; run more days"
            )
        rows[name], purged[name] = kept, len(part) - len(kept)
    return Parts(rows, purged)
