"""The seed document's examples, as written there; only the home and the clock are added."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from throughline.catalogue import catalogue
from throughline.clock import FixedClock, SteppingClock
from throughline.errors import LedgerConflict, StorageError, UnknownRecord
from throughline.identity import canonical_bytes, content_hash
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home
from throughline.storage.ledger import append_record, read_rows
from throughline.storage.tables import LEDGER, executions
from throughline.tracking import (
    ExecutionRecord,
    ResearchDocument,
    TerminationReason,
    TradeCandidate,
    TradeOutcome,
    TradeTrackingSystem,
)
from throughline.tracking.records import expected_uuid, make_row, project

AT = datetime(2024, 5, 6, 7, 8, 9, 123_456, tzinfo=UTC)


@pytest.fixture
def name() -> str:
    """Return the name of a tracking experiment of this test's own."""
    return uuid.uuid4().hex


@pytest.fixture
def tracker(database: Database, name: str) -> TradeTrackingSystem:
    """Return a tracking system on the session's database."""
    return TradeTrackingSystem(engine=database.engine("writer"), clock=FixedClock(AT), name=name)


def _data_flow(tracker: TradeTrackingSystem) -> TradeCandidate:
    """Run sections 1 to 4 of the seed's Data Flow."""
    candidate = tracker.create_candidate(
        instrument="PEPE/USDT",
        model_version="v1.2.3",
        confidence=0.75,
        params_ptr="params_001",
        created_by="high_vol_strategy",
    )
    research = ResearchDocument(
        uuid=candidate.uuid,
        contract_address="0x123...",
        initial_market_cap=1000000.0,
        rugpull_heuristic_scores={"risk": 0.3},
        social_sentiment_scores={"twitter": 0.65},
        trade_rationale="High social momentum + low risk",
    )
    tracker.store_research_document(research)
    execution = ExecutionRecord(
        uuid=candidate.uuid,
        order_id="order_12345",
        entry_price=0.001,
        size=1000.0,
        slippage=0.002,
        latency_metrics={"latency_ms": 45},
    )
    tracker.store_execution_record(execution)
    outcome = TradeOutcome(
        uuid=candidate.uuid,
        realized_pnl_percent=15.5,
        time_in_market_seconds=3600,
        termination_reason=TerminationReason.PROFIT_TARGET,
    )
    tracker.store_outcome(outcome)
    return candidate


def _identities(tracker: TradeTrackingSystem, key: uuid.UUID) -> dict[str, tuple[str, str]]:
    story = tracker.get_complete_trade_record(key)
    stages = ("candidate", "research", "execution", "outcome")
    return {stage: (story[stage]["uuid"], story[stage]["content_hash"]) for stage in stages}


def test_the_data_flow_of_the_seed_runs_as_written(tracker: TradeTrackingSystem) -> None:
    candidate = _data_flow(tracker)
    story = tracker.get_complete_trade_record(candidate.uuid)
    assert story["uuid"] == str(candidate.uuid)
    assert story["research"]["initial_market_cap"] == "1000000"
    assert story["research"]["rugpull_heuristic_scores"] == {"risk": "0.3"}
    assert story["execution"]["entry_price"] == "0.001"
    assert story["execution"]["notional_usd"] == "1"
    assert story["execution"]["latency_metrics"] == {"latency_ms": 45}
    assert story["outcome"]["realized_pnl_percent"] == "15.5"
    assert story["outcome"]["realized_pnl_usd"] == "0.155"
    assert story["outcome"]["exit_price"] == "0.001155"
    assert story["outcome"]["exit_time"] == "2024-05-06T08:08:09.123456Z"
    assert story["outcome"]["termination_reason"] == "profit_target"
    assert story["disposition"] is None
    assert story["shadow_outcome"] is None
    # every stage carries the candidate's uuid, and names its parent by uuid and hash
    assert story["research"]["candidate"] == {"hash": candidate.content_hash, "uuid": str(candidate.uuid)}
    assert story["execution"]["research"]["uuid"] == story["research"]["uuid"]
    assert story["outcome"]["execution"]["hash"] == story["execution"]["content_hash"]


def test_basic_trade_tracking_of_the_seed_runs_as_written(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, home: Home, database: Database
) -> None:
    monkeypatch.setenv("THROUGHLINE_HOME", str(home.path))
    # Initialize system
    tracker = TradeTrackingSystem()
    try:
        # Create and track a trade
        candidate = tracker.create_candidate("BTC/USDT", "v1.0", 0.8, "params", "strategy")
        # Retrieve complete trade history
        complete_record = tracker.get_complete_trade_record(candidate.uuid)
        assert complete_record["candidate"]["instrument"] == "BTC/USDT"
        assert complete_record["execution"] is None
        assert tracker.get_complete_trade_record(str(candidate.uuid)) == complete_record
    finally:
        tracker.close()


def test_trade_metrics_of_the_seed_print_as_written(tracker: TradeTrackingSystem) -> None:
    assert tracker.get_performance_metrics()["win_rate"] is None
    _data_flow(tracker)
    metrics = tracker.get_performance_metrics()
    assert f"Total trades: {metrics['total_trades']}" == "Total trades: 1"
    assert f"Win rate: {metrics['win_rate'] * 100:.1f}%" == "Win rate: 100.0%"
    assert f"Average return: {metrics['avg_return_pct']:.2f}%" == "Average return: 15.50%"
    assert metrics["termination_reasons"] == {"profit_target": 1}
    assert metrics["total_pnl_usd"] == 0.155


def test_the_same_clock_gives_the_same_uuids_and_hashes_in_two_homes(
    tracker: TradeTrackingSystem, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    here = _identities(tracker, _data_flow(tracker).uuid)
    with (
        open_database(Home(tmp_path_factory.mktemp("second") / "home")) as other,
        TradeTrackingSystem(engine=other.engine("writer"), clock=FixedClock(AT), name=name) as second,
    ):
        there = _identities(second, _data_flow(second).uuid)
    assert here == there
    assert len({key for key, _ in here.values()}) == 4


def test_another_instant_or_another_book_gives_other_identities(database: Database, name: str) -> None:
    engine = database.engine("writer")
    seen = set()
    for book, instant in ((name, AT), (name, AT + timedelta(microseconds=1)), (name + "-2", AT)):
        tracker = TradeTrackingSystem(engine=engine, clock=FixedClock(instant), name=book)
        seen.add(tracker.create_candidate("BTC/USDT", "v1.0", 0.8, "params", "strategy").uuid)
    assert len(seen) == 3


def test_the_same_again_is_a_no_op(tracker: TradeTrackingSystem, database: Database) -> None:
    first = _identities(tracker, _data_flow(tracker).uuid)
    assert _identities(tracker, _data_flow(tracker).uuid) == first
    with database.engine("reader").connect() as connection:
        counts = {table.name: len(read_rows(connection, table, tracker.experiment)) for table in LEDGER}
    assert {key: value for key, value in counts.items() if value} == dict.fromkeys(
        ("candidates", "research_docs", "executions", "outcomes"), 1
    )


def test_another_content_under_the_same_uuid_is_refused_and_both_hashes_named(tracker: TradeTrackingSystem) -> None:
    candidate = _data_flow(tracker)
    with pytest.raises(LedgerConflict, match=r"candidates .* is recorded with hash [0-9a-f]{64}, this run gives"):
        tracker.create_candidate("PEPE/USDT", "v1.2.3", 0.76, "params_001", "high_vol_strategy")
    with pytest.raises(LedgerConflict, match="research_docs"):
        tracker.store_research_document(ResearchDocument(uuid=candidate.uuid, trade_rationale="second thoughts"))
    with pytest.raises(LedgerConflict, match="outcomes"):
        tracker.store_outcome(TradeOutcome(candidate.uuid, 99.0, 3600, TerminationReason.PROFIT_TARGET))
    # a second entry of the same candidate is refused although its uuid (order id) is another
    with pytest.raises(LedgerConflict, match="executions"):
        tracker.store_execution_record(ExecutionRecord(candidate.uuid, "order_2", 0.001, 1000.0))
    assert tracker.get_complete_trade_record(candidate.uuid)["outcome"]["realized_pnl_percent"] == "15.5"


def test_a_correction_is_a_new_entry_on_the_day_it_is_made_that_names_what_it_supersedes(
    database: Database, name: str
) -> None:
    engine = database.engine("writer")
    tracker = TradeTrackingSystem(engine=engine, clock=FixedClock(AT), name=name)
    candidate = _data_flow(tracker)
    before = tracker.get_complete_trade_record(candidate.uuid)["outcome"]
    later = TradeTrackingSystem(engine=engine, clock=FixedClock(AT + timedelta(days=3)), name=name)
    corrected = TradeOutcome(candidate.uuid, -12.5, 3600, TerminationReason.STOP_LOSS)
    made = later.store_outcome(corrected, supersedes=uuid.UUID(before["uuid"]))
    after = later.get_complete_trade_record(candidate.uuid)["outcome"]
    assert after["uuid"] == str(made) != before["uuid"]
    assert after["partition"] == "2024-05-09"
    assert before["partition"] == "2024-05-06"
    assert after["supersedes"] == {"hash": before["content_hash"], "uuid": before["uuid"]}
    assert later.get_complete_trade_record(made)["uuid"] == str(candidate.uuid)
    with database.engine("reader").connect() as connection:
        assert len(read_rows(connection, "outcomes", tracker.experiment)) == 2, "nothing is deleted"
    metrics = later.get_performance_metrics()
    assert (metrics["total_trades"], metrics["win_rate"]) == (1, 0.0)
    # the same correction again is a no-op; another correction of the same record is refused
    assert later.store_outcome(corrected, supersedes=uuid.UUID(before["uuid"])) == made
    with pytest.raises(LedgerConflict):
        later.store_outcome(
            TradeOutcome(candidate.uuid, -1.0, 3600, TerminationReason.STOP_LOSS), supersedes=uuid.UUID(before["uuid"])
        )


def test_a_correction_must_be_of_the_same_table_and_the_same_trade(
    tracker: TradeTrackingSystem, database: Database
) -> None:
    candidate = _data_flow(tracker)
    story = tracker.get_complete_trade_record(candidate.uuid)
    other = TradeTrackingSystem(
        engine=database.engine("writer"), clock=FixedClock(AT + timedelta(days=1)), name=uuid.uuid4().hex
    )
    foreign = other.get_complete_trade_record(_data_flow(other).uuid)["outcome"]["uuid"]
    for wrong in (story["execution"]["uuid"], foreign):
        with pytest.raises(UnknownRecord, match="a correction supersedes a record of its own table and trade"):
            tracker.store_outcome(
                TradeOutcome(candidate.uuid, -1.0, 60, TerminationReason.STOP_LOSS), supersedes=uuid.UUID(wrong)
            )


def test_no_execution_without_research_and_no_outcome_without_execution(tracker: TradeTrackingSystem) -> None:
    candidate = tracker.create_candidate("BTC/USDT", "v1.0", 0.8, "params", "strategy")
    with pytest.raises(UnknownRecord, match="no record in research_docs: store its research document first"):
        tracker.store_execution_record(ExecutionRecord(candidate.uuid, "o", 1.0, 1.0))
    with pytest.raises(UnknownRecord, match="no record in executions: store its execution first"):
        tracker.store_outcome(TradeOutcome(candidate.uuid, 1.0, 1, TerminationReason.TIME_LIMIT))
    with pytest.raises(UnknownRecord, match="no record has the id"):
        tracker.store_research_document(ResearchDocument(uuid=uuid.uuid4()))
    document = tracker.store_research_document(ResearchDocument(uuid=candidate.uuid))
    with pytest.raises(UnknownRecord, match="is a record of research_docs, not a candidate"):
        tracker.store_execution_record(ExecutionRecord(document, "o", 1.0, 1.0))


@pytest.mark.parametrize(
    ("stage", "link"), [("execution", "research"), ("outcome", "execution"), ("research", "candidate")]
)
def test_the_database_itself_refuses_a_broken_link(
    tracker: TradeTrackingSystem, database: Database, stage: str, link: str
) -> None:
    story = tracker.get_complete_trade_record(_data_flow(tracker).uuid)
    table = {"research": "research_docs", "execution": "executions", "outcome": "outcomes"}[stage]
    body = {key: value for key, value in story[stage].items() if key not in ("uuid", "content_hash")}
    bare = tracker.create_candidate("BTC/USDT", "v1.0", 0.8, "params", "another strategy")  # with no record but its own
    body |= {"candidate": {"hash": bare.content_hash, "uuid": str(bare.uuid)}}
    body |= {link: {"hash": "0" * 64, "uuid": str(uuid.UUID(int=5))}}
    with (
        database.engine("writer").begin() as connection,
        pytest.raises(StorageError, match=f"{table}: a link of the chain is missing"),
    ):
        append_record(connection, table, make_row(table, body))


@pytest.mark.parametrize("confidence", [-0.01, 1.01, float("nan")])
def test_a_confidence_outside_zero_to_one_is_refused(tracker: TradeTrackingSystem, confidence: float) -> None:
    with pytest.raises(ValueError, match=r"not in \[0, 1\]"):
        tracker.create_candidate("BTC/USDT", "v1.0", confidence, "params", "strategy")


def test_an_unknown_uuid_is_said_to_be_unknown(tracker: TradeTrackingSystem) -> None:
    with pytest.raises(UnknownRecord, match="no record of this home has the ID"):
        tracker.get_complete_trade_record(uuid.uuid4())


def test_any_uuid_of_a_chain_finds_the_whole_story(tracker: TradeTrackingSystem) -> None:
    story = tracker.get_complete_trade_record(_data_flow(tracker).uuid)
    for stage in ("research", "execution", "outcome"):
        assert tracker.get_complete_trade_record(story[stage]["uuid"]) == story


@pytest.fixture(scope="module")
def stored(database: Database) -> Iterator[dict[str, list[object]]]:
    """Return every record of a trade with a correction, as the database gives it back."""
    clock = SteppingClock(AT, timedelta(hours=30))
    tracker = TradeTrackingSystem(engine=database.engine("writer"), clock=clock, name=uuid.uuid4().hex)
    candidate = _data_flow(tracker)
    story = tracker.get_complete_trade_record(candidate.uuid)
    tracker.store_research_document(
        ResearchDocument(
            candidate.uuid,
            volume_24h=1.5e-7,
            trade_rationale="später",
            inputs=[{"name": "cap", "value": 12.5, "available_at": AT}],
            missing=["rug_risk"],
        ),
        supersedes=uuid.UUID(story["research"]["uuid"]),
    )
    with database.engine("reader").connect() as connection:
        yield {table.name: read_rows(connection, table, tracker.experiment) for table in LEDGER}


@pytest.mark.parametrize("table", ["candidates", "research_docs", "executions", "outcomes"])
def test_columns_uuid_and_hash_of_what_is_stored_equal_its_body(stored: dict[str, list], table: str) -> None:
    assert stored[table]
    for row in stored[table]:
        body = json.loads(row.body)
        assert canonical_bytes(body) == row.body
        assert project(table, body) == row.columns
        assert expected_uuid(table, body) == row.uuid
        assert content_hash(catalogue().records[table].kind, row.body) == row.content_hash
        assert (body["experiment"], body["partition"]) == (row.experiment, row.partition.isoformat())


def test_money_survives_the_database_to_the_last_decimal(tracker: TradeTrackingSystem, database: Database) -> None:
    candidate = tracker.create_candidate("SHIB/USDT", "v1", 0.5, "p", "s")
    tracker.store_research_document(ResearchDocument(uuid=candidate.uuid))
    tracker.store_execution_record(ExecutionRecord(candidate.uuid, "o", 1.23456789e-10, 123456789012.125, 0.0))
    with database.engine("reader").connect() as connection:
        found = connection.execute(select(executions).where(executions.c.candidate_uuid == candidate.uuid)).one()
    assert found.entry_price == Decimal("0.000000000123456789")
    assert found.quantity == Decimal("123456789012.125")
