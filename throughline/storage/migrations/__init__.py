"""Migrations from an empty database to head and back (Alembic, run from code).

Belongs here: the way to run them, safe when several processes start at once. `HEAD` is written out so that a database
already at head costs one query and no import of Alembic.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text

from throughline.errors import StorageError, shown

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0006"
"""The newest revision."""
LOCK = 0x7468726F75676801
"""Key of the advisory lock that migrations hold."""

_ONE_AT_A_TIME = threading.Lock()  # Alembic's context is a process-wide proxy


def current(connection: Connection) -> str | None:
    """Return the revision that the database is at, None where it is empty."""
    found = connection.execute(text("SELECT to_regclass('alembic_version') IS NOT NULL")).scalar_one()
    if not found:
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def config(connection: Connection) -> Config:
    """Return Alembic's configuration bound to `connection`."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def upgrade(engine: Engine, revision: str = "head", then: Callable[[Connection], None] | None = None) -> bool:
    """Bring the database to `revision`; return whether anything was done. Safe to run from many processes at once.

    `then` (the grants) runs in the same transaction, so that a killed migration leaves nothing half done. Raises
    StorageError where the database names a revision that no migration has.
    """
    with engine.connect() as connection:
        if revision == "head" and current(connection) == HEAD:
            return False
    from alembic import command

    with _ONE_AT_A_TIME, engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        before = current(connection)
        if before is not None and not _is_known(connection, before):
            raise StorageError(
                f"The database was made by migrations up to {shown(before)}, which this release does not know: use the "
                "release that made it, or restore the table alembic_version from a backup."
            )
        command.upgrade(config(connection), revision)
        changed = current(connection) != before
        if changed and then is not None:
            then(connection)
        return changed


def _is_known(connection: Connection, revision: str) -> bool:
    from alembic.script import ScriptDirectory

    return any(known.revision == revision for known in ScriptDirectory.from_config(config(connection)).walk_revisions())


def downgrade(engine: Engine, revision: str = "base") -> None:
    """Take the database back to `revision` (``base`` is empty). Everything recorded in dropped tables is lost."""
    from alembic import command

    with _ONE_AT_A_TIME, engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        command.downgrade(config(connection), revision)
