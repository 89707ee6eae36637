"""`require_gate` on a real PostgreSQL: it reads the verdict table and fails closed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from sqlalchemy import Connection

from tests.materialize.homes import FIRST, FailingGates, context_of, opened
from throughline.errors import GateClosed
from throughline.flow import FlowContext
from throughline.flow.bars import seal_market_bars
from throughline.quality.gate import gate_standings, gate_states, require_gate
from throughline.quality.suite import load_suite
from throughline.storage.queries import read_seals

BAD = FIRST + timedelta(days=1)
DAYS = [FIRST, BAD]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FlowContext, Connection, dict[date, str]]]:
    with opened(tmp_path_factory.mktemp("home")) as database:
        context = context_of(database, gates=FailingGates({"market_bars": [BAD]}))
        seal_market_bars(context, DAYS)
        with context.engine.connect() as conn:
            seals = read_seals(conn, context.experiment.id, "market_bars")
            yield context, conn, {day: seal.root for day, seal in seals.items()}


def test_a_day_that_passed_is_open(sealed: tuple[FlowContext, Connection, dict[date, str]]) -> None:
    context, conn, seals = sealed
    require_gate(conn, context.experiment.id, "market_bars", {FIRST: seals[FIRST]})


def test_a_day_that_failed_is_closed_and_named(sealed: tuple[FlowContext, Connection, dict[date, str]]) -> None:
    context, conn, seals = sealed
    with pytest.raises(GateClosed, match=r"market_bars of 2021-03-02 failed its gate: rule made_to_fail .* 3 rows"):
        require_gate(conn, context.experiment.id, "market_bars", {BAD: seals[BAD]})


@pytest.mark.parametrize(
    ("seal", "suite_hash", "message"),
    [
        (None, None, "has no gate verdict"),
        ("0" * 64, None, "rows other than those now sealed"),
        ("sealed", "0" * 64, "an older suite"),
    ],
)
def test_a_missing_or_stale_verdict_is_closed(
    sealed: tuple[FlowContext, Connection, dict[date, str]], seal: str | None, suite_hash: str | None, message: str
) -> None:
    context, conn, seals = sealed
    asked = seals[FIRST] if seal == "sealed" else seal
    with pytest.raises(GateClosed, match=message):
        require_gate(conn, context.experiment.id, "market_bars", {FIRST: asked}, suite_hash)


def test_another_experiment_has_no_verdict(sealed: tuple[FlowContext, Connection, dict[date, str]]) -> None:
    _, conn, seals = sealed
    with pytest.raises(GateClosed, match="has no gate verdict"):
        require_gate(conn, "another", "market_bars", {FIRST: seals[FIRST]})


def test_many_days_are_asked_at_once(sealed: tuple[FlowContext, Connection, dict[date, str]]) -> None:
    context, conn, seals = sealed
    current = load_suite("market_bars").hash
    found = gate_states(conn, context.experiment.id, "market_bars", DAYS, seals, current)
    assert [len(found[day]) for day in DAYS] == [0, 1]
    beyond = FIRST + timedelta(days=9)
    standings = gate_standings(conn, context.experiment.id, "market_bars", [*DAYS, beyond], seals)
    assert [standings[day].standing for day in (*DAYS, beyond)] == ["open", "failed", "missing"]
    with pytest.raises(GateClosed, match=str(beyond)):
        gate_states(conn, context.experiment.id, "market_bars", [beyond], seals)
