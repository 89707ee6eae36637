"""The rows of one experiment: each by itself, its links, its sums, and the leaves they give to their day's seal."""

from __future__ import annotations

import uuid as uuid_module
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Connection

from throughline.catalogue import catalogue
from throughline.findings import Finding, FindingKind
from throughline.tracking.checking import CheckedRow, examine_row, finding
from throughline.tracking.versions import read_body
from throughline.verification.arithmetic import outcome_problems, shadow_state_problems, state_problems
from throughline.verification.learned import label_problems, research_problems
from throughline.verification.reading import parents, stream

Progress = Callable[[str, int], None]
"""Called with the table (or what else is read) and how many rows more were checked."""


@dataclass
class Ledger:
    """What the rows of an experiment gave. leaves: table -> day -> content hashes recomputed from the bodies; funnels,
    words, equity: day -> sums of the scans' funnels, counts of dispositions, equity by path, which the seals' details
    repeat; read_as: day -> seal -> the records that say they read its bars under it, until all were read; data_seals:
    day -> the seal of its bars that most records name; closed, booked: day -> candidate -> net P&L as
    the portfolio state and as the outcome say it; artifacts: hash -> a research snapshot that names it."""

    rows: int = 0
    findings: list[Finding] = field(default_factory=list)
    leaves: dict[str, dict[date, list[str]]] = field(default_factory=dict)
    funnels: dict[date, dict[str, list[int]]] = field(default_factory=dict)
    words: dict[date, Counter[str]] = field(default_factory=dict)
    equity: dict[date, dict[str, str]] = field(default_factory=dict)
    read_as: dict[str, dict[str, list[tuple[str, uuid_module.UUID]]]] = field(default_factory=dict)
    data_seals: dict[str, str] = field(default_factory=dict)
    closed: dict[date, dict[str, str]] = field(default_factory=dict)
    booked: dict[date, dict[str, str]] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)


def check_ledger(connection: Connection, experiment: str, epoch: date | None, progress: Progress) -> Ledger:
    """Check every row of the experiment, parents before children.

    epoch: None for records written by hand, whose bodies may leave sums untold: hashes, columns, UUIDs and links alone.
    """
    ledger = Ledger()
    for table in catalogue().records:
        days = ledger.leaves.setdefault(table, {})
        for batch in stream(connection, table, experiment):
            checked = []
            for row in batch:
                item, findings = examine_row(table, row)
                days.setdefault(item.partition, []).append(item.hash)
                ledger.findings += findings
                if item.body is not None:
                    checked.append(item)
            _links(connection, table, checked, experiment, ledger)
            if epoch is not None:
                _contents(connection, table, checked, epoch, ledger)
            ledger.rows += len(batch)
            progress(table, len(batch))
    _judge_seals(ledger)
    return ledger


def _reference(item: CheckedRow, key: str) -> tuple[uuid_module.UUID, str] | None:
    told = (item.body or {}).get(key)
    if not isinstance(told, Mapping):
        return None
    try:
        return uuid_module.UUID(str(told["uuid"])), str(told["hash"])
    except (KeyError, ValueError):
        return None


def _links(connection: Connection, table: str, rows: list[CheckedRow], experiment: str, ledger: Ledger) -> None:
    """Every {uuid, hash} in the bodies names a record that exists, has that hash, and is of the same chain."""
    for key, target in (*catalogue().links[table].items(), ("supersedes", table)):
        told = [(item, reference) for item in rows if (reference := _reference(item, key)) is not None]
        known = parents(connection, target, [uuid for _, (uuid, _) in told]) if told else {}
        for item, (uuid, claimed) in told:
            parent = known.get(uuid)
            wrong = _wrong_link(item, f"{key} names {target} {uuid}", claimed, parent, experiment)
            if wrong is not None:
                kind, problem, expected, actual = wrong
                ledger.findings.append(finding(table, item.uuid, kind, problem, expected, actual))


_Wrong = tuple[FindingKind, str, object, object]


def _wrong_link(
    item: CheckedRow, names: str, claimed: str, parent: Mapping[str, Any] | None, experiment: str
) -> _Wrong | None:
    """Return kind, problem, expected and found of a link that does not hold. names: the link in words."""
    if parent is None:
        return "dangling_link", f"{names}, which does not exist", claimed, None
    has = parent["content_hash"]
    if has != claimed:
        return "dangling_link", f"{names} with hash {claimed[:16]}..., which has {has[:16]}...", claimed, has
    if parent["experiment"] != experiment:
        problem = f"{names} of another experiment ({parent['experiment'][:12]})"
        return "wrong_parent", problem, experiment, parent["experiment"]
    if parent["partition"] > item.partition:
        problem = f"{names} of a later day ({parent['partition']})"
        return "wrong_order", problem, f"{item.partition} or before", parent["partition"]
    own = _reference(item, "candidate")
    theirs = parent.get("candidate_uuid")
    if own is not None and theirs not in (None, own[0]):
        return "wrong_parent", f"{names}, which belongs to candidate {theirs}", own[0], theirs
    return None


def _contents(connection: Connection, table: str, rows: list[CheckedRow], epoch: date, ledger: Ledger) -> None:
    """Sums within and between bodies, and what is compared with other tables later."""
    check = _CONTENTS.get(table)
    if check is None or not rows:
        return
    known: dict[uuid_module.UUID, Mapping[str, Any]] = {}
    keys = _COMPARED.get(table, ())
    for key in keys:
        wanted = [reference[0] for item in rows if (reference := _reference(item, key)) is not None]
        known |= parents(connection, catalogue().links[table][key], wanted, with_body=True)
    for item in rows:
        assert item.body is not None
        try:
            found = [_body(catalogue().links[table][key], known, _reference(item, key)) for key in keys]
            parent = found[0] if len(found) == 1 else found
            ledger.findings += [
                finding(table, item.uuid, "inconsistent", it) for it in check(item, parent, epoch, ledger)
            ]
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            problem = f"body lacks or garbles a field ({type(error).__name__}: {error})"
            ledger.findings.append(finding(table, item.uuid, "unreadable", problem))


def _body(
    table: str, known: Mapping[uuid_module.UUID, Mapping[str, Any]], reference: tuple[uuid_module.UUID, str] | None
) -> Mapping[str, Any] | None:
    found = known.get(reference[0]) if reference else None
    if found is None:
        return None
    try:
        return read_body(table, bytes(found["body"]))
    except (ValueError, RecursionError):
        return None  # said when that row was examined


def _check_scan(item: CheckedRow, _: Any, epoch: date, ledger: Ledger) -> list[str]:
    body = item.body or {}
    total = ledger.funnels.setdefault(item.partition, {})
    for line in body["funnel"]:
        counts = total.setdefault(line["filter"], [0, 0, 0])
        for k, name in enumerate(("seen", "removed", "missing")):
            counts[k] += line[name]
    return _note_seals(item, ledger)


def _check_candidate(item: CheckedRow, _: Any, epoch: date, ledger: Ledger) -> list[str]:
    return _note_seals(item, ledger)


def _note_seals(item: CheckedRow, ledger: Ledger) -> list[str]:
    """Remember which bars a record says it read; whether records agree on a day is asked when all were read."""
    for day, root in (item.body or {})["data_seals"].items():
        ledger.read_as.setdefault(day, {}).setdefault(root, []).append((item.table, item.uuid))
    return []


def _judge_seals(ledger: Ledger) -> None:
    """Where records disagree on what a day of bars was, the fewer are named; what most say is held against the seal."""
    for day, roots in ledger.read_as.items():
        usual = max(roots, key=lambda root: (len(roots[root]), root))
        ledger.data_seals[day] = usual
        for root, rows in roots.items():
            if root != usual:
                problem = f"read market_bars of {day} with seal {root[:16]}..., other records with {usual[:16]}..."
                ledger.findings += [finding(table, uuid, "inconsistent", problem, usual, root) for table, uuid in rows]
    ledger.read_as.clear()


def _check_research(item: CheckedRow, candidate: Mapping[str, Any] | None, epoch: date, ledger: Ledger) -> list[str]:
    body = item.body or {}
    for told in body["inputs"]:
        if told["artifact"] is not None:
            ledger.artifacts.setdefault(told["artifact"], str(item.uuid))
    return research_problems(body, candidate)


def _check_label(item: CheckedRow, found: list[Any], epoch: date, ledger: Ledger) -> list[str]:
    research, shadow, outcome = found
    return label_problems(item.body or {}, research, shadow or outcome)


def _check_disposition(item: CheckedRow, _: Any, epoch: date, ledger: Ledger) -> list[str]:
    body = item.body or {}
    if not body.get("supersedes"):
        ledger.words.setdefault(item.partition, Counter())[body["disposition"]] += 1
    return []


def _check_outcome(item: CheckedRow, execution: Mapping[str, Any] | None, epoch: date, ledger: Ledger) -> list[str]:
    body = item.body or {}
    if not body.get("supersedes"):
        ledger.booked.setdefault(item.partition, {})[body["candidate"]["uuid"]] = body["realized_pnl_usd"]
    return outcome_problems(body, execution) if execution is not None else []


def _check_state(item: CheckedRow, previous: Mapping[str, Any] | None, epoch: date, ledger: Ledger) -> list[str]:
    body = item.body or {}
    closed = body["paths"]["base"].get("closed", ())
    ledger.closed[item.partition] = {line["candidate"]: line["net_pnl_usd"] for line in closed}
    ledger.equity[item.partition] = {name: path["equity_usd"] for name, path in body["paths"].items()}
    named = previous is None and body.get("previous") is not None  # named, but not there: the link says so
    return [] if named else state_problems(body, previous, epoch)


def _check_shadows(item: CheckedRow, previous: Mapping[str, Any] | None, epoch: date, ledger: Ledger) -> list[str]:
    body = item.body or {}
    named = previous is None and body.get("previous") is not None  # named, but not there: the link says so
    return [] if named else shadow_state_problems(body, previous, epoch)


_CONTENTS: Mapping[str, Callable[[CheckedRow, Any, date, Ledger], list[str]]] = {
    "market_scans": _check_scan,
    "candidates": _check_candidate,
    "research_docs": _check_research,
    "dispositions": _check_disposition,
    "outcomes": _check_outcome,
    "portfolio_states": _check_state,
    "shadow_states": _check_shadows,
    "trade_features": _check_label,
}
_COMPARED: Mapping[str, tuple[str, ...]] = {
    "research_docs": ("candidate",),
    "outcomes": ("execution",),
    "portfolio_states": ("previous",),
    "shadow_states": ("previous",),
    "trade_features": ("research", "shadow", "outcome"),
}
"""Table -> the references in its bodies whose records are compared with them."""
