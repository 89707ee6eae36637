"""The home that is tampered with: a sealed and anchored experiment beside trades written by hand, and the whole check.

Belongs here: building it, and `Check`, which is what `throughline verify` runs, on one connection in its transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.pool import StaticPool

from tests.integration.home_copies import open_copy
from tests.integration.small_home import START, seal_experiment
from throughline.clock import FixedClock
from throughline.findings import Finding
from throughline.proof.log import publish
from throughline.proof.settings import Proof, open_proof
from throughline.registry.coordinator import RegistryCoordinator
from throughline.registry.quarantine import quarantine
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.cluster import ADMIN
from throughline.storage.database import Database, _connect
from throughline.storage.roles import role_name
from throughline.verification.whole import verify_whole

END = date(2024, 3, 7)
NOW = datetime(2024, 4, 1, tzinfo=UTC)
BY_HAND = 20
"""Trades written by hand, beside one correction."""


@dataclass(frozen=True)
class SealedHome:
    """An open home that nobody may change for good."""

    database: Database
    store: ArtifactStore
    proof: Proof
    experiment: str
    by_hand: str

    @contextmanager
    def superuser(self) -> Iterator[Connection]:
        """Yield a connection as the cluster's superuser; whatever is done on it is rolled back at the end."""
        address = make_url(self.database.url(role="owner")).set(username=ADMIN)
        raw = _connect(address, "auditor")  # with the settings that every session of the house has
        engine = create_engine("postgresql+psycopg2://", creator=lambda: raw, poolclass=StaticPool)
        try:
            with engine.connect() as connection:
                yield connection
                connection.rollback()
        finally:
            engine.dispose()

    def check(self, connection: Connection) -> Sequence[Finding]:
        """Return all that `throughline verify` finds, asked with the auditor's rights in this transaction."""
        connection.execute(text(f"SET LOCAL ROLE {role_name('auditor')}"))
        pinned = self.proof.anchor.pin()
        return verify_whole(connection, self.store, pinned, self.proof.signer.public_key).findings


def trade(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the `number`-th trade by hand, with what its soulprint and bucket entry say. Prices in halves: exact."""
    random = Random(f"trade {number}")
    opened = datetime(2024, 3, 3, tzinfo=UTC) + timedelta(hours=number, minutes=random.randrange(60))
    entry, leave, amount = 10 + number / 2, 10 + random.randrange(2 * number + 4) / 2, 1 + random.randrange(8)
    told = {
        "timestamp": opened,
        "closed_at": opened + timedelta(hours=1 + random.randrange(30)),
        "symbol": f"COIN{number % 7}/USD",
        "action": random.choice(("buy", "sell")),
        "entry_price": entry,
        "exit_price": leave,
        "amount": amount,
        "fees": 0.5,
        "strategy_id": f"by_hand_{number % 3}",
        "confidence": 0.5,
        "market_context": {"mood": random.choice(("calm", "wild"))},
    }
    side = 1 if told["action"] == "buy" else -1
    told["profit_usd"] = side * (leave - entry) * amount - 0.5
    vector = {name: random.randrange(-8, 9) / 8 for name in ("momentum", "drift", "imbalance")}
    vector |= {
        name: random.randrange(9) / 8 for name in ("chrono_resonance", "phase", "volatility", "spectral_entropy")
    }
    made = 100 * side * (leave - entry) / entry
    best = {"max_favorable_percent": round(max(made, 0) + random.randrange(9), 2)}
    best["max_adverse_percent"] = round(min(made, 0) - random.randrange(9), 2)
    if told["action"] == "buy":
        best["max_adverse_percent"] = max(best["max_adverse_percent"], -100)
    else:
        best["max_favorable_percent"] = min(best["max_favorable_percent"], 100)
    return told, {"soulprints": {"vector": vector}, "profit_buckets": best}


def seal_home(folder: Path) -> SealedHome:
    """Build the home in `folder`: half the trades by hand, the experiment, the other half, a correction, quarantine."""
    database = open_copy(folder / "home")
    store = ArtifactStore(folder / "artifacts")
    clock = FixedClock(NOW)
    proof = open_proof(database.home, database.embedded, clock=clock)
    with RegistryCoordinator(engine=database.engine("writer"), clock=clock, proof=proof) as registry:
        first = registry.add_trades([trade(number) for number in range(BY_HAND // 2)])
        experiment = seal_experiment(database, store, start=START, end=END)
        for number in range(BY_HAND // 2, BY_HAND):
            registry.add_trade_with_linkages(*trade(number))
        told, specialised = trade(0)
        corrected = told | {"fees": 1.5, "profit_usd": told["profit_usd"] - 1}
        registry.add_trade_with_linkages(corrected, specialised, supersedes=first[0])
        _set_aside(registry, database, proof, [registry.get_trade_with_all_linkages(item) for item in first[1:3]])
        by_hand = registry.hand_experiment
    published = publish(database.engine("writer"), proof)
    assert published.anchored == published.tree_size
    return SealedHome(database, store, proof, experiment.id, by_hand)


def _set_aside(registry: RegistryCoordinator, database: Database, proof: Proof, trades: Sequence[Any]) -> None:
    """Quarantine two soulprints and give the first of them back."""
    uuids = [told["specialized_data"]["soulprints"]["uuid"] for told in trades]
    with database.engine("writer").begin() as connection:
        for uuid in uuids:
            found = Finding("soulprints", uuid, "looked odd to somebody", "inconsistent")
            quarantine(connection, "soulprints", uuid, "looked odd", found)
    registry.restore("soulprints", uuids[0], "it was right")
