"""Hot features: the latest vector per instrument, behind one interface that Redis and PostgreSQL both serve.

Belongs here: an entry, its bytes, who may serve it, and the reader that falls back. Does not belong here: the two
stores (hot_redis, hot_postgres) and what is true (the ledger, `throughline.features.offline`).

The store is a projection and never trusted: entry bytes are canonical JSON with a hash over all of them; a reader makes
that hash and the vector's own again, and compares namespace, instrument and schema. The newest event time wins and of
equal ones the first, atomically, in whichever order writers come. A store that was emptied or lags gives older or no
entries, never wrong ones: ask with `max_age` where that matters. Point-in-time rule as offline: an entry serves a
question as of t only where event_time <= t and known_time <= t.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Engine

from throughline.errors import StorageError
from throughline.features.errors import HotEntryRejected
from throughline.features.vector import NAMES, FeatureVector, feature_schema, vector_hash
from throughline.identity import SCHEMA_VERSION, canonical_bytes, content_hash, parse_time, time_text

KIND = "hot_entry"
_HEAD, _MIDDLE, _TAIL = b'{"entry":', b',"hash":"', b'"}'
_CLAIM = len(_MIDDLE) + 64 + len(_TAIL)


@dataclass(frozen=True)
class HotEntry:
    """A vector as it is served. event_time: the decision it was made for; known_time: from when it may be used; hash:
    identity of the vector; values: its texts by name, None = missing."""

    instrument: str
    candidate: UUID
    event_time: datetime
    known_time: datetime
    schema: str
    hash: str
    values: Mapping[str, str | None]

    @property
    def vector(self) -> FeatureVector:
        """The vector with its numbers."""
        return FeatureVector(self.values, self.hash)


class HotStore(Protocol):
    """Where the latest entry of each instrument of one namespace is kept."""

    def publish(self, entries: Sequence[HotEntry]) -> int:
        """Write the entries that are newer than what is there; return how many instruments got one.

        Raises StorageError.
        """
        ...

    def latest(
        self, instrument: str, *, as_of: datetime | None = None, max_age: timedelta | None = None
    ) -> HotEntry | None:
        """Return the entry of an instrument, None where there is none.

        Raises HotEntryRejected for one that must not serve the question (see `read_entry` and `require_fit`),
        StorageError where the store cannot be reached.
        """
        ...

    def close(self) -> None:
        """Let go of connections that the store opened itself."""
        ...


class Offline(Protocol):
    """Who knows the truth about the latest vector (`throughline.features.offline.OfflineVectors`)."""

    def latest(self, instrument: str, *, as_of: datetime | None = None) -> HotEntry | None:
        """Return the latest entry with event_time <= as_of and known_time <= as_of (None = all), None without one."""
        ...


def newest_of(entries: Sequence[HotEntry]) -> list[HotEntry]:
    """Return the newest entry of each instrument (the first of equal ones), by instrument."""
    newest: dict[str, HotEntry] = {}
    for entry in entries:
        known = newest.get(entry.instrument)
        if known is None or entry.event_time > known.event_time:
            newest[entry.instrument] = entry
    return [newest[name] for name in sorted(newest)]


def entry_bytes(entry: HotEntry, namespace: str) -> bytes:
    """Return the bytes of an entry in a namespace: canonical JSON of {entry, hash}, the hash over the entry's bytes."""
    body = {
        "candidate": entry.candidate,
        "event_time": entry.event_time,
        "features": {"hash": entry.hash, "schema": entry.schema, "values": dict(entry.values)},
        "instrument": entry.instrument,
        "known_time": entry.known_time,
        "namespace": namespace,
        "schema_version": SCHEMA_VERSION,
    }
    inner = canonical_bytes(body)
    return _HEAD + inner + _MIDDLE + content_hash(KIND, inner).encode("ascii") + _TAIL


def read_entry(data: bytes, namespace: str, instrument: str) -> HotEntry:
    """Return the entry that `entry_bytes` wrote.

    Raises HotEntryRejected: 'damaged' where any byte, the vector's hash, the namespace or the instrument is another
    than it should be, 'schema' where the vector is of another feature schema.
    """
    where = f"the hot features of {instrument} (namespace {namespace[:12]})"
    inner = data[len(_HEAD) : -_CLAIM]
    if data != _HEAD + inner + _MIDDLE + content_hash(KIND, inner).encode("ascii") + _TAIL:
        raise HotEntryRejected("damaged", f"{where} are not what was published there: publish them again")
    try:
        body: dict[str, Any] = json.loads(inner)
        features = body["features"]
        entry = HotEntry(
            instrument=body["instrument"],
            candidate=UUID(body["candidate"]),
            event_time=parse_time(body["event_time"]),
            known_time=parse_time(body["known_time"]),
            schema=features["schema"],
            hash=features["hash"],
            values=dict(features["values"]),
        )
        computed = vector_hash(entry.values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise HotEntryRejected("damaged", f"{where} cannot be read: publish them again") from error
    if (body.get("namespace"), entry.instrument) != (namespace, instrument):
        raise HotEntryRejected("damaged", f"{where} are those of another place: publish them again")
    if entry.schema != feature_schema():
        raise HotEntryRejected(
            "schema", f"{where} have feature schema {entry.schema}, this code's is {feature_schema()}: publish again"
        )
    if computed != entry.hash or entry.values.keys() != set(NAMES):
        raise HotEntryRejected("damaged", f"{where} do not have the hash {entry.hash} they claim: publish them again")
    return entry


def require_fit(entry: HotEntry, as_of: datetime | None, max_age: timedelta | None) -> HotEntry:
    """Return `entry` where it may serve a question as of an aware instant (None = whatever is latest).

    Raises HotEntryRejected: 'future' for one that was not known by then, 'stale' for one older than `max_age`;
    ValueError for a naive instant, or a `max_age` without the instant it is counted from.
    """
    if as_of is None:
        if max_age is not None:
            raise ValueError("max_age is counted back from as_of: give both")
        return entry
    if as_of.tzinfo is None:
        raise ValueError(f"as_of {as_of} has no time zone: pass an aware datetime")
    if max(entry.event_time, entry.known_time) > as_of:
        known = time_text(max(entry.event_time, entry.known_time))
        raise HotEntryRejected("future", f"the hot features of {entry.instrument} are known from {known} only")
    if max_age is not None and as_of - entry.event_time > max_age:
        of = time_text(entry.event_time)
        raise HotEntryRejected("stale", f"the hot features of {entry.instrument} are of {of}: older than {max_age}")
    return entry


class HotReader:
    """Reads the hot store and, where that gives nothing that may be served, the ledger; counts which of both.

    counts: 'hot' for entries served from the store; the others went offline: 'missing', 'unreachable', and the reasons
    of `HotEntryRejected`. A share of 'damaged' or 'schema' above nil is worth an alarm.
    """

    def __init__(self, store: HotStore, offline: Offline) -> None:
        self._store, self._offline = store, offline
        self._lock = threading.Lock()
        self.counts: dict[str, int] = dict.fromkeys(
            ("hot", "missing", "unreachable", "damaged", "schema", "future", "stale"), 0
        )

    def latest(
        self, instrument: str, *, as_of: datetime | None = None, max_age: timedelta | None = None
    ) -> HotEntry | None:
        """Return the latest entry known as of an instant and not older than `max_age`, None without one."""
        entry, result = self._hot(instrument, as_of, max_age)
        with self._lock:
            self.counts[result] += 1
        if entry is not None:
            return entry
        entry = self._offline.latest(instrument, as_of=as_of)
        if entry is None:
            return None
        try:
            return require_fit(entry, as_of, max_age)
        except HotEntryRejected as error:
            if error.reason == "stale":
                return None
            raise

    def _hot(self, instrument: str, as_of: datetime | None, max_age: timedelta | None) -> tuple[HotEntry | None, str]:
        try:
            entry = self._store.latest(instrument, as_of=as_of, max_age=max_age)
        except HotEntryRejected as error:
            return None, error.reason
        except StorageError:
            return None, "unreachable"
        return entry, "missing" if entry is None else "hot"


def open_hot_store(url: str | None, engine: Engine, namespace: str) -> HotStore:
    """Open the hot store: the Redis at `url` (redis://, rediss:// or unix://), without one the database of `engine`.

    namespace: the experiment; two never meet. Raises SettingsError for a URL of another kind, StorageError where the
    Redis cannot be reached; neither tells the URL, which may hold a password.
    """
    if url:
        from throughline.features.hot_redis import RedisHotStore

        return RedisHotStore(url, namespace)
    from throughline.features.hot_postgres import PostgresHotStore

    return PostgresHotStore(engine, namespace)
