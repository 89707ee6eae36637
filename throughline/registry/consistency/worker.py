"""A process that checks chunks, told what to do on its standard input (`pool` starts it).

The first line says how to reach the database and which snapshot to read, each further line is a chunk; each answer is
one line. It ends with its stdin, so it does not outlive who started it. A program of its own rather than a fork or a
`multiprocessing` child: it shares no connection, and the program that asks needs no guard in its main module.
"""

from __future__ import annotations

import gc
import json
import sys
from datetime import date
from typing import Any, TextIO

import psycopg2
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from throughline.integrity.database import use_our_schema
from throughline.registry.consistency.chunk import check_chunk
from throughline.registry.consistency.forms import registry_forms
from throughline.registry.consistency.reading import Chunk, prepared


def serve(asked: TextIO, answers: TextIO) -> None:
    """Answer until `asked` ends."""
    start = json.loads(asked.readline())
    raw: Any = psycopg2.connect(**start["address"])
    with raw, raw.cursor() as cursor:  # the same tables as the asking session reads, whatever the role's defaults are
        cursor.execute("SELECT set_config('search_path', %s, false)", (start["search_path"],))
    engine = create_engine("postgresql+psycopg2://", creator=lambda: raw, poolclass=StaticPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.exec_driver_sql("SET TRANSACTION SNAPSHOT %s", (start["snapshot"],))
        use_our_schema(connection)
        forms = registry_forms()
        with prepared(connection):
            for line in asked:
                told = check_chunk(connection, forms, chunk_of(json.loads(line)))
                answers.write(json.dumps(told.as_json()) + "\n")
                answers.flush()
                gc.collect()
        connection.rollback()
    engine.dispose()


def chunk_of(told: dict[str, Any]) -> Chunk:
    """Return the chunk that `chunk_told` wrote."""
    days = tuple(date.fromisoformat(day) for day in told["days"])
    return Chunk(told["experiment"], days, told["trades"], told["by_hand"])


def chunk_told(chunk: Chunk) -> dict[str, Any]:
    """Return a chunk as JSON."""
    return {
        "experiment": chunk.experiment,
        "days": [day.isoformat() for day in chunk.days],
        "trades": chunk.trades,
        "by_hand": chunk.by_hand,
    }


def main() -> None:
    """Serve the process that started this one."""
    # Looking for circles among the rows takes a tenth of the time: it is done between chunks, when there are none.
    gc.disable()
    gc.freeze()
    serve(sys.stdin, sys.stdout)
