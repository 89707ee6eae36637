"""What a deciding model keeps out of the market."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

import pytest

from throughline.configuration import Configuration
from throughline.flow.model_limits import model_refusals
from throughline.storage.records import LedgerRow

SETTINGS = Configuration()  # 25 % of 10,000 USD may be a challenger's


def row(number: int) -> LedgerRow:
    return LedgerRow(uuid.UUID(int=number), "e", date(2021, 1, 1), "0" * 64, b"{}", None, {}, None)


def told(*bodies: dict[str, Any]) -> dict[str, tuple[LedgerRow, dict[str, Any]]]:
    return {str(uuid.UUID(int=k)): (row(k), body) for k, body in enumerate(bodies)}


def body(
    arm: str = "canary",
    take: bool | None = True,
    wished: str = "1000",
    hour: int = 1,
    score: str = "0.5",
    model: str = "a" * 64,
) -> Any:
    return {
        "arm": arm,
        "decision": None if take is None else {"take": take},
        "decision_time": f"2021-01-01T{hour:02d}:00:00.000000Z",
        "model_version": model,
        "notional_usd": wished,
        "opportunity_score": score,
    }


def key(number: int) -> str:
    return str(uuid.UUID(int=number))


def test_the_rule_alone_refuses_nothing() -> None:
    assert model_refusals(told(body("champion", None), body("champion", None)), 0.0, SETTINGS) == {}


def test_a_candidate_that_the_deciding_model_would_not_take_is_declined() -> None:
    found = model_refusals(told(body(take=False), body("champion", take=False), body("champion")), 0.0, SETTINGS)
    assert found == {key(0): "declined", key(1): "declined"}


def test_what_a_closed_rule_would_take_is_kept_out_by_the_rule_s_own_word_while_a_challenger_goes_on() -> None:
    found = model_refusals(told(body("champion", take=False, model="rule"), body("canary")), 0.0, SETTINGS)
    assert found == {key(0): "rule_closed"}


def test_a_challenger_s_candidates_are_capped_by_notional_in_order_of_time() -> None:
    found = model_refusals(told(body(hour=3), body(hour=1), body(hour=2)), 0.0, SETTINGS)
    assert found == {key(0): "canary_cap"}


def test_within_an_instant_the_better_score_goes_first() -> None:
    found = model_refusals(told(body(score="0.1", wished="2000"), body(score="0.9", wished="2000")), 0.0, SETTINGS)
    assert found == {key(0): "canary_cap"}


def test_what_the_challenger_holds_counts_and_the_champion_has_no_cap() -> None:
    candidates = told(body(wished="600"), body("champion", wished="9000"))
    assert model_refusals(candidates, 1_900.0, SETTINGS) == {}
    assert model_refusals(candidates, 1_901.0, SETTINGS) == {key(0): "canary_cap"}


@pytest.mark.parametrize("wished", ["100", "2000"])
def test_a_declined_candidate_uses_no_room(wished: str) -> None:
    found = model_refusals(told(body(take=False, wished=wished, hour=1), body(wished="2500", hour=2)), 0.0, SETTINGS)
    assert found == {key(0): "declined"}
