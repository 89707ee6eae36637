"""The ledger on a real server: whole partitions, no-ops, refusals, corrections, reading back."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from throughline.errors import LedgerConflict, StorageError, UnknownRecord
from throughline.identity import content_hash, seal_of
from throughline.storage.artifacts import ArtifactRef
from throughline.storage.cluster import ADMIN
from throughline.storage.database import Database
from throughline.storage.ledger import (
    LedgerRow,
    PartitionWrite,
    advisory_lock,
    append_record,
    get_active,
    read_all_seals,
    read_by_candidate,
    read_rows,
    read_seals,
    read_verdicts,
    register_experiment,
    sealed_days,
    set_active,
    write_partition,
    write_partitions,
)
from throughline.storage.roles import Role
from throughline.storage.tables import APPEND_ONLY

DAY = date(2021, 3, 4)
NOON = datetime(2021, 3, 4, 12, 0, 0, 123456, tzinfo=UTC)
_ZONES = [UTC, ZoneInfo("Asia/Kathmandu"), ZoneInfo("America/New_York")]
_FIRST, _LAST = NOON.replace(year=1970, tzinfo=None), NOON.replace(year=2200, tzinfo=None)
SUITE = hashlib.sha256(b"suite").hexdigest()


@dataclass(frozen=True)
class Broken:
    """A broken rule."""

    rule: str
    rows: int
    sample: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """A verdict as the gates give it."""

    seal: str
    suite: str
    suite_hash: str
    failures: tuple[Broken, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.failures


def row(experiment: str, columns: dict[str, Any], *, key: str = "", day: date = DAY, body: bytes = b"{}") -> LedgerRow:
    """Return a record whose uuid follows from `key` and whose hash follows from `body`."""
    name = uuid.uuid5(uuid.NAMESPACE_OID, f"{experiment}/{key or uuid.uuid4()}")
    return LedgerRow(name, experiment, day, content_hash("test", body), body, "run", columns)


def candidate(experiment: str, key: str, *, day: date = DAY, body: bytes = b"{}", **changes: Any) -> LedgerRow:
    """Return a candidate."""
    columns = {
        "scan_uuid": None,
        "instrument": "ABC",
        "segment": "ABC#1",
        "decision_time": NOON,
        "strategy": "high-volatility",
        "side": "long",
        "confidence": Decimal("0.1234567891"),
        "opportunity_score": None,
        "model_version": "rules",
        "params_ptr": "sha256:0",
        "created_by": "scan",
    }
    return row(experiment, columns | changes, key=f"candidate/{key}", day=day, body=body)


def research(experiment: str, parent: LedgerRow) -> LedgerRow:
    """Return the research snapshot of a candidate."""
    columns = {
        "candidate_uuid": parent.uuid,
        "initial_market_cap": Decimal("1234567.5"),
        "volume_24h": None,
        "contract_address": None,
        "trade_rationale": "tab\there, new\nline, back\\slash, Ünïcödé ☂, \\N",
    }
    return row(experiment, columns, key=f"research/{parent.uuid}")


def partition(experiment: str, asset: str, rows: dict[str, Sequence[LedgerRow]], day: date = DAY) -> PartitionWrite:
    """Return a write with the seal that follows from its rows."""
    hashes = [item.content_hash for table in rows.values() for item in table]
    root = seal_of(hashes)
    verdict = Judged(root, "suite", SUITE)
    return PartitionWrite(
        experiment, asset, day, rows, root, len(hashes), details='{"seconds":0.5}', verdicts=[verdict], run_id="run"
    )


def test_a_partition_comes_back_as_it_was_given(database: Database, experiment: str) -> None:
    first = candidate(experiment, "a", body=bytes(range(256)))
    given = sorted([first, candidate(experiment, "b", opportunity_score=Decimal("-0.000001"))], key=lambda r: r.uuid)
    engine = database.engine("writer")
    assert write_partition(engine, partition(experiment, "trade_candidates", {"candidates": given}))
    note = research(experiment, first)
    assert write_partition(engine, partition(experiment, "research_snapshots", {"research_docs": [note]}))
    with database.engine("reader").connect() as connection:
        assert read_rows(connection, "candidates", experiment, DAY, DAY) == given
        assert read_rows(connection, "research_docs", experiment) == [note]
        assert read_rows(connection, "candidates", experiment, DAY + timedelta(days=1)) == []
        assert sealed_days(connection, experiment, "trade_candidates") == [DAY]
        seal, other = read_all_seals(connection, experiment)
        assert read_seals(connection, experiment, "trade_candidates", DAY, DAY) == {DAY: other}
        assert (seal.asset, other.asset) == ("research_snapshots", "trade_candidates")
        assert other.leaves == 2
        assert other.details == '{"seconds":0.5}'
        assert other.blocked_by is None
        verdict = read_verdicts(connection, experiment, "trade_candidates")[0]
        assert (verdict.passed, verdict.seal, verdict.failures) == (True, other.root, "[]")


def test_writing_the_same_partition_again_does_nothing(database: Database, experiment: str) -> None:
    write = partition(experiment, "trade_candidates", {"candidates": [candidate(experiment, "a")]})
    engine = database.engine()
    assert write_partition(engine, write)
    assert not write_partition(engine, write)
    later = replace(write, verdicts=[Judged(write.root, "suite", "0" * 64)])
    assert not write_partition(engine, later)
    with engine.connect() as connection:
        assert len(read_rows(connection, "candidates", experiment)) == 1
        assert len(read_verdicts(connection, experiment)) == 2


def test_another_root_is_refused_and_every_difference_is_named(database: Database, experiment: str) -> None:
    kept, gone = candidate(experiment, "kept"), candidate(experiment, "gone")
    engine = database.engine()
    write_partition(engine, partition(experiment, "trade_candidates", {"candidates": [kept, gone]}))
    changed = candidate(experiment, "kept", body=b'{"changed":1}')
    fresh = candidate(experiment, "fresh")
    with pytest.raises(LedgerConflict) as caught:
        write_partition(engine, partition(experiment, "trade_candidates", {"candidates": [changed, fresh]}))
    message = str(caught.value)
    for part in (kept.uuid, kept.content_hash, changed.content_hash, fresh.uuid, gone.uuid, "candidates", DAY):
        assert str(part) in message
    assert "new: " + str(fresh.uuid) in message
    assert "no longer given: " + str(gone.uuid) in message
    with engine.connect() as connection:
        assert {r.uuid for r in read_rows(connection, "candidates", experiment)} == {kept.uuid, gone.uuid}


def test_another_status_with_the_same_root_is_refused(database: Database, experiment: str) -> None:
    write = partition(experiment, "executions", {"executions": []})
    write_partition(database.engine(), write)
    with pytest.raises(LedgerConflict, match=r"is sealed with seal .* this run gives blocked"):
        write_partition(database.engine(), replace(write, status="blocked", blocked_by="{}"))


def test_another_verdict_of_the_same_suite_on_the_same_seal_is_refused(database: Database, experiment: str) -> None:
    write = partition(experiment, "executions", {"executions": []})
    write_partition(database.engine(), write)
    failed = Judged(write.root, "suite", SUITE, (Broken("price is positive", 2, ("row 1",)),))
    with pytest.raises(LedgerConflict, match="passed for this very seal and failed now"):
        write_partition(database.engine(), replace(write, verdicts=[failed]))


def test_a_row_that_was_appended_before_is_accepted_if_it_is_the_same(database: Database, experiment: str) -> None:
    engine = database.engine()
    first = candidate(experiment, "a")
    with engine.begin() as connection:
        assert append_record(connection, "candidates", first)
        assert not append_record(connection, "candidates", first)
    assert write_partition(
        engine, partition(experiment, "trade_candidates", {"candidates": [first, candidate(experiment, "b")]})
    )
    with engine.connect() as connection:
        assert len(read_rows(connection, "candidates", experiment)) == 2


def test_a_row_that_exists_with_another_hash_leaves_the_whole_partition_unwritten(
    database: Database, experiment: str
) -> None:
    engine = database.engine()
    first = candidate(experiment, "a")
    with engine.begin() as connection:
        append_record(connection, "candidates", first)
    other = candidate(experiment, "a", body=b"other")
    write = partition(experiment, "trade_candidates", {"candidates": [candidate(experiment, "b"), other]})
    with pytest.raises(LedgerConflict, match=f"candidates {first.uuid} is recorded with hash {first.content_hash}"):
        write_partition(engine, write)
    with engine.connect() as connection:
        assert read_rows(connection, "candidates", experiment) == [first]
        assert sealed_days(connection, experiment, "trade_candidates") == []
        assert read_verdicts(connection, experiment) == []


def test_a_record_without_its_parent_is_refused_and_named(database: Database, experiment: str) -> None:
    orphan = research(experiment, candidate(experiment, "never written"))
    with pytest.raises(StorageError, match=r"research_docs: a link of the chain is missing \(.*candidate_uuid"):
        write_partition(database.engine(), partition(experiment, "research_snapshots", {"research_docs": [orphan]}))
    with database.engine().connect() as connection:
        assert sealed_days(connection, experiment, "research_snapshots") == []


def test_a_candidate_has_one_research_snapshot_unless_it_is_corrected(database: Database, experiment: str) -> None:
    parent = candidate(experiment, "a")
    note = research(experiment, parent)
    second = replace(note, uuid=uuid.uuid4(), content_hash="1" * 64)
    correction = replace(second, supersedes=note.uuid, partition=DAY + timedelta(days=9))
    again = replace(correction, uuid=uuid.uuid4(), content_hash="2" * 64)
    with database.engine().begin() as connection:
        append_record(connection, "candidates", parent)
        append_record(connection, "research_docs", note)
        with pytest.raises(LedgerConflict, match="research_docs: another record stands there already"):
            append_record(connection, "research_docs", second)
        assert append_record(connection, "research_docs", correction)
        with pytest.raises(LedgerConflict, match="supersedes"):
            append_record(connection, "research_docs", again)
    with database.engine("reader").connect() as connection:
        assert len(read_rows(connection, "research_docs", experiment)) == 2
        assert read_rows(connection, "research_docs", experiment, current=True) == [correction]
        assert read_by_candidate(connection, "research_docs", parent.uuid) == correction
        shown = connection.execute(
            text("SELECT uuid FROM current_research_docs WHERE experiment = :e"), {"e": experiment}
        ).scalars()
        assert list(shown) == [correction.uuid]


def test_reading_by_a_candidate_without_a_record_says_where_it_looked(database: Database, experiment: str) -> None:
    nobody = uuid.uuid4()
    with database.engine().connect() as connection, pytest.raises(UnknownRecord, match=f"outcomes .* {nobody}"):
        read_by_candidate(connection, "outcomes", nobody)


def test_a_row_of_another_day_or_with_missing_columns_never_reaches_the_server(
    database: Database, experiment: str
) -> None:
    stray = candidate(experiment, "a", day=DAY + timedelta(days=1))
    with pytest.raises(ValueError, match="belongs to"):
        write_partition(database.engine(), partition(experiment, "trade_candidates", {"candidates": [stray]}))
    good = candidate(experiment, "a")
    short = replace(good, columns={name: value for name, value in good.columns.items() if name != "side"})
    with pytest.raises(ValueError, match=f"candidates {good.uuid}: column side"):
        write_partition(database.engine(), partition(experiment, "trade_candidates", {"candidates": [short]}))


@pytest.mark.parametrize("per_transaction", [1, 3, 100])
def test_many_partitions_at_once_equal_one_by_one(database: Database, experiment: str, per_transaction: int) -> None:
    days = [DAY + timedelta(days=i) for i in range(8)]
    writes = [
        partition(
            experiment,
            "trade_candidates",
            {"candidates": [candidate(experiment, f"{d}/{i}", day=d) for i in range(3)]},
            d,
        )
        for d in days
    ]
    write_partition(database.engine(), writes[2])
    new = write_partitions(database.engine(), writes, per_transaction)
    assert new == [index != 2 for index in range(8)]
    with database.engine().connect() as connection:
        assert sealed_days(connection, experiment, "trade_candidates") == days
        assert len(read_rows(connection, "candidates", experiment)) == 24


def test_two_writers_of_the_same_partition_agree_on_one(database: Database, experiment: str) -> None:
    write = partition(
        experiment, "trade_candidates", {"candidates": [candidate(experiment, str(i)) for i in range(50)]}
    )
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: write_partition(database.engine(), write), range(4)))
    assert sorted(done) == [False, False, False, True]


def test_an_artifact_is_recorded_with_the_partition_that_names_it(database: Database, experiment: str) -> None:
    ref = ArtifactRef(hashlib.sha256(experiment.encode()).hexdigest(), "market_bars", "application/jsonl", 7, "x.gz")
    write = replace(partition(experiment, "market_bars", {}), artifact=ref)
    assert write_partition(database.engine(), write)
    with database.engine().connect() as connection:
        assert read_seals(connection, experiment, "market_bars")[DAY].artifact == ref.hash
        found = connection.execute(text("SELECT kind, bytes FROM artifacts WHERE hash = :h"), {"h": ref.hash}).one()
    assert found == ("market_bars", 7)


def test_an_experiment_is_registered_once_and_never_as_another(database: Database, experiment: str) -> None:
    with database.engine().begin() as connection:
        assert not register_experiment(connection, experiment, "demo", b'{"schema_version":1}')
        with pytest.raises(LedgerConflict, match="another mode"):
            register_experiment(connection, experiment, "backtest", b'{"schema_version":1}')


def test_the_active_experiment_of_a_mode_can_change(database: Database, experiment: str) -> None:
    mode = f"mode-{experiment}"
    with database.engine().begin() as connection:
        assert get_active(connection, mode) is None
        set_active(connection, mode, experiment, {"archive": "a.toml"})
        set_active(connection, mode, experiment, {"archive": "b.toml", "data": "Ü"})
        active = get_active(connection, mode)
    assert active is not None
    assert (active.experiment, active.inputs) == (experiment, {"archive": "b.toml", "data": "Ü"})


def test_the_lock_of_an_experiment_is_held_by_one_session_across_transactions(
    database: Database, experiment: str
) -> None:
    engine = database.engine()
    with engine.connect() as first, engine.connect() as second:
        with advisory_lock(first, experiment):
            first.execute(text("SELECT 1"))
            first.commit()
            with pytest.raises(StorageError, match="Another run works"), advisory_lock(second, experiment, wait=False):
                pass
        with advisory_lock(second, experiment, wait=False):
            pass


def changeable(table: str) -> str:
    """Return a text column of an append-only table."""
    names = {
        "experiments": "id",
        "artifacts": "hash",
        "artifact_tombstones": "hash",
        "seal_heads": "root",
        "registry_quarantine": "reason",
        "consistency_reports": "root",
        "model_verdicts": "gate",
        "holdout_openings": "model",
        "model_registrations": "model",
        "model_scores": "model",
    }
    return names.get(table, "experiment")


@pytest.mark.parametrize("role", ["writer", "reader", "auditor"])
@pytest.mark.parametrize("table", [table.name for table in APPEND_ONLY])
def test_no_role_but_the_owner_changes_what_is_recorded(database: Database, role: Role, table: str) -> None:
    column = changeable(table)
    for statement in (f"UPDATE {table} SET {column} = 'x'", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with database.engine(role).connect() as connection, pytest.raises(DBAPIError) as caught:
            connection.execute(text(statement))
        assert isinstance(caught.value.orig, psycopg2.errors.InsufficientPrivilege)


@pytest.mark.parametrize("table", [table.name for table in APPEND_ONLY])
def test_triggers_refuse_even_a_superuser_who_is_not_the_owner(database: Database, table: str) -> None:
    address = make_url(database.url()).set(username=ADMIN)
    engine = create_engine(address)
    column = changeable(table)
    for before in ("", "SET session_replication_role = replica;"):
        for statement in (f"UPDATE {table} SET {column} = 'x'", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
            with engine.connect() as connection, pytest.raises(DBAPIError, match="records are never changed"):
                connection.execute(text(before + statement))
    engine.dispose()


def test_the_owner_can_change_records(database: Database, experiment: str) -> None:
    write_partition(
        database.engine(), partition(experiment, "trade_candidates", {"candidates": [candidate(experiment, "a")]})
    )
    with database.engine("owner").begin() as connection:
        changed = connection.execute(
            text("UPDATE candidates SET instrument = 'X' WHERE experiment = :e"), {"e": experiment}
        )
        assert changed.rowcount == 1


@pytest.mark.parametrize("role", ["reader", "auditor"])
def test_readers_cannot_write(database: Database, experiment: str, role: Role) -> None:
    with pytest.raises(StorageError, match="permission denied"):
        write_partition(database.engine(role), partition(experiment, "executions", {"executions": []}))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    score=st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**25), max_value=10**25),
    words=st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))),
    body=st.binary(max_size=200),
    instant=st.datetimes(min_value=_FIRST, max_value=_LAST, timezones=st.sampled_from(_ZONES)),
)
def test_any_value_comes_back_equal(
    database: Database, experiment: str, score: Decimal, words: str, body: bytes, instant: datetime
) -> None:
    given_row = candidate(
        experiment, str(uuid.uuid4()), body=body, confidence=score, segment=words, decision_time=instant
    )
    with database.engine().begin() as connection:
        append_record(connection, "candidates", given_row)
        found = [r for r in read_rows(connection, "candidates", experiment) if r.uuid == given_row.uuid]
    # in UTC, since Python calls instants of a repeated local hour unequal to every other zone's
    expected = replace(given_row, columns=dict(given_row.columns) | {"decision_time": instant.astimezone(UTC)})
    assert found == [expected]
    assert found[0].columns["decision_time"].utcoffset() == timedelta(0)
