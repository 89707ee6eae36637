"""From a body to its row and back: canonical bytes, content hash, chain UUID and projection.

A record is a body (canonical JSON, the truth) and its projection (columns, for queries). `make_row` turns a body into
the row that is stored; checks use `project` and `expected_uuid` to compare stored rows with their bodies. Does not
belong here: what a kind of record is (`throughline.catalogue`), SQL (storage) and what a stage decides (flow).
"""

from __future__ import annotations

import uuid as uuid_module
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from throughline.catalogue import ColumnType, catalogue
from throughline.identity import canonical_form, chain_uuid, content_hash, parse_time
from throughline.storage.records import LedgerRow
from throughline.tracking.versions import VERSION, current_version

Body = Mapping[str, Any]


def _uuid(value: Any) -> uuid_module.UUID | None:
    return None if value is None else uuid_module.UUID(value)


def _same(value: Any) -> Any:
    return value


def _instant(value: Any) -> datetime | None:
    return None if value is None else parse_time(value)


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else Decimal(value)


_READ: Mapping[ColumnType, Callable[[Any], Any]] = {
    "text": _same,
    "texts": _same,
    "uuid": _uuid,
    "instant": _instant,
    "number": _decimal,
    "money": _decimal,
    "integer": _same,
    "big_integer": _same,
}


@cache
def _projection(table: str) -> tuple[tuple[str, tuple[str, ...], Callable[[Any], Any]], ...]:
    """Return name, keys and reading of each projection column of `table`."""
    columns = catalogue().records[table].columns
    return tuple((column.name, column.keys, _READ[column.type]) for column in columns)


def _at(body: Body, keys: tuple[str, ...]) -> Any:
    value: Any = body
    for key in keys:
        if value is None:
            return None
        value = value[key]
    return value


def project(table: str, body: Body) -> dict[str, Any]:
    """Return the projection columns of a body of `table`, typed as the database gives them back."""
    return {name: read(_at(body, keys)) for name, keys, read in _projection(table)}


def expected_uuid(table: str, body: Body) -> uuid_module.UUID:
    """Return the chain UUID that a body of `table` must carry.

    A correction (`supersedes` in the body) has the superseded UUID in its natural key, so it is another record.
    """
    kind = catalogue().records[table]
    parent = _at(body, (kind.parent, "uuid")) if kind.parent else None
    natural = [str(body[key]) for key in kind.natural_key]
    superseded = body.get("supersedes")
    if superseded:
        natural.append(str(superseded["uuid"]))
    return chain_uuid(kind.kind, body["experiment"], _uuid(parent), natural, parse_time(body[kind.event_time]))


def body_hash(table: str, canonical: bytes) -> str:
    """Return the content hash of a stored body of `table`."""
    return content_hash(catalogue().records[table].kind, canonical)


def make_row(table: str, body: Body, run_id: str | None = None) -> LedgerRow:
    """Return the row that stores `body`: canonical bytes, content hash, chain UUID and projection.

    The body carries `experiment` and `partition` (ISO date); its `schema_version` becomes the one that this release
    writes (`versions.current_version`). Raises ValueError for a value that has no canonical form.
    """
    plain, canonical = canonical_form({**body, VERSION: current_version(table)})
    superseded = plain.get("supersedes")
    return LedgerRow(
        uuid=expected_uuid(table, plain),
        experiment=plain["experiment"],
        partition=date.fromisoformat(plain["partition"]),
        content_hash=body_hash(table, canonical),
        body=canonical,
        run_id=run_id,
        columns=project(table, plain),
        supersedes=_uuid(superseded["uuid"]) if superseded else None,
    )


def reference(row: LedgerRow) -> dict[str, str]:
    """Return the {uuid, hash} by which a later record names `row`."""
    return {"hash": row.content_hash, "uuid": str(row.uuid)}
