"""One stored row against itself: its body against its hash, its columns and its UUID. Pure.

Belongs here: `examine_row`, and what the owner of a home can do about each kind of finding (`REPAIR`), said once for
everything that checks rows (verification, registry). Does not belong here: rows against each other, seals, the log.
"""

from __future__ import annotations

import json
import uuid as uuid_module
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from throughline.findings import Finding, FindingKind
from throughline.tracking.records import body_hash, expected_uuid, project
from throughline.tracking.versions import VERSION, filled, missing_fields, version_problem

_RESTORE = "restore the row from a backup made before the change; nothing in the home can say what it was"
_RUN_AGAIN = "materialise that asset and day again: what was written stays, what is missing is added"

REPAIR: Mapping[FindingKind, str] = {
    "hash_mismatch": _RESTORE,
    "unreadable": _RESTORE,
    "inconsistent": _RESTORE,
    "broken_chain": "restore the log from a backup, and compare its heads with those in the anchor",
    "missing_link": _RUN_AGAIN,
    "dangling_link": "restore the record that is named from a backup, or quarantine the entry that names it",
    "orphan": "quarantine it (`cleanup_orphaned_entries` does; nothing is deleted), or restore the trade it names",
    "duplicate": "quarantine the one that the seals and the anchor do not know",
    "wrong_parent": "restore the link from a backup, or quarantine the entry and record the right one",
    "wrong_order": "restore the times from a backup, or record a correction",
    "seal_mismatch": "compare the rows of that day with the anchor's manifest (`throughline verify`) and restore them",
    "artifact_changed": "restore the file from a backup of the artifact store",
    "missing_row": "restore the row from a backup",
    "unexpected_row": "quarantine the row: no sealed day knows it",
}
"""What can be done about a finding of each kind, where the check has no better advice."""


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """A row that was read: what it is called, the body's own hash, and what the body says, with None for fields that
    came after its version. body: None where that is no JSON, or of a version that this release does not know."""

    table: str
    uuid: uuid_module.UUID
    partition: date
    hash: str
    body: Mapping[str, Any] | None


def finding(
    table: str, row: object, kind: FindingKind, problem: str, expected: object = None, actual: object = None
) -> Finding:
    """Return a finding with the usual repair of its kind; `expected` and `actual` become text where they are given."""
    return Finding(
        table=table,
        row=str(row),
        problem=problem,
        kind=kind,
        expected=None if expected is None else str(expected),
        found=None if actual is None else str(actual),
        repair=REPAIR.get(kind),
    )


def examine_row(table: str, row: Mapping[str, Any]) -> tuple[CheckedRow, list[Finding]]:
    """Return the row as read and what does not hold in it.

    row: all columns of the table as the database gives them (bytes, UUID, date, Decimal, aware datetime). Checked: the
    content hash is that of the body; the body has every field of its version (`versions`); experiment, partition,
    supersedes and every projection column equal the body; the UUID is the one that kind, experiment, parent, natural
    key and event time give.
    """
    data = bytes(row["body"])
    digest = body_hash(table, data)
    name = row["uuid"]
    findings = []
    if digest != row["content_hash"]:
        stored = str(row["content_hash"])
        problem = f"body hashes to {digest[:16]}..., the row says {stored[:16]}..."
        findings.append(finding(table, name, "hash_mismatch", problem, stored, digest))
    try:
        body: Any = json.loads(data)
        if not isinstance(body, dict):
            raise ValueError("not an object")
    except (ValueError, RecursionError) as error:
        problem = f"body is not readable as canonical JSON ({error})"
        findings.append(finding(table, name, "unreadable", problem))
        return CheckedRow(table, name, row["partition"], digest, None), findings
    unknown = version_problem(table, body)
    if unknown is not None:
        findings.append(finding(table, name, "unreadable", unknown))
        return CheckedRow(table, name, row["partition"], digest, None), findings
    if lacks := missing_fields(table, body):
        fields = ", ".join(f"'{field}'" for field in lacks)
        problem = f"body lacks or garbles a field (version {body[VERSION]} has {fields}, this body has not)"
        findings.append(finding(table, name, "unreadable", problem))
        return CheckedRow(table, name, row["partition"], digest, body), findings
    body = filled(table, body)
    try:
        findings += _column_findings(table, row, body)
        expected = expected_uuid(table, body)
        if expected != name:
            problem = f"uuid does not follow from the body, which gives {expected}"
            findings.append(finding(table, name, "hash_mismatch", problem, expected, name))
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        problem = f"body lacks or garbles a field ({type(error).__name__}: {error})"
        findings.append(finding(table, name, "unreadable", problem))
    return CheckedRow(table, name, row["partition"], digest, body), findings


def check_row(table: str, row: Mapping[str, Any]) -> tuple[CheckedRow, list[str]]:
    """Return the row as read and the problems with it in words; as `examine_row`, for people."""
    checked, findings = examine_row(table, row)
    return checked, [item.problem for item in findings]


def _column_findings(table: str, row: Mapping[str, Any], body: Mapping[str, Any]) -> list[Finding]:
    superseded = (body.get("supersedes") or {}).get("uuid")
    expected = {
        "experiment": body["experiment"],
        "partition": date.fromisoformat(body["partition"]),
        "supersedes": uuid_module.UUID(superseded) if superseded else None,
    } | project(table, body)
    return [
        finding(
            table,
            row["uuid"],
            "hash_mismatch",
            f"column {name} is {row[name]}, the body says {value}",
            f"{name} = {value}",
            f"{name} = {row[name]}",
        )
        for name, value in expected.items()
        if row[name] != value
    ]
