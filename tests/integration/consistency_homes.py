"""Homes whose registries are checked: a sealed experiment beside trades by hand, and the hands that change them.

Changes are made as the tables' owner with foreign keys not enforced for the session (as a superuser may), inside a
transaction that is rolled back: no guard is changed, so nothing but the change can be found.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import StaticPool

from tests.integration.home_copies import open_sealed_copy
from tests.unit.consistency_rows import BODY, BY_HAND, hand_rows
from throughline.clock import FixedClock
from throughline.identity import canonical_bytes, seal_of
from throughline.proof.log import append_entries, publish
from throughline.proof.settings import Proof, open_proof
from throughline.registry.consistency import ConsistencyResult, check_connection
from throughline.registry.records import TradeRows
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.cluster import ADMIN, PORT
from throughline.storage.copy import copy_tuples
from throughline.storage.database import APPLICATION, Database
from throughline.storage.ledger import append_record
from throughline.storage.queries import register_experiment
from throughline.storage.roles import role_name
from throughline.storage.row_log import lock_log
from throughline.storage.tables import REGISTRY, ledger_table, projection
from throughline.tracking.records import expected_uuid, make_row, project

NOW = datetime(2024, 6, 1, tzinfo=UTC)
HAND_TRADES = 12


@dataclass(frozen=True)
class Sealed:
    """A home with its parts."""

    database: Database
    store: ArtifactStore
    proof: Proof
    experiment: str

    def check(self, connection: Connection, **arguments: Any) -> ConsistencyResult:
        """Check the registries on an open connection, without the log unless `audit` is set."""
        if arguments.pop("audit", False):
            arguments |= {"anchor": self.proof.anchor, "public_key": self.proof.signer.public_key}
        return check_connection(connection, **arguments)

    @contextmanager
    def tampering(self, superuser: bool = False) -> Iterator[Connection]:
        """Yield a connection as the tables' owner, foreign keys not enforced; rolled back at the end."""
        raw = self.database.engine("owner").raw_connection()
        where = raw.driver_connection.info.host  # type: ignore[union-attr]
        raw.close()
        own = psycopg2.connect(host=where, port=PORT, user=ADMIN, dbname=APPLICATION)
        engine = create_engine("postgresql+psycopg2://", creator=lambda: own, poolclass=StaticPool)
        try:
            with engine.connect() as connection:
                connection.execute(text("SET TIME ZONE 'UTC'"))
                connection.execute(text("SET session_replication_role = replica"))
                if not superuser:
                    connection.execute(text(f"SET ROLE {role_name('owner')}"))
                yield connection
                connection.rollback()
        finally:
            engine.dispose()


def write_hand(database: Database, proof: Proof, trades: Sequence[TradeRows]) -> None:
    """Write trades by hand and log them, as the coordinator does."""
    with database.engine("writer").begin() as connection:
        lock_log(connection)
        register_experiment(connection, BY_HAND, "tracking", BODY)
        rows = [(table.name, trade.by_table()[table.name]) for trade in trades for table in REGISTRY]
        for table, row in rows:
            append_record(connection, table, row)
        append_entries(connection, proof, rows, BY_HAND)


@contextmanager
def sealed_home(folder: Path) -> Iterator[Sealed]:
    """Yield a home with a sealed experiment of eight days and a dozen trades by hand, all anchored."""
    database, store, experiment = open_sealed_copy(folder)
    with database:
        proof = open_proof(database.home, database.embedded, clock=FixedClock(NOW))
        write_hand(database, proof, [hand_rows(number) for number in range(HAND_TRADES)])
        publish(database.engine("writer"), proof)
        yield Sealed(database, store, proof, experiment.id)


def found(result: ConsistencyResult, *tables: str) -> set[tuple[str, str, str]]:
    """Return (table, row, kind) of the findings (of some tables)."""
    return {(item.table, item.row, item.kind) for item in result.findings if not tables or item.table in tables}


def pick(connection: Connection, table: str, where: str = "true", number: int = 0) -> dict[str, Any]:
    """Return a row, by UUID."""
    statement = text(f"SELECT * FROM {table} WHERE {where} ORDER BY uuid OFFSET {number} LIMIT 1")
    return dict(connection.execute(statement).mappings().one())


def entry(connection: Connection, table: str, trade: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of a trade in a specialised registry."""
    return pick(connection, table, f"canonical_uuid = '{trade['uuid']}'")


def rewrite(
    connection: Connection, table: str, row: dict[str, Any], change: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Change a row's body, and after it hash, columns and UUID, as one does who knows how they are made."""
    body = json.loads(bytes(row["body"]))
    change(body)
    made = make_row(table, body)
    plain = json.loads(canonical_bytes(body))
    values = project(table, plain) | {
        "body": made.body,
        "content_hash": made.content_hash,
        "uuid": expected_uuid(table, plain),
        "partition": made.partition,
        "experiment": made.experiment,
    }
    columns = ", ".join(f'"{name}" = :{name}' for name in values)
    connection.execute(text(f"UPDATE {table} SET {columns} WHERE uuid = :old"), values | {"old": row["uuid"]})
    return pick(connection, table, f"uuid = '{values['uuid']}'")


def reseal(connection: Connection, asset: str, day: object) -> None:
    """Make the seal of a registry's day from the hashes that its rows say."""
    hashes = list(
        connection.execute(text(f"SELECT content_hash FROM {asset} WHERE partition = :d"), {"d": day}).scalars()
    )
    statement = text("UPDATE partition_seals SET root = :r, leaves = :n WHERE asset = :a AND partition = :d")
    connection.execute(statement, {"a": asset, "d": day, "r": seal_of(hashes), "n": len(hashes)})


def put(hands: Connection, rows: TradeRows) -> None:
    """Write the rows of a trade, whatever they say."""
    cursor: Any = hands.connection.cursor()
    for table, row in rows.by_table().items():
        names = projection(ledger_table(table))
        written = ("uuid", "experiment", "partition", "content_hash", "body", "supersedes", "run_id")
        values = [getattr(row, name) for name in written] + [row.columns[name] for name in names]
        copy_tuples(cursor, ledger_table(table), written + names, [values])
