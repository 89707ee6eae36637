"""Trades of chains that were written by hand: they carry the chain's UUIDs and follow its corrections."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from tests.integration.home_copies import open_copy
from tests.integration.registry_trades import trade
from tests.integration.small_home import seal_experiment
from throughline.clock import FixedClock
from throughline.errors import LedgerConflict, UnknownRecord
from throughline.registry.coordinator import RegistryCoordinator
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database
from throughline.storage.ledger import read_rows
from throughline.tracking import ExecutionRecord, ResearchDocument, TerminationReason, TradeOutcome, TradeTrackingSystem

AT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with open_copy(tmp_path_factory.mktemp("tracked") / "home") as database:
        yield database


def test_the_trade_of_a_tracked_chain_names_its_records_and_follows_its_corrections(own: Database) -> None:
    engine = own.engine("writer")
    tracker = TradeTrackingSystem(engine=engine, clock=FixedClock(AT))
    candidate = tracker.create_candidate("PEPE/USDT", "v1.2.3", 0.75, "params_001", "high_vol_strategy")
    tracker.store_research_document(ResearchDocument(uuid=candidate.uuid))
    filled = AT + timedelta(minutes=1)
    tracker.store_execution_record(ExecutionRecord(candidate.uuid, "o", 0.001, 1000.0, fill_time=filled))
    ended = tracker.store_outcome(TradeOutcome(candidate.uuid, 15.5, 3600, TerminationReason.PROFIT_TARGET))
    registry = RegistryCoordinator(own.home.path, engine=engine, clock=FixedClock(AT + timedelta(days=1)))
    told = {"soulprints": trade(1)[1]["soulprints"]}
    name = registry.add_tracked_trade(ended, told)
    assert registry.add_tracked_trade(str(ended), told) == name
    story = tracker.get_complete_trade_record(candidate.uuid)
    whole = registry.get_trade_with_all_linkages(name)
    made = whole["canonical_trade"]
    for key in ("candidate", "research", "execution", "outcome"):
        assert made[key] == {"hash": story[key]["content_hash"], "uuid": story[key]["uuid"]}
    assert (made["profit_usd"], made["termination_reason"]) == ("0.155", "profit_target")
    assert made["model_version"] == "v1.2.3"
    assert whole["complete"]
    assert whole["experiment"] == tracker.experiment
    assert whole["specialized_data"]["soulprints"]["decision_time"] == "2024-05-06T07:08:09.000000Z"
    with pytest.raises(LedgerConflict, match="recorded with hash"):
        registry.add_tracked_trade(ended)

    later = TradeTrackingSystem(engine=engine, clock=FixedClock(AT + timedelta(days=3)))
    right = TradeOutcome(candidate.uuid, -12.5, 3600, TerminationReason.STOP_LOSS)
    corrected = later.store_outcome(right, supersedes=ended)
    with pytest.raises(LedgerConflict, match=f"is corrected by {corrected}: register that one"):
        registry.add_tracked_trade(ended, told)
    registry = RegistryCoordinator(own.home.path, engine=engine, clock=FixedClock(AT + timedelta(days=4)))
    second = registry.add_tracked_trade(corrected, told)
    weeks_later = RegistryCoordinator(own.home.path, engine=engine, clock=FixedClock(AT + timedelta(days=40)))
    assert weeks_later.add_tracked_trade(corrected, told) == second
    assert registry.get_trade_with_all_linkages(second)["corrects"] == name
    assert registry.get_trade_with_all_linkages(second)["canonical_trade"]["partition"] == "2024-05-10"
    figures = registry.get_performance_analytics(experiment=tracker.experiment)
    assert (figures["total_trades"], figures["total_profit"]) == (1, -0.125)
    report = registry.validate_registry_consistency()
    assert report["ok"], report["findings"]
    assert report["trades"] == 2


def test_only_outcomes_written_by_hand_can_be_registered_by_hand(own: Database, tmp_path: Path) -> None:
    experiment = seal_experiment(own, ArtifactStore(tmp_path))
    with own.engine("reader").connect() as connection:
        flow = read_rows(connection, "outcomes", experiment.id)[0]
    registry = RegistryCoordinator(own.home.path, engine=own.engine("writer"))
    with pytest.raises(UnknownRecord, match="which registers its own trades"):
        registry.add_tracked_trade(flow.uuid)
    with pytest.raises(UnknownRecord, match="no record of outcomes of this home has the ID"):
        registry.add_tracked_trade(UUID(int=5))
