"""One pool of connections per process and home, for Dagster's own storage.

Belongs here: the engine, and who in this process uses it. Does not belong here: Dagster's classes
(`resources/dagster_storage.py`).
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import psycopg2
import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

from throughline.storage.database import Database, open_database
from throughline.storage.home import Home

DATABASE = "dagster"
IDLE_SECONDS = 5.0  # a connection that rested longer is tried before it is handed out: the server may have restarted


class SharedPool:
    """An engine with kept connections on the Dagster database of one home, and the hold on the server behind it."""

    def __init__(self, database: Database) -> None:
        """Make the engine on `database`; nothing is connected yet."""
        self._database = database
        self._statement_timeout: int | None = None
        self.users = 0
        self.url = database.url(DATABASE)
        # One connection is enough for a run; the web server's threads overflow to more.
        self.engine = sa.create_engine(
            self.url,
            creator=self._connect,
            isolation_level="AUTOCOMMIT",
            poolclass=QueuePool,
            pool_size=5,
            max_overflow=20,
        )
        sa.event.listen(self.engine, "checkin", self._checked_in)
        sa.event.listen(self.engine, "checkout", self._checked_out)

    def limit_statements(self, millis: int) -> None:
        """From now on, let no statement of this process run longer than `millis`."""
        if self._statement_timeout != millis:
            self._statement_timeout = millis
            self.engine.dispose()

    def close(self) -> None:
        """Close the connections and let go of the server."""
        self.engine.dispose()
        self._database.close()

    def _connect(self) -> Any:
        try:
            return self._dial()
        except psycopg2.OperationalError:
            if not self._database.embedded:
                raise
            self._database.open()  # starts the server again where something killed it
            return self._dial()

    def _dial(self) -> Any:
        arguments, options = self.engine.dialect.create_connect_args(sa.make_url(self._database.url(DATABASE)))
        connection = psycopg2.connect(*arguments, **options)
        # Dagster's history is committed without waiting for the disk: a killed server or a power cut may cost it the
        # last half second, and the ledger nothing.
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('timezone', 'UTC', false), set_config('synchronous_commit', 'off', false),"
                " set_config('statement_timeout', %s, false)",
                (str(self._statement_timeout or 0),),
            )
        return connection

    @staticmethod
    def _checked_in(connection: Any, record: Any) -> None:
        record.info["rested_at"] = time.monotonic()

    @staticmethod
    def _checked_out(connection: Any, record: Any, proxy: object) -> None:
        if time.monotonic() - record.info.get("rested_at", float("inf")) > IDLE_SECONDS:
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
            except Exception as error:
                raise sa.exc.DisconnectionError from error


class SharedPools:
    """The pools of this process, one per home and URL, so that several Dagster instances share one."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str | None], SharedPool] = {}
        os.register_at_fork(after_in_child=self._forget)

    def take(self, home: Home, url: str | None) -> SharedPool:
        """Return the pool on `home`'s Dagster database, starting the server where it is not running."""
        key = (str(home.path), url)
        with self._lock:
            pool = self._open.get(key)
            if pool is None:
                pool = self._open[key] = SharedPool(open_database(home, url=url))
            pool.users += 1
            return pool

    def give_back(self, pool: SharedPool) -> None:
        """Give up one use of `pool`; the last one closes it."""
        with self._lock:
            pool.users -= 1
            if pool.users == 0:
                self._open = {key: other for key, other in self._open.items() if other is not pool}
                pool.close()

    def _forget(self) -> None:
        # A forked child must not speak on its parent's connections; the parent keeps them open.
        self._lock = threading.Lock()
        for pool in self._open.values():
            pool.engine.dispose(close=False)


POOLS = SharedPools()
