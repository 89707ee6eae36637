"""One chunk of partitions, checked whole: rows, links, sums, chain, seals.

Belongs here: the order of the steps and what is carried from part to part. Does not belong here: which chunks there are
(reading) and where they are checked (pool).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from sqlalchemy import Connection

from throughline.registry.consistency.chain import check_chain, check_outcomes
from throughline.registry.consistency.entries import Entry, read_entries
from throughline.registry.consistency.forms import Forms
from throughline.registry.consistency.reading import Chunk
from throughline.registry.consistency.result import Tally
from throughline.registry.consistency.seals import check_seals
from throughline.registry.consistency.sums import check_sums
from throughline.registry.consistency.trades import Part, check_links


def check_chunk(connection: Connection, forms: Mapping[str, Forms], chunk: Chunk) -> Tally:
    """Return what the partitions of a chunk give. To be called under `reading.prepared`.

    forms: by registry, the same ones for all chunks of a check.
    """
    tally = Tally()
    leaves: dict[str, dict[date, list[str]]] = {table: {} for table in forms}
    told: dict[str, list[Entry]] = {}
    for number in range(chunk.parts):
        part = Part({})
        held: dict[str, list[Entry]] = {}
        for table, form in forms.items():
            held[table], findings = read_entries(connection, form, chunk, number)
            part.findings += findings
            tally.rows += len(held[table])
            if not chunk.by_hand:  # no day of which is sealed
                days = leaves[table]
                for entry in held[table]:
                    days.setdefault(date.fromisoformat(entry.partition), []).append(entry.leaf)
        part.entries = held
        tally.trades += len(part.trades)
        check_links(connection, part)
        if chunk.by_hand:
            check_sums(part)
        for outcome, trades in check_chain(connection, part, chunk).items():
            told.setdefault(outcome, []).extend(trades)
        tally.add(part.findings)
    findings, sealed = check_seals(connection, chunk.experiment, chunk.days, leaves, chunk.by_hand)
    last = Part({})
    check_outcomes(connection, last, chunk, sealed, told)
    tally.add([*findings, *last.findings])
    return tally
