"""Failures of machine and database: one sentence that names the object and the remedy."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import psycopg2
import pytest
from alembic.util.exc import CommandError
from sqlalchemy.exc import OperationalError, ProgrammingError

from throughline.cli.failures import sentence_of
from throughline.errors import StorageError
from throughline.storage.database import open_database


class Coded(psycopg2.OperationalError):
    """An error of PostgreSQL with a code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code

    @property
    def pgcode(self) -> str:  # type: ignore[override]
        return self.code


@pytest.mark.parametrize(
    ("code", "text", "object_", "remedy"),
    [
        ("XX001", "invalid page in block 3 of relation base/1/2", "block 3 of relation base/1/2", "restore the home"),
        ("53100", 'could not extend file "base/5/6": No space left', "base/5/6", "free some space"),
        ("53300", "sorry, too many clients already", "too many clients", "stop some processes"),
        ("42703", "column outcomes.exit_price does not exist\nLINE 1: SELECT", "outcomes.exit_price", "verify"),
        ("42P07", 'relation "experiments" already exists', '"experiments"', "an empty one of its own"),
        ("42501", "permission denied for schema public", "schema public", "GRANT CREATE ON SCHEMA public"),
        ("42P01", 'relation "outcomes" does not exist', '"outcomes"', "restore a backup"),
    ],
)
def test_what_postgresql_says_is_told_with_its_object_and_a_remedy(
    code: str, text: str, object_: str, remedy: str
) -> None:
    told = sentence_of(OperationalError("SELECT secret FROM t", {}, Coded(code, f"ERROR:  {text}")))
    assert told is not None
    assert object_ in told
    assert remedy in told
    assert "SELECT" not in told
    assert "sqlalche.me" not in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("FATAL:  could not write init file: No space left on device", "free some space"),
        ("FATAL:  sorry, too many clients already", "stop some processes"),
        ("FATAL:  the database system is starting up", "again in a moment"),
    ],
)
def test_a_refused_connection_has_the_remedy_of_its_cause(said: str, remedy: str) -> None:
    told = sentence_of(psycopg2.OperationalError(f'connection to server on socket "/tmp/x" failed: {said}'))
    assert told is not None
    assert remedy in told
    assert "see that it runs" not in told


def test_a_lost_connection_is_told_and_a_fault_in_our_statements_is_not() -> None:
    lost = psycopg2.OperationalError("server closed the connection unexpectedly\n\tThis probably means")
    assert "cannot be reached" in (sentence_of(OperationalError("SELECT 1", {}, lost)) or "")
    assert sentence_of(ProgrammingError("SELEC", {}, psycopg2.ProgrammingError("syntax error"))) is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EMFILE, errno.EIO])
def test_a_file_that_the_system_refuses_is_named(number: int) -> None:
    told = sentence_of(OSError(number, os.strerror(number), "/home/me/.throughline/artifacts/ab"))
    assert told is not None
    assert told.startswith("/home/me/.throughline/artifacts/ab: ")


def test_a_migration_of_another_release_is_told() -> None:
    told = sentence_of(CommandError("Can't locate revision identified by '9999'"))
    assert told is not None
    assert "'9999'" in told
    assert "newer release" in told


def test_the_cause_is_looked_at_and_a_mistake_of_ours_stays_one() -> None:
    wrapped = RuntimeError("while writing")
    wrapped.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert "the disk is full" in (sentence_of(wrapped) or "")
    assert sentence_of(KeyError("x")) is None


@pytest.mark.parametrize("query", ["password=secret", "sslpassword=secret", "user=me&password=secret"])
def test_a_database_that_cannot_be_reached_is_named_as_it_was_typed_without_its_password(
    tmp_path: Path, query: str
) -> None:
    for url in (f"postgresql://127.0.0.1:1/db?{query}", f"postgresql://127.0.0.1:1/db?{query}&nonsense=1"):
        with pytest.raises(StorageError) as caught:
            open_database(tmp_path, url)
        assert "secret" not in str(caught.value)
        assert "psycopg2" not in str(caught.value)
        assert "postgresql://127.0.0.1:1/db" in str(caught.value)
