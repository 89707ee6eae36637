"""The home that is tampered with, built once a process, and one superuser's connection to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import pytest
from sqlalchemy import Connection

from tests.integration.tampering import on_guards, on_objects, on_rows, on_tails
from tests.integration.tampering.attacker import Attacker
from tests.integration.tampering.books import Books, read_books
from tests.integration.tampering.home import SealedHome, seal_home
from tests.integration.tampering.intruder import DEGREES
from tests.integration.tampering.naming import complaints, runs_told
from throughline.findings import Finding
from throughline.integrity.database import check

EACH = 92
"""Tampers of each class; with eleven classes 1,012 in all."""
BATCH = 23
BATCHES = range(EACH // BATCH)
CLASSES = {
    "cell edit": on_rows.cell_edit,
    "body and hash edited together": on_rows.body_and_hash,
    "row delete": on_rows.row_delete,
    "tail truncation": on_tails.tail_truncation,
    "insert in the past": on_rows.insert_in_the_past,
    "sequence or time edited": on_objects.sequence_or_time,
    "link re-pointed": on_rows.link_repointed,
    "full rewrite from row k": on_tails.rewrite_from_row,
    "artifact byte flip": on_objects.artifact_byte_flip,
    "seal edit": on_objects.seal_edit,
    "grant or trigger changed": on_guards.grant_or_trigger,
}


@dataclass(frozen=True)
class Range:
    """The shooting range: an untouched home, what is in it, and the superuser's connection."""

    home: SealedHome
    books: Books
    connection: Connection

    def tamper(self, kind: str, number: int) -> tuple[Attacker, list[Finding]]:
        """Do the `number`-th tamper of a class and check; everything is as it was afterwards."""
        random = Random(f"{kind} {number}")
        attacker = Attacker(self.connection, self.books, random, random.choice(DEGREES))
        try:
            CLASSES[kind](attacker)
            return attacker, list(self.home.check(self.connection))
        finally:
            self.connection.rollback()
            for path, data in attacker.files.items():
                path.write_bytes(data)

    def wrong(self, kind: str, number: int) -> list[str]:
        """Return what is wrong with the naming of a tamper, each line with what is needed to repeat it."""
        attacker, findings = self.tamper(kind, number)
        wrong = [*complaints(findings, attacker.trace, self.books), *runs_told(findings, attacker.trace, self.books)]
        label = f"{kind} {number} ({attacker.degree}: {'; '.join(attacker.deeds)[:600]})"
        return [f"{label}: {item}" for item in wrong]


@pytest.fixture(scope="session")
def shooting_range(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Range]:
    """Build the home."""
    home = seal_home(tmp_path_factory.mktemp("tampered"))
    # No tamper here touches the server's own objects (test_database_tampers does): they are not read a thousand times.
    with pytest.MonkeyPatch.context() as patch, home.database, home.superuser() as connection:
        patch.setattr(check, "check_builtins", lambda *_, **__: ())
        books = read_books(home, connection)
        connection.rollback()
        yield Range(home, books, connection)
