"""What lies outside the rows: the artifacts, and among them the days of bars that `market_bars` seals."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from sqlalchemy import Connection, select

from throughline.errors import StorageError
from throughline.findings import Finding, FindingKind
from throughline.identity import seal_of
from throughline.market.blocks import block_hashes
from throughline.storage import tables
from throughline.storage.artifacts import ArtifactStore
from throughline.tracking.checking import finding

Row = Mapping[str, Any]
Progress = Callable[[str, int], None]


class Artifacts:
    """The artifacts of a home as they are read, each at most once."""

    def __init__(self, connection: Connection, store: ArtifactStore) -> None:
        statement = select(tables.artifacts).order_by(tables.artifacts.c.hash.collate("C"))
        self.rows: dict[str, Row] = {row["hash"]: dict(row) for row in connection.execute(statement).mappings()}
        self.expired = set(connection.execute(select(tables.artifact_tombstones.c.hash)).scalars())
        self.findings: list[Finding] = []
        self._store = store
        self._read: set[str] = set()

    def read(self, digest: str) -> bytes | None:
        """Return the bytes of `digest`; None (with a finding, but for an expired one) where they are not to be had."""
        self._read.add(digest)
        if digest in self.expired:
            return None
        row = self.rows.get(digest)
        if row is None:
            self._find(digest, "is named by a seal, but has no row", kind="missing_row")
            return None
        try:
            data = self._store.get(digest)
            place = self._store.location(digest)
        except StorageError as error:
            self._find(digest, str(error))
            return None
        if len(data) != row["bytes"]:
            problem = f"row says {row['bytes']} bytes, there are {len(data)}"
            self._find(digest, problem, len(data), row["bytes"], "hash_mismatch")
        if row["location"] != place:
            problem = f"row says it lies at {row['location']}, not at {place}"
            self._find(digest, problem, place, row["location"], "hash_mismatch")
        return data

    def read_named(self, digest: str, by: str) -> bytes | None:
        """Return the bytes of `digest`, which `by` names; a day of bars before the epoch needs no row of its own."""
        if digest in self.rows:
            return self.read(digest)
        self._read.add(digest)
        try:
            return self._store.get(digest)
        except StorageError as error:
            self._find(digest, f"is named by {by}: {error}")
            return None

    def _find(
        self,
        digest: str,
        problem: str,
        expected: object = None,
        actual: object = None,
        kind: FindingKind = "artifact_changed",
    ) -> None:
        self.findings.append(finding("artifacts", digest, kind, problem, expected, actual))

    def known(self, digest: str) -> bool:
        """Return whether `digest` was read already."""
        return digest in self._read

    def read_the_rest(self, progress: Progress) -> None:
        """Read every artifact that no seal named."""
        for digest in self.rows:
            if digest not in self._read:
                self.read(digest)
                progress("artifacts", 1)


def check_bars(seals: Mapping[date, Row], artifacts: Artifacts, progress: Progress) -> list[Finding]:
    """Read each sealed day of bars again: every line hashed, root and counts compared with the seal.

    A day whose artifact has expired keeps its root; there is nothing left to compare it with.
    """
    findings: list[Finding] = []
    for day, seal in sorted(seals.items()):
        where = f"market_bars/{day}"
        progress("market_bars", 1)
        if seal["artifact"] is None:
            problem = "names no artifact with the day's bars"
            findings.append(finding("partition_seals", where, "missing_link", problem))
            continue
        data = artifacts.read(seal["artifact"])
        if data is not None:
            problems = _bar_problems(seal, data.splitlines())
            findings += [finding("partition_seals", where, "seal_mismatch", problem) for problem in problems]
        for before, told in warm_up(seal).items():
            data = artifacts.read_named(told["artifact"], where)
            root = told["root"] if data is None else seal_of(block_hashes(data.splitlines()))
            if root != told["root"]:
                problem = f"the bars of {before}, before the epoch, give another root than its details say"
                findings.append(finding("partition_seals", where, "seal_mismatch", problem, told["root"], root))
    return findings


def warm_up(seal: Row) -> Mapping[str, Mapping[str, str]]:
    """Return day -> {artifact, root} of the days before the epoch that a seal of bars names in its details."""
    told = seal["details"].get("warm_up", {}) if isinstance(seal["details"], dict) else {}
    return told if isinstance(told, dict) else {}


def _bar_problems(seal: Row, lines: list[bytes]) -> list[str]:
    problems = []
    if len(lines) != seal["leaves"]:
        problems.append(f"seals {seal['leaves']} lines of bars, the artifact holds {len(lines)}")
    root = seal_of(block_hashes(lines))
    if root != seal["root"]:
        problems.append(f"root is {seal['root'][:16]}..., the bars in its artifact give {root[:16]}...")
    try:
        bodies = [json.loads(line) for line in lines]
        bars = sum(len(body["bars"]["slots"]) for body in bodies)
        refused = Counter(row["rule"] for body in bodies for row in body["quarantined"])
    except (ValueError, KeyError, TypeError) as error:
        return [*problems, f"the bars in its artifact are not readable ({error})"]
    told = seal["details"] if isinstance(seal["details"], dict) else {}
    if told.get("bars", bars) != bars:
        problems.append(f"details say {told['bars']} bars, the artifact holds {bars}")
    if told.get("quarantined", dict(refused)) != dict(refused):
        problems.append(f"details say {told['quarantined']} quarantined, the artifact holds {dict(refused)}")
    return problems
