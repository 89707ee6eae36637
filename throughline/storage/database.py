"""The database of a home: the embedded server by default, any PostgreSQL >= 15 by URL.

Belongs here: opening it (databases, roles and migrations on first use) and handing out pooled engines by role. Does
not belong here: what is written (ledger) and how the embedded server lives (server).

Application and neighbours (Dagster, later MLflow) have separate databases. Every session's time zone is UTC. An
engine of an embedded server survives the death of the server: the next connection starts it again.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import psycopg2
from sqlalchemy import URL, Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from throughline.errors import StorageError, printable
from throughline.storage import migrations
from throughline.storage.cluster import ADMIN, PORT
from throughline.storage.home import Home
from throughline.storage.roles import ROLES, Role, create_role, grant_rights, role_name
from throughline.storage.server import Server

APPLICATION = "throughline"
OLDEST = 150_000
"""Oldest server version that is supported."""
RECONNECT = 10.0
"""Seconds within which a lost embedded server must be back before a connection fails."""
_DRIVER = "postgresql+psycopg2"


class Database:
    """An open database. Made by `open_database`; close it, or use it as a context manager."""

    def __init__(self, home: Home, address: URL | None) -> None:
        self.home = home
        self._address = address
        self._server = None if address is not None else Server(home)
        self._engines: dict[tuple[str, str], Engine] = {}
        self._lock = threading.RLock()
        self._ready: set[str] = set()
        self.enforces_roles = True
        """Whether sessions really change to the role asked for. False where a database URL's user may create no
        roles; then only the triggers refuse changes."""

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def embedded(self) -> bool:
        """Whether this is the home's own server."""
        return self._server is not None

    @property
    def server(self) -> Server | None:
        """The home's own server, None where a database URL is given."""
        return self._server

    def engine(self, role: Role = "writer") -> Engine:
        """Return the pooled engine of `role` on the application's database (the same one each time).

        Not to be carried across a fork. Raises StorageError where the database cannot be reached.
        """
        if role not in ROLES:
            raise StorageError(f"There is no role {role!r}: use one of {', '.join(ROLES)}.")
        with self._lock:
            if (APPLICATION, role) not in self._engines:
                self._engines[APPLICATION, role] = self._make_engine(APPLICATION, role)
            return self._engines[APPLICATION, role]

    def url(self, database: str = APPLICATION, role: Role = "writer") -> str:
        """Return a ``postgresql+psycopg2://`` URL (with the password, if any) of `database`, created if missing.

        `database` is ``throughline``, or a neighbour's such as ``dagster``, which belongs to a role of its own. The
        URL of an embedded server is good while this object is open.
        """
        with self._lock:
            self._prepare(database)
            address = self._url(database, role if database == APPLICATION else database)
        return address.render_as_string(hide_password=False)

    def close(self) -> None:
        """Close all connections and give the server's lease back; the last one out stops it."""
        with self._lock:
            for engine in self._engines.values():
                engine.dispose()
            self._engines.clear()
            if self._server is not None:
                self._server.release()

    def open(self) -> Database:
        """Start or reach the server and bring the application's database to head. Raises StorageError."""
        with self._lock:
            if self._server is not None:
                self._server.acquire()
            self._prepare(APPLICATION)
        return self

    def _database_name(self, database: str) -> str:
        named = self._address.database if self._address is not None else None
        application = named if named and named != "postgres" else APPLICATION
        if database == APPLICATION:
            return application
        return database if application == APPLICATION else f"{application}_{database}"

    def _url(self, database: str, role: str) -> URL:
        name = self._database_name(database)
        if self._address is not None:
            address = self._address.set(database=name)
            if database == APPLICATION and self.enforces_roles:
                given = address.query.get("options", "")
                return address.update_query_dict({"options": f"{given} -c role={role_name(role)}".strip()})
            return address
        assert self._server is not None
        return self._embedded_url(name, role_name(role))

    def _embedded_url(self, name: str, user: str) -> URL:
        assert self._server is not None
        query = {"host": self._server.socket_folder, "port": str(PORT)}
        return URL.create(_DRIVER, username=user, database=name, query=query)

    def _make_engine(self, database: str, role: str) -> Engine:
        def connect() -> Any:
            deadline = time.monotonic() + RECONNECT
            while True:
                try:
                    return _connect(self._url(database, role), role)
                except psycopg2.OperationalError:
                    if self._server is None or time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)  # a server that was just killed takes a moment to be gone
                    self._server.acquire()  # checks, and heals what a kill left behind

        return create_engine(
            f"{_DRIVER}://",
            creator=connect,
            pool_size=5,
            max_overflow=20,
            pool_pre_ping=True,
            pool_use_lifo=True,
        )

    def _prepare(self, database: str) -> None:
        """Create the database, its roles and tables where missing."""
        if database in self._ready:
            return
        if self._server is not None:
            self._prepare_embedded(database)
        else:
            self._prepare_external(database)
        if database == APPLICATION:
            self._migrate()
        self._ready.add(database)

    def _prepare_embedded(self, database: str) -> None:
        owner = role_name("owner" if database == APPLICATION else database)
        try:
            _connect(self._embedded_url(database, owner), "owner").close()
        except psycopg2.OperationalError:
            with _admin(self._embedded_url("postgres", ADMIN)) as connection:
                for name in [owner, *(role_name(role) for role in ROLES if database == APPLICATION)]:
                    create_role(connection, name, login=True)
                _create_database(connection, database, owner)

    def _prepare_external(self, database: str) -> None:
        assert self._address is not None
        name = self._database_name(database)
        address = self._address.set(database=name)
        try:
            connection = _connect(address, "owner")
        except psycopg2.OperationalError as error:
            self._create_external(name, address, error)
            connection = _connect(address, "owner")
        except (psycopg2.ProgrammingError, TypeError, ValueError) as error:
            raise StorageError(
                f"The database URL {_without_secrets(address)} has an option that PostgreSQL's client does not take"
                f"{_named_option(error)}: see the connection parameters of libpq."
            ) from None
        version = connection.server_version
        connection.close()
        if version < OLDEST:
            raise StorageError(
                f"The PostgreSQL at {_without_secrets(address)} is version {version // 10000}: "
                f"version {OLDEST // 10000} or newer is needed."
            )
        if database == APPLICATION:
            self.enforces_roles = _prepare_roles(address)

    def _create_external(self, name: str, address: URL, cause: Exception) -> None:
        where = _without_secrets(address)
        try:
            with _admin(address.set(database="postgres")) as connection:
                exists = connection.execute(text("SELECT 1 FROM pg_database WHERE datname = :n"), {"n": name}).scalar()
                if exists:
                    raise StorageError(f"The database at {where} refuses the connection: {_reason(cause)}.") from cause
                _create_database(connection, name, None)
        except DBAPIError as error:
            if error.orig is not None and getattr(error.orig, "pgcode", None) is None:
                raise StorageError(f"The database at {where} cannot be reached: {_reason(cause)}.") from cause
            if error.orig is None or getattr(error.orig, "pgcode", None) != "42501":
                raise  # a timeout, a server that only reads: not a matter of rights
            raise StorageError(
                f"The database {name} does not exist at {where} and this user may not create it: "
                f"ask for `CREATE DATABASE {name}`."
            ) from error

    def _migrate(self) -> None:
        engine = self._make_engine(APPLICATION, "owner")
        try:
            migrations.upgrade(engine, then=grant_rights if self.enforces_roles else None)
        finally:
            engine.dispose()


def open_database(home: Home | str | os.PathLike[str], url: str | None = None) -> Database:
    """Open the database of `home`: its embedded server, or the PostgreSQL at `url`.

    On first use the databases, roles and tables are created. Raises StorageError with one sentence and the remedy.
    """
    address = None
    if url:
        try:
            address = make_url(url)
        except Exception:
            raise StorageError("The database URL cannot be read: write postgresql://user@host/database.") from None
        if address.get_backend_name() not in ("postgresql", "postgres"):
            raise StorageError(f"The database URL names {address.get_backend_name()}: only postgresql:// is supported.")
        address = address.set(drivername=_DRIVER)
    database = Database(home if isinstance(home, Home) else Home(home), address)
    try:
        return database.open()
    except BaseException:
        database.close()
        raise


def _connect(address: URL, role: str) -> Any:
    """Return a psycopg2 connection in UTC that declares its role (triggers read it where there are no roles)."""
    options = address.translate_connect_args(username="user", database="dbname")
    query: dict[str, Any] = dict(address.query)
    arguments: dict[str, Any] = {"application_name": "throughline", "connect_timeout": 30, **options, **query}
    connection = psycopg2.connect(**arguments)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'UTC'; SELECT set_config('throughline.role', %s, false)", (role,))
        if "search_path" not in str(query.get("options", "")):
            # The default looks first into a schema named like the role: a copy there would be read in our place.
            cursor.execute("SET search_path = public")
    connection.autocommit = False
    return connection


@contextmanager
def _admin(address: URL) -> Iterator[Connection]:
    """Yield a connection in autocommit mode, closed afterwards; one at a time on a database."""
    engine = create_engine(f"{_DRIVER}://", creator=lambda: _connect(address, "owner"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": migrations.LOCK})
            yield connection
    finally:
        engine.dispose()


def _create_database(connection: Connection, name: str, owner: str | None) -> None:
    if connection.execute(text("SELECT 1 FROM pg_database WHERE datname = :n"), {"n": name}).scalar():
        return
    quote = connection.dialect.identifier_preparer.quote_identifier
    try:
        connection.execute(
            text(
                f"CREATE DATABASE {quote(name)} {'OWNER ' + quote(owner) if owner else ''} "
                "TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
            )
        )
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) not in ("42P04", "23505"):  # another process was faster
            raise


def _prepare_roles(address: URL) -> bool:
    """Return whether the URL's user can take the roles, creating them where it may."""
    names = [role_name(role) for role in ROLES]
    member = text(
        "SELECT bool_and(pg_has_role(rolname, 'MEMBER')) AND count(*) = 4 FROM pg_roles WHERE rolname = ANY(:n)"
    )
    owned = text("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = to_regclass('experiments')")
    with _admin(address) as connection:
        owner = connection.execute(owned).scalar()
        if owner is not None:  # decided when the tables were made
            return bool(owner == role_name("owner") and connection.execute(member, {"n": names}).scalar())
        try:
            for name in names:
                create_role(connection, name, login=False)
                if not _is_member(connection, name):
                    connection.execute(text(f"GRANT {name} TO CURRENT_USER"))
            connection.execute(text(f"GRANT USAGE, CREATE ON SCHEMA public TO {role_name('owner')}"))
        except DBAPIError as error:
            if getattr(error.orig, "pgcode", None) != "42501":
                raise
            return False
        return True


def _is_member(connection: Connection, name: str) -> bool:
    return bool(connection.execute(text("SELECT pg_has_role(:n, 'MEMBER')"), {"n": name}).scalar())


def _without_secrets(address: URL) -> str:
    """Return a URL as a message shows it: no password, wherever it stands."""
    plain = address.set(drivername="postgresql").difference_update_query(("password", "sslpassword"))
    return printable(plain.render_as_string())


def _named_option(error: Exception) -> str:
    match = re.search(r'"([^"]{1,60})"', str(error))
    return f" ('{printable(match[1])}')" if match else ""


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
