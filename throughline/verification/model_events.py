"""The chain of events of an experiment's models: bodies, columns, and each step of the fold.

Belongs here: what a check of models collects, one stored body against its hash, and the events. Does not belong here:
the models and their gates (`models`), the candidates that they decided (`decided`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from throughline.findings import Finding, FindingKind
from throughline.identity import content_hash
from throughline.learning.events import START, IllegalEvent, ModelEvent, ServingState, apply, event_of, require_legal
from throughline.tracking.checking import finding

Row = Mapping[str, Any]
Body = Mapping[str, Any]


@dataclass
class ModelsChecked:
    """rows: how many were checked. findings: what does not hold."""

    rows: int = 0
    findings: list[Finding] = field(default_factory=list)

    def find(
        self, table: str, row: str, kind: FindingKind, problem: str, expected: object = None, actual: object = None
    ) -> None:
        """Add a finding."""
        self.findings.append(finding(table, row, kind, problem, expected, actual))


@dataclass(frozen=True)
class Events:
    """The events that could be read, and the state before the first and after each as far as the chain holds."""

    events: tuple[ModelEvent, ...]
    states: tuple[ServingState, ...]
    whole: bool


def check_events(rows: Iterable[Row], checked: ModelsChecked) -> Events:
    """Check the events of an experiment, in order of `seq`: bodies, columns, chain and each step of the fold."""
    events: list[ModelEvent] = []
    states = [START]
    whole = True
    for row in rows:
        checked.rows += 1
        where = f"{row['experiment'][:12]}/{row['seq']}"
        body = checked_body(row, "model_events", where, "model_event", checked)
        try:
            event = event_of(body) if body is not None else None
        except (KeyError, TypeError, ValueError) as error:
            event = None
            checked.find("model_events", where, "unreadable", f"body is no event ({type(error).__name__}: {error})")
        if event is None or event.hash != row["content_hash"]:
            whole = False  # what follows hangs on something that nobody knows
            continue
        for name in ("experiment", "seq", "kind", "model", "effective_at"):
            if row[name] != getattr(event, name):
                problem = f"column {name} is {row[name]}, the body says {getattr(event, name)}"
                checked.find("model_events", where, "hash_mismatch", problem, getattr(event, name), row[name])
        if not whole:
            continue
        try:
            require_legal(states[-1], event)
        except IllegalEvent as error:
            whole = False
            missing = event.seq > states[-1].seq
            kind: FindingKind = "missing_row" if missing else "broken_chain"
            checked.find("model_events", where, kind, str(error), states[-1].head, event.previous)
            continue
        events.append(event)
        states.append(apply(states[-1], event))
    return Events(tuple(events), tuple(states), whole)


def checked_body(row: Row, table: str, name: str, kind: str, checked: ModelsChecked) -> Body | None:
    """Return what a row's body says, None where it is no JSON object; its hash is compared with the column."""
    raw = bytes(row["body"])
    made = content_hash(kind, raw)
    if made != row["content_hash"]:
        checked.find(table, name, "hash_mismatch", "body does not give its content hash", row["content_hash"], made)
    try:
        body = json.loads(raw)
    except ValueError as error:
        checked.find(table, name, "unreadable", f"body is not readable ({error})")
        return None
    if not isinstance(body, dict):
        checked.find(table, name, "unreadable", "body is no JSON object")
        return None
    return body
