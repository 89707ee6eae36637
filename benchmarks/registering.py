"""Registering and linking trades by hand: ``python benchmarks/registering.py [TRADES] [SINGLE]``.

Printed: trades a second in bulk (one call per 1,000) and one by one (each call durable, logged, signed and anchored
when it returns), against the bare cost of the same bytes on the same server: COPY of the same rows, and one INSERT with
COMMIT per row. Then the time of the questions on them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sqlalchemy import Connection

from tests.integration.registry_trades import trade
from throughline.registry.coordinator import RegistryCoordinator
from throughline.storage.copy import copy_tuples
from throughline.storage.database import Database, open_database
from throughline.storage.tables import REGISTRY, projection

BATCH = 1000
WRITTEN = ("uuid", "experiment", "partition", "content_hash", "body", "supersedes", "run_id")


def seconds(call: Callable[[], Any]) -> float:
    """Return the wall time of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def stored(connection: Connection, limit: int) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of the first trades as tuples by table, each trade's rows at the same place."""
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for table in REGISTRY:
        names = ", ".join(f'"{name}"' for name in (*WRITTEN, *projection(table)))
        key = "uuid" if table.name == "canonical_trades" else "canonical_uuid"
        found = connection.exec_driver_sql(f"SELECT {names} FROM {table.name} ORDER BY {key} LIMIT {limit}")
        rows[table.name] = [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in found]
    return rows


def bare(database: Database, rows: dict[str, list[tuple[Any, ...]]], single: int) -> tuple[float, float]:
    """Return seconds a trade of bare COPY (a batch a transaction) and of INSERT with COMMIT, into tables with a key."""
    raw = database.engine("owner").raw_connection()
    cursor = raw.cursor()
    try:
        for table in REGISTRY:
            cursor.execute(f"CREATE TABLE bare_{table.name} (LIKE {table.name} INCLUDING DEFAULTS, PRIMARY KEY (uuid))")
        raw.commit()
        count = len(rows["canonical_trades"])

        def copy() -> None:
            for start in range(0, count, BATCH):
                for table in REGISTRY:
                    part = rows[table.name][start : start + BATCH]
                    renamed = table.to_metadata(type(table.metadata)(), name=f"bare_{table.name}")
                    copy_tuples(cursor, renamed, WRITTEN + projection(table), part)
                raw.commit()

        def insert() -> None:
            for place in range(single):
                for table in REGISTRY:
                    names = WRITTEN + projection(table)
                    columns, marks = ", ".join(f'"{name}"' for name in names), ", ".join(["%s"] * len(names))
                    row = [str(v) if type(v).__name__ == "UUID" else v for v in rows[table.name][place]]
                    cursor.execute(f"INSERT INTO bare_{table.name} ({columns}) VALUES ({marks})", row)
                raw.commit()

        copied = seconds(copy) / count
        for table in REGISTRY:
            cursor.execute(f"TRUNCATE bare_{table.name}")
        raw.commit()
        return copied, seconds(insert) / single
    finally:
        cursor.close()
        raw.close()


def main() -> int:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    single = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    with tempfile.TemporaryDirectory() as folder:
        os.environ["THROUGHLINE_SIGNING_KEY"] = str(Path(folder) / "signing.pem")
        home = Path(folder) / "home"
        many = [trade(number, "bulk") for number in range(count)]
        few = [trade(number, "single") for number in range(single)]
        with open_database(home) as database, RegistryCoordinator(home) as registry:
            registry.add_trade_with_linkages(*trade(0, "warm"))
            bulk = seconds(lambda: [registry.add_trades(many[k : k + BATCH]) for k in range(0, count, BATCH)]) / count
            alone = seconds(lambda: [registry.add_trade_with_linkages(*item) for item in few]) / single
            again = seconds(lambda: [registry.add_trade_with_linkages(*item) for item in few]) / single
            with database.engine("reader").connect() as connection:
                rows = stored(connection, count)
            copied, inserted = bare(database, rows, single)
            print(
                f"bulk           {1 / bulk:10,.0f} trades/s   bare COPY of the same rows   {1 / copied:10,.0f}/s",
                end="",
            )
            print(f"   ratio {bulk / copied:.2f}")
            print(
                f"one by one     {1 / alone:10,.0f} trades/s   bare INSERT and COMMIT       {1 / inserted:10,.0f}/s",
                end="",
            )
            print(f"   ratio {alone / inserted:.2f}")
            print(f"the same again {1 / again:10,.0f} trades/s (nothing is written)")
            vector = many[0][1]["soulprints"]["vector"]
            for name, call in (
                ("performance analytics", registry.get_performance_analytics),
                ("registry statistics", registry.get_registry_statistics),
                ("find_similar, first (reads the index)", lambda: registry.find_similar(vector)),
                ("find_similar, again", lambda: registry.find_similar(vector)),
            ):
                print(f"{name:<40} {seconds(call) * 1e3:8.1f} ms at {count + single + 1:,} trades")
            report = registry.validate_registry_consistency()
            print(f"full check: {'nothing found' if report['ok'] else report['findings'][:3]} in {report['seconds']} s")
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
