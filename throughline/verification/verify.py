"""Recompute a whole home, or some experiments of it, and name every row that does not hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Engine, select

from throughline.catalogue import BARS, SESSION
from throughline.findings import Finding, FindingKind, ordered
from throughline.identity import content_hash
from throughline.integrity.database import check_database
from throughline.registry.consistency.seals import log_leaves
from throughline.storage import tables
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.queries import read_all_seals
from throughline.tracking.checking import finding
from throughline.tracking.system import MODE
from throughline.verification import reading
from throughline.verification.ledger import Progress, check_ledger
from throughline.verification.models import check_models
from throughline.verification.result import VerifyResult
from throughline.verification.sealing import check_seals
from throughline.verification.store import Artifacts, check_bars


def _silent(_: str, __: int) -> None:
    return


def verify(
    engine: Engine,
    artifacts: ArtifactStore | None,
    progress: Progress | None = None,
    experiments: Sequence[str] | None = None,
) -> VerifyResult:
    """Recompute every hash, UUID, link, sum, seal, verdict and artifact.

    engine: may read everything (reader or auditor). artifacts: the home's store; None leaves artifacts unread (the
    bars' roots are then not recomputed). progress: called with what is read and how many rows more were checked.
    experiments: ids to check; None = all, and with them every artifact and rows without an experiment.
    """
    with engine.connect() as connection:
        # One snapshot for all questions: a run that writes meanwhile is either wholly there or not at all.
        connection = connection.execution_options(isolation_level="REPEATABLE READ")
        return verify_connection(connection, artifacts, progress, experiments)


def verify_connection(
    connection: Connection,
    artifacts: ArtifactStore | None,
    progress: Progress | None = None,
    experiments: Sequence[str] | None = None,
    *,
    readable: bool = False,
) -> VerifyResult:
    """Do what `verify` does on an open connection, in its transaction.

    readable: the caller has asked `check_database` in this transaction, and nothing that it found is blocking.
    """
    report = progress or _silent
    blocking = [] if readable else check_database(connection).blocking
    if blocking:
        return VerifyResult(rows=0, findings=ordered(list(blocking)), seals={})
    findings: list[Finding] = []
    roots: dict[str, dict[str, dict[str, str]]] = {}
    rows = pending = 0
    statement = select(tables.experiments).order_by(tables.experiments.c.id.collate("C"))
    known = list(connection.execute(statement).mappings())
    ids = {row["id"] for row in known}
    held = Artifacts(connection, artifacts) if artifacts is not None else None
    for row in known:
        if experiments is not None and row["id"] not in experiments:
            continue
        rows += 1
        told = check_experiment(row, ids, findings)
        if told is None:
            continue
        epoch = told.epoch
        ledger = check_ledger(connection, row["id"], epoch, report)
        if epoch is None:  # written by hand: records and links, no days and so no seals
            findings += ledger.findings + _unexpected_seals(connection, row["id"])
            rows += ledger.rows
            roots[row["id"]] = {}
            continue
        seals, verdicts = reading.seals(connection, row["id"]), reading.verdicts(connection, row["id"])
        sealing = check_seals(seals, verdicts, ledger, epoch, log_leaves(read_all_seals(connection, row["id"])))
        findings += ledger.findings + sealing.findings + _one_each(connection, row["id"])
        if held is not None:
            findings += check_bars(sealing.by_asset.get(BARS, {}), held, report)
            for digest, uuid in ledger.artifacts.items():
                if not held.known(digest):
                    held.read_named(digest, f"research_docs {uuid}")
        learned = check_models(
            connection, told.body, row["id"], sealing.by_asset.get("trade_features", {}), held, report
        )
        findings += learned.findings
        rows += ledger.rows + len(seals) + len(verdicts) + learned.rows
        pending += sealing.pending
        report("partition_seals", len(seals) + len(verdicts))
        roots[row["id"]] = {
            asset: {day.isoformat(): seal["root"] for day, seal in days.items()}
            for asset, days in sealing.by_asset.items()
        }
    if experiments is None:
        for table, name in reading.unknown_experiments(connection):
            problem = "rows of an experiment that is not recorded"
            findings.append(finding(table, name, "dangling_link", problem, name))
        findings += _check_choices(connection, ids)
        if held is not None:
            held.read_the_rest(report)
            rows += len(held.rows)
    findings += held.findings if held is not None else []
    active = _active(connection, list(roots))
    return VerifyResult(rows=rows, findings=ordered(findings), seals=roots, pending=pending, active=active)


def _active(connection: Connection, checked: Sequence[str]) -> str | None:
    table = tables.active_experiments
    found = connection.execute(select(table.c.experiment).order_by(table.c.set_at.desc(), table.c.mode)).scalars()
    return next((item for item in found if item in checked), checked[-1] if checked else None)


def _check_choices(connection: Connection, known: set[str]) -> list[Finding]:
    """Name the active experiment of a mode, and the inputs of an experiment, where the experiment is not recorded.

    Both tables are mutable: what they say beside that is a choice that may change.
    """
    active, inputs = tables.active_experiments.c, tables.experiment_inputs.c
    rows = [
        *(("active_experiments", *row) for row in connection.execute(select(active.mode, active.experiment))),
        *(("experiment_inputs", name, name) for name in connection.execute(select(inputs.experiment)).scalars()),
    ]
    problem = "names an experiment that is not recorded"
    return [
        finding(table, row, "dangling_link", problem, experiment)
        for table, row, experiment in sorted(rows)
        if experiment not in known
    ]


@dataclass(frozen=True)
class _Told:
    """What an experiment's body says, and of its epoch: None for records written by hand, which have no days."""

    epoch: date | None
    body: Mapping[str, Any]


def _unexpected_seals(connection: Connection, experiment: str) -> list[Finding]:
    return [
        finding(
            "partition_seals",
            f"{seal['asset']}/{seal['partition']}",
            "seal_mismatch",
            "seals a day of records written by hand",
        )
        for seal in reading.seals(connection, experiment)
    ]


def check_experiment(row: Any, known: set[str], findings: list[Finding]) -> _Told | None:
    """Return what the experiment's body says, None where it is not readable. known: the IDs of all experiments."""

    def find(problem: str, kind: FindingKind, expected: object = None, actual: object = None) -> None:
        findings.append(finding("experiments", row["id"], kind, problem, expected, actual))

    body = bytes(row["body"])
    expected = content_hash("experiment", body)
    if expected != row["id"]:
        find(f"id is not the hash of its body, which is {expected[:16]}...", "hash_mismatch", row["id"], expected)
    try:
        told = json.loads(body)
        by_hand = told["mode"] == MODE
        epoch = None if by_hand else date.fromisoformat(told["epoch"])
        for name in ("mode", "parent", "data_revision"):
            says = told.get(name) if by_hand else told[name]
            if row[name] != says:
                problem = f"column {name} is {row[name]}, the body says {says}"
                find(problem, "hash_mismatch", f"{name} = {says}", f"{name} = {row[name]}")
    except (ValueError, KeyError, TypeError) as error:
        find(f"body is not readable ({type(error).__name__}: {error})", "unreadable")
        return None
    if row["parent"] is not None and row["parent"] not in known:
        find(f"parent {row['parent'][:16]}... is not recorded", "dangling_link", row["parent"])
    return _Told(epoch, told)


def _one_each(connection: Connection, experiment: str) -> list[Finding]:
    findings = []
    for table, asset in (("dispositions", SESSION), ("research_docs", "research_snapshots")):
        for uuid, day, count in reading.candidates_without_one(connection, experiment, table, asset):
            problem = f"candidate of {day} has {count} {table}, it must have exactly one"
            findings.append(finding(table, f"candidate {uuid}", _how_many(count), problem, 1, count))
    for uuid, word, count in reading.taken_without_execution(connection, experiment):
        problem = f"disposition is '{word}', but it has {count} execution(s)"
        wanted = 1 if word == "taken" else 0
        findings.append(finding("executions", f"candidate {uuid}", _how_many(count), problem, wanted, count))
    return findings


def _how_many(count: int) -> FindingKind:
    return "missing_link" if count == 0 else "duplicate"
