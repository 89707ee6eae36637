"""Whoever rules the database but not the key and the anchor is found out, and what they did is named exactly.

The tampering is done as the tables' owner with foreign keys taken away, in a transaction that is rolled back; each kind
is done as cleverly as the database allows: hashes, seals and even the log made to agree again.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from tests.integration.home_copies import open_sealed_copy
from throughline.catalogue import catalogue
from throughline.experiment.identity import Experiment
from throughline.findings import Finding
from throughline.identity import canonical_bytes, seal_of
from throughline.proof.audit import AuditResult, audit
from throughline.proof.events import Event, Head, sign_head
from throughline.proof.keys import FileSigner
from throughline.proof.log import publish
from throughline.proof.manifest import manifest_hash
from throughline.proof.settings import Proof, open_proof
from throughline.proof.sources import leaves_behind
from throughline.proof.tree import Frontier
from throughline.storage.database import Database
from throughline.storage.home import Home
from throughline.tracking.records import body_hash


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("proof")


@pytest.fixture(scope="module")
def opened(folder: Path) -> Iterator[tuple[Database, Experiment]]:
    database, _, experiment = open_sealed_copy(folder)
    with database:
        yield database, experiment


@pytest.fixture(scope="module")
def own(opened: tuple[Database, Experiment]) -> Database:
    return opened[0]


@pytest.fixture(scope="module")
def proof(own: Database) -> Proof:
    return open_proof(own.home, own.embedded)


@pytest.fixture(scope="module")
def sealed(opened: tuple[Database, Experiment], proof: Proof) -> Experiment:
    database, experiment = opened
    publish(database.engine("writer"), proof)
    return experiment


@pytest.fixture
def owner(own: Database, sealed: Experiment) -> Iterator[Connection]:
    """The owner's connection, foreign keys taken away; everything done on it is rolled back."""
    with own.engine("owner").connect() as connection:
        keys = "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'f'"
        for table, name in connection.execute(text(keys)).all():
            connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
        yield connection
        connection.rollback()


def audited(connection: Connection, proof: Proof, since: int | None = None) -> AuditResult:
    return audit(connection, proof.anchor, proof.signer.public_key, since=since)


def named(result: AuditResult, table: str, row: object) -> list[Finding]:
    return [item for item in result.findings if (item.table, item.row) == (table, str(row))]


def one(connection: Connection, statement: str, **values: object) -> dict[str, Any]:
    return dict(connection.execute(text(statement), values).mappings().one())


def pick(connection: Connection, table: str, place: int = 0) -> dict[str, Any]:
    return one(connection, f"SELECT * FROM {table} ORDER BY partition, uuid OFFSET :n LIMIT 1", n=place)


def count(connection: Connection, table: str) -> int:
    return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def edit(connection: Connection, table: str, uuid: object) -> None:
    """Change a body, and its content hash with it."""
    body = json.loads(bytes(one(connection, f"SELECT body FROM {table} WHERE uuid = :u", u=uuid)["body"]))
    body["edited"] = "yes"
    data = canonical_bytes(body)
    values = {"b": data, "h": body_hash(table, data), "u": uuid}
    connection.execute(text(f"UPDATE {table} SET body = :b, content_hash = :h WHERE uuid = :u"), values)


def reseal(connection: Connection, asset: str, day: object) -> None:
    """Make a day's seal and verdicts agree with its rows again."""
    hashes = [
        item
        for table in catalogue().asset_tables[asset]
        for item in connection.execute(
            text(f"SELECT content_hash FROM {table} WHERE partition = :d"), {"d": day}
        ).scalars()
    ]
    values = {"a": asset, "d": day, "r": seal_of(hashes), "n": len(hashes)}
    where = "WHERE asset = :a AND partition = :d"
    connection.execute(text(f"UPDATE partition_seals SET root = :r, leaves = :n {where}"), values)
    connection.execute(text(f"UPDATE gate_verdicts SET seal = :r {where}"), values)


def rewrite_log(connection: Connection, signer: FileSigner | None = None) -> None:
    """Make the whole log say what the database says now, with a foreign signature or the old one."""
    frontier = Frontier()
    rows = connection.execute(text("SELECT seq, body FROM seal_events ORDER BY seq")).all()
    for seq, body in rows:
        told = dict(json.loads(bytes(body)))
        if told["kind"] == "seal":
            values = {"e": told["experiment"], "a": told["asset"], "d": told["partition"]}
            where = "WHERE experiment = :e AND asset = :a AND partition = :d"
            seal = one(connection, f"SELECT root, leaves, partition FROM partition_seals {where}", **values)
            key = (told["experiment"], told["asset"], seal["partition"])
            told |= {"root": seal["root"], "leaves": seal["leaves"]}
            if told["asset"] in catalogue().asset_tables:
                told["manifest"] = manifest_hash(leaves_behind(connection, [key])[key])
        event = Event.of(told)
        frontier.append(event.leaf)
        values = {"s": seq, "b": event.body, "l": event.leaf.hex()}
        connection.execute(text("UPDATE seal_events SET body = :b, leaf_hash = :l WHERE seq = :s"), values)
    head = one(connection, "SELECT * FROM seal_heads ORDER BY tree_size DESC LIMIT 1")
    old = Head.read(bytes(head["body"]), head["signature"])
    if signer is not None:
        new = sign_head(signer, str(old.told["log"]), frontier, str(old.told["recorded_at"]))
        values = {"b": new.body, "g": new.signature, "r": new.root, "k": new.key, "s": old.tree_size}
    else:
        body = canonical_bytes(
            {**old.told, "root": frontier.root().hex(), "frontier": [n.hex() for n in frontier.nodes]}
        )
        values = {"b": body, "g": old.signature, "r": frontier.root().hex(), "k": old.key, "s": old.tree_size}
    statement = "UPDATE seal_heads SET body = :b, signature = :g, root = :r, key_id = :k WHERE tree_size = :s"
    connection.execute(text(statement), values)


def test_an_untouched_home_has_no_findings_and_nothing_unanchored(
    own: Database, proof: Proof, sealed: Experiment
) -> None:
    with own.engine("auditor").connect() as connection:
        result = audited(connection.execution_options(isolation_level="REPEATABLE READ"), proof)
    assert list(result.findings) == []
    assert result.ok
    assert result.tree_size == result.anchored_size > 80
    assert result.unanchored_rows == 0
    assert result.strength == "self-anchored: weak"
    assert result.key_id == proof.signer.key_id
    assert result.rows > 300


@pytest.mark.parametrize("table", list(catalogue().records))
def test_a_row_edited_with_its_hash_is_named(owner: Connection, proof: Proof, table: str) -> None:
    row = pick(owner, table)
    edit(owner, table, row["uuid"])
    (finding,) = audited(owner, proof).findings
    assert (finding.table, finding.row, finding.kind) == (table, str(row["uuid"]), "hash_mismatch")
    assert finding.expected == row["content_hash"]


def test_a_row_edited_with_its_hash_and_seal_and_verdict_is_named_and_so_are_they(
    owner: Connection, proof: Proof
) -> None:
    row = pick(owner, "outcomes")
    edit(owner, "outcomes", row["uuid"])
    reseal(owner, "outcomes", row["partition"])
    result = audited(owner, proof)
    assert [item.kind for item in named(result, "outcomes", row["uuid"])] == ["hash_mismatch"]
    day = f"outcomes/{row['partition']}"
    assert [item.kind for item in named(result, "partition_seals", day)] == ["seal_mismatch"]
    assert named(result, "gate_verdicts", day)


def test_a_row_edited_and_the_whole_log_made_to_agree_is_named(owner: Connection, proof: Proof, folder: Path) -> None:
    row = pick(owner, "outcomes")
    edit(owner, "outcomes", row["uuid"])
    reseal(owner, "outcomes", row["partition"])
    rewrite_log(owner)
    result = audited(owner, proof)
    assert [item.kind for item in named(result, "outcomes", row["uuid"])] == ["hash_mismatch"]
    assert named(result, "seal_heads", result.anchored_size)
    assert any(item.kind == "broken_chain" and item.table == "seal_events" for item in result.findings)
    rewrite_log(owner, FileSigner(folder / "thief.pem"))
    result = audited(owner, proof)
    assert any(item.kind == "foreign_signature" for item in result.findings)
    assert [item.kind for item in named(result, "outcomes", row["uuid"])] == ["hash_mismatch"]


@pytest.mark.parametrize("value", ["'ü \u2028 x'", "E'one\\ntwo three four'", "''", "NULL"])
def test_a_hash_that_is_no_hash_is_named_and_stops_nothing(owner: Connection, proof: Proof, value: str) -> None:
    row = pick(owner, "outcomes", 2)
    owner.execute(text("ALTER TABLE outcomes DROP CONSTRAINT ck_outcomes_content_hash"))
    owner.execute(text("ALTER TABLE outcomes ALTER content_hash DROP NOT NULL, ALTER recorded_at DROP NOT NULL"))
    owner.execute(
        text(f"UPDATE outcomes SET content_hash = {value}, recorded_at = NULL WHERE uuid = :u"), {"u": row["uuid"]}
    )
    result = audited(owner, proof)
    assert {(item.table, item.row, item.kind) for item in result.findings} == {
        ("outcomes", str(row["uuid"]), "hash_mismatch")
    }


def test_a_hash_that_brings_the_line_of_a_deleted_row_hides_nothing(owner: Connection, proof: Proof) -> None:
    rows = owner.execute(text("SELECT uuid, content_hash FROM candidates ORDER BY partition, uuid LIMIT 2")).all()
    owner.execute(text("ALTER TABLE candidates DROP CONSTRAINT ck_candidates_content_hash"))
    owner.execute(text("DELETE FROM candidates WHERE uuid = :u"), {"u": rows[1].uuid})
    forged = f"{rows[0].content_hash}\ncandidates {rows[1].uuid} {rows[1].content_hash}"
    owner.execute(text("UPDATE candidates SET content_hash = :h WHERE uuid = :u"), {"h": forged, "u": rows[0].uuid})
    assert {(item.row, item.kind) for item in audited(owner, proof).findings} == {
        (str(rows[0].uuid), "hash_mismatch"),
        (str(rows[1].uuid), "missing_row"),
    }


@pytest.mark.parametrize("change", ["run_id = 'another'", "recorded_at = recorded_at - interval '1 day'"])
@pytest.mark.parametrize("table", ["outcomes", "portfolio_states"])
def test_a_row_dated_back_or_given_to_another_run_is_named(
    owner: Connection, proof: Proof, table: str, change: str
) -> None:
    row = pick(owner, table, 2)
    owner.execute(text(f"UPDATE {table} SET {change} WHERE uuid = :u"), {"u": row["uuid"]})
    (finding,) = audited(owner, proof).findings
    assert (finding.table, finding.row, finding.kind) == (table, str(row["uuid"]), "hash_mismatch")
    assert "recorded_at was edited" in finding.problem


@pytest.mark.parametrize("table", list(catalogue().records))
def test_a_deleted_row_is_named(owner: Connection, proof: Proof, table: str) -> None:
    row = pick(owner, table, 1)
    owner.execute(text(f"DELETE FROM {table} WHERE uuid = :u"), {"u": row["uuid"]})
    (finding,) = audited(owner, proof).findings
    assert (finding.table, finding.row, finding.kind) == (table, str(row["uuid"]), "missing_row")


def test_a_row_inserted_into_a_sealed_day_is_named(owner: Connection, proof: Proof) -> None:
    row = pick(owner, "outcomes")
    new = "00000000-0000-8000-8000-00000000000a"
    names = ", ".join(key for key in row if key != "uuid")
    owner.execute(text("DROP INDEX uq_outcomes_candidate_uuid"))
    owner.execute(
        text(f"INSERT INTO outcomes (uuid, {names}) SELECT :n, {names} FROM outcomes WHERE uuid = :u"),
        {"n": new, "u": row["uuid"]},
    )
    (finding,) = audited(owner, proof).findings
    assert (finding.table, finding.row, finding.kind) == ("outcomes", new, "unexpected_row")


@pytest.mark.parametrize("column", ["partition = partition + 1", "experiment = 'elsewhere'"])
def test_a_row_moved_to_another_day_or_experiment_is_named(owner: Connection, proof: Proof, column: str) -> None:
    row = pick(owner, "outcomes")
    owner.execute(text(f"UPDATE outcomes SET {column} WHERE uuid = :u"), {"u": row["uuid"]})
    findings = named(audited(owner, proof), "outcomes", row["uuid"])
    assert any(item.kind == "hash_mismatch" and "was moved" in item.problem for item in findings)


def test_a_re_pointed_link_is_named(owner: Connection, proof: Proof) -> None:
    row, other = pick(owner, "outcomes"), pick(owner, "executions", 3)
    body = json.loads(bytes(row["body"]))
    body["execution"] = {"uuid": str(other["uuid"]), "hash": other["content_hash"]}
    data = canonical_bytes(body)
    values = {"b": data, "h": body_hash("outcomes", data), "x": other["uuid"], "u": row["uuid"]}
    owner.execute(text("UPDATE outcomes SET body = :b, content_hash = :h, execution_uuid = :x WHERE uuid = :u"), values)
    assert [item.kind for item in named(audited(owner, proof), "outcomes", row["uuid"])] == ["hash_mismatch"]


def test_a_truncated_table_is_named_by_its_first_row_and_the_count(owner: Connection, proof: Proof) -> None:
    total = count(owner, "outcomes")
    first = pick(owner, "outcomes", total - 5)
    doomed = [pick(owner, "outcomes", total - k)["uuid"] for k in range(1, 6)]
    owner.execute(text("DELETE FROM outcomes WHERE uuid = ANY(:u)"), {"u": doomed})
    (finding,) = audited(owner, proof).findings
    assert (finding.table, finding.row, finding.kind, finding.expected) == (
        "outcomes",
        str(first["uuid"]),
        "truncated",
        "5",
    )


def test_days_cut_off_with_seals_events_and_heads_are_named_by_the_first_row_and_the_count(
    owner: Connection, proof: Proof
) -> None:
    last = one(owner, "SELECT max(partition) AS d FROM outcomes")["d"]
    expected = {}
    for table in catalogue().records:
        gone = owner.execute(
            text(f"SELECT uuid FROM {table} WHERE partition >= :d ORDER BY partition, uuid"), {"d": last}
        ).scalars()
        expected[table] = [str(item) for item in gone]
        owner.execute(text(f"DELETE FROM {table} WHERE partition >= :d"), {"d": last})
    owner.execute(text("DELETE FROM partition_seals WHERE partition >= :d"), {"d": last})
    owner.execute(text("DELETE FROM gate_verdicts WHERE partition >= :d"), {"d": last})
    start = one(owner, "SELECT min(seq) AS s FROM seal_events WHERE partition >= :d", d=last)["s"]
    size = count(owner, "seal_events")
    owner.execute(text("DELETE FROM seal_events WHERE seq >= :s"), {"s": start})
    owner.execute(text("DELETE FROM seal_heads"))
    result = audited(owner, proof)
    (events,) = named(result, "seal_events", start)
    assert (events.kind, events.expected) == ("truncated", str(size - start))
    assert named(result, "seal_heads", size)
    for table, rows in expected.items():
        if len(rows) > 1:
            (finding,) = named(result, table, rows[0])
            assert (finding.kind, finding.expected) == ("truncated", str(len(rows)))
        elif rows:
            assert [item.kind for item in named(result, table, rows[0])] == ["missing_row"]
    assert result.tree_size == start


def test_a_rewrite_from_a_row_on_is_named_by_that_row_and_the_count(
    owner: Connection, proof: Proof, folder: Path
) -> None:
    total = count(owner, "outcomes")
    start = total // 2
    rows = [pick(owner, "outcomes", place) for place in range(start, total)]
    for row in rows:
        edit(owner, "outcomes", row["uuid"])
    for day in {row["partition"] for row in rows}:
        reseal(owner, "outcomes", day)
    rewrite_log(owner, FileSigner(folder / "thief.pem"))
    result = audited(owner, proof)
    (finding,) = [item for item in result.findings if item.table == "outcomes"]
    assert (finding.row, finding.kind, finding.expected) == (str(rows[0]["uuid"]), "rewritten", str(len(rows)))


@pytest.mark.parametrize(
    "change",
    [
        "root = repeat('0', 64)",
        "leaves = leaves + 1",
        "status = 'blocked'",
        "blocked_by = '{}'",
        "artifact = repeat('1', 64)",
        "details = '{\"a\": 1}'",
        "run_id = 'another'",
        "sealed_at = sealed_at + interval '1 second'",
    ],
)
def test_an_edited_seal_is_named(owner: Connection, proof: Proof, change: str) -> None:
    day = pick(owner, "outcomes")["partition"]
    owner.execute(text(f"UPDATE partition_seals SET {change} WHERE asset = 'outcomes' AND partition = :d"), {"d": day})
    (finding,) = audited(owner, proof).findings
    assert (finding.table, finding.row, finding.kind) == ("partition_seals", f"outcomes/{day}", "seal_mismatch")
    assert change.split(" ")[0] in finding.problem


def test_a_deleted_seal_is_named(owner: Connection, proof: Proof) -> None:
    day = pick(owner, "outcomes")["partition"]
    owner.execute(text("DELETE FROM partition_seals WHERE asset = 'market_bars' AND partition = :d"), {"d": day})
    (finding,) = audited(owner, proof).findings
    assert (finding.table, finding.row, finding.kind) == ("partition_seals", f"market_bars/{day}", "missing_row")


@pytest.mark.parametrize("change", ["passed = NOT passed", "failures = '[1]'", "suite = 'x'", "recorded_at = now()"])
def test_an_edited_verdict_is_named(owner: Connection, proof: Proof, change: str) -> None:
    day = pick(owner, "outcomes")["partition"]
    owner.execute(text(f"UPDATE gate_verdicts SET {change} WHERE asset = 'market_bars' AND partition = :d"), {"d": day})
    (finding,) = audited(owner, proof).findings
    assert (finding.table, finding.row, finding.kind) == ("gate_verdicts", f"market_bars/{day}", "hash_mismatch")


def test_a_deleted_verdict_is_named(owner: Connection, proof: Proof) -> None:
    day = pick(owner, "outcomes")["partition"]
    owner.execute(text("DELETE FROM gate_verdicts WHERE asset = 'market_bars' AND partition = :d"), {"d": day})
    (finding,) = audited(owner, proof).findings
    assert (finding.table, finding.row, finding.kind) == ("gate_verdicts", f"market_bars/{day}", "missing_row")


@pytest.mark.parametrize(
    "change",
    [
        "kind = 'entries'",
        "experiment = 'another'",
        "asset = 'outcomes-2'",
        "partition = partition + 1000",
        "leaf_hash = repeat('0', 64)",
        "recorded_at = recorded_at + interval '1 second'",
    ],
)
def test_an_edited_column_of_an_event_is_named(owner: Connection, proof: Proof, change: str) -> None:
    owner.execute(text(f"UPDATE seal_events SET {change} WHERE seq = 7"))
    (finding,) = audited(owner, proof).findings
    assert (finding.table, finding.row, finding.kind) == ("seal_events", "7", "hash_mismatch")


def test_a_time_edited_inside_an_event_with_its_hash_is_named(owner: Connection, proof: Proof) -> None:
    body = dict(json.loads(bytes(one(owner, "SELECT body FROM seal_events WHERE seq = 7")["body"])))
    event = Event.of({**body, "recorded_at": "2020-01-01T00:00:00.000000Z"})
    owner.execute(
        text("UPDATE seal_events SET body = :b, leaf_hash = :l, recorded_at = '2020-01-01T00:00:00Z' WHERE seq = 7"),
        {"b": event.body, "l": event.leaf.hex()},
    )
    assert [item.kind for item in named(audited(owner, proof), "seal_events", 7)] == ["broken_chain"]


def test_two_events_that_changed_places_are_named(owner: Connection, proof: Proof) -> None:
    owner.execute(text("UPDATE seal_events SET seq = -1 WHERE seq = 7"))
    owner.execute(text("UPDATE seal_events SET seq = 7 WHERE seq = 8"))
    owner.execute(text("UPDATE seal_events SET seq = 8 WHERE seq = -1"))
    result = audited(owner, proof)
    assert {(item.table, item.row) for item in result.findings} == {("seal_events", "7"), ("seal_events", "8")}


@pytest.mark.parametrize("number", [-3, 5000])
def test_an_event_moved_outside_the_log_is_named(owner: Connection, proof: Proof, number: int) -> None:
    owner.execute(text(f"UPDATE seal_events SET seq = {number} WHERE seq = 7"))
    result = audited(owner, proof)
    assert [item.kind for item in named(result, "seal_events", 7)] == ["missing_row"]
    assert named(result, "seal_events", number)


def test_an_event_that_is_no_json_or_lacks_what_it_must_say_is_named(owner: Connection, proof: Proof) -> None:
    for body in (b"oops", b"{}", canonical_bytes({"kind": "seal", "seq": 7}), b"\xff\xfe"):
        owner.execute(text("UPDATE seal_events SET body = :b WHERE seq = 7"), {"b": body})
        assert [item.kind for item in named(audited(owner, proof), "seal_events", 7)] == ["broken_chain"]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("root = repeat('0', 64)", "hash_mismatch"),
        ("key_id = 'another'", "hash_mismatch"),
        ("recorded_at = now()", "hash_mismatch"),
        ("signature = 'AAAA'", "foreign_signature"),
        ("body = 'oops'", "unreadable"),
        ("tree_size = tree_size - 2", "unexpected_row"),
        ("tree_size = tree_size + 2", "broken_chain"),
    ],
)
def test_an_edited_head_is_named(owner: Connection, proof: Proof, change: str, kind: str) -> None:
    size = count(owner, "seal_events")
    owner.execute(text(f"UPDATE seal_heads SET {change}"))
    result = audited(owner, proof)
    assert kind in {item.kind for item in result.findings if item.table == "seal_heads"}
    if "tree_size" in change:
        assert [item.kind for item in named(result, "seal_heads", size)] == ["missing_row"]
    assert {item.table for item in result.findings} == {"seal_heads"}


def test_a_deleted_head_is_named(owner: Connection, proof: Proof) -> None:
    owner.execute(text("DELETE FROM seal_heads"))
    (finding,) = audited(owner, proof).findings
    assert (finding.table, finding.row, finding.kind) == (
        "seal_heads",
        str(count(owner, "seal_events")),
        "missing_row",
    )


def test_a_head_of_a_foreign_key_is_named_even_where_nothing_else_changed(
    owner: Connection, proof: Proof, folder: Path
) -> None:
    rewrite_log(owner, FileSigner(folder / "thief.pem"))
    result = audited(owner, proof)
    assert {item.kind for item in result.findings if item.table == "seal_heads"} == {
        "broken_chain",
        "foreign_signature",
    }
    assert {item.table for item in result.findings} == {"seal_heads"}


def test_another_trusted_key_trusts_none_of_the_heads(owner: Connection, proof: Proof, folder: Path) -> None:
    stranger = FileSigner(folder / "stranger.pem").public_key
    (finding,) = audit(owner, proof.anchor, stranger).findings
    assert finding.kind == "foreign_signature"
    assert proof.signer.key_id in finding.problem


def test_without_a_key_signatures_are_not_checked_and_the_result_says_so(owner: Connection, proof: Proof) -> None:
    owner.execute(text("UPDATE seal_heads SET signature = :s"), {"s": base64.b64encode(b"x" * 64).decode()})
    result = audit(owner, proof.anchor, None)
    assert result.key_id is None
    assert result.as_json()["signatures_checked"] is False
    assert {item.kind for item in result.findings} == {"broken_chain"}  # another one than was anchored all the same


def test_an_emptied_log_is_named_by_its_first_event_and_the_count(owner: Connection, proof: Proof) -> None:
    size = count(owner, "seal_events")
    owner.execute(text("DELETE FROM seal_heads"))
    owner.execute(text("DELETE FROM seal_events"))
    result = audited(owner, proof)
    (finding,) = named(result, "seal_events", 0)
    assert (finding.kind, finding.expected) == ("truncated", str(size))
    assert result.tree_size == 0


def test_a_later_audit_from_a_head_on_is_as_good_as_a_whole_one_for_what_came_after(
    owner: Connection, proof: Proof
) -> None:
    size = count(owner, "seal_events")
    result = audited(owner, proof, since=size)
    assert result.ok
    assert (result.since, result.rows, result.tree_size) == (size, 0, size)
    owner.execute(text("UPDATE seal_heads SET signature = 'AAAA'"))
    again = audited(owner, proof, since=size)  # the head it should begin with does not hold: all is compared
    assert again.since == 0
    assert not again.ok


def test_every_asset_of_the_ledger_was_under_test(owner: Connection) -> None:
    logged = set(owner.execute(text("SELECT DISTINCT asset FROM seal_events WHERE asset IS NOT NULL")).scalars())
    assert set(catalogue().table_asset.values()) <= logged


def tampered_anchor(proof: Proof, change: Callable[[Path], None], folder: Path) -> Proof:
    import shutil

    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(proof.anchor.location, copy)
    change(copy)
    return open_proof(Home(folder / "home"), True, {"THROUGHLINE_ANCHOR": str(copy)})


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (lambda folder: [path.unlink() for path in folder.rglob("*.json*")], {"missing_link"}),
        (lambda folder: next(iter((folder / "segments").iterdir())).unlink(), {"missing_row"}),
        (
            lambda folder: _flip(next(iter((folder / "heads").iterdir()))),
            {"unreadable", "broken_chain", "foreign_signature"},
        ),
        (lambda folder: (folder / "log.json").write_text("oops"), {"unreadable"}),
        (lambda folder: next(iter((folder / "segments").iterdir())).write_text("oops"), {"unreadable"}),
    ],
)
def test_an_anchor_that_is_gone_or_damaged_is_a_finding(
    owner: Connection, proof: Proof, folder: Path, change: Callable[[Path], None], kinds: set[str]
) -> None:
    broken = tampered_anchor(proof, change, folder)
    result = audit(owner, broken.anchor, proof.signer.public_key)
    assert {item.table for item in result.findings} <= {"anchor", "seal_heads"}
    assert {item.kind for item in result.findings if item.table == "anchor"} & kinds
