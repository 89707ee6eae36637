"""One stored row against itself: its body against its hash, its columns and its UUID. Pure."""

from __future__ import annotations

import json
import uuid as uuid_module
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from throughline.tracking.records import body_hash, expected_uuid, project


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """A row that was read: what it is called, what its body says (None where that is no JSON), the body's own hash."""

    table: str
    uuid: uuid_module.UUID
    partition: date
    hash: str
    body: Mapping[str, Any] | None


def check_row(table: str, row: Mapping[str, Any]) -> tuple[CheckedRow, list[str]]:
    """Return the row as read and the problems with it.

    row: all columns of the table as the database gives them (bytes, UUID, date, Decimal, aware datetime). Checked: the
    content hash is that of the body; experiment, partition, supersedes and every projection column equal the body; the
    UUID is the one that kind, experiment, parent, natural key and event time give.
    """
    data = bytes(row["body"])
    found = body_hash(table, data)
    problems = []
    if found != row["content_hash"]:
        problems.append(f"body hashes to {found[:16]}..., the row says {str(row['content_hash'])[:16]}...")
    try:
        body: Any = json.loads(data)
        if not isinstance(body, dict):
            raise ValueError("not an object")
    except ValueError as error:
        problems.append(f"body is not readable as canonical JSON ({error})")
        return CheckedRow(table, row["uuid"], row["partition"], found, None), problems
    try:
        problems += _column_problems(table, row, body)
        expected = expected_uuid(table, body)
        if expected != row["uuid"]:
            problems.append(f"uuid does not follow from the body, which gives {expected}")
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        problems.append(f"body lacks or garbles a field ({type(error).__name__}: {error})")
    return CheckedRow(table, row["uuid"], row["partition"], found, body), problems


def _column_problems(table: str, row: Mapping[str, Any], body: Mapping[str, Any]) -> list[str]:
    superseded = (body.get("supersedes") or {}).get("uuid")
    expected = {
        "experiment": body["experiment"],
        "partition": date.fromisoformat(body["partition"]),
        "supersedes": uuid_module.UUID(superseded) if superseded else None,
    } | project(table, body)
    return [
        f"column {name} is {row[name]}, the body says {value}" for name, value in expected.items() if row[name] != value
    ]
