"""Orphans: found, kept out of use with a reason, given back, and never deleted (defects 5 and 7)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.integration.home_copies import open_copy
from tests.integration.registry_trades import trade
from throughline.errors import GateClosed, SettingsError
from throughline.proof.settings import open_proof
from throughline.registry.coordinator import RegistryCoordinator
from throughline.storage.database import Database


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Database]:
    """Return the database of a home of this test's own, which it may spoil."""
    with open_copy(tmp_path / "home") as database:
        yield database


def spoil(database: Database, *statements: str) -> None:
    """Run statements as the tables' owner, foreign keys and the refusing trigger taken away for the while."""
    with database.engine("owner").begin() as connection:
        query = "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'f'"
        for table, name in connection.execute(text(query)).all():
            connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
        for table in ("canonical_trades", "soulprints", "profit_buckets"):
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER {table}_append_only"))
        for statement in statements:
            connection.execute(text(statement))
        for table in ("canonical_trades", "soulprints", "profit_buckets"):
            connection.execute(text(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only"))


def counts(database: Database) -> list[int]:
    with database.engine("reader").connect() as connection:
        tables = ("canonical_trades", "soulprints", "profit_buckets")
        return [connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in tables]


def test_orphans_are_quarantined_with_their_finding_and_can_be_given_back(own: Database) -> None:
    with RegistryCoordinator(own.home.path) as registry:
        trades = [trade(number) for number in range(6)]
        names = registry.add_trades(trades)
        assert registry.validate_registry_consistency()["ok"]
        assert registry.cleanup_orphaned_entries() == {
            "quarantined": [],
            "canonical_trades": 0,
            "profit_buckets": 0,
            "soulprints": 0,
        }
        gone = registry.get_trade_with_all_linkages(names[2])
        bare = registry.get_trade_with_all_linkages(names[4])
        spoil(
            own,
            f"DELETE FROM canonical_trades WHERE content_hash = '{names[2]}'",
            f"DELETE FROM soulprints WHERE canonical_hash = '{names[4]}'",
        )
        told = registry.get_registry_statistics()["linkage"]
        assert told["soulprints"] == {"linked": 4, "unlinked": 1, "backlinked": 4, "dangling": 1, "coverage": 0.8}
        assert (told["profit_buckets"]["linked"], told["profit_buckets"]["dangling"]) == (5, 1)
        assert not registry.get_trade_with_all_linkages(names[4])["complete"]
        report = registry.validate_registry_consistency()
        assert not report["ok"]
        with pytest.raises(GateClosed, match=r"registry check of .* failed with \d+ finding"):
            registry.find_similar(trades[0][1]["soulprints"]["vector"])

        before = counts(own)
        cleaned = registry.cleanup_orphaned_entries()
        orphans = {gone["specialized_data"][name]["uuid"] for name in ("soulprints", "profit_buckets")}
        taken = {item["uuid"]: item["reason"] for item in cleaned["quarantined"]}
        assert taken.keys() == orphans | {bare["canonical_trade"]["uuid"]}
        assert {reason.split(":")[0] for reason in taken.values()} == {"orphan", "missing_link"}
        assert (cleaned["canonical_trades"], cleaned["soulprints"], cleaned["profit_buckets"]) == (1, 1, 1)
        assert counts(own) == before, "nothing is deleted"
        assert registry.get_performance_analytics()["total_trades"] == 4
        assert registry.cleanup_orphaned_entries()["quarantined"] == [], "the second time there is nothing left to take"

        registry.restore("canonical_trades", bare["canonical_trade"]["uuid"], "looked at it")
        assert registry.get_performance_analytics()["total_trades"] == 5


def test_a_coordinator_without_a_home_has_nowhere_to_write_reports(own: Database) -> None:
    proof = open_proof(own.home, own.embedded)
    with RegistryCoordinator(engine=own.engine("writer"), proof=proof) as registry:
        registry.add_trade_with_linkages(*trade(1))
        with pytest.raises(SettingsError, match="needs an artifact store"):
            registry.validate_registry_consistency()
