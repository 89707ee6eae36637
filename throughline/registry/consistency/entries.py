"""The rows of a registry, each held against itself: the quick way first, the exact way for what is left.

Belongs here: `read_entries`. Does not belong here: rows against each other (trades, chain).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

from throughline.findings import Finding
from throughline.registries import TRADES, Fields
from throughline.registry.consistency.forms import BODY, COMMON, HASH, PARTITION, UUID, Forms
from throughline.registry.consistency.reading import Chunk, lines, typed
from throughline.tracking.checking import examine_row
from throughline.tracking.versions import read_body


class Entry(NamedTuple):
    """A row as it was read.

    hash: as it is stored; leaf: the hash that its body really has; trade: the UUID of the trade that it is an entry of;
    supersedes: whether it is a correction. fields, text: what the quick way read, and the body's text; both None for a
    row that was examined the exact way, whose body is in `examined` (None where it says nothing readable).
    """

    table: str
    uuid: str
    partition: str
    hash: str
    leaf: str
    trade: str
    fields: Fields | None
    text: str | None
    examined: Mapping[str, Any] | None = None
    supersedes: bool = False

    @property
    def body(self) -> Mapping[str, Any] | None:
        """What the body says, read at each call; None where it is not readable."""
        if self.text is None:
            return self.examined
        return read_body(self.table, self.text)


def read_entries(connection: Connection, forms: Forms, chunk: Chunk, part: int) -> tuple[list[Entry], list[Finding]]:
    """Return the rows of one registry in a part of a chunk, and what does not hold within them."""
    entries: list[Entry] = []
    doubtful: list[str] = []
    trade = UUID if forms.table == TRADES else len(COMMON) + forms.columns.index("canonical_uuid")
    for row in lines(connection, forms, chunk, part):
        fields = forms.fields(row)
        if fields is None:
            doubtful.append(row[UUID])
        else:
            name, day, digest = row[UUID], row[PARTITION], row[HASH]
            entries.append(Entry(forms.table, name, day, digest, digest, row[trade], fields, row[BODY]))
    findings: list[Finding] = []
    for found in typed(connection, forms.table, sorted(set(doubtful))):
        if found["experiment"] == chunk.experiment and found["partition"] in chunk.days:
            checked, problems = examine_row(forms.table, found)
            findings += problems
            readable = all(item.kind != "unreadable" for item in problems)
            entries.append(_examined(forms.table, found, checked.hash, checked.body if readable else None))
    return entries, findings


def _examined(table: str, row: Mapping[str, Any], leaf: str, body: Mapping[str, Any] | None) -> Entry:
    trade = row["uuid"] if table == TRADES else row["canonical_uuid"]
    return Entry(
        table=table,
        uuid=str(row["uuid"]),
        partition=row["partition"].isoformat(),
        hash=row["content_hash"],
        leaf=leaf,
        trade=str(trade),
        fields=None,
        text=None,
        examined=body,
        supersedes=row["supersedes"] is not None,
    )
