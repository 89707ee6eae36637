"""What does not hang on a day: chains of corrections, entries of experiments that are not recorded, quarantine.

Belongs here: checks whose cost follows the number of corrections and quarantined entries, not of trades.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from throughline.catalogue import catalogue
from throughline.findings import Finding, FindingKind
from throughline.tracking.checking import finding

SET_ASIDE: frozenset[FindingKind] = frozenset(
    ("orphan", "missing_link", "dangling_link", "duplicate", "wrong_parent", "inconsistent")
)
"""Kinds of findings that quarantine answers: the entry is out of use, nothing is lost. Changed bytes are not here."""
ACTIONS = ("quarantine", "release")


def check_corrections(connection: Connection) -> list[Finding]:
    """Return what does not hold in the chains of corrections of the registries.

    A correction names a record of its own table and experiment that exists, was not recorded for a later day and has no
    other correction; following them comes to an end.
    """
    findings: list[Finding] = []
    for table in catalogue().registries:
        statement = text(
            "SELECT c.uuid, c.supersedes, c.experiment, c.partition, c.body, p.uuid AS found,"
            " p.experiment AS its_experiment, p.partition AS its_day, p.content_hash AS its_hash"
            f" FROM {table} AS c LEFT JOIN {table} AS p ON p.uuid = c.supersedes"
            " WHERE c.supersedes IS NOT NULL ORDER BY c.uuid"
        )
        rows = connection.execute(statement).all()
        follower: dict[str, str] = {}
        for row in rows:
            uuid, before = str(row[0]), str(row[1])
            wrong = _wrong(row)
            if wrong is not None:
                kind, problem, expected, actual = wrong
                findings.append(finding(table, uuid, kind, problem, expected, actual))
            first = follower.setdefault(before, uuid)
            if first != uuid:
                problem = f"is a second correction of {before}; the other is {first}"
                findings.append(finding(table, uuid, "duplicate", problem, 1, 2))
        findings += _cycles(table, {str(row[0]): str(row[1]) for row in rows})
    return findings


def _wrong(row: Any) -> tuple[FindingKind, str, object, object] | None:
    names = f"supersedes {row.supersedes}"
    if row.found is None:
        return "dangling_link", f"{names}, which does not exist", row.supersedes, None
    if row.its_experiment != row.experiment:
        problem = f"{names} of another experiment ({row.its_experiment[:12]})"
        return "wrong_parent", problem, row.experiment, row.its_experiment
    if row.its_day > row.partition:
        return "wrong_order", f"{names} of a later day ({row.its_day})", f"{row.partition} or before", row.its_day
    try:
        claimed = json.loads(bytes(row.body))["supersedes"]["hash"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None  # said when the row was examined
    if claimed != row.its_hash:
        return "dangling_link", f"{names} with another hash than it has", claimed, row.its_hash
    return None


def _cycles(table: str, before: Mapping[str, str]) -> list[Finding]:
    """Return one finding per circle of corrections, on its lowest UUID."""
    ends: set[str] = set()
    found: set[str] = set()
    for start in before:
        path: list[str] = []
        at: str | None = start
        while at is not None and at not in ends and at not in path:
            path.append(at)
            at = before.get(at)
        if at is not None and at in path:
            found.add(min(path[path.index(at) :]))
        ends.update(path)
    return [finding(table, uuid, "wrong_order", "its corrections supersede each other in a circle") for uuid in found]


def quarantined(connection: Connection) -> tuple[set[tuple[str, str]], list[Finding]]:
    """Return (table, UUID) of the entries in quarantine now, and what does not hold in the record of it."""
    findings: list[Finding] = []
    state: dict[tuple[str, str], str] = {}
    statement = text("SELECT seq, table_name, row_uuid, action FROM registry_quarantine ORDER BY seq")
    for seq, table, uuid, action in connection.execute(statement):
        key = (str(table), str(uuid))
        if table not in catalogue().registries:
            findings.append(_odd(seq, "dangling_link", f"names the table {table}, which is no registry", None, table))
            continue
        if action not in ACTIONS:
            problem = f"action is '{action}', which is neither quarantine nor release"
            findings.append(_odd(seq, "inconsistent", problem, " or ".join(ACTIONS), action))
            continue
        if state.get(key, "release") == action:
            problem = f"'{action}' of {table} {uuid} follows on '{state.get(key, 'no quarantine')}'"
            findings.append(_odd(seq, "wrong_order", problem, None, action))
        state[key] = action
    for table in catalogue().registries:
        named = sorted(uuid for name, uuid in state if name == table)
        for uuid in _missing(connection, table, named):
            problem = f"quarantine names {table} {uuid}, which does not exist"
            findings.append(finding("registry_quarantine", uuid, "dangling_link", problem, uuid))
    return {key for key, action in state.items() if action == "quarantine"}, findings


def _odd(seq: int, kind: FindingKind, problem: str, expected: object, actual: object) -> Finding:
    return finding("registry_quarantine", seq, kind, problem, expected, actual)


def _missing(connection: Connection, table: str, uuids: Sequence[str]) -> list[str]:
    if not uuids:
        return []
    statement = text(
        "SELECT asked FROM unnest(CAST(:keys AS uuid[])) AS asked"
        f" WHERE NOT EXISTS (SELECT 1 FROM {table} WHERE uuid = asked)"
    )
    return [str(item) for item in connection.execute(statement, {"keys": list(uuids)}).scalars()]
