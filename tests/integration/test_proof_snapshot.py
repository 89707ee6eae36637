"""Readers that compare the database with the anchor, beside writers that append to both."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from tests.integration.home_copies import open_copy
from tests.integration.proof_home import new_experiment, proof_at, seal_days
from throughline.dossier.log import SealLog
from throughline.proof.anchor import Anchor
from throughline.proof.audit import audit
from throughline.proof.log import publish
from throughline.proof.settings import Proof
from throughline.proof.snapshot import anchored_snapshot
from throughline.registry.consistency import check_registry
from throughline.storage.database import Database

READS = 500
AUDITS = 10
LOG_TABLES = ("anchor", "seal_heads", "seal_events")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with open_copy(tmp_path_factory.mktemp("snapshot") / "home") as database:
        yield database


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Proof:
    return proof_at(tmp_path_factory.mktemp("proof"))


def append(database: Database, proof: Proof, name: str) -> None:
    seal_days(database.engine("writer"), new_experiment(database.engine("writer"), name), 1)
    publish(database.engine("writer"), proof)


def test_five_hundred_reads_beside_a_writer_report_no_change(own: Database, proof: Proof) -> None:
    append(own, proof, "before")
    stop = threading.Event()
    appended = []

    def write() -> None:
        for number in count():
            if stop.is_set():
                return
            append(own, proof, f"beside {number}")
            appended.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        reader, auditor = own.engine("reader"), own.engine("auditor")
        for number in range(READS):
            with anchored_snapshot(reader, proof.anchor) as (connection, anchor):
                told = SealLog(connection, replace(proof, anchor=anchor)).check([])
            assert told.problems == ()
            if number % (READS // AUDITS) == 0:
                with anchored_snapshot(auditor, proof.anchor) as (connection, anchor):
                    assert audit(connection, anchor, proof.signer.public_key).findings == []
                checked = check_registry(auditor, anchor=proof.anchor, public_key=proof.signer.public_key, workers=1)
                assert {item.table for item in checked.findings}.isdisjoint(LOG_TABLES)
    finally:
        stop.set()
        writer.join()
    assert len(appended) > AUDITS


def test_what_is_anchored_after_the_snapshot_began_is_not_missing_in_it(own: Database, proof: Proof) -> None:
    append(own, proof, "first")
    with anchored_snapshot(own.engine("reader"), proof.anchor) as (connection, anchor):
        append(own, proof, "while it is read")
        told = SealLog(connection, replace(proof, anchor=anchor)).check([])
        found = audit(connection, anchor, proof.signer.public_key).findings
    assert told.problems == ()
    assert found == []


def test_an_anchored_head_that_the_database_lost_is_still_reported(own: Database, proof: Proof) -> None:
    append(own, proof, "to be lost")
    with own.engine("owner").connect() as connection:
        connection.exec_driver_sql("ALTER TABLE seal_heads DISABLE TRIGGER ALL")
        connection.exec_driver_sql("DELETE FROM seal_heads WHERE tree_size = (SELECT max(tree_size) FROM seal_heads)")
        told = SealLog(connection, replace(proof, anchor=proof.anchor.pin())).check([])
        connection.rollback()
    assert any("does not have the anchored head" in problem for problem in told.problems)


def test_an_anchor_that_cannot_be_listed_is_a_finding_and_no_exception(
    own: Database, proof: Proof, tmp_path: Path
) -> None:
    append(own, proof, "listed")
    copy = tmp_path / "anchor"
    shutil.copytree(proof.anchor.location, copy)
    shutil.rmtree(copy / "heads")
    (copy / "heads").write_text("a file where a folder must be")
    with anchored_snapshot(own.engine("auditor"), Anchor(copy)) as (connection, anchor):
        found = audit(connection, anchor, None).findings
    assert any(item.table == "anchor" and item.kind == "unreadable" for item in found)
