"""The server's settings in force, and the files that they could come from.

Belongs here: holding them against `storage.cluster`, which starts the embedded server. On a configured server the
owner chooses; there only what keeps or enforces less than a ledger needs is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from throughline.findings import Finding
from throughline.storage import cluster
from throughline.storage.beside import connect_as_admin
from throughline.storage.database import Database
from throughline.storage.server import Server

_CHOSEN_BY_US = ("default", "client", "session", "override", "interactive", "test", "database", "user", "database user",
                 "global")  # fmt: skip
"""Sources of a setting that are ours, or that `server_objects` names."""
_WEAK: Mapping[str, str] = {
    "allow_system_table_mods": "on",
    "fsync": "off",
    "full_page_writes": "off",
    "ignore_checksum_failure": "on",
    "ignore_system_indexes": "on",
    "session_replication_role": "replica",
    "synchronous_commit": "off",
    "zero_damaged_pages": "on",
}
_RESET = "find out who set it; the embedded server passes its own settings by command line when it starts again"


def check_settings(connection: Connection, *, embedded: bool) -> Iterator[Finding]:
    """Yield the settings in force that nobody of ours chose.

    Args:
        connection: in a transaction; of some settings only the superuser of a server sees the values.
        embedded: whether the server is the home's own.
    """
    statement = text(
        "SELECT name, pg_catalog.current_setting(name), source FROM pg_catalog.pg_settings"
        " WHERE source <> ALL(:ours) ORDER BY name"
    )
    for name, value, source in connection.execute(statement, {"ours": list(_CHOSEN_BY_US)}):
        expected = cluster.SETTINGS.get(name) if embedded else None
        if embedded and name in ("unix_socket_directories", "hba_file", "ident_file"):
            continue  # follow from the home's path: compared as arguments of the command line
        if embedded and expected != value:
            problem = f"is {value or 'empty'} by {source}" + ("" if expected is None else f" instead of {expected}")
            yield _setting(name, problem, expected, value)
        elif not embedded and _WEAK.get(name) == value:
            problem = f"is {value} for every session: records may be lost or not enforced"
            yield _setting(name, problem, "its default", value)


def check_server(database: Database) -> list[Finding]:
    """Return what is wrong with the server of a home: its settings, also those a superuser only sees, and its files.

    Args:
        database: an open database. A configured server's settings are read with the rights of our sessions
            (`check_settings`), its files not at all.
    """
    server = database.server
    if server is None:
        return []
    with database.engine("auditor").connect() as auditor:
        raw = connect_as_admin(auditor)
    engine = create_engine("postgresql+psycopg2://", creator=lambda: raw, poolclass=NullPool)
    with engine.connect() as connection:
        findings = [*check_settings(connection, embedded=True), *_access(connection)]
    engine.dispose()
    return [*findings, *_files(server)]


def _access(connection: Connection) -> Iterator[Finding]:
    """Who may connect, as the server has read its files, whichever those are."""
    columns = "type, database, user_name, address, auth_method, options, error"
    rules = [tuple(row) for row in connection.execute(text(f"SELECT {columns} FROM pg_catalog.pg_hba_file_rules"))]
    expected = [("local", ["all"], ["all"], None, "peer", ["map=home"], None)]
    if rules != expected:
        shown = "; ".join(" ".join(str(part) for part in rule if part is not None) for rule in rules)
        problem = "lets others connect than this operating-system user"
        yield _setting("pg_hba.conf", problem, "local all all peer map=home", shown)


def _files(server: Server) -> Iterator[Finding]:
    data = server.data
    for name, content in cluster.files(data, Path(server.socket_folder)).items():
        path = data / name
        actual = path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
        if actual != content:
            problem = "was edited since the server started" if actual is not None else "is missing"
            yield _file(path, f"{problem}: what it says is in force after a reload, unless the command line wins",
                        content, actual)  # fmt: skip
    for path in cluster.written_settings(data):
        yield _file(path, "sets what nothing of ours sets; the command line wins over it", "no settings", _read(path))
    folder = cluster.set_aside_folder(data)
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        problem = "lay in the server's folder when it was started, and was not used"
        yield _file(path, problem, "no settings", _read(path), "read it, find out who wrote it, then delete it")


def _read(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return "; ".join(line for line in lines if line.strip() and not line.startswith("#")) or "an empty file"


def _file(path: Path, problem: str, expected: str, actual: str | None, repair: str = _RESET) -> Finding:
    return Finding("file", str(path), problem, "setting_changed", expected[:600], (actual or "none")[:600], repair)


def _setting(name: str, problem: str, expected: str | None, actual: str) -> Finding:
    return Finding("setting", name, problem, "setting_changed", expected or "no setting", actual or "empty", _RESET)
