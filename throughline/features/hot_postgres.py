"""The hot store in PostgreSQL, for homes without a Redis: table ``hot_features``, one row per instrument.

Belongs here: the upsert that lets only newer entries in, and the read by key. Errors carry no URL: the engine's own
texts may quote parameters, so messages name only their kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import Engine, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from throughline.errors import StorageError
from throughline.features.errors import HotEntryRejected
from throughline.features.hot import HotEntry, entry_bytes, newest_of, read_entry, require_fit
from throughline.storage.tables import hot_features


class PostgresHotStore:
    """`HotStore` of one namespace in a database. engine: with the writer role; it stays the caller's."""

    def __init__(self, engine: Engine, namespace: str) -> None:
        self._engine, self._namespace = engine, namespace
        # Reads need no transaction: one round trip, not three.
        self._reading = engine.execution_options(isolation_level="AUTOCOMMIT")

    def publish(self, entries: Sequence[HotEntry]) -> int:
        """Write the entries that are newer than what is there; return how many instruments got one."""
        # One order of rows for all writers: two that write the same instruments wait for each other, never in a circle.
        rows = [
            {
                "namespace": self._namespace,
                "instrument": entry.instrument,
                "event_time": entry.event_time,
                "entry": entry_bytes(entry, self._namespace),
            }
            for entry in newest_of(entries)
        ]
        if not rows:
            return 0
        new = insert(hot_features)
        statement = new.on_conflict_do_update(
            index_elements=["namespace", "instrument"],
            set_={"event_time": new.excluded.event_time, "entry": new.excluded.entry},
            where=new.excluded.event_time > hot_features.c.event_time,
        ).returning(hot_features.c.instrument)
        with _reached(), self._engine.begin() as connection:
            return len(connection.execute(statement, rows).all())

    def latest(
        self, instrument: str, *, as_of: datetime | None = None, max_age: timedelta | None = None
    ) -> HotEntry | None:
        """Return the entry of an instrument (see `HotStore.latest`)."""
        c = hot_features.c
        statement = select(c.entry, c.event_time).where(c.namespace == self._namespace, c.instrument == instrument)
        with _reached(), self._reading.connect() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        entry = read_entry(bytes(row.entry), self._namespace, instrument)
        if entry.event_time != row.event_time:
            raise HotEntryRejected("damaged", f"the hot features of {instrument} stand under another instant")
        return require_fit(entry, as_of, max_age)

    def close(self) -> None:
        """Do nothing: the engine is the caller's."""


@contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        kind = type(getattr(error, "orig", None) or error).__name__
        raise StorageError(f"The hot store's database does not serve ({kind}): start it, or correct its URL.") from None
