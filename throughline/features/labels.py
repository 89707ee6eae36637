"""Resolved labels with the features of their decisions, read from the ledger table ``trade_features``.

Belongs here: which rows count as of an instant, the proof that they are what was sealed, and plain columns. Does not
belong here: weights and `TrainingData` (learning.dataset), splits and selection.

As of an instant only partitions of days that were over count: a row stands in the partition of the day its label was
resolved on, so nothing unresolved is ever read. A correction counts from the day after the one it was made on. Every
partition that is read must be sealed, and its rows must give the very root of its seal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from throughline.errors import MissingPredecessor
from throughline.features.errors import FeatureError, SchemaMismatch
from throughline.features.vector import NAMES, feature_schema
from throughline.identity import parse_time, seal_of, time_to_ms
from throughline.storage.queries import read_seals
from throughline.storage.tables import trade_features
from throughline.tracking.records import body_hash

ASSET = "trade_features"
_AT_ONCE = 5_000


@dataclass(frozen=True)
class Labels:
    """n labels, ordered by decision, then candidate, then source ('executed' before 'shadow').

    features: [n, k] in the order of `NAMES`, NaN = missing; net_return: [n] fraction of the stake; decided, t0, t1: [n]
    ms; stopped, lost, executed: [n]; candidates, instruments, segments: n texts. seals: (day, root) of each partition
    that was read, ascending, empty days too.
    """

    features: NDArray[np.float64]
    net_return: NDArray[np.float64]
    decided: NDArray[np.int64]
    t0: NDArray[np.int64]
    t1: NDArray[np.int64]
    stopped: NDArray[np.bool_]
    lost: NDArray[np.bool_]
    executed: NDArray[np.bool_]
    candidates: tuple[str, ...]
    instruments: tuple[str, ...]
    segments: tuple[str, ...]
    seals: tuple[tuple[date, str], ...]

    def __len__(self) -> int:
        return len(self.net_return)


@dataclass(slots=True)
class _Line:
    """One row; `key` orders it."""

    key: tuple[int, str, str]
    uuid: UUID
    instrument: str
    segment: str
    net_return: float
    t0: int
    t1: int
    stopped: bool
    lost: bool
    values: NDArray[np.float64]


def read_labels(
    conn: Connection, experiment: str, *, as_of: datetime | None = None, window_days: int | None = None
) -> Labels:
    """Return the labels that were resolved by the end of the last day before `as_of` (None = all that are sealed).

    window_days: only partitions of the last so many of those days (needs `as_of`). Raises MissingPredecessor naming a
    day within the range that is not sealed, FeatureError where rows do not give their seal, SchemaMismatch for rows of
    another feature schema, ValueError for a naive `as_of`.
    """
    first, last = _range(as_of, window_days)
    seals = {day: seal.root for day, seal in read_seals(conn, experiment, ASSET, first, last).items()}
    _require_days(experiment, seals, last)
    lines: list[_Line] = []
    superseded: set[UUID] = set()
    for day, rows in groupby(_rows(conn, experiment, first, last), key=lambda row: row.partition):
        hashes = []
        for row in rows:
            body = bytes(row.body)
            hashes.append(body_hash(ASSET, body))
            if row.supersedes is not None:
                superseded.add(row.supersedes)
            lines.append(_line(row.uuid, json.loads(body)))
        _require_seal(experiment, day, seals.get(day), hashes)
    kept = [line for line in lines if line.uuid not in superseded]
    kept.sort(key=lambda line: line.key)
    return _columns(kept, tuple(seals.items()))


def _range(as_of: datetime | None, window_days: int | None) -> tuple[date | None, date | None]:
    if as_of is None:
        if window_days is not None:
            raise ValueError("window_days is counted back from as_of: give both")
        return None, None
    if as_of.tzinfo is None:
        raise ValueError(f"as_of {as_of} has no time zone: pass an aware datetime")
    day = as_of.astimezone(UTC).date()
    return (None if window_days is None else day - timedelta(days=window_days)), day - timedelta(days=1)


def _require_days(experiment: str, seals: dict[date, str], last: date | None) -> None:
    """Raise where a day between the first sealed one and the last that is asked for has no seal."""
    if not seals:
        return
    first, end = min(seals), last or max(seals)
    for k in range((end - first).days + 1):
        day = first + timedelta(days=k)
        if day not in seals:
            raise MissingPredecessor(
                f"{ASSET} of {day} is not sealed in experiment {experiment[:12]}: labels are read from whole, sealed "
                "days; run the flow up to there first"
            )


def _rows(conn: Connection, experiment: str, first: date | None, last: date | None) -> Iterator[Any]:
    c = trade_features.c
    statement = select(c.uuid, c.partition, c.supersedes, c.body).where(c.experiment == experiment)
    if first is not None:
        statement = statement.where(c.partition >= first)
    if last is not None:
        statement = statement.where(c.partition <= last)
    statement = statement.order_by(c.partition).execution_options(yield_per=_AT_ONCE)
    yield from conn.execute(statement)


def _require_seal(experiment: str, day: date, root: str | None, hashes: list[str]) -> None:
    if root is None or seal_of(hashes) != root:
        sealed = "no seal" if root is None else f"seal {root}"
        raise FeatureError(
            f"{ASSET} of {day} in experiment {experiment[:12]} has {sealed}, its {len(hashes)} rows give "
            f"{seal_of(hashes)}: run `throughline verify`; nothing is learned from them"
        )


def _line(uuid: UUID, body: dict[str, Any]) -> _Line:
    features, label = body["features"], body["label"]
    if features["schema"] != feature_schema():
        raise SchemaMismatch(
            f"trade_features {uuid} has feature schema {features['schema']}, this code's is {feature_schema()}: train "
            "with the code version of its experiment, or run an experiment of this one"
        )
    values = features["values"]
    return _Line(
        key=(time_to_ms(parse_time(body["decision_time"])), body["candidate"]["uuid"], body["source"]),
        uuid=uuid,
        instrument=body["instrument"],
        segment=body["segment"],
        net_return=float(label["net_return"]),
        t0=time_to_ms(parse_time(label["t0"])),
        t1=time_to_ms(parse_time(label["t1"])),
        stopped=label["stopped"],
        lost=label["lost"],
        values=np.array([np.nan if (text := values[name]) is None else float(text) for name in NAMES]),
    )


def _columns(lines: list[_Line], seals: tuple[tuple[date, str], ...]) -> Labels:
    return Labels(
        features=np.array([line.values for line in lines], np.float64).reshape(len(lines), len(NAMES)),
        net_return=np.array([line.net_return for line in lines], np.float64),
        decided=np.array([line.key[0] for line in lines], np.int64),
        t0=np.array([line.t0 for line in lines], np.int64),
        t1=np.array([line.t1 for line in lines], np.int64),
        stopped=np.array([line.stopped for line in lines], np.bool_),
        lost=np.array([line.lost for line in lines], np.bool_),
        executed=np.array([line.key[2] == "executed" for line in lines], np.bool_),
        candidates=tuple(line.key[1] for line in lines),
        instruments=tuple(line.instrument for line in lines),
        segments=tuple(line.segment for line in lines),
        seals=seals,
    )
