"""Reports of consistency checks, and the gate: missing, failed, unaudited, stale and outgrown are all closed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.integration.consistency_homes import Sealed, write_hand
from tests.integration.home_copies import open_copy
from tests.integration.proof_home import FIRST, experiment_id, judge, seal_days
from tests.unit.consistency_rows import hand_rows
from throughline.clock import FixedClock
from throughline.errors import CheckOutgrown, GateClosed, ThroughlineError
from throughline.findings import Finding
from throughline.proof.log import publish
from throughline.proof.settings import open_proof
from throughline.registry.consistency import (
    ConsistencyResult,
    Reading,
    check_registry,
    newest_report,
    record_report,
    refuse_failed,
    require_registry,
    vouched_size,
)
from throughline.registry.consistency.result import LIMIT, Tally
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.ledger import register_experiment
from throughline.storage.queries import read_seals

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BROKEN = Finding("soulprints", "somewhere", "is broken", "orphan", "a trade", "none", "quarantine it")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Sealed]:
    """Return a home of a test's own with four trades by hand, logged and anchored, and nothing else."""
    with open_copy(tmp_path / "home") as database:
        proof = open_proof(database.home, database.embedded, clock=FixedClock(NOW))
        made = Sealed(database, ArtifactStore(tmp_path / "artifacts"), proof, "")
        grow(made, 0)
        yield made


def grow(home: Sealed, number: int) -> None:
    write_hand(home.database, home.proof, [hand_rows(number + place) for place in range(4)])
    publish(home.database.engine("writer"), home.proof)


def check(home: Sealed, scope: str = "full", since: int | None = None) -> ConsistencyResult:
    return check_registry(
        home.database.engine("auditor"),
        scope=scope,  # type: ignore[arg-type]
        since=since,
        artifacts=home.store,
        anchor=home.proof.anchor,
        public_key=home.proof.signer.public_key,
    )


def record(home: Sealed, result: ConsistencyResult, at: datetime = NOW) -> None:
    record_report(home.database.engine("writer"), home.store, result, at)


def gate(home: Sealed, now: datetime = NOW, **ages: timedelta) -> None:
    with home.database.engine("reader").connect() as connection:
        require_registry(connection, now, Reading(home.experiment, "trade_features", ()), **ages)


def test_a_report_is_an_artifact_with_every_finding_and_a_row_that_names_it(home: Sealed) -> None:
    result = replace(check(home), findings=[BROKEN])
    report, ref = record_report(home.database.engine("writer"), home.store, result, NOW)
    told = json.loads(home.store.get(ref.hash))
    assert told["findings"] == [BROKEN.as_json()]
    assert told["by_kind"] == {"orphan": 1}
    assert (told["ok"], told["trades"], told["rows"], told["scope"]) == (False, 4, 12, "full")
    assert told["audit"]["signatures_checked"] is True
    with home.database.engine("reader").connect() as connection:
        assert newest_report(connection) == report
        assert newest_report(connection, "daily") is None
        stored = connection.execute(text("SELECT kind FROM artifacts WHERE hash = :h"), {"h": ref.hash}).scalar_one()
    assert (report.ok, report.findings, report.report, stored) == (False, 1, ref.hash, "consistency_report")
    assert (report.tree_size, report.root) == (result.tree_size, result.root)
    assert check(home).ok, "the report itself is an artifact that holds"


def test_an_ok_recent_report_about_the_whole_log_opens_the_gate(home: Sealed) -> None:
    record(home, check(home))
    gate(home)
    gate(home, NOW + 47 * HOUR)


def test_a_home_that_was_never_checked_is_closed(home: Sealed) -> None:
    with pytest.raises(GateClosed, match="never checked"):
        gate(home)
    with home.database.engine("reader").connect() as connection:
        refuse_failed(connection)
        assert vouched_size(connection) is None


def test_a_failed_report_closes_the_gate_until_a_full_check_is_ok(home: Sealed) -> None:
    good = check(home)
    record(home, good)
    record(home, replace(good, findings=[BROKEN]), NOW + HOUR)
    with pytest.raises(GateClosed, match=r"failed with 1 finding\(s\)"):
        gate(home, NOW + HOUR)
    with home.database.engine("reader").connect() as connection:
        assert vouched_size(connection) is None, "after a failed full check only a full one will do"
        with pytest.raises(GateClosed, match="failed"):
            refuse_failed(connection)
    record(home, replace(good, scope="daily", since=0), NOW + 2 * HOUR)
    with pytest.raises(GateClosed, match=r"the full registry check of 2024-06-01 13:00 failed"):
        gate(home, NOW + 2 * HOUR)
    record(home, good, NOW + 3 * HOUR)
    gate(home, NOW + 3 * HOUR)


def test_a_failed_daily_report_closes_the_gate_until_the_next_one_is_ok(home: Sealed) -> None:
    good = check(home)
    record(home, good)
    record(home, replace(good, scope="daily", since=0, findings=[BROKEN]), NOW + HOUR)
    with pytest.raises(GateClosed, match="the daily registry check"):
        gate(home, NOW + HOUR)
    with home.database.engine("reader").connect() as connection:
        assert vouched_size(connection) == good.tree_size
    record(home, replace(good, scope="daily", since=good.tree_size), NOW + 2 * HOUR)
    gate(home, NOW + 2 * HOUR)


def test_a_daily_report_alone_does_not_open_the_gate(home: Sealed) -> None:
    record(home, replace(check(home), scope="daily", since=0))
    with pytest.raises(GateClosed, match="never checked in full"):
        gate(home)


def test_a_check_without_the_log_never_opens_the_gate(home: Sealed) -> None:
    record(home, check_registry(home.database.engine("auditor")))
    with pytest.raises(GateClosed, match=r"failed with 0 finding\(s\)"):
        gate(home)


def test_findings_that_were_not_kept_count(home: Sealed) -> None:
    record(home, replace(check(home), omitted=7))
    with pytest.raises(GateClosed, match=r"failed with 7 finding\(s\)"):
        gate(home)


def test_an_old_report_and_one_from_the_future_close_the_gate(home: Sealed) -> None:
    record(home, check(home))
    with pytest.raises(GateClosed, match="now is 2024-06-03 13:00"):
        gate(home, NOW + 49 * HOUR)
    gate(home, NOW + 49 * HOUR, max_age=3 * DAY)
    with pytest.raises(GateClosed, match="2024-06-01 12:00"):
        gate(home, NOW - HOUR)


def test_a_full_report_that_is_too_old_closes_the_gate_where_that_is_asked(home: Sealed) -> None:
    good = check(home)
    record(home, good)
    record(home, replace(good, scope="daily", since=good.tree_size), NOW + 9 * DAY)
    gate(home, NOW + 9 * DAY)
    with pytest.raises(GateClosed, match="the newest full registry check"):
        gate(home, NOW + 9 * DAY, max_full_age=8 * DAY)


SCANS = "market_scan"


def sealed(home: Sealed, first: date = FIRST, count: int = 2) -> Reading:
    """Seal `count` days of an experiment and log them; return what a consumer that reads them would read."""
    engine = home.database.engine("writer")
    with engine.begin() as connection:
        register_experiment(connection, experiment_id("read"), "demo", b'{"name":"read"}')
    days = seal_days(engine, experiment_id("read"), count, first=first)
    publish(engine, home.proof)
    return reading(home, days)


def reading(home: Sealed, days: Sequence[date]) -> Reading:
    with home.database.engine("reader").connect() as connection:
        seals = read_seals(connection, experiment_id("read"), SCANS, min(days), max(days))
    return Reading(experiment_id("read"), SCANS, [(day, seals[day].root) for day in days])


def ask(home: Sealed, read: Reading, now: datetime = NOW) -> None:
    with home.database.engine("reader").connect() as connection:
        require_registry(connection, now, read)


def test_what_other_processes_log_after_the_check_does_not_close_the_gate(home: Sealed) -> None:
    read = sealed(home)
    record(home, check(home))
    grow(home, 10)
    sealed(home, FIRST + 2 * DAY)
    ask(home, read)


def test_records_by_hand_that_wait_for_a_head_neither_close_the_gate_nor_open_it_to_others(home: Sealed) -> None:
    read = sealed(home)
    write_hand(home.database, home.proof, [hand_rows(20)])
    record(home, check(home))
    ask(home, read)
    grow(home, 30)
    ask(home, read)


def test_a_day_that_was_logged_after_the_check_closes_the_gate_until_it_was_checked(home: Sealed) -> None:
    sealed(home)
    record(home, check(home))
    later = sealed(home, FIRST + 2 * DAY)
    with pytest.raises(CheckOutgrown, match=r"does not cover market_scan of 2024-01-03 .*run the registry-consistency"):
        ask(home, later)
    with home.database.engine("reader").connect() as connection:
        since = vouched_size(connection)
    record(home, check(home, "daily", since), NOW + HOUR)
    ask(home, later, NOW + HOUR)


def test_a_day_that_is_sealed_and_not_logged_closes_the_gate(home: Sealed) -> None:
    sealed(home)
    days = seal_days(home.database.engine("writer"), experiment_id("read"), 1, first=FIRST + 2 * DAY)
    record(home, check(home))
    with pytest.raises(CheckOutgrown, match="2024-01-03"):
        ask(home, reading(home, days))


def test_a_seal_that_was_changed_after_the_check_closes_the_gate(home: Sealed) -> None:
    read = sealed(home)
    record(home, check(home))
    (first, _), second = read.days
    with pytest.raises(CheckOutgrown, match="2024-01-01"):
        ask(home, replace(read, days=[(first, "ab" * 32), second]))


def test_a_verdict_that_was_logged_after_the_check_closes_the_gate_for_its_day_alone(home: Sealed) -> None:
    read = sealed(home)
    record(home, check(home))
    judged, other = read.days
    judge(home.database, read.experiment, judged[0], "cd" * 32)
    publish(home.database.engine("writer"), home.proof)
    with pytest.raises(CheckOutgrown, match="2024-01-01"):
        ask(home, read)
    ask(home, replace(read, days=[other]))


def test_a_log_that_was_rewritten_closes_the_gate_and_vouches_for_nothing(home: Sealed) -> None:
    record(home, check(home))
    with home.database.engine("owner").begin() as connection:
        connection.execute(text("UPDATE seal_heads SET root = :r"), {"r": "ab" * 32})
    with pytest.raises(GateClosed, match=r"no longer begins with the .* `throughline verify`"):
        gate(home)
    with home.database.engine("reader").connect() as connection:
        assert vouched_size(connection) is None


def test_a_home_without_anything_opens_its_gate_once_it_was_checked(tmp_path: Path) -> None:
    with open_copy(tmp_path / "empty") as database:
        proof = open_proof(database.home, database.embedded, clock=FixedClock(NOW))
        empty = Sealed(database, ArtifactStore(tmp_path / "none"), proof, "")
        result = check(empty)
        assert (result.ok, result.rows, result.tree_size) == (True, 0, 0)
        record(empty, result)
        gate(empty)


def test_every_reason_is_one_sentence_that_says_what_to_do(home: Sealed) -> None:
    with pytest.raises(ThroughlineError) as closed:
        gate(home)
    assert "run the registry-consistency job" in str(closed.value)
    assert "\n" not in str(closed.value)


def test_findings_beyond_the_limit_are_counted_and_not_kept() -> None:
    tally = Tally()
    tally.add([BROKEN] * (LIMIT - 1))
    tally.add([BROKEN] * 5)
    assert (len(tally.findings), tally.omitted) == (LIMIT, 4)
    more = Tally()
    more.merge(tally.as_json() | {"findings": [BROKEN.as_json()] * 3})
    assert (len(more.findings), more.omitted) == (3, 4)
    assert more.findings[0] == BROKEN
