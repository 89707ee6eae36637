"""Damaged pages, indexes and columns: `verify` names the object, and goes on with the tables that can be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Connection, text

from tests.integration.consistency_homes import Sealed, pick, sealed_home
from throughline.cli import DirectWiring, run
from throughline.proof.snapshot import anchored_snapshot
from throughline.registry.consistency import check_registry
from throughline.storage.cluster import ADMIN, PORT
from throughline.storage.database import APPLICATION, Database, open_database
from throughline.storage.home import Home
from throughline.verification.whole import Whole, verify_whole

PAGE = 8192


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damage")


@pytest.fixture(scope="module")
def home(folder: Path) -> Iterator[Sealed]:
    with sealed_home(folder) as sealed:
        yield sealed


def whole(home: Sealed, connection: Connection) -> Whole:
    return verify_whole(connection, home.store, home.proof.anchor.pin(), home.proof.signer.public_key)


def named(told: Whole) -> set[tuple[str, str]]:
    return {(item.table, item.row) for item in told.findings}


CHANGES = [
    ("ALTER TABLE partition_seals ALTER COLUMN sealed_at TYPE timestamp", "partition_seals.sealed_at"),
    ("ALTER TABLE seal_heads RENAME COLUMN root TO roots", "seal_heads.root"),
    ("ALTER TABLE experiments ALTER COLUMN mode TYPE varchar(40)", "experiments.mode"),
    ("ALTER TABLE soulprints RENAME COLUMN simhash TO sim", "soulprints.simhash"),
]


@pytest.mark.parametrize(("change", "column"), CHANGES, ids=[column for _, column in CHANGES])
def test_a_renamed_or_retyped_column_is_named_once_and_the_other_tables_are_checked(
    home: Sealed, change: str, column: str
) -> None:
    with home.tampering(superuser=True) as hands:
        hands.execute(text(change))
        told = whole(home, hands)
        assert [item.row for item in told.findings if item.table == "column" and item.expected != "none"] == [column]
        assert {item.row.partition(".")[0] for item in told.findings} == {column.partition(".")[0]}
        assert (told.complete, list(told.unreadable)) == (False, [column.partition(".")[0]])
        assert told.records.rows > 100
        edited = pick(hands, "outcomes")["uuid"]
        hands.execute(text("SET LOCAL ROLE throughline_owner"))
        hands.execute(text("UPDATE outcomes SET content_hash = repeat('a', 64) WHERE uuid = :u"), {"u": edited})
        hands.execute(text("SET LOCAL ROLE NONE"))
        assert ("outcomes", str(edited)) in named(whole(home, hands))


def test_a_column_that_no_migration_makes_is_named_and_everything_is_checked(home: Sealed) -> None:
    with home.tampering(superuser=True) as hands:
        hands.execute(text("ALTER TABLE outcomes ADD COLUMN note text DEFAULT 'x'"))
        told = whole(home, hands)
    assert ("column", "outcomes.note") in named(told)
    assert told.complete


def test_a_missing_table_is_named_once_and_the_seal_log_is_checked_without_it(home: Sealed) -> None:
    with home.tampering(superuser=True) as hands:
        hands.execute(text("ALTER TABLE gate_verdicts RENAME TO gate_verdict"))
        told = whole(home, hands)
    assert ("table", "gate_verdicts") in named(told)
    assert not told.complete
    assert told.log is not None
    assert told.log.findings == []


def files(database: Database, *relations: str) -> list[Path]:
    """Write everything to disk; return the files of tables or indexes."""
    raw = database.engine("owner").raw_connection()
    where = raw.driver_connection.info.host  # type: ignore[union-attr]
    raw.close()
    own = psycopg2.connect(host=where, port=PORT, user=ADMIN, dbname=APPLICATION)
    own.autocommit = True
    with own.cursor() as cursor:
        cursor.execute("CHECKPOINT")
        cursor.execute("SELECT current_setting('data_directory')")
        (data,) = cursor.fetchone()
        found = []
        for name in relations:
            cursor.execute("SELECT pg_relation_filepath(%s::regclass)", (name,))
            found.append(Path(data) / cursor.fetchone()[0])
    own.close()
    return found


@contextmanager
def damaged(path: Path, block: int) -> Iterator[None]:
    """Flip bytes of a page while the server is stopped, and put them back."""
    before = path.read_bytes()
    changed = bytearray(before)
    for place in range(block * PAGE + 4000, block * PAGE + 4100):
        changed[place] ^= 0xFF
    path.write_bytes(bytes(changed))
    try:
        yield
    finally:
        path.write_bytes(before)


def test_a_damaged_page_is_named_by_table_and_block_and_the_other_tables_are_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with sealed_home(tmp_path) as made:
        outcomes, index = files(made.database, "outcomes", "pk_executions")
    with damaged(outcomes, 1), open_database(Home(tmp_path / "home")) as database:
        home = replace(made, database=database)
        with anchored_snapshot(database.engine("auditor"), home.proof.anchor) as (connection, anchor):
            told = verify_whole(connection, home.store, anchor, home.proof.signer.public_key)
        assert [(item.table, item.row, item.kind) for item in told.findings] == [("outcomes", "block 1", "unreadable")]
        assert "invalid page" in told.findings[0].problem
        assert "backup" in str(told.findings[0].repair)
        assert list(told.unreadable) == ["outcomes"]
        assert told.log is not None
        assert told.log.rows > 100
        checked = check_registry(database.engine("auditor"), anchor=home.proof.anchor)
        assert [(item.table, item.row) for item in checked.findings] == [("outcomes", "block 1")]
        assert run(["verify", "--home", str(tmp_path / "home")], DirectWiring()) == 1
        out, err = capsys.readouterr()
        assert "BROKEN  outcomes  block 1: cannot be read" in out
        assert "rows of the other tables recomputed" in err
        assert "unexpected error" not in out + err
        answer: Any = json.loads(_json(tmp_path / "home", capsys))
        assert (answer["ok"], answer["complete"], answer["unreadable"]) == (False, False, ["outcomes"])
    with damaged(index, 1), open_database(Home(tmp_path / "home")) as database:
        with anchored_snapshot(database.engine("auditor"), made.proof.anchor) as (connection, anchor):
            told = verify_whole(connection, made.store, anchor, made.proof.signer.public_key)
        assert ("index", "executions.pk_executions") in named(told)
        assert {item.table for item in told.findings} == {"index"}


def _json(home: Path, capsys: pytest.CaptureFixture[str]) -> str:
    run(["verify", "--json", "--home", str(home)], DirectWiring())
    return capsys.readouterr().out
