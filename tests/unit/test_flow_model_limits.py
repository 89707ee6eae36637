"""What a deciding model keeps out of the market."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from tests.day_records import candidate
from throughline.configuration import Configuration
from throughline.flow.model_limits import model_refusals
from throughline.tracking.day_records import Candidate

SETTINGS = Configuration()  # 25 % of 10,000 USD may be a challenger's


def asking(*candidates: Candidate) -> list[Candidate]:
    """Return candidates with keys that order as they stand here."""
    return [replace(item, key=key(number)) for number, item in enumerate(candidates)]


def body(
    arm: str = "canary",
    take: bool | None = True,
    notional: str = "1000",
    hour: int = 1,
    score: str = "0.5",
    model: str = "a" * 64,
) -> Candidate:
    decision = None if take is None else {"take": take}
    changes = {"arm": arm, "decision": decision, "model_version": model, "notional_usd": notional}
    return candidate(hour=hour, opportunity=score, **changes)


def key(number: int) -> str:
    return str(uuid.UUID(int=number))


def test_the_rule_alone_refuses_nothing() -> None:
    assert model_refusals(asking(body("champion", None), body("champion", None)), 0.0, SETTINGS) == {}


def test_a_candidate_that_the_deciding_model_would_not_take_is_declined() -> None:
    found = model_refusals(asking(body(take=False), body("champion", take=False), body("champion")), 0.0, SETTINGS)
    assert found == {key(0): "declined", key(1): "declined"}


def test_what_a_closed_rule_would_take_is_kept_out_by_the_rule_s_own_word_while_a_challenger_goes_on() -> None:
    found = model_refusals(asking(body("champion", take=False, model="rule"), body("canary")), 0.0, SETTINGS)
    assert found == {key(0): "rule_closed"}


def test_a_challenger_s_candidates_are_capped_by_notional_in_order_of_time() -> None:
    found = model_refusals(asking(body(hour=3), body(hour=1), body(hour=2)), 0.0, SETTINGS)
    assert found == {key(0): "canary_cap"}


def test_within_an_instant_the_better_score_goes_first() -> None:
    found = model_refusals(
        asking(body(score="0.1", notional="2000"), body(score="0.9", notional="2000")), 0.0, SETTINGS
    )
    assert found == {key(0): "canary_cap"}


def test_what_the_challenger_holds_counts_and_the_champion_has_no_cap() -> None:
    candidates = asking(body(notional="600"), body("champion", notional="9000"))
    assert model_refusals(candidates, 1_900.0, SETTINGS) == {}
    assert model_refusals(candidates, 1_901.0, SETTINGS) == {key(0): "canary_cap"}


@pytest.mark.parametrize("notional", ["100", "2000"])
def test_a_declined_candidate_uses_no_room(notional: str) -> None:
    found = model_refusals(
        asking(body(take=False, notional=notional, hour=1), body(notional="2500", hour=2)), 0.0, SETTINGS
    )
    assert found == {key(0): "declined"}
