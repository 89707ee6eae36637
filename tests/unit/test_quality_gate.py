"""The gate fails closed: only a passed verdict of the current suite on the current seal opens it."""

from __future__ import annotations

from datetime import date

import pytest

from throughline.quality.gate import GateState, _state, failures_of
from throughline.quality.verdict import Failure
from throughline.storage.records import failures_text

DAY = date(2021, 1, 2)
FAILURES = failures_text([Failure("low_is_a_price", 2, ("A@0", "B@0"))])


@pytest.mark.parametrize(
    ("verdicts", "seal", "standing"),
    [
        ([("s1", "h1", True, "[]")], "s1", "open"),
        ([("s1", "h1", False, FAILURES)], "s1", "failed"),
        ([], "s1", "missing"),
        ([("s1", "h1", True, "[]")], None, "missing"),
        ([("s0", "h1", True, "[]")], "s1", "stale_seal"),
        ([("s1", "h0", True, "[]")], "s1", "stale_suite"),
        ([("s1", "h0", False, FAILURES), ("s1", "h1", True, "[]")], "s1", "open"),
        ([("s0", "h1", True, "[]"), ("s1", "h1", False, FAILURES)], "s1", "failed"),
    ],
)
def test_the_gate_is_open_only_for_the_current_suite_on_the_current_seal(
    verdicts: list[tuple[str, str, bool, str]], seal: str | None, standing: str
) -> None:
    state = _state("market_bars", DAY, verdicts, seal, "h1")
    assert state.standing == standing
    assert state.open is (standing == "open")


def test_a_closed_gate_names_asset_day_rule_and_rows() -> None:
    sentence = GateState("market_bars", DAY, "failed", failures_of(FAILURES)).sentence
    assert sentence == (
        "market_bars of 2021-01-02 failed its gate: rule low_is_a_price is broken by 2 rows (such as A@0, B@0)"
    )


@pytest.mark.parametrize("standing", ["missing", "stale_seal", "stale_suite"])
def test_a_gate_without_a_current_verdict_says_what_to_do(standing: str) -> None:
    sentence = GateState("market_bars", DAY, standing).sentence  # type: ignore[arg-type]
    assert "market_bars of 2021-01-02" in sentence
    assert "materialize market_bars of 2021-01-02 again" in sentence


def test_failures_survive_their_text() -> None:
    failures = (Failure("a", 1, ("x",)), Failure("b", 3))
    assert failures_of(failures_text(failures)) == failures
