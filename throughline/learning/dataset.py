"""Training data: the resolved labels of an experiment, each with its weight.

Belongs here: turning what the ledger holds (`throughline.features.labels`) into what training takes. Does not belong
here: which labels count as of an instant and the proof that they are the sealed ones (there), splits, models.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Connection

from throughline.features.intervals import uniqueness
from throughline.features.labels import Labels, read_labels
from throughline.features.vector import NAMES
from throughline.learning.types import TrainingData


def training_data(labels: Labels) -> TrainingData:
    """Return labels with their uniqueness as weight: overlapping labels of one segment share what they saw."""
    return TrainingData(
        features=labels.features,
        names=NAMES,
        net_return=labels.net_return,
        decided=labels.decided,
        t0=labels.t0,
        t1=labels.t1,
        stopped=labels.stopped,
        lost=labels.lost,
        weight=uniqueness(labels.t0, labels.t1, labels.segments),
        executed=labels.executed,
        candidates=labels.candidates,
        segments=labels.segments,
    )


def read_training_data(
    conn: Connection, experiment: str, *, as_of: datetime, window_days: int | None = None
) -> tuple[TrainingData, tuple[tuple[date, str], ...]]:
    """Return what was resolved by the last midnight before `as_of`, and (day, seal root) of each partition read.

    window_days: only the last so many days (None = all). Raises as `throughline.features.labels.read_labels`.
    """
    labels = read_labels(conn, experiment, as_of=as_of, window_days=window_days)
    return training_data(labels), labels.seals
