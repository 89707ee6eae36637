"""What goes into the ledger and comes out of it: plain frozen values.

Belongs here: the shapes. Does not belong here: SQL.
"""

from __future__ import annotations

import json
import uuid as uuids
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One record. `body` are the canonical bytes that `content_hash` covers, `columns` their projection.

    `columns` holds every projection column of its table (None where missing): Decimals for numerics, aware datetimes
    for instants, UUIDs for links. `supersedes` makes it a correction of that record. `run_id` is outside the hash.
    """

    uuid: uuids.UUID
    experiment: str
    partition: date
    content_hash: str
    body: bytes
    run_id: str | None
    columns: Mapping[str, Any]
    supersedes: uuids.UUID | None = None


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What a suite said about a sealed partition. `failures`: list of {rule, rows, sample}, as JSON values."""

    seal: str
    suite: str
    suite_hash: str
    passed: bool
    failures: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class PartitionWrite:
    """A whole partition of an asset: its rows by table, its seal, its verdicts.

    `rows` names every ledger table that the asset fills, with an empty sequence where the day has none, so that a
    difference can be named row by row. `status` is ``sealed`` or ``blocked``; `blocked_by` and `details` are JSON
    values. `root` and `leaves` are the Merkle root and count of the partition's record hashes.
    """

    experiment: str
    asset: str
    partition: date
    rows: Mapping[str, Sequence[LedgerRow]]
    root: str
    leaves: int
    status: str = "sealed"
    blocked_by: Any = None
    artifact: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    verdicts: Sequence[GateVerdict] = ()
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Seal:
    """A partition's seal as stored."""

    experiment: str
    asset: str
    partition: date
    root: str
    leaves: int
    status: str
    blocked_by: Any
    artifact: str | None
    details: Mapping[str, Any]
    run_id: str | None


@dataclass(frozen=True, slots=True)
class StoredVerdict:
    """A gate verdict as stored, with the partition it is about."""

    experiment: str
    asset: str
    partition: date
    seal: str
    suite: str
    suite_hash: str
    passed: bool
    failures: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class StoredExperiment:
    """An experiment as stored: `body` are the canonical bytes of its configuration."""

    id: str
    mode: str
    body: bytes
    parent: str | None
    data_revision: str | None


@dataclass(frozen=True, slots=True)
class ActiveExperiment:
    """The experiment that a mode uses, and what it was set up from (paths; not part of its identity)."""

    mode: str
    experiment: str
    inputs: Mapping[str, Any]


def to_json(value: Any) -> str | None:
    """Return `value` as JSON text with sorted keys, None for None."""
    if value is None:
        return None
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def from_json(text: str | None) -> Any:
    """Return the value of JSON text, None for None."""
    return None if text is None else json.loads(text)
