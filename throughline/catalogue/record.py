"""What one kind of record is: its table, its identity, its columns, its links and the versions of its body. Data only.

Belongs here: `RecordKind` and what it is made of. Does not belong here: the declared kinds (`records/`, `registries`),
SQL (`storage.tables`) and turning a body into a row (`tracking.records`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ColumnType = Literal["text", "texts", "uuid", "instant", "number", "money", "integer", "big_integer"]
"""`number`: a decimal of any precision; `money`: NUMERIC(38, 18), also for prices and quantities; `instant`: with time
zone; `texts`: an array of texts."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that repeats a value of the body, for queries and joins.

    Args:
        name: of the column.
        type: of the column; it says how the body's text is read as well.
        path: where the value stands in the body, with dots between keys; empty = a key with the column's name. A path
            ``KEY.uuid`` of a link ``KEY`` makes the column a foreign key to the table that the link names.
        nullable: whether a record may lack the value.

    Example:
        >>> Column("execution_uuid", "uuid", "execution.uuid").keys
        ('execution', 'uuid')
    """

    name: str
    type: ColumnType = "text"
    path: str = ""
    nullable: bool = False

    @property
    def source(self) -> str:
        """The path in the body, written out."""
        return self.path or self.name

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that lead to the value, outermost first."""
        return tuple(self.source.split("."))


@dataclass(frozen=True, slots=True)
class TableIndex:
    """An index beside the ones that every record table has. method: PostgreSQL's access method, empty = B-tree."""

    columns: tuple[str, ...]
    unique: bool = False
    method: str = ""


@dataclass(frozen=True, kw_only=True)
class RecordKind:
    """One kind of record: an immutable body of canonical JSON, and the columns that repeat some of it.

    Every record table also has uuid, experiment, partition, content_hash, body, supersedes, run_id and recorded_at, an
    index over experiment and partition, a unique index over supersedes, a view ``current_<table>`` that leaves out
    corrected records, a trigger that refuses changes, and the right to insert for the writer.

    Args:
        table: name of the table.
        kind: word that separates the hashes and UUIDs of this kind from those of any other.
        asset: the stage whose seal covers the records of a day.
        event_time: body key of the instant that is part of the UUID.
        parent: link (a key of `links`) to the record that is part of the UUID; None for the head of a chain.
        natural_key: body keys that are part of the UUID beside these.
        columns: the columns that repeat a value of the body, in order.
        links: body key of a reference ({uuid, hash}, or null) -> table of the record that it names.
        computed_from: tables whose records of the same trade give some of the body, beside the links.
        versions: version of the body -> names of the fields that bodies have since that version, separated by spaces.
            A new field goes under the version that no release has written yet (`throughline.tracking.versions`).
        optional: further fields that a body may have, separated by spaces (`supersedes` always is one).
        one_per_candidate: whether a candidate has at most one such record, corrections apart.
        indexes: further indexes.

    Example:
        >>> kind = RecordKind(
        ...     table="notes", kind="note", asset="notes", event_time="written_at", parent="candidate",
        ...     columns=(Column("candidate_uuid", "uuid", "candidate.uuid"), Column("text")),
        ...     links={"candidate": "candidates"},
        ...     versions={1: "candidate experiment partition text written_at"},
        ... )
        >>> kind.version, kind.references(kind.columns[0])
        (1, 'candidates')
    """

    table: str
    kind: str
    asset: str
    event_time: str
    columns: tuple[Column, ...]
    versions: Mapping[int, str]
    parent: str | None = None
    natural_key: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    computed_from: tuple[str, ...] = ()
    optional: str = ""
    one_per_candidate: bool = False
    indexes: tuple[TableIndex, ...] = ()

    @property
    def version(self) -> int:
        """The version of the bodies that this release writes."""
        return max(self.versions)

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns that repeat the body, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def paths(self) -> dict[str, str]:
        """Column -> path of its value in the body."""
        return {column.name: column.source for column in self.columns}

    @property
    def fields(self) -> frozenset[str]:
        """The fields of a body of the newest version."""
        return frozenset(name for names in self.versions.values() for name in names.split())

    def references(self, column: Column) -> str | None:
        """Return the table that `column` is a foreign key to, None where it is none."""
        keys = column.keys
        return self.links.get(keys[0]) if len(keys) == 2 and keys[1] == "uuid" else None
