"""The events of an experiment's models and the fold over them: one champion, no way back for whoever was barred."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.learning.events import (
    KINDS,
    START,
    IllegalEvent,
    Kind,
    ModelEvent,
    ServingState,
    apply,
    event_of,
    require_legal,
    serving_state,
    state_at,
    unfold,
)
from throughline.learning.types import RULE

T0 = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def event(state: ServingState, kind: Kind, model: str, at: datetime) -> ModelEvent:
    return ModelEvent("e" * 64, state.seq, state.head, kind, model, state.champion, at, "because", "hand", {"n": "1.5"})


def history(*steps: tuple[Kind, str]) -> list[ModelEvent]:
    state, events = START, []
    for k, (kind, model) in enumerate(steps):
        events.append(event(state, kind, model, T0 + k * DAY))
        require_legal(state, events[-1])
        state = apply(state, events[-1])
    return events


def last(*steps: tuple[Kind, str]) -> ServingState:
    return unfold(history(*steps))[-1]


def test_before_any_event_the_rule_serves_alone() -> None:
    assert serving_state([], T0) == START
    assert (START.champion, START.canary, START.fallback) == (RULE, None, None)


def test_a_promoted_canary_is_champion_and_falls_back_to_the_one_before() -> None:
    state = last(("canary_started", A), ("promoted", A), ("canary_started", B), ("promoted", B))
    assert (state.champion, state.fallback, state.canary, state.rollout) == (B, A, None, None)
    assert state.promoted_at == T0 + 3 * DAY


def test_the_trial_is_salted_by_the_hash_of_the_event_that_began_it() -> None:
    events = history(("canary_started", A))
    state = unfold(events)[-1]
    assert (state.rollout, state.canary, state.canary_since) == (events[0].hash, A, T0)


def test_a_rolled_back_champion_gives_way_to_the_last_that_was_good_and_then_to_the_rule() -> None:
    steps: list[tuple[Kind, str]] = [("canary_started", A), ("promoted", A), ("canary_started", B), ("promoted", B)]
    once = last(*steps, ("rolled_back", B))
    assert (once.champion, once.fallback, once.promoted_at, once.barred) == (A, RULE, T0 + DAY, {B})
    twice = last(*steps, ("rolled_back", B), ("rolled_back", A))
    assert (twice.champion, twice.fallback, twice.promoted_at, twice.barred) == (RULE, None, None, {A, B})


def test_an_earlier_champion_that_is_rejected_is_passed_over_by_a_rollback() -> None:
    state = last(("canary_started", A), ("promoted", A), ("canary_started", B), ("promoted", B), ("rejected", A))
    assert (state.champion, state.fallback) == (B, RULE)
    assert (
        unfold(
            [
                *history(
                    ("canary_started", A),
                    ("promoted", A),
                    ("canary_started", B),
                    ("promoted", B),
                    ("rejected", A),
                    ("rolled_back", B),
                )
            ]
        )[-1].champion
        == RULE
    )


def test_rolling_back_a_canary_leaves_the_champion() -> None:
    state = last(("canary_started", A), ("promoted", A), ("canary_started", B), ("rolled_back", B))
    assert (state.champion, state.canary, state.barred) == (A, None, {B})


def test_an_event_counts_from_its_instant_on_and_not_before() -> None:
    events = history(("canary_started", A), ("promoted", A))
    assert serving_state(events, T0 - timedelta(microseconds=1)) == START
    assert serving_state(events, T0).canary == A
    assert serving_state(events, T0 + DAY - timedelta(microseconds=1)).champion == RULE
    assert serving_state(events, T0 + DAY).champion == A


@pytest.mark.parametrize(
    ("before", "step", "words"),
    [
        ([], ("promoted", A), "no model is on trial"),
        ([("canary_started", A)], ("promoted", B), "the canary is aaaaaaaaaaaa"),
        ([("canary_started", A)], ("canary_started", B), "one canary at a time"),
        ([("canary_started", A), ("promoted", A)], ("canary_started", A), "champion already"),
        ([("canary_started", A), ("rolled_back", A)], ("canary_started", A), "train again, later labels give another"),
        ([("canary_started", A), ("rejected", A)], ("rolled_back", A), "never comes back"),
        ([], ("rolled_back", A), "does not serve"),
        ([("canary_started", A), ("promoted", A)], ("rejected", A), "roll it back"),
        ([], ("canary_started", RULE), "the rule is no model"),
        ([], ("rolled_back", RULE), "the rule is no model"),
    ],
)
def test_what_may_not_follow_is_refused_in_words(
    before: list[tuple[Kind, str]], step: tuple[Kind, str], words: str
) -> None:
    state = last(*before)
    with pytest.raises(IllegalEvent, match=words):
        require_legal(state, event(state, *step, T0 + 9 * DAY))


def test_an_event_decided_on_an_older_state_is_refused() -> None:
    state = last(("canary_started", A), ("promoted", A))
    good = event(state, "rolled_back", A, T0 + 5 * DAY)
    require_legal(state, good)
    for wrong, words in (
        (replace(good, seq=1), "another event came in between"),
        (replace(good, previous=None), "another event came in between"),
        (replace(good, replaces=RULE), "while rule was champion"),
        (replace(good, effective_at=T0), "events go forward in time"),
    ):
        with pytest.raises(IllegalEvent, match=words):
            require_legal(state, wrong)


def test_a_fold_over_a_broken_chain_gives_nobody_instead_of_a_guess() -> None:
    events = history(("canary_started", A), ("promoted", A), ("canary_started", B))
    with pytest.raises(IllegalEvent):
        unfold([events[0], replace(events[1], reason="another"), events[2]])
    with pytest.raises(IllegalEvent):
        serving_state(events[1:], T0)


def test_the_rule_is_closed_and_opened_again_and_nothing_else_about_who_serves_changes() -> None:
    state = last(("canary_started", A), ("rule_closed", RULE), ("promoted", A))
    assert (state.champion, state.fallback, state.rule_closed, state.rule_since) == (A, RULE, True, T0 + DAY)
    state = last(("rule_closed", RULE), ("rule_opened", RULE), ("rule_closed", RULE))
    assert (state.champion, state.rule_closed, state.rule_since) == (RULE, True, T0 + 2 * DAY)
    events = history(("rule_closed", RULE), ("rule_opened", RULE))
    assert serving_state(events, T0).rule_closed
    assert not serving_state(events, T0 + DAY).rule_closed


@pytest.mark.parametrize(
    ("steps", "kind", "model", "says"),
    [
        ((), "rule_opened", RULE, "the rule is open already"),
        ((("rule_closed", RULE),), "rule_closed", RULE, "the rule is closed already"),
        ((("canary_started", A),), "rule_closed", A, "only the rule is closed, a model is rolled back"),
    ],
)
def test_only_the_rule_is_closed_and_only_what_it_is_not_yet(
    steps: tuple[tuple[Kind, str], ...], kind: Kind, model: str, says: str
) -> None:
    state = last(*steps)
    with pytest.raises(IllegalEvent, match=says):
        require_legal(state, event(state, kind, model, T0 + 9 * DAY))


def test_an_event_comes_back_from_its_body_with_the_same_hash() -> None:
    import json

    made = history(("canary_started", A))[0]
    again = event_of(json.loads(made.body))
    assert (again, again.hash) == (made, made.hash)
    with pytest.raises(ValueError, match="none of"):
        event_of({**json.loads(made.body), "kind": "crowned"})


wishes = st.lists(
    st.tuples(st.sampled_from(KINDS), st.sampled_from([A, B, C, "d" * 64, RULE]), st.integers(0, 2)), max_size=25
)


@given(wishes)
def test_whatever_is_asked_for_there_is_one_champion_never_barred_and_the_chain_holds(
    asked: list[tuple[Kind, str, int]],
) -> None:
    state, at, events = START, T0, []
    for kind, model, days in asked:
        at += days * DAY
        wish = event(state, kind, model, at)
        try:
            require_legal(state, wish)
        except IllegalEvent:
            continue
        after = apply(state, wish)
        assert state.barred <= after.barred  # nobody is ever forgiven
        assert (after.rule_closed != state.rule_closed) == (kind in ("rule_closed", "rule_opened"))
        if kind in ("rule_closed", "rule_opened"):
            serves = ("champion", "canary", "fallback", "rollout", "barred", "line", "promoted_at")
            assert [getattr(after, name) for name in serves] == [getattr(state, name) for name in serves]
        assert after.champion == RULE or after.champion not in after.barred
        assert after.canary is None or after.canary not in {*after.barred, after.champion}
        assert (after.fallback is None) == (after.champion == RULE)
        assert after.fallback not in after.barred
        assert (after.canary is None) == (after.canary_since is None) == (after.rollout is None)
        if kind == "promoted":
            assert (after.champion, after.fallback) == (model, state.champion)
        elif kind == "canary_started":
            assert after.champion == state.champion
        events.append(wish)
        state = after
    states = unfold(events)
    assert states[-1] == state
    assert [item.previous for item in events] == [None, *(item.hash for item in events[:-1])][: len(events)]
    for k, item in enumerate(events):  # the fold at an instant is the fold over all that counts by then
        counted = sum(other.effective_at <= item.effective_at for other in events)
        assert serving_state(events, item.effective_at) == states[counted] == state_at(states, item.effective_at)
        assert serving_state(events[: k + 1], at + DAY) == states[k + 1]
