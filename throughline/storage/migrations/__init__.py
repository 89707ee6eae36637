"""Migrations from an empty database to head and back (Alembic, run from code).

Belongs here: the way to run them, safe when several processes start at once. The newest revision is read from the names
of the files, so that a database already at head costs one query and no import of Alembic.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text

from throughline.errors import StorageError, shown
from throughline.storage.migrations import versions

if TYPE_CHECKING:
    from alembic.config import Config

LOCK = 0x7468726F75676801
"""Key of the advisory lock that migrations hold."""

_ONE_AT_A_TIME = threading.Lock()  # Alembic's context is a process-wide proxy


def head() -> str:
    """Return the newest revision: the number that the name of the last file in `versions` begins with."""
    return max(module.name for module in iter_modules(versions.__path__))[:4]


def current(connection: Connection) -> str | None:
    """Return the revision that the database is at, None where it is empty."""
    migrated = connection.execute(text("SELECT to_regclass('alembic_version') IS NOT NULL")).scalar_one()
    if not migrated:
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def config(connection: Connection) -> Config:
    """Return Alembic's configuration bound to `connection`."""
    from alembic.config import Config

    options = Config()
    options.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    options.set_main_option("version_locations", os.pathsep.join(versions.__path__).replace("%", "%%"))
    options.set_main_option("path_separator", "os")
    options.attributes["connection"] = connection
    return options


def upgrade(engine: Engine, revision: str = "head", then: Callable[[Connection], None] | None = None) -> bool:
    """Bring the database to `revision`; return whether anything was done. Safe to run from many processes at once.

    `then` (the grants) runs in the same transaction, so that a killed migration leaves nothing half done. Raises
    StorageError where the database names a revision that no migration has.
    """
    with engine.connect() as connection:
        if revision == "head" and current(connection) == head():
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
