"""Somebody on the database as its superuser: how one statement is run, and the note of what was touched.

Belongs here: the connection, the triggers that are taken away and put back. Does not belong here: what is done
(attacker, forging, and the classes of tampers).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Connection

from tests.integration.tampering.books import Books, Name
from tests.integration.tampering.naming import Trace

DEGREES = ("bare", "columns", "children", "seals", "log", "heads")
"""How far the traces are covered, each with all before it."""


@dataclass
class Intruder:
    """One tamper: what is done on the connection, and its trace. degree: one of `DEGREES`."""

    connection: Connection
    books: Books
    random: Random
    degree: str = "heads"
    trace: Trace = field(default_factory=Trace)
    deeds: list[str] = field(default_factory=list)
    unlocked: list[str] = field(default_factory=list)
    files: dict[Path, bytes] = field(default_factory=dict)
    """What lay in the files that were touched."""

    def __post_init__(self) -> None:
        self.sql("SET LOCAL session_replication_role = replica")  # foreign keys and ordinary triggers are off

    def reaches(self, degree: str) -> bool:
        """Whether this attacker goes that far."""
        return DEGREES.index(self.degree) >= DEGREES.index(degree)

    def sql(self, statement: str, *values: Any) -> Any:
        """Run a statement."""
        return self.connection.exec_driver_sql(statement, values)

    def note(self, deed: str) -> None:
        """Say what was done, for the message of a test that fails."""
        self.deeds.append(deed)

    def unlock(self, table: str) -> None:
        """Take the trigger away that refuses changes."""
        if table not in self.unlocked:
            self.sql(f"ALTER TABLE {table} DISABLE TRIGGER {table}_append_only")
            self.unlocked.append(table)

    def leave(self) -> None:
        """Put the triggers back, as a rule; who forgets one is found by that alone."""
        for table in self.unlocked:
            if self.random.random() < 0.04:
                self.note(f"left the trigger of {table} off")
                self.trace.things.add(("trigger", f"{table}.{table}_append_only"))
            else:
                self.sql(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only")
        self.sql("SET LOCAL session_replication_role = origin")

    def hash_of(self, name: Name) -> str:
        """Return the content hash that a row has now."""
        return str(self.sql(f"SELECT content_hash FROM {name[0]} WHERE uuid = %s", name[1]).scalar_one())
