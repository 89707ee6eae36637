"""Dossiers of what was written by hand: no bars, no seals, no portfolio; the parts that are missing say why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.integration.test_tracking_seed import _data_flow
from throughline.clock import FixedClock
from throughline.dossier.page import dossier_html
from throughline.dossier.read import Dossier, compile_dossier
from throughline.proof.settings import open_proof
from throughline.registry.coordinator import RegistryCoordinator
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home
from throughline.storage.ids import parse_id
from throughline.tracking import TradeTrackingSystem

AT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
SYMBOL = "BTC/<script>alert(1)</script>"
VECTOR = {
    "drift": 0.3,
    "imbalance": 0.2,
    "lead": 0.0,
    "momentum": 0.1,
    "own_cycle": 0.1,
    "phase": 0.5,
    "psi": 0.5,
    "range": 0.02,
    "slope": 0.001,
    "time_scale": 1.0,
    "trend_t": 1.0,
    "volatility": 0.02,
}


def trade(day: int, **changes: Any) -> dict[str, Any]:
    """Return a trade of an hour on a day of May 2024."""
    told = {
        "timestamp": datetime(2024, 5, day, 1, tzinfo=UTC),
        "closed_at": datetime(2024, 5, day, 2, tzinfo=UTC),
        "symbol": SYMBOL,
        "action": "buy",
        "entry_price": 50_000,
        "exit_price": 50_500,
        "amount": "0.01",
        "fees": "0.1",
        "profit_usd": "4.9",
        "strategy_id": "by_hand",
        "confidence": "0.8",
    }
    return told | changes


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with open_database(Home(tmp_path_factory.mktemp("by_hand") / "home")) as database:
        yield database


@pytest.fixture(scope="module")
def hashes(own: Database) -> dict[str, str]:
    """Two trades with a vector, the second one corrected, and one without."""
    with RegistryCoordinator(own.home.path, clock=FixedClock(AT)) as registry:
        vector = {"soulprints": {"vector": VECTOR}}
        first = registry.add_trade_with_linkages(trade(1), vector)
        wrong = registry.add_trade_with_linkages(trade(2), vector)
        bare = registry.add_trade_with_linkages(trade(3), None)
        better = trade(2, exit_price=50_400, profit_usd="3.9")
        right = registry.add_trade_with_linkages(better, vector, supersedes=wrong)
    return {"first": first, "wrong": wrong, "right": right, "bare": bare}


def made(own: Database, id_: str) -> Dossier:
    store, proof = ArtifactStore(own.home.artifacts), open_proof(own.home, own.embedded)
    with own.engine("reader").connect() as connection:
        return compile_dossier(connection, store, proof, parse_id(id_))


def test_a_trade_registered_by_hand_has_a_dossier_of_its_entries_and_says_what_it_lacks(
    own: Database, hashes: dict[str, str]
) -> None:
    told = made(own, hashes["first"][:20])
    assert told.ok, told.problems
    assert [step.table for step in told.story.steps] == ["canonical_trades", "soulprints", "profit_buckets"]
    assert told.story.candidate is None
    for why in (told.prices.why, told.paths_why):
        assert "registered by hand" in str(why)
    assert told.costs.net == "4.9"
    assert "no trade of this experiment had been closed" in str(told.similar.why)
    html = dossier_html(told)
    assert "<script" not in html
    assert "BTC/&lt;script&gt;" in html


def test_entries_written_by_hand_are_found_in_the_log_by_themselves(own: Database, hashes: dict[str, str]) -> None:
    log = made(own, hashes["first"]).log
    assert len(log.places) == 3
    assert all(place.seq is not None and place.head and place.anchored for place in log.places)


def test_similar_trades_of_a_hand_written_vector_are_those_closed_before_it(
    own: Database, hashes: dict[str, str]
) -> None:
    similar = made(own, hashes["right"]).similar
    assert [item.trade_hash for item in similar.matches] == [hashes["first"]]
    assert similar.matches[0].similarity == pytest.approx(1.0)
    assert not similar.usable


def test_a_vector_that_was_not_told_is_said_to_be_missing(own: Database, hashes: dict[str, str]) -> None:
    told = made(own, hashes["bare"])
    assert told.ok, told.problems
    assert "fewer than half of its soulprint is known" in str(told.similar.why)


def test_a_correction_and_what_it_corrects_are_one_story_told_from_either_end(
    own: Database, hashes: dict[str, str]
) -> None:
    for name in ("wrong", "right"):
        told = made(own, hashes[name])
        assert told.ok, told.problems
        trades = [step.content_hash for step in told.story.steps if step.table == "canonical_trades"]
        assert trades == [hashes["wrong"], hashes["right"]]
        assert told.registration.trade_hash == hashes["right"]
        assert told.costs.net == "3.9"
        assert "This entry corrects" in dossier_html(told)


def test_an_entry_in_quarantine_is_told_with_its_reason(own: Database, hashes: dict[str, str]) -> None:
    uuid = made(own, hashes["bare"]).registration.uuid
    act = (
        "INSERT INTO registry_quarantine (table_name, row_uuid, action, reason, finding) VALUES (:t, :u, :a, :r, '{}')"
    )
    with own.engine("owner").begin() as connection:
        connection.execute(text(act), {"t": "canonical_trades", "u": uuid, "a": "quarantine", "r": "told twice"})
    told = made(own, hashes["bare"])
    assert told.registration.quarantine == {"canonical_trades": "told twice"}
    assert "in quarantine (told twice)" in dossier_html(told)


def test_a_chain_that_was_tracked_by_hand_says_how_it_would_be_registered(tmp_path: Path) -> None:
    with TradeTrackingSystem(tmp_path / "home", clock=FixedClock(AT)) as tracker:
        candidate = _data_flow(tracker)
    with open_database(Home(tmp_path / "home")) as database:
        told = made(database, str(candidate.uuid))
        assert told.ok, told.problems
        assert told.log.tree_size == 0
        assert "no head has been signed yet" in told.log.signature
    assert "add_trade_with_linkages" in str(told.registration.why)
    assert told.barriers is None
    assert told.prices.bars == ()
    assert "written by hand" in str(told.paths_why)
    assert [step.table for step in told.story.steps][-1] == "outcomes"
    assert "<h1>" in dossier_html(told)
