"""What goes into the ledger and comes out of it: plain frozen values.

Belongs here: the shapes. Does not belong here: SQL.
"""

from __future__ import annotations

import json
import uuid as uuids
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from throughline.storage.artifacts import ArtifactRef


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


class Failure(Protocol):
    """One broken rule of a suite."""

    @property
    def rule(self) -> str:
        """Name of the rule."""
        ...

    @property
    def rows(self) -> int:
        """How many rows broke it."""
        ...

    @property
    def sample(self) -> Sequence[str]:
        """A few of them, in words."""
        ...


class GateVerdict(Protocol):
    """What a suite said about a partition whose seal is `seal` (`throughline.quality.verdict.Verdict` is one)."""

    @property
    def seal(self) -> str:
        """Seal of the rows that were judged."""
        ...

    @property
    def suite(self) -> str:
        """Name and version of the suite."""
        ...

    @property
    def suite_hash(self) -> str:
        """Hash of the suite."""
        ...

    @property
    def passed(self) -> bool:
        """Whether no rule was broken."""
        ...

    @property
    def failures(self) -> Sequence[Failure]:
        """The rules that were broken."""
        ...


@dataclass(frozen=True, slots=True)
class PartitionWrite:
    """A whole partition of an asset: its rows by table, its seal, its verdicts.

    `rows` names every ledger table that the asset fills, with an empty sequence where the day has none, so that a
    difference can be named row by row. `root` and `leaves` are the Merkle root and count of the hashes that the seal
    covers. `status` is ``sealed`` or ``blocked``; `blocked_by` and `details` are JSON texts. An `artifact` gets its row
    in ``artifacts``; the seal names its hash.
    """

    experiment: str
    asset: str
    partition: date
    rows: Mapping[str, Sequence[LedgerRow]]
    root: str
    leaves: int
    status: str = "sealed"
    blocked_by: str | None = None
    artifact: ArtifactRef | None = None
    details: str = "{}"
    verdicts: Sequence[GateVerdict] = ()
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Seal:
    """A partition's seal as stored. `blocked_by` and `details` are JSON texts, `artifact` is a hash."""

    experiment: str
    asset: str
    partition: date
    root: str
    leaves: int
    status: str
    blocked_by: str | None
    artifact: str | None
    details: str
    run_id: str | None


@dataclass(frozen=True, slots=True)
class StoredVerdict:
    """A gate verdict as stored, with its partition. `failures`: JSON text, a list of {rows, rule, sample}."""

    experiment: str
    asset: str
    partition: date
    seal: str
    suite: str
    suite_hash: str
    passed: bool
    failures: str


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


def failures_text(failures: Sequence[Failure]) -> str:
    """Return the JSON text of the failures of a verdict."""
    listed = [{"rows": item.rows, "rule": item.rule, "sample": list(item.sample)} for item in failures]
    return json.dumps(listed, sort_keys=True, separators=(",", ":"), allow_nan=False)
