"""Dagster's own storage, on one pool of connections, in the home's database server.

Belongs here: the classes that `dagster.yaml` names for run history, event log, schedules, compute logs and local files.
Each finds the home by itself (its `home` setting, else THROUGHLINE_HOME, else the default), so all Dagster processes
agree on it however they were started. Does not belong here: Throughline's own tables (`throughline/storage`).

Why not `storage: postgres`: its classes open a new connection for every statement (NullPool), three for each planned
event. Here the three storages share one engine whose connections are kept (`resources/dagster_pool.py`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import sqlalchemy as sa
from dagster import DagsterEventType, EventLogEntry, Field, StringSource
from dagster._config.config_schema import UserConfigSchema
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.event_log import SqlEventLogStorageMetadata
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.runs import RunStorageSqlMetadata
from dagster._core.storage.schedules import ScheduleStorageSqlMetadata
from dagster._core.storage.sql import stamp_alembic_rev
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage
from dagster_postgres.run_storage import run_storage
from dagster_postgres.utils import pg_alembic_config

from resources.dagster_pool import POOLS, SharedPool
from resources.settings import DATABASE_VARIABLE
from throughline.storage.home import Home

_READY = "complete, by Throughline"
_FIRST_START = 0x7468726F7567686C  # pg_advisory_lock key: two first starts create Dagster's tables in turn


class PooledRunStorage(PostgresRunStorage):
    """Dagster's run storage on the shared pool."""

    def __init__(self, pool: SharedPool) -> None:
        """Use `pool`; its tables exist already."""
        super().__init__(pool.url, should_autocreate_tables=False)
        self._engine = pool.engine
        self._pool: SharedPool | None = pool

    def optimize_for_webserver(self, statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:
        """Bound every statement of this web server process to `statement_timeout` ms."""
        if self._pool is not None:
            self._pool.limit_statements(statement_timeout)

    def dispose(self) -> None:
        """Give the pool back: the instance calls this once, when it closes."""
        if self._pool is not None:
            POOLS.give_back(self._pool)
            self._pool = None


class PooledEventLogStorage(PostgresEventLogStorage):
    """Dagster's event log on the shared pool."""

    def __init__(self, pool: SharedPool) -> None:
        """Use `pool`; its tables exist already."""
        super().__init__(pool.url, should_autocreate_tables=False)
        self._engine = pool.engine

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store many events; those that announce materializations in one statement, not one by one as the stock class.

        A range announces each of its partitions: without this the announcements take longer than all else that Dagster
        does for a partition.
        """
        announced = [e for e in events if e.dagster_event_type is DagsterEventType.ASSET_MATERIALIZATION_PLANNED]
        if announced:
            statement = self.prepare_insert_event_batch(announced).returning(SqlEventLogStorageTable.c.id)
            with self.index_transaction() as connection:
                ids = connection.execute(statement).scalars().all()
                last = {e.get_dagster_event().asset_key: (e, int(i)) for e, i in zip(announced, ids, strict=True)}
                for event, number in last.values():
                    self._store_asset_event(connection, event, number)
        others = [e for e in events if e.dagster_event_type is not DagsterEventType.ASSET_MATERIALIZATION_PLANNED]
        if others:
            super().store_event_batch(others)

    def optimize_for_webserver(self, statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:
        """Do nothing: the run storage has bounded the shared pool."""


class PooledScheduleStorage(PostgresScheduleStorage):
    """Dagster's schedule storage on the shared pool."""

    def __init__(self, pool: SharedPool) -> None:
        """Use `pool`; its tables exist already."""
        super().__init__(pool.url, should_autocreate_tables=False)
        self._engine = pool.engine

    def optimize_for_webserver(self, statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:
        """Do nothing: the run storage has bounded the shared pool."""


class HomeStorage(DagsterStorage[Any], ConfigurableClass):
    """All of Dagster's storage in the database `dagster` of a Throughline home.

    Settings (both optional): `home`, the folder; `url`, a PostgreSQL server instead of the embedded one.
    """

    def __init__(self, home: Home, url: str | None = None, inst_data: ConfigurableClassData | None = None) -> None:
        """Open the database of `home` (the embedded server is started where it is not running)."""
        self._inst_data = inst_data
        pool = POOLS.take(home, url)
        try:
            self._runs = PooledRunStorage(pool)
            self._events = PooledEventLogStorage(pool)
            self._schedules = PooledScheduleStorage(pool)
            _create_tables(pool.engine, self._runs, self._events, self._schedules)
        except BaseException:
            POOLS.give_back(pool)
            raise
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """Return what Dagster needs to make this again in another process."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Return the settings that dagster.yaml may give."""
        return {"home": Field(StringSource, is_required=False), "url": Field(StringSource, is_required=False)}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Make the storage from its settings."""
        url = config_value.get("url") or os.environ.get(DATABASE_VARIABLE) or None
        return cls(Home.locate(config_value.get("home")), url, inst_data)

    @property
    def run_storage(self) -> PooledRunStorage:
        """Return the run storage."""
        return self._runs

    @property
    def event_log_storage(self) -> PooledEventLogStorage:
        """Return the event log."""
        return self._events

    @property
    def schedule_storage(self) -> PooledScheduleStorage:
        """Return the schedule storage."""
        return self._schedules


class HomeComputeLogs(LocalComputeLogManager):
    """What runs print, in the folder `dagster/compute_logs` of the home, wherever Dagster's own home is."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Return the settings that dagster.yaml may give."""
        return {"home": Field(StringSource, is_required=False)}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Make the manager from its settings."""
        folder = Home.locate(config_value.get("home")).dagster / "compute_logs"
        return cls(base_dir=str(folder), inst_data=inst_data)


class HomeFiles(LocalArtifactStorage):
    """Dagster's local files in the folder `dagster` of the home, which outlives a `dagster dev`."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Return the settings that dagster.yaml may give."""
        return {"home": Field(StringSource, is_required=False)}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Make the storage from its settings."""
        return cls(base_dir=str(Home.locate(config_value.get("home")).dagster), inst_data=inst_data)


def _create_tables(
    engine: sa.Engine, runs: PooledRunStorage, events: PooledEventLogStorage, schedules: PooledScheduleStorage
) -> None:
    """Create, stamp and mark what is missing, as the stock classes do, but all or nothing and one process at a time.

    The stock classes commit each table by itself and take the first one's presence for the whole; a first start that is
    killed halfway leaves them broken for good. The mark comes last, so such a start is done again.
    """
    if _is_ready(engine):
        return
    with engine.connect() as guard:
        guard.execute(sa.select(sa.func.pg_advisory_lock(_FIRST_START)))
        try:
            if _is_ready(engine):
                return
            with engine.connect() as connection:
                transaction = connection.execution_options(isolation_level="READ COMMITTED")
                with transaction.begin():
                    for metadata in (RunStorageSqlMetadata, SqlEventLogStorageMetadata, ScheduleStorageSqlMetadata):
                        metadata.create_all(transaction)
                    if not sa.inspect(transaction).has_table("alembic_version"):
                        stamp_alembic_rev(pg_alembic_config(run_storage.__file__), transaction)
            events.reindex_events()
            events.reindex_assets()
            for storage in (runs, schedules):
                storage.migrate()
                storage.optimize()
            # Waits for the disk, and with it for everything before it.
            guard.execute(sa.text(f"SET synchronous_commit = on; COMMENT ON TABLE runs IS '{_READY}'"))
            guard.execute(sa.text("SET synchronous_commit = off"))
        finally:
            guard.execute(sa.select(sa.func.pg_advisory_unlock(_FIRST_START)))


def _is_ready(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        mark = sa.select(sa.func.obj_description(sa.func.to_regclass("runs"), "pg_class"))
        return connection.execute(mark).scalar() == _READY
