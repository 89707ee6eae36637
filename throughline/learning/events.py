"""Events of an experiment's models, and who serves at an instant: a pure fold over them. The one truth of serving.

Belongs here: what an event is, its canonical body and hash, which event may follow which state, and the fold. Does not
belong here: where events are kept (store), which evidence leads to one (gates, judge), aliases in MLflow (mirror).

The events of an experiment form a chain: each names the hash of the one before it and the champion that it found, so
a decision made on an older state cannot be appended (compare-and-set). A model that was rolled back or rejected is
barred: it never serves again, because the same labels would only say the same again. New evidence trains another model,
which has another id.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

from throughline.errors import ThroughlineError
from throughline.identity import SCHEMA_VERSION, canonical_bytes, content_hash, parse_time
from throughline.learning.types import RULE

Kind = Literal["canary_started", "promoted", "rolled_back", "rejected", "rule_closed", "rule_opened"]
By = Literal["gates", "judge", "hand"]
KINDS: tuple[Kind, ...] = get_args(Kind)
RULE_KINDS: tuple[Kind, ...] = ("rule_closed", "rule_opened")
"""Events of the rule itself, which serves where no model does and may be closed so that cash is held instead."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


class IllegalEvent(ThroughlineError):
    """An event that may not follow the state it meets; the message names both and says what may be done."""


@dataclass(frozen=True)
class ModelEvent:
    """What happened to a model, or to the rule.

    seq: from 0, without gaps; previous: hash of the event before, None for the first.
    replaces: the champion that the event found. effective_at: from this instant on it counts. evidence: what it was
    decided from, without floats (`score_text`). by: the training's gates, the judge of the canary, or a person.
    """

    experiment: str
    seq: int
    previous: str | None
    kind: Kind
    model: str
    replaces: str
    effective_at: datetime
    reason: str
    by: By
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def body(self) -> bytes:
        """The canonical bytes that are hashed and stored."""
        return canonical_bytes(
            {
                "by": self.by,
                "effective_at": self.effective_at,
                "evidence": dict(self.evidence),
                "experiment": self.experiment,
                "kind": self.kind,
                "model": self.model,
                "previous": self.previous,
                "reason": self.reason,
                "replaces": self.replaces,
                "schema_version": SCHEMA_VERSION,
                "seq": self.seq,
            }
        )

    @cached_property
    def hash(self) -> str:
        """The content hash, which the next event names."""
        return content_hash("model_event", self.body)


def event_of(body: Mapping[str, Any]) -> ModelEvent:
    """Return the event of a parsed body. Raises KeyError, TypeError or ValueError where it is not one."""
    if body["kind"] not in KINDS:
        raise ValueError(f"kind {body['kind']!r} is none of {', '.join(KINDS)}")
    return ModelEvent(
        experiment=body["experiment"],
        seq=body["seq"],
        previous=body["previous"],
        kind=cast(Kind, body["kind"]),
        model=body["model"],
        replaces=body["replaces"],
        effective_at=parse_time(body["effective_at"]),
        reason=body["reason"],
        by=body["by"],
        evidence=body["evidence"],
    )


@dataclass(frozen=True)
class ServingState:
    """Who serves. champion: a model id, or `RULE` until one is promoted; canary: the model on trial.

    rollout: hash of the event that began the trial, the salt of its assignment. fallback: the last good champion before
    this one, which the watch compares with and a rollback returns to; None while the rule is champion. promoted_at:
    since when the champion is one. barred: rolled back or rejected. seq: of the next event; head: hash of the newest;
    last_at: since when that one counts. rule_closed: what the rule would decide is not entered; rule_since: since when
    that is so or no longer so, None while the rule was never closed. line: earlier champions that are still good,
    oldest first, each with its `promoted_at`.
    """

    champion: str = RULE
    canary: str | None = None
    canary_since: datetime | None = None
    rollout: str | None = None
    fallback: str | None = None
    promoted_at: datetime | None = None
    barred: frozenset[str] = frozenset()
    seq: int = 0
    head: str | None = None
    last_at: datetime | None = None
    line: tuple[tuple[str, datetime | None], ...] = ()
    rule_closed: bool = False
    rule_since: datetime | None = None


START = ServingState()
"""Before the first event: the rule serves."""


def unfold(events: Iterable[ModelEvent]) -> tuple[ServingState, ...]:
    """Return the state before the first event and after each. Raises IllegalEvent where the chain or a step breaks."""
    states = [START]
    for event in events:
        require_legal(states[-1], event)
        states.append(apply(states[-1], event))
    return tuple(states)


def serving_state(events: Sequence[ModelEvent], at: datetime) -> ServingState:
    """Return who serves at `at`: the fold over all events that count by then. Raises IllegalEvent as `unfold`."""
    return state_at(unfold(events), at)


def state_at(states: Sequence[ServingState], at: datetime) -> ServingState:
    """Return the one of the states that `unfold` gave which holds at `at`: for whoever asks about many instants."""
    return states[bisect_right(states, at, lo=1, key=_since) - 1]


def _since(state: ServingState) -> datetime:
    assert state.last_at is not None  # every state but the first comes from an event
    return state.last_at


def apply(state: ServingState, event: ModelEvent) -> ServingState:
    """Return the state after a legal event."""
    after = replace(state, seq=event.seq + 1, head=event.hash, last_at=event.effective_at)
    if event.kind in RULE_KINDS:
        return replace(after, rule_closed=event.kind == "rule_closed", rule_since=event.effective_at)
    if event.kind == "canary_started":
        return replace(after, canary=event.model, canary_since=event.effective_at, rollout=event.hash)
    if event.kind == "promoted":
        line = (*state.line, (state.champion, state.promoted_at))
        return replace(
            _trial_ended(after), champion=event.model, promoted_at=event.effective_at, line=line, fallback=line[-1][0]
        )
    after = replace(after, barred=state.barred | {event.model})
    if event.model == state.canary:
        after = _trial_ended(after)
    return _without(after, event.model)


def _trial_ended(state: ServingState) -> ServingState:
    return replace(state, canary=None, canary_since=None, rollout=None)


def _without(state: ServingState, barred: str) -> ServingState:
    """Return the state without `barred` among the champions that are good; the one below it takes its place."""
    good = tuple(item for item in (*state.line, (state.champion, state.promoted_at)) if item[0] != barred)
    champion, promoted_at = good[-1]  # the rule stands first and is never barred
    line = good[:-1]
    return replace(state, champion=champion, promoted_at=promoted_at, line=line, fallback=line[-1][0] if line else None)


def require_legal(state: ServingState, event: ModelEvent) -> None:
    """Raise IllegalEvent unless `event` may follow `state`, the state after all events before it."""
    _require_chain(state, event)
    name = event.model[:12]
    if event.kind in RULE_KINDS:
        _require_rule(state, event)
        return
    if event.model == RULE:
        raise IllegalEvent("the rule is no model: it needs no promotion and cannot be taken out of service")
    if event.model in state.barred:
        again = "it never comes back without new evidence: train again, later labels give another model id"
        raise IllegalEvent(f"model {name} was rolled back or rejected: {again}")
    if event.kind == "canary_started":
        if state.canary is not None:
            raise IllegalEvent(
                f"model {state.canary[:12]} is on trial: one canary at a time; promote it, roll it back or reject it "
                f"before {name} begins"
            )
        if event.model == state.champion:
            raise IllegalEvent(f"model {name} is the champion already: there is nothing to try")
    elif event.kind == "promoted":
        if event.model != state.canary:
            trial = f"the canary is {state.canary[:12]}" if state.canary is not None else "no model is on trial"
            raise IllegalEvent(f"model {name} cannot be promoted: only the current canary can, and {trial}")
    elif event.kind == "rolled_back":
        if event.model not in (state.canary, state.champion):
            raise IllegalEvent(f"model {name} does not serve, neither as champion nor as canary: nothing to roll back")
    elif event.model == state.champion:
        raise IllegalEvent(f"model {name} is the champion: roll it back, only what does not serve alone is rejected")


def _require_rule(state: ServingState, event: ModelEvent) -> None:
    if event.model != RULE:
        raise IllegalEvent(f"model {event.model[:12]} is not the rule: only the rule is closed, a model is rolled back")
    if state.rule_closed == (event.kind == "rule_closed"):
        state_now = "closed" if state.rule_closed else "open"
        raise IllegalEvent(f"the rule is {state_now} already: there is nothing to change")


def _require_chain(state: ServingState, event: ModelEvent) -> None:
    if (event.seq, event.previous) != (state.seq, state.head):
        raise IllegalEvent(
            f"model event {event.seq} follows {_short(event.previous)}, but {state.seq} is due after "
            f"{_short(state.head)}: another event came in between, or the chain was changed (`throughline verify`)"
        )
    if event.replaces != state.champion:
        raise IllegalEvent(
            f"model event {event.seq} was decided while {event.replaces[:12]} was champion, it is "
            f"{state.champion[:12]}: look again before deciding"
        )
    if state.last_at is not None and event.effective_at < state.last_at:
        raise IllegalEvent(
            f"model event {event.seq} would count from {event.effective_at:%Y-%m-%d %H:%M}, the one before it counts "
            f"from {state.last_at:%Y-%m-%d %H:%M}: events go forward in time"
        )


def _short(digest: str | None) -> str:
    return "nothing" if digest is None else digest[:12]
