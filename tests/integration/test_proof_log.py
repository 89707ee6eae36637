"""The seal log grows in one line whatever happens: crashes, many writers, late days, new keys, meddling."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.integration.home_copies import open_copy
from tests.integration.proof_home import (
    FIRST,
    NOON,
    audited,
    experiment_id,
    judge,
    new_experiment,
    proof_at,
    scan,
    seal_days,
)
from throughline.clock import FixedClock, SteppingClock
from throughline.findings import Finding
from throughline.proof import anchoring
from throughline.proof.anchor import Anchor
from throughline.proof.anchoring import anchor_problem, reanchor
from throughline.proof.audit import audit
from throughline.proof.audit_rows import RowAudit
from throughline.proof.errors import ProofError
from throughline.proof.events import Event, rotation
from throughline.proof.keys import FileSigner, key_id
from throughline.proof.log import append_entries, publish
from throughline.proof.rotation import rotate_key_file
from throughline.proof.settings import Proof
from throughline.storage.database import Database
from throughline.storage.ledger import append_record
from throughline.storage.row_log import insert_listed, lock_log
from throughline.storage.tables import registry_quarantine
from throughline.tracking.system import TradeTrackingSystem


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with open_copy(tmp_path_factory.mktemp("log") / "home") as database:
        yield database


@pytest.fixture
def own(server: Database) -> Iterator[Database]:
    """The server with nothing in it."""
    yield server
    with server.engine("owner").begin() as connection:
        connection.execute(
            text(
                "TRUNCATE seal_events, seal_heads, partition_seals, gate_verdicts, market_scans, registry_quarantine,"
                " experiments CASCADE"
            )
        )


@pytest.fixture
def proof(tmp_path: Path) -> Proof:
    return proof_at(tmp_path)


def bodies(database: Database) -> list[dict[str, Any]]:
    with database.engine("reader").connect() as connection:
        rows = connection.execute(text("SELECT seq, body FROM seal_events ORDER BY seq")).all()
    assert [row.seq for row in rows] == list(range(len(rows)))
    return [json.loads(bytes(row.body)) for row in rows]


def crash(*_: object) -> None:
    raise OSError("crash")


def meddle(database: Database, *statements: str) -> None:
    with database.engine("owner").begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def meddled(database: Database, proof: Proof, statement: str) -> list[Finding]:
    """Return what the audit finds after a statement, which is rolled back."""
    with database.engine("owner").connect() as connection:
        connection.execute(text(statement))
        found = list(audit(connection, proof.anchor, proof.signer.public_key).findings)
        connection.rollback()
    return found


def test_a_publish_logs_what_is_new_in_order_and_the_same_again_does_nothing(own: Database, proof: Proof) -> None:
    writer = own.engine("writer")
    assert publish(writer, proof).tree_size == 0
    assert proof.anchor.log_id() is None
    one, two = sorted([new_experiment(writer, "one"), new_experiment(writer, "two")])
    seal_days(writer, two, 2)
    seal_days(writer, one, 3)
    first = publish(writer, proof)
    assert (first.tree_size, first.new_events, first.anchored) == (6, 6, 6)
    told = bodies(own)
    assert [item["kind"] for item in told] == ["genesis", *["seal"] * 5]
    assert [(item["experiment"], item["partition"]) for item in told[1:]] == [
        *((one, (FIRST + timedelta(days=k)).isoformat()) for k in range(3)),
        *((two, (FIRST + timedelta(days=k)).isoformat()) for k in range(2)),
    ]
    again = publish(writer, proof)
    assert (again.tree_size, again.root, again.new_events) == (6, first.root, 0)
    seal_days(writer, two, 1, first=date(2023, 1, 1))  # a late backfill appends, and rewrites nothing
    later = publish(writer, proof)
    assert (later.tree_size, later.new_events, later.anchored) == (7, 1, 7)
    assert bodies(own)[:6] == told
    assert proof.anchor.head_sizes() == [6, 7]
    result = audited(own, proof)
    assert (list(result.findings), result.unanchored_rows, result.rows) == ([], 0, 6 * 3 + 6 + 2)
    assert result.root == later.root


def test_one_experiment_can_be_published_alone_and_the_rest_counts_as_unanchored(own: Database, proof: Proof) -> None:
    writer = own.engine("writer")
    one, two = new_experiment(writer, "one"), new_experiment(writer, "two")
    seal_days(writer, one, 2)
    seal_days(writer, two, 4)
    assert publish(writer, proof, one).new_events == 3
    result = audited(own, proof)
    assert result.ok
    assert result.unanchored_rows == 4 * 3 + 4
    assert publish(writer, proof).new_events == 4
    assert audited(own, proof).unanchored_rows == 0


@pytest.mark.parametrize("step", ["write_segment", "write_head"])
def test_a_crash_between_commit_and_anchor_heals(
    own: Database, proof: Proof, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = own.engine("writer")
    experiment = new_experiment(writer, "one")
    for turn in range(3):
        seal_days(writer, experiment, 2, first=FIRST + timedelta(days=10 * turn))
        with monkeypatch.context() as patch:
            patch.setattr(Anchor, step, crash)
            with pytest.raises(OSError, match="crash"):
                publish(writer, proof)
        result = audited(own, proof)
        assert result.ok
        assert (result.tree_size, result.anchored_size) == (3 + 2 * turn, 0)
    seal_days(writer, experiment, 1, first=FIRST + timedelta(days=100))
    done = publish(writer, proof)
    assert (done.tree_size, done.new_events, done.anchored) == (8, 1, 8)
    assert proof.anchor.head_sizes() == [3, 5, 7, 8]
    assert audited(own, proof).ok


def test_a_long_log_is_anchored_in_segments_of_bounded_size(
    own: Database, proof: Proof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchoring, "LEAVES_AT_ONCE", 10)
    writer = own.engine("writer")
    seal_days(writer, new_experiment(writer, "one"), 9, rows=4)
    publish(writer, proof)
    assert proof.anchor.segments() == [(0, 3), (4, 6), (7, 9)]
    assert audited(own, proof).ok


def test_many_small_segments_are_audited_together_and_each_difference_is_still_named(
    own: Database, proof: Proof, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = own.engine("writer")
    experiment = new_experiment(writer, "one")
    for day in range(5):
        seal_days(writer, experiment, 1, first=FIRST + timedelta(days=day))
        publish(writer, proof)
    assert len(proof.anchor.segments()) == 5
    asked: list[int] = []
    check = RowAudit.check
    monkeypatch.setattr(RowAudit, "check", lambda self, logged: (asked.append(len(logged)), check(self, logged))[1])
    assert audited(own, proof).ok
    assert asked == [6]  # the events of all segments at once
    monkeypatch.setattr("throughline.proof.audit.EVENTS_AT_ONCE", 2)
    asked.clear()
    assert audited(own, proof).ok
    assert asked == [2, 2, 2]
    edited = FIRST + timedelta(days=2)
    meddle(own, f"UPDATE market_scans SET content_hash = repeat('0', 64) WHERE partition = '{edited}'")
    named = {(item.table, item.kind) for item in audited(own, proof).findings}
    assert named == {("market_scans", "hash_mismatch")}
    damaged = Path(proof.anchor.location) / "segments" / f"{4:020}-{4:020}.jsonl"
    damaged.write_bytes(b"{}\n")
    kinds = {(item.table, item.kind) for item in audited(own, proof).findings}
    assert {("market_scans", "hash_mismatch"), ("anchor", "unreadable")} <= kinds


def test_an_event_that_garbles_the_number_of_its_leaves_is_named(
    own: Database, proof: Proof, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = own.engine("writer")
    seal_days(writer, new_experiment(writer, "one"), 2)
    with monkeypatch.context() as patch:
        patch.setattr("throughline.proof.log.catch_up", lambda *_: 0)
        publish(writer, proof)
    text_of = "convert_from(body, 'UTF8')"
    changed = rf"""convert_to(replace({text_of}, '"leaves"\:3', '"leaves"\:"x"'), 'UTF8')"""
    meddle(own, f"UPDATE seal_events SET body = {changed} WHERE seq = 2")
    found = {(item.table, item.row, item.kind) for item in audited(own, proof).findings}
    assert ("seal_events", "2", "unreadable") in found


def test_a_seal_that_its_rows_do_not_give_is_not_logged_and_named(own: Database, proof: Proof) -> None:
    writer = own.engine("writer")
    days = seal_days(writer, new_experiment(writer, "one"), 3)
    meddle(own, f"DELETE FROM market_scans WHERE partition = '{days[1]}' AND instruments = 1")
    with pytest.raises(ProofError, match=f"market_scan of {days[1]} is not logged: it seals 3 rows, there are 2"):
        publish(writer, proof)
    assert bodies(own) == []
    meddle(own, f"UPDATE partition_seals SET leaves = 2 WHERE partition = '{days[1]}'")
    with pytest.raises(ProofError, match=f"market_scan of {days[1]} is not logged: its root is"):
        publish(writer, proof)


def test_rows_that_change_between_log_and_anchor_are_not_anchored(
    own: Database, proof: Proof, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = own.engine("writer")
    days = seal_days(writer, new_experiment(writer, "one"), 2)
    with monkeypatch.context() as patch:
        patch.setattr("throughline.proof.log.catch_up", lambda *_: 0)
        publish(writer, proof)
    meddle(own, f"UPDATE market_scans SET content_hash = repeat('0', 64) WHERE partition = '{days[0]}'")
    with pytest.raises(ProofError, match=rf"The rows behind market_scan/{days[0]} .* changed after they were logged"):
        publish(writer, proof)
    result = audited(own, proof)
    assert [(item.table, item.row, item.kind) for item in result.findings] == [
        ("partition_seals", f"market_scan/{days[0]}", "seal_mismatch")
    ]


def test_an_event_that_is_not_anchored_yet_is_held_by_its_signed_head(
    own: Database, proof: Proof, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = own.engine("writer")
    seal_days(writer, new_experiment(writer, "one"), 2)
    with monkeypatch.context() as patch:
        patch.setattr("throughline.proof.log.catch_up", lambda *_: 0)
        publish(writer, proof)
    assert audited(own, proof).ok
    changed = Event.of({**bodies(own)[2], "sealed_at": "2020-01-01T00:00:00.000000Z"})
    with own.engine("owner").begin() as connection:
        connection.execute(
            text("UPDATE seal_events SET body = :b, leaf_hash = :l WHERE seq = 2"),
            {"b": changed.body, "l": changed.leaf.hex()},
        )
        connection.execute(text("UPDATE partition_seals SET sealed_at = '2020-01-01T00:00:00Z'"))
    result = audited(own, proof)
    assert [item.kind for item in result.findings if (item.table, item.row) == ("seal_heads", "3")] == ["broken_chain"]


@pytest.mark.parametrize(
    "statements",
    [
        ["DELETE FROM seal_heads"],
        ["DELETE FROM seal_heads WHERE tree_size > 3", "DELETE FROM seal_events WHERE seq >= 3"],
        ["UPDATE seal_heads SET signature = 'AAAA'"],
        ["UPDATE seal_heads SET body = body || ' ' WHERE tree_size = 5"],
    ],
)
def test_nothing_is_appended_to_a_log_that_lost_what_was_anchored(
    own: Database, proof: Proof, statements: list[str]
) -> None:
    writer = own.engine("writer")
    experiment = new_experiment(writer, "one")
    for turn in range(2):
        seal_days(writer, experiment, 2, first=FIRST + timedelta(days=10 * turn))
        publish(writer, proof)
    meddle(own, *statements)
    seal_days(writer, experiment, 1, first=FIRST + timedelta(days=50))
    with pytest.raises(ProofError, match="does not contain the anchored head 5"):
        publish(writer, proof)
    assert proof.anchor.head_sizes() == [3, 5]


def test_an_emptied_database_does_not_begin_a_new_log_on_the_old_anchor(own: Database, proof: Proof) -> None:
    writer = own.engine("writer")
    seal_days(writer, new_experiment(writer, "one"), 2)
    publish(writer, proof)
    meddle(own, "DELETE FROM seal_heads", "DELETE FROM seal_events")
    with pytest.raises(ProofError, match="holds a log and this database none"):
        publish(writer, proof)


def test_an_event_that_somebody_slipped_in_is_never_signed(own: Database, proof: Proof) -> None:
    writer = own.engine("writer")
    experiment = new_experiment(writer, "one")
    seal_days(writer, experiment, 1)
    publish(writer, proof)
    forged = Event.of({**bodies(own)[1], "seq": 2, "root": "0" * 64, "partition": "2024-02-02"})
    with writer.begin() as connection:
        connection.execute(
            text("INSERT INTO seal_events (seq, kind, leaf_hash, body) VALUES (2, 'seal', :l, :b)"),
            {"l": forged.leaf.hex(), "b": forged.body},
        )
    with pytest.raises(ProofError, match=r"Event 2 of the seal log .* is under no signed head"):
        publish(writer, proof)
    assert not audited(own, proof).ok


def test_a_lost_anchor_is_refused_until_the_owner_begins_it_anew(own: Database, proof: Proof, tmp_path: Path) -> None:
    writer = own.engine("writer")
    seal_days(writer, new_experiment(writer, "one"), 2)
    done = publish(writer, proof)
    elsewhere = replace(proof, anchor=Anchor(tmp_path / "elsewhere"))
    with pytest.raises(ProofError, match="is empty, but 3 events are logged"):
        publish(writer, elsewhere)
    assert [item.kind for item in audited(own, elsewhere).findings] == ["missing_link"]
    assert reanchor(writer, elsewhere.anchor) == 3
    assert publish(writer, elsewhere).root == done.root
    assert audited(own, elsewhere).ok


@pytest.mark.parametrize("publishes", [1, 3])
def test_a_deleted_newest_head_is_named_with_the_events_that_it_covered_until_it_is_written_again(
    own: Database, proof: Proof, publishes: int
) -> None:
    writer = own.engine("writer")
    for number in range(publishes):
        seal_days(writer, new_experiment(writer, f"number {number}"), 2)
        publish(writer, proof)
    size = proof.anchor.head_sizes()[-1]
    (Path(proof.anchor.location) / "heads" / f"{size:020}.json").unlink()
    (finding,) = audited(own, proof).findings
    assert (finding.table, finding.row, finding.kind) == ("anchor", f"heads/{size:020}.json", "missing_row")
    assert f"no head covers the anchored events from {size - 3 if publishes > 1 else 0} to" in finding.problem
    with writer.connect() as connection:
        assert "has lost its newest head" in str(anchor_problem(connection, proof.anchor))
    reanchor(writer, proof.anchor)
    assert audited(own, proof).ok
    with writer.connect() as connection:
        assert anchor_problem(connection, proof.anchor) is None


def test_an_anchor_that_does_not_stand_for_the_log_is_one_sentence_with_a_remedy(
    own: Database, proof: Proof, tmp_path: Path
) -> None:
    writer = own.engine("writer")
    with writer.connect() as connection:
        assert anchor_problem(connection, proof.anchor) is None, "nothing is logged, so nothing is lost"
    seal_days(writer, new_experiment(writer, "one"), 2)
    publish(writer, proof)
    other, file = Anchor(tmp_path / "other"), tmp_path / "file"
    other.start("another log")
    file.write_text("in the way")
    with writer.connect() as connection:
        for anchor, words in (
            (Anchor(tmp_path / "lost"), "is empty, but 3 events are logged"),
            (other, "belongs to another log"),
            (Anchor(file), "cannot be read"),
        ):
            told = str(anchor_problem(connection, anchor))
            assert words in told
            assert "THROUGHLINE_ANCHOR" in told or "throughline key anchor" in told
            assert "\n" not in told


def test_the_anchor_of_another_log_is_refused(own: Database, proof: Proof, tmp_path: Path) -> None:
    writer = own.engine("writer")
    seal_days(writer, new_experiment(writer, "one"), 2)
    publish(writer, proof)
    other = Anchor(tmp_path / "other")
    other.start("another log")
    with pytest.raises(ProofError, match="belongs to another log"):
        publish(writer, replace(proof, anchor=other))


def test_times_in_the_log_never_run_backwards(own: Database, tmp_path: Path) -> None:
    writer = own.engine("writer")
    experiment = new_experiment(writer, "one")
    for turn, moment in enumerate([NOON, NOON - timedelta(days=3), NOON + timedelta(days=1)]):
        seal_days(writer, experiment, 2, first=FIRST + timedelta(days=10 * turn))
        publish(writer, proof_at(tmp_path, FixedClock(moment)))
    times = [item["recorded_at"] for item in bodies(own)]
    assert times == sorted(times)
    assert times[-1].startswith("2026-01-02")
    assert audited(own, proof_at(tmp_path)).ok


def test_a_verdict_of_a_logged_day_is_logged_with_it_and_then_guarded(own: Database, proof: Proof) -> None:
    writer = own.engine("writer")
    experiment = new_experiment(writer, "one")
    days = seal_days(writer, experiment, 3)
    judge(own, experiment, days[1], "a" * 64)
    assert [item["kind"] for item in bodies(own)] == []
    assert publish(writer, proof).new_events == 4
    judge(own, experiment, days[1], "b" * 64)
    judge(own, experiment, days[1], "b" * 64)
    last = bodies(own)[-1]
    assert (last["seq"], last["kind"], len(last["rows"])) == (4, "rows", 1)
    assert audited(own, proof).unanchored_rows == 1
    publish(writer, proof)
    assert audited(own, proof).ok
    where = f"WHERE suite_hash = '{'b' * 64}'"
    for change, kind in (
        (f"UPDATE gate_verdicts SET passed = false {where}", "hash_mismatch"),
        (f"UPDATE gate_verdicts SET recorded_at = recorded_at - interval '6 years' {where}", "hash_mismatch"),
        (f"DELETE FROM gate_verdicts {where}", "missing_row"),
    ):
        (finding,) = meddled(own, proof, change)
        assert (finding.table, finding.row, finding.kind) == ("gate_verdicts", f"market_scan/{days[1]}", kind)


def test_a_verdict_that_somebody_inserts_for_a_logged_day_is_named(own: Database, proof: Proof) -> None:
    writer = own.engine("writer")
    experiment = new_experiment(writer, "one")
    days = seal_days(writer, experiment, 3)
    judge(own, experiment, days[1], "a" * 64)
    publish(writer, proof)
    columns = "experiment, asset, partition, seal, suite, passed, failures, recorded_at"
    inserted = f"INSERT INTO gate_verdicts ({columns}, suite_hash) SELECT {columns}, 'c' FROM gate_verdicts"
    (finding,) = meddled(own, proof, inserted)
    assert (finding.table, finding.row, finding.kind) == ("gate_verdicts", f"market_scan/{days[1]}", "unexpected_row")
    moved = f"UPDATE gate_verdicts SET partition = '{days[2]}'"
    found = [(item.table, item.row, item.kind) for item in meddled(own, proof, moved)]
    assert found == [
        ("gate_verdicts", f"market_scan/{days[1]}", "missing_row"),
        ("gate_verdicts", f"market_scan/{days[2]}", "unexpected_row"),
    ]


def by_hand(database: Database, proof: Proof, experiment: str, numbers: range) -> list[Any]:
    """Write scans by hand, log them in the same transaction, and return the rows."""
    rows = [scan(experiment, FIRST, number) for number in numbers]
    with database.engine("writer").begin() as connection:
        lock_log(connection)
        for row in rows:
            append_record(connection, "market_scans", row)
        append_entries(connection, proof, [("market_scans", row) for row in rows], experiment)
    return rows


def test_records_written_by_hand_are_logged_with_them_and_anchored_by_the_next_publish(
    own: Database, proof: Proof
) -> None:
    experiment = new_experiment(own.engine("writer"), "by hand")
    rows = by_hand(own, proof, experiment, range(600))
    told = bodies(own)
    assert [item["kind"] for item in told] == ["genesis", "entries", "entries", "entries"]
    assert [len(item["rows"]) for item in told[1:]] == [250, 250, 100]
    result = audited(own, proof)
    assert (result.ok, result.anchored_size, result.unanchored_rows) == (True, 0, 600 + 1), "with their experiment"
    done = publish(own.engine("writer"), proof)
    assert (done.tree_size, done.anchored) == (4, 4)
    result = audited(own, proof)
    assert (result.ok, result.unanchored_rows) == (True, 0)
    by_hand(own, proof, experiment, range(600, 610))
    assert audited(own, proof).unanchored_rows == 10
    meddle(own, f"DELETE FROM market_scans WHERE uuid = '{rows[3].uuid}'")
    meddle(own, f"UPDATE market_scans SET content_hash = repeat('0', 64) WHERE uuid = '{rows[300].uuid}'")
    meddle(own, f"UPDATE market_scans SET run_id = 'x' WHERE uuid = '{rows[400].uuid}'")
    found = {(item.row, item.kind) for item in audited(own, proof).findings}
    assert found == {
        (str(rows[3].uuid), "missing_row"),
        (str(rows[300].uuid), "hash_mismatch"),
        (str(rows[400].uuid), "hash_mismatch"),
    }


def test_records_that_were_written_by_hand_and_not_logged_are_logged_when_asked_for(
    own: Database, proof: Proof
) -> None:
    writer = own.engine("writer")
    with TradeTrackingSystem(engine=writer, clock=SteppingClock(NOON)) as tracking:
        for k in range(3):
            tracking.create_candidate(f"coin {k}", "model", 0.5, "params", "test")
    assert publish(writer, proof).tree_size == 0
    done = publish(writer, proof, by_hand=True)
    assert (done.tree_size, done.anchored) == (2, 2)
    assert publish(writer, proof, by_hand=True).new_events == 0
    result = audited(own, proof)
    assert (result.ok, result.unanchored_rows, result.rows) == (True, 0, 3 + 1), "with their experiment"
    meddle(own, "UPDATE candidates SET content_hash = repeat('0', 64) WHERE instrument = 'coin 1'")
    assert [(item.table, item.kind) for item in audited(own, proof).findings] == [("candidates", "hash_mismatch")]
    with TradeTrackingSystem(engine=writer, clock=SteppingClock(NOON + timedelta(days=1))) as tracking:
        tracking.create_candidate("coin 4", "model", 0.5, "params", "test")
    assert publish(writer, proof, tracking.experiment, by_hand=True).new_events == 1


def test_what_a_transaction_that_fails_has_logged_is_not_logged(own: Database, proof: Proof) -> None:
    writer = own.engine("writer")
    experiment = new_experiment(writer, "by hand")
    with writer.connect() as connection:
        assert append_entries(connection, proof, [("market_scans", scan(experiment, FIRST, 1))], experiment) == [1]
        connection.rollback()
    assert bodies(own) == []
    by_hand(own, proof, experiment, range(2))
    assert len(bodies(own)) == 2
    assert publish(writer, proof).anchored == 2


def test_quarantine_is_logged_and_guarded_to_the_column(own: Database, proof: Proof) -> None:
    writer = own.engine("writer")
    seal_days(writer, new_experiment(writer, "one"), 1)
    publish(writer, proof)
    uuid = "00000000-0000-8000-8000-000000000001"
    row = {"table_name": "soulprints", "row_uuid": uuid, "action": "quarantine", "reason": "why", "finding": "{}"}
    with writer.begin() as connection:
        ((seq,),) = insert_listed(connection, registry_quarantine, [row])
    assert bodies(own)[-1]["kind"] == "rows"
    publish(writer, proof)
    assert audited(own, proof).ok
    for change in ("reason = 'x'", "action = 'release'", "recorded_at = recorded_at - interval '1 day'"):
        with own.engine("owner").connect() as connection:
            connection.execute(text(f"UPDATE registry_quarantine SET {change}"))
            (finding,) = audit(connection, proof.anchor, proof.signer.public_key).findings
            connection.rollback()
        assert (finding.table, finding.row, finding.kind) == ("registry_quarantine", str(seq), "hash_mismatch")


def test_a_change_of_keys_is_signed_by_the_old_key_and_both_are_trusted_in_their_time(
    own: Database, proof: Proof
) -> None:
    writer = own.engine("writer")
    experiment = new_experiment(writer, "one")
    keys = []
    for turn in range(3):
        seal_days(writer, experiment, 2, first=FIRST + timedelta(days=10 * turn))
        publish(writer, proof)
        keys.append(proof.signer.public_key)
        rotated = rotate_key_file(writer, proof)
        assert (rotated.old_key_id, rotated.new_key_id) == (key_id(keys[-1]), proof.signer.key_id)
    keys.append(proof.signer.public_key)
    assert len(set(keys)) == 4
    assert [item["kind"] for item in bodies(own)].count("key") == 3
    for key in keys:  # the newest vouches backwards, the oldest forwards
        assert audited(own, proof, key).findings == []
    size = bodies(own)[-1]["seq"] + 1
    assert audited(own, proof, since=size).ok
    (finding,) = audited(own, proof, FileSigner(Path(proof.anchor.location) / "stranger.pem").public_key).findings
    assert finding.kind == "foreign_signature"


def test_a_change_of_keys_that_crashed_before_the_file_was_replaced_is_finished(
    own: Database, proof: Proof, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = own.engine("writer")
    experiment = new_experiment(writer, "one")
    seal_days(writer, experiment, 2)
    publish(writer, proof)
    signer = proof.signer
    assert isinstance(signer, FileSigner)
    old = signer.key_id
    with monkeypatch.context() as patch:
        patch.setattr(FileSigner, "replace_by_successor", crash)
        with pytest.raises(OSError, match="crash"):
            rotate_key_file(writer, proof)
    seal_days(writer, experiment, 1, first=FIRST + timedelta(days=10))
    with pytest.raises(ProofError, match="finish an interrupted"):
        publish(writer, proof)
    assert rotate_key_file(writer, proof).old_key_id == old
    assert [item["kind"] for item in bodies(own)].count("key") == 1
    assert publish(writer, proof).new_events == 1
    assert audited(own, proof).ok


def test_a_key_file_that_was_changed_for_another_home_hands_this_log_over_from_the_kept_key(
    own: Database, proof: Proof
) -> None:
    writer = own.engine("writer")
    seal_days(writer, new_experiment(writer, "one"), 2)
    publish(writer, proof)
    signer = proof.signer
    assert isinstance(signer, FileSigner)
    old = signer.key_id
    assert signer.successor().public_key
    signer.replace_by_successor()  # what `throughline key rotate` of another home leaves behind
    rotated = rotate_key_file(writer, proof)
    assert (rotated.old_key_id, rotated.new_key_id) == (old, signer.key_id)
    assert audited(own, proof).ok


def test_a_change_of_keys_that_the_old_key_did_not_sign_is_found(own: Database, proof: Proof, tmp_path: Path) -> None:
    writer = own.engine("writer")
    seal_days(writer, new_experiment(writer, "one"), 2)
    publish(writer, proof)
    thief = FileSigner(tmp_path / "thief.pem")
    log = bodies(own)[0]["log"]
    told = rotation(thief, log, 3, thief.public_key) | {"old_key_id": proof.signer.key_id}
    forged = Event.of({"kind": "key", "log": log, "seq": 3, "recorded_at": "2026-01-01T12:00:00.000000Z", **told})
    with writer.begin() as connection:
        connection.execute(
            text("INSERT INTO seal_events (seq, kind, leaf_hash, body, recorded_at) VALUES (3, 'key', :l, :b, :t)"),
            {"l": forged.leaf.hex(), "b": forged.body, "t": NOON},
        )
    (finding,) = audited(own, proof).findings
    assert (finding.table, finding.row, finding.kind) == ("seal_events", "3", "foreign_signature")
    with pytest.raises(ProofError, match="the key here is"):
        publish(writer, replace(proof, signer=thief))


def test_many_threads_that_log_at_once_end_with_one_log_without_gaps(own: Database, tmp_path: Path) -> None:
    writer = own.engine("writer")
    names = [new_experiment(writer, f"thread {k}") for k in range(4)]
    hand = new_experiment(writer, "by hand")
    failed: list[BaseException] = []
    clock = SteppingClock(datetime(2026, 1, 1, tzinfo=UTC))

    def work(k: int) -> None:
        try:
            proof = proof_at(tmp_path, clock)
            for turn in range(6):
                seal_days(writer, names[k], 2, first=FIRST + timedelta(days=10 * turn))
                publish(writer, proof, names[k] if turn % 2 else None)
                by_hand(own, proof, hand, range(1000 * k + 10 * turn, 1000 * k + 10 * turn + 5))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    proof = proof_at(tmp_path, clock)
    done = publish(writer, proof)
    told = bodies(own)
    assert (done.tree_size, done.anchored) == (len(told), len(told))
    assert [item["kind"] for item in told].count("seal") == 4 * 6 * 2
    assert [item["kind"] for item in told].count("entries") == 4 * 6
    result = audited(own, proof)
    assert (list(result.findings), result.unanchored_rows) == ([], 0)


WORKER = """
import sys
from pathlib import Path
from datetime import timedelta
from tests.integration.proof_home import FIRST, new_experiment, proof_at, seal_days
from throughline.proof.log import publish
from throughline.storage.database import open_database
home, folder, name, turns = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
with open_database(home) as database:
    writer = database.engine("writer")
    experiment = new_experiment(writer, name)
    proof = proof_at(folder)
    print("ready", flush=True)
    for turn in range(turns):
        seal_days(writer, experiment, 2, first=FIRST + timedelta(days=10 * turn))
        publish(writer, proof)
        print(turn, flush=True)
"""


def worker(own: Database, folder: Path, name: str, turns: int, repo: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(own.home.path), str(folder), name, str(turns)],
        cwd=repo,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(repo)},
    )


def test_two_processes_that_publish_at_once_end_with_one_log_without_gaps(
    own: Database, tmp_path: Path, repo: Path
) -> None:
    workers = [worker(own, tmp_path, f"process {k}", 10, repo) for k in range(2)]
    assert [process.communicate()[0].split()[-1] for process in workers] == ["9", "9"]
    proof = proof_at(tmp_path)
    assert [item["kind"] for item in bodies(own)].count("seal") == 2 * 10 * 2
    result = audited(own, proof)
    assert (list(result.findings), result.unanchored_rows, result.anchored_size) == ([], 0, len(bodies(own)))


def test_a_publisher_that_is_killed_at_any_moment_leaves_a_whole_log_and_a_whole_anchor(
    own: Database, tmp_path: Path, repo: Path
) -> None:
    rng = random.Random(3)
    proof = proof_at(tmp_path)
    for attempt in range(6):
        process = worker(own, tmp_path, f"victim {attempt}", 100_000, repo)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.01, 0.25))
        process.send_signal(signal.SIGKILL)
        acknowledged = [int(line) for line in process.communicate()[0].split() if line.isdigit()]
        result = audited(own, proof)  # before anything heals
        assert list(result.findings) == []
        mine = experiment_id(f"victim {attempt}")
        assert sum(item.get("experiment") == mine for item in bodies(own)) >= 2 * len(acknowledged)
    done = publish(own.engine("writer"), proof)
    assert done.anchored == done.tree_size == len(bodies(own))
    result = audited(own, proof)
    assert (list(result.findings), result.unanchored_rows) == ([], 0)
