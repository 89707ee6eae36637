"""Cash as a policy over a simulated market: the rule is closed by an event, verified, and the law holds across it.

Costs of 6 % a trade make the rule lose, and so little evidence is asked for that it is closed within weeks: what is
tested is that a judgement acts, on what, and from when. A person opens it again here; the evidence that opens it is
tested in tests/unit/test_learning_cash.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from tests.integration.home_copies import open_copy
from tests.integration.small_home import TableGates
from throughline.analytics.cash import cash_report
from throughline.analytics.entry_times import read_entry_times
from throughline.clock import FixedClock
from throughline.configuration import CashSettings, Configuration, CostSettings, LearningSettings
from throughline.experiment.identity import Experiment, make_experiment
from throughline.experiment.registry import activate, register
from throughline.flow import FlowContext, make_context, run_range
from throughline.flow.context import shadow_reach_days
from throughline.identity import canonical_bytes, content_hash, time_to_ms
from throughline.learning.cash import replay
from throughline.learning.cycle import look_at_rule
from throughline.learning.event_log import read_events
from throughline.learning.events import serving_state
from throughline.learning.lifecycle import change_rule
from throughline.learning.rule_outcomes import read_rule_outcomes
from throughline.market.simulated import SimulatedProvider
from throughline.proof.settings import open_proof
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database
from throughline.storage.queries import read_all_seals
from throughline.verification import verify, verify_connection
from throughline.walk_forward.runner import walk_forward

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

DAY = timedelta(days=1)
START, CLOSED, OPENED, END = date(2024, 3, 9), date(2024, 3, 25), date(2024, 4, 1), date(2024, 4, 5)
LOOSE = CashSettings(alpha=0.45, minimum_days=2, gain_targets=1.0)
GATED = Configuration(
    model_policy="gated",
    cash=LOOSE,
    costs=CostSettings(fee=0.03),
    learning=LearningSettings(retrain="never"),
)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@contextmanager
def home(folder: Path, configuration: Configuration) -> Iterator[tuple[Database, FlowContext]]:
    """Open a home with an experiment of the simulated market in it, of which no day is run."""
    store = ArtifactStore(folder / "artifacts")
    with open_copy(folder) as database:
        provider = SimulatedProvider(7)
        source = provider.description.source_hash
        experiment = make_experiment("demo", START, configuration, source, 7, lock="0" * 64, code="1" * 64)
        engine = database.engine("writer")
        register(engine, experiment)
        activate(engine, experiment, {"seed": 7})
        clock = FixedClock(datetime(2024, 6, 1, tzinfo=UTC))
        context = make_context(experiment, provider, engine, store, TableGates(), clock)
        yield database, replace(context, proof=open_proof(database.home, database.embedded, clock=clock))


def walk(context: FlowContext, *ends: date) -> None:
    """Walk to each of `ends`; on its midnight a person opens the rule."""

    def run(first: date, last: date) -> None:
        run_range(context, first, last)

    for end in ends:
        walk_forward(context, START, end, run, lambda: None)
        if end + DAY == OPENED:
            opened = {"closed": False, "at": midnight(OPENED), "by": "hand", "reason": "a test", "evidence": {}}
            change_rule(context.engine, context.experiment, **opened)


def record(conn: Connection, experiment: Experiment) -> dict[str, Any]:
    return {
        "events": [event.hash for event in read_events(conn, experiment.id)],
        "seals": {(seal.asset, seal.partition): seal.root for seal in read_all_seals(conn, experiment.id)},
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cash")


@pytest.fixture(scope="module")
def walked(folder: Path) -> Iterator[tuple[Database, FlowContext]]:
    with home(folder / "one", GATED) as (database, context):
        walk(context, OPENED - DAY, END)
        yield database, context


def test_the_rule_is_closed_on_the_monday_that_a_replay_of_its_shadows_says(
    walked: tuple[Database, FlowContext],
) -> None:
    database, context = walked
    experiment = context.experiment
    with database.engine("reader").connect() as conn:
        events = read_events(conn, experiment.id)
        rows = read_rule_outcomes(conn, experiment.id, midnight(START), midnight(END + DAY))
    assert [(event.kind, event.effective_at, event.by) for event in events] == [
        ("rule_closed", midnight(CLOSED), "judge"),
        ("rule_opened", midnight(OPENED), "hand"),
    ]
    exits = experiment.configuration.exits
    rules = {"take_profit": exits.take_profit, "reach_days": shadow_reach_days(exits)}
    told = replay(rows, LOOSE, epoch=START, until=midnight(END + DAY), **rules)
    assert (told[0].as_of, told[0].body()) == (midnight(CLOSED), dict(events[0].evidence))


def test_while_it_is_closed_candidates_are_recorded_and_not_entered_and_open_positions_run_out(
    walked: tuple[Database, FlowContext],
) -> None:
    database, context = walked
    experiment = context.experiment
    with database.engine("reader").connect() as conn:
        events = read_events(conn, experiment.id)
        rows = conn.execute(
            text(
                "SELECT c.decision_time, c.body, d.disposition, s.uuid IS NOT NULL, o.body FROM candidates c "
                "JOIN dispositions d ON d.candidate_uuid = c.uuid "
                "LEFT JOIN shadow_outcomes s ON s.candidate_uuid = c.uuid "
                "LEFT JOIN outcomes o ON o.candidate_uuid = c.uuid WHERE c.experiment = :e"
            ),
            {"e": experiment.id},
        ).all()
    shut, running = [], 0
    first = events[0].effective_at
    for decided, raw, word, shadowed, outcome in rows:
        state = serving_state(events, decided)
        body = json.loads(bytes(raw))
        assert body["decision"]["take"] is not state.rule_closed
        assert (word == "rule_closed") == state.rule_closed
        if state.rule_closed:
            shut.append(shadowed)
            assert outcome is None
        elif outcome is not None and decided < first:
            running += json.loads(bytes(outcome))["exit_time"] > f"{first:%Y-%m-%dT%H:%M:%S}"
    assert len(shut) > 5
    assert any(shut)  # so that there is something to open it by
    assert running > 0


def test_random_entries_are_as_many_as_were_not_refused_and_none_lies_in_the_closed_time(
    walked: tuple[Database, FlowContext],
) -> None:
    database, context = walked
    with database.engine("reader").connect() as conn:
        told = read_entry_times(conn, context.experiment, START, END)
        late = read_entry_times(conn, context.experiment, CLOSED, END)
        rows = conn.execute(
            text("SELECT disposition = 'rule_closed', count(*) FROM dispositions WHERE experiment = :e GROUP BY 1"),
            {"e": context.experiment.id},
        )
        counts = {bool(refused): int(number) for refused, number in rows}
    assert told.closed == late.closed == ((time_to_ms(midnight(CLOSED)), time_to_ms(midnight(OPENED))),)
    assert counts[True] > 5
    assert (told.candidates, told.candidates_closed) == (counts[False], 0)
    assert 0 < late.candidates < told.candidates


def test_a_walk_that_is_broken_off_on_any_day_gives_the_same_events_and_seals(
    folder: Path, walked: tuple[Database, FlowContext]
) -> None:
    database, context = walked
    with database.engine("reader").connect() as conn:
        whole = record(conn, context.experiment)
    with home(folder / "two", GATED) as (other, resumed):
        walk(resumed, START + 2 * DAY, CLOSED - DAY, CLOSED + DAY, OPENED - DAY, END, END)
        with other.engine("reader").connect() as conn:
            assert record(conn, resumed.experiment) == whole


def test_looking_again_at_the_instant_of_a_closing_does_nothing(
    walked: tuple[Database, FlowContext],
) -> None:
    database, context = walked
    with database.engine("reader").connect() as conn:
        before = read_events(conn, context.experiment.id)
    told = look_at_rule(context.engine, context.experiment, before[0].effective_at, reach_days=10)
    assert (told.verdict, told.days) == ("keep", 0)
    with database.engine("reader").connect() as conn:
        assert read_events(conn, context.experiment.id) == before


def test_a_policy_that_does_not_act_says_when_it_would_have_and_what_that_would_have_saved_or_cost(
    folder: Path, walked: tuple[Database, FlowContext]
) -> None:
    database, context = walked
    with database.engine("reader").connect() as conn:
        acted = cash_report(conn, context.experiment, START, END)
    assert acted.acts
    assert acted.trades == 0
    assert acted.candidates > 5
    with home(folder / "three", GATED.model_copy(update={"model_policy": "none"})) as (other, passive):
        run_range(passive, START, END)
        with other.engine("reader").connect() as conn:
            told = cash_report(conn, passive.experiment, START, END)
            assert read_events(conn, passive.experiment.id) == ()
            trades = conn.execute(
                text(
                    "SELECT c.decision_time, o.realized_pnl_usd FROM candidates c JOIN outcomes o "
                    "ON o.candidate_uuid = c.uuid"
                )
            ).all()
    assert not told.acts
    # candidates and their shadows do not depend on whether anybody acted, and nobody opened it here
    assert [(item.at, item.verdict) for item in told.changes] == [(midnight(CLOSED), "close")]
    assert told.changes[0] == acted.changes[0]
    assert told.closed
    assert not acted.closed
    inside = [float(pnl) for at, pnl in trades if at >= midnight(CLOSED)]
    assert told.trades == len(inside) > 0
    assert told.pnl_usd == pytest.approx(sum(inside))


def test_verify_finds_nothing_in_it_and_names_a_closing_that_the_outcomes_do_not_give(
    walked: tuple[Database, FlowContext],
) -> None:
    database, context = walked
    assert verify(database.engine("auditor"), context.artifacts).findings == []
    with database.engine("owner").connect() as conn:
        conn.execute(text("ALTER TABLE model_events DISABLE TRIGGER USER"))
        last = read_events(conn, context.experiment.id)[0]
        told = json.loads(last.body)
        told["evidence"]["mean_return"] = "-0.5"
        body = canonical_bytes(told)
        conn.execute(
            text("UPDATE model_events SET body = :b, content_hash = :h WHERE experiment = :e AND seq = :s"),
            {"b": body, "h": content_hash("model_event", body), "e": context.experiment.id, "s": last.seq},
        )
        found = verify_connection(conn, None).findings
        conn.rollback()
    told_of = [(item.table, item.row, item.kind) for item in found if "judgement it stands on" in item.problem]
    assert told_of == [("model_events", f"{context.experiment.id[:12]}/{last.seq}", "inconsistent")]
