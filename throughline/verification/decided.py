"""Candidates that models decided, each against the models that served at its instant.

Belongs here: one candidate's decision, and all candidates of an experiment. Does not belong here: the models and their
events (`models`), and the rows of the ledger themselves (`ledger`).
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from throughline.findings import FindingKind
from throughline.identity import parse_time, score_text
from throughline.learning.episodes import bucket_of
from throughline.learning.events import ServingState
from throughline.learning.events import state_at as state_of
from throughline.learning.types import RULE
from throughline.tracking.versions import read_body
from throughline.verification import reading
from throughline.verification.model_events import Body, Events, ModelsChecked


def decision_problems(body: Body, state: ServingState, models: set[str]) -> list[tuple[FindingKind, str]]:
    """Return what does not hold between a candidate that models decided and who served at its instant."""
    decision = body["decision"]
    problems: list[tuple[FindingKind, str]] = []
    serving = {"champion": state.champion, "canary": state.canary, "fallback": state.fallback}
    served = {role: model for role, model in serving.items() if model is not None}
    scored = {line["role"]: line["model"] for line in decision["scores"]}
    if scored != served:
        problems.append(("inconsistent", f"was scored by {_named(scored)}, {_named(served)} served then"))
    decided = serving.get(body["arm"])
    if decided != body["model_version"]:
        by = f"{body['arm']} {body['model_version'][:12]}"
        problems.append(("inconsistent", f"was decided by {by}, the {body['arm']} was {_short(decided)}"))
    wrong = [line["role"] for line in decision["scores"] if line["model"] == RULE and line["take"] == state.rule_closed]
    if wrong:
        rule = "closed" if state.rule_closed else "open"
        problems.append(("inconsistent", f"the rule ({', '.join(wrong)}) did not decide as a rule that is {rule} does"))
    unknown = sorted({body["model_version"], *scored.values()} - {RULE} - models)
    problems += [("dangling_link", f"names model {model[:16]}..., which is not recorded") for model in unknown]
    bucket = bucket_of(state.rollout, decision["episode"]) if state.rollout is not None else None
    if decision["bucket"] != (None if bucket is None else score_text(bucket)):
        problems.append(("inconsistent", "its episode does not fall into the bucket that it says"))
    return problems


def check_decided(
    connection: Connection, experiment: str, events: Events, models: set[str], checked: ModelsChecked
) -> None:
    """Check every candidate against who served when it was decided; a broken chain says nothing of that."""
    if not events.whole:
        return
    heads = {event.hash: event.seq for event in events.events}
    lost: str | None = None
    for batch in reading.stream(connection, "candidates", experiment):
        for row in batch:
            try:
                body = read_body("candidates", bytes(row["body"]))
                decision, at = body["decision"], parse_time(body["decision_time"])
                if decision is None:
                    checked.find("candidates", str(row["uuid"]), "missing_link", "says nothing of the models' decision")
                    continue
                head = decision["events_head"]
                if head is not None and head not in heads:
                    lost = lost or f"candidate {row['uuid']} was decided after event {head[:16]}..., which is gone"
                    continue
                state = state_of(events.states, at)
                if head != state.head:
                    problem = f"was decided after {_short(head)}, at its instant the newest event was"
                    checked.find("candidates", str(row["uuid"]), "wrong_order", problem, state.head, head)
                    continue
                for kind, problem in decision_problems(body, state, models):
                    checked.find("candidates", str(row["uuid"]), kind, problem)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                problem = f"its decision is not readable ({type(error).__name__}: {error})"
                checked.find("candidates", str(row["uuid"]), "unreadable", problem)
    if lost is not None:
        checked.find("model_events", f"{experiment[:12]}/{len(events.events)}", "truncated", lost)


def _named(models: Mapping[str, str]) -> str:
    return ", ".join(f"{role} {_short(model)}" for role, model in sorted(models.items())) or "nobody"


def _short(value: str | None) -> str:
    return "nothing" if value is None else value[:12]
