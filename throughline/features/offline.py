"""Offline vectors: computed again from the stored research snapshots, and asked as of an instant.

Belongs here: reading ``research_docs``, the point-in-time question for one instrument, and filling a hot store again.
Does not belong here: joins of frames (asof), labels (labels).

A vector is made for its decision time and known from then on; a correction, which somebody made later, from the end of
the day it was made on (as in the registries). Documents that were written by hand have no features: they are left out
and counted. A document whose vector is not the one it names, or of another schema, is refused: what serves must be what
was recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pandas as pd
from sqlalchemy import Connection, Engine, Select, select

from throughline.features.errors import FeatureError, SchemaMismatch
from throughline.features.hot import HotEntry, HotStore
from throughline.features.vector import NAMES, feature_schema, feature_vector
from throughline.identity import parse_time
from throughline.storage.tables import candidates, research_docs
from throughline.tracking.versions import read_body

_AT_ONCE = 5_000


@dataclass
class Tally:
    """How many documents were read; by_hand: of them without features, hence left out."""

    read: int = 0
    by_hand: int = 0


def _known(decided: datetime, partition: date, corrects: UUID | None) -> datetime:
    if corrects is None:
        return decided
    return max(decided, datetime.combine(partition, time(), UTC) + timedelta(days=1))


def entry_of(uuid: UUID, body: Mapping[str, Any], partition: date, supersedes: UUID | None = None) -> HotEntry | None:
    """Return the entry of a research body, computed again from the body; None for one written by hand.

    Raises SchemaMismatch for a body of another feature schema, FeatureError where it names another vector.
    """
    named = body.get("features")
    if named is None:
        return None
    if named["schema"] != feature_schema():
        raise SchemaMismatch(
            f"research document {uuid} has feature schema {named['schema']}, this code's is {feature_schema()}: "
            "read it with the code version of its experiment"
        )
    vector = feature_vector(body)
    if vector.hash != named["hash"]:
        raise FeatureError(
            f"research document {uuid} names feature vector {named['hash']}, its content gives {vector.hash}: "
            "run `throughline verify`"
        )
    decided = parse_time(body["decision_time"])
    return HotEntry(
        instrument=body["instrument"],
        candidate=UUID(body["candidate"]["uuid"]),
        event_time=decided,
        known_time=_known(decided, partition, supersedes),
        schema=feature_schema(),
        hash=vector.hash,
        values=vector.values,
    )


def iterate_vectors(
    conn: Connection, experiment: str, first: date | None = None, last: date | None = None, tally: Tally | None = None
) -> Iterator[HotEntry]:
    """Yield the vectors of partitions `first` to `last` (None = open), by the bytes of the documents' uuids.

    Corrections come beside what they correct, each with the time from which it was known. Memory is bounded by a chunk.
    tally: gets the counts. Raises as `entry_of`.
    """
    counted = tally if tally is not None else Tally()
    for row in conn.execute(_documents(experiment, first, last).execution_options(yield_per=_AT_ONCE)):
        counted.read += 1
        entry = entry_of(row.uuid, read_body("research_docs", row.body), row.partition, row.supersedes)
        if entry is None:
            counted.by_hand += 1
        else:
            yield entry


def _documents(experiment: str, first: date | None, last: date | None) -> Select[Any]:
    c = research_docs.c
    statement = select(c.uuid, c.body, c.partition, c.supersedes).where(c.experiment == experiment).order_by(c.uuid)
    if first is not None:
        statement = statement.where(c.partition >= first)
    if last is not None:
        statement = statement.where(c.partition <= last)
    return statement


def read_vectors(
    conn: Connection, experiment: str, first: date | None = None, last: date | None = None
) -> pd.DataFrame:
    """Return the vectors of partitions `first` to `last`: one row a document, as `iterate_vectors` orders them.

    Columns: candidate (text), instrument, event_time, known_time (UTC), hash, and the features as numbers, NaN where
    missing. `attrs["left_out"]` is the number of documents written by hand.
    """
    tally = Tally()
    return vector_frame(list(iterate_vectors(conn, experiment, first, last, tally)), tally.by_hand)


def vector_frame(entries: Sequence[HotEntry], left_out: int = 0) -> pd.DataFrame:
    """Return entries as a frame (see `read_vectors`)."""
    head = {
        "candidate": [str(entry.candidate) for entry in entries],
        "instrument": [entry.instrument for entry in entries],
        "event_time": pd.DatetimeIndex([entry.event_time for entry in entries], tz="UTC"),
        "known_time": pd.DatetimeIndex([entry.known_time for entry in entries], tz="UTC"),
        "hash": [entry.hash for entry in entries],
    }
    columns = {
        name: pd.to_numeric(pd.Series([entry.values[name] for entry in entries], dtype=object)).astype(float)
        for name in NAMES
    }
    frame = pd.DataFrame(head | columns)
    frame.attrs["left_out"] = left_out
    return frame


@dataclass(frozen=True)
class OfflineVectors:
    """The truth about latest vectors of one experiment: the ledger. Every question reads; nothing is kept."""

    engine: Engine = field(repr=False)
    experiment: str

    def latest(self, instrument: str, *, as_of: datetime | None = None) -> HotEntry | None:
        """Return the latest vector with event_time <= as_of and known_time <= as_of (None = all), None without one.

        Of one decision the last correction that was known counts. Raises ValueError for a naive instant.
        """
        if as_of is not None and as_of.tzinfo is None:
            raise ValueError(f"as_of {as_of} has no time zone: pass an aware datetime")
        c, r = candidates.c, research_docs.c
        statement = (
            select(r.uuid, r.body, r.partition, r.supersedes)
            .join_from(candidates, research_docs, r.candidate_uuid == c.uuid)
            .where(c.experiment == self.experiment, c.instrument == instrument)
            .order_by(c.decision_time.desc(), c.uuid.desc(), r.partition.desc(), r.uuid.desc())
        )
        if as_of is not None:
            statement = statement.where(c.decision_time <= as_of, r.partition <= as_of.astimezone(UTC).date())
        with self.engine.connect() as conn, conn.execute(statement.execution_options(yield_per=10)) as rows:
            for row in rows:
                entry = entry_of(row.uuid, read_body("research_docs", row.body), row.partition, row.supersedes)
                if entry is not None and (as_of is None or entry.known_time <= as_of):
                    return entry
        return None


def fill_hot_store(
    conn: Connection, store: HotStore, experiment: str, first: date | None = None, last: date | None = None
) -> int:
    """Publish the latest vector of every instrument of the partitions; return how many were new.

    Serves to warm an empty store, and to publish a day once it is sealed. Raises as `iterate_vectors`, StorageError.
    """
    newest: dict[str, HotEntry] = {}
    for entry in iterate_vectors(conn, experiment, first, last):
        known = newest.get(entry.instrument)
        if known is None or (entry.event_time, entry.known_time) > (known.event_time, known.known_time):
            newest[entry.instrument] = entry
    return store.publish(list(newest.values()))
