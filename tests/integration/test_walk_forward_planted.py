"""The positive control: a planted edge is learned, tried, promoted, and taken back when it turns into its opposite.

Without it a system that never serves a model would pass every other test.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text

from examples.planted_edge import Plan
from tests.integration.planted_walk import Walked, archive, settings, walked
from throughline.configuration import CanarySettings, LearningSettings
from throughline.learning.event_log import read_events
from throughline.learning.events import serving_state
from throughline.learning.looks import read_scores
from throughline.learning.store import read_holdout, read_models, read_verdicts, trades_by_model
from throughline.learning.types import RULE
from throughline.verification.verify import verify

pytestmark = [pytest.mark.slow, pytest.mark.timeout(580)]

START, END = date(2022, 3, 15), date(2022, 7, 22)
PLAN = Plan(days=210, reversal=date(2022, 6, 22))
LEARNING = LearningSettings(folds=4, selected_features=30)
CANARY = CanarySettings(share=0.3, minimum_trades=1)  # a third, so that five slots soon hold one of its trades


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    folder = tmp_path_factory.mktemp("planted")
    with walked(folder / "home", archive(folder / "data", PLAN), settings(LEARNING, CANARY), START, END) as done:
        yield done


def events(control: Walked) -> list[tuple[str, str]]:
    with control.database.engine("reader").connect() as conn:
        return [(event.kind, event.model) for event in read_events(conn, control.experiment.id)]


def test_the_edge_is_trained_on_tried_promoted_and_rolled_back_after_the_reversal(control: Walked) -> None:
    told = events(control)
    kinds = [kind for kind, _ in told]
    assert kinds[:2] == ["canary_started", "promoted"]
    assert told[0][1] == told[1][1]
    assert ("rolled_back", told[0][1]) in told[2:]
    with control.database.engine("reader").connect() as conn:
        stored = [event for event in read_events(conn, control.experiment.id) if event.model == told[0][1]]
    promoted, rolled = (next(e for e in stored if e.kind == kind) for kind in ("promoted", "rolled_back"))
    assert promoted.effective_at.date() < PLAN.reversal < rolled.effective_at.date()
    assert {promoted.by, rolled.by} == {"judge"}


def test_early_models_are_refused_for_too_few_labels_and_never_serve(control: Walked) -> None:
    with control.database.engine("reader").connect() as conn:
        first = read_models(conn, control.experiment.id)[0]
        verdicts = {item.gate: item.status for item in read_verdicts(conn, first.id)}
    assert verdicts["minimum_labels"] == "insufficient"
    assert verdicts["holdout"] == "insufficient"
    assert first.id not in {model for _, model in events(control)}


def test_each_trade_names_the_model_of_its_time(control: Walked) -> None:
    with control.database.engine("reader").connect() as conn:
        log = read_events(conn, control.experiment.id)
        rows = conn.execute(
            text("SELECT decision_time, body FROM candidates WHERE experiment = :e ORDER BY decision_time"),
            {"e": control.experiment.id},
        ).all()
        trades = trades_by_model(conn, control.experiment.id)
    arms = set()
    for decided, raw in rows:
        body = json.loads(bytes(raw))
        state = serving_state(log, decided)
        arms.add(body["arm"])
        assert body["model_version"] == (state.canary if body["arm"] == "canary" else state.champion)
        assert body["decision"]["events_head"] == state.head
    assert arms == {"champion", "canary"}
    served = next(model for kind, model in events(control) if kind == "promoted")
    assert trades[served] > 0
    assert trades[RULE] > 0


def test_the_challenger_decides_its_share_of_the_episodes_on_trial(control: Walked) -> None:
    with control.database.engine("reader").connect() as conn:
        bodies = [
            json.loads(bytes(raw))
            for raw in conn.execute(
                text("SELECT body FROM candidates WHERE experiment = :e"), {"e": control.experiment.id}
            ).scalars()
        ]
    on_trial = {b["decision"]["episode"]: b["arm"] for b in bodies if b["decision"]["bucket"] is not None}
    share = sum(arm == "canary" for arm in on_trial.values()) / len(on_trial)
    assert len(on_trial) > 150
    assert 0.2 < share < 0.4


def test_a_model_s_scores_of_older_candidates_stand_beside_them_and_not_in_them(control: Walked) -> None:
    served = next(model for kind, model in events(control) if kind == "promoted")
    with control.database.engine("reader").connect() as conn:
        scores = read_scores(conn, served)
        holdout = read_holdout(conn, served)
        rows = conn.execute(
            text("SELECT uuid, body FROM candidates WHERE uuid = ANY(:keys)"), {"keys": [s.candidate for s in scores]}
        ).all()
    bodies = {uuid: json.loads(bytes(raw)) for uuid, raw in rows}
    assert holdout is not None
    assert 0 < len(scores) <= holdout["labels"]
    for score in scores:
        body = bodies[score.candidate]
        assert score.features_hash == body["features_hash"]
        assert served not in {line["model"] for line in body["decision"]["scores"]}


def test_nothing_is_found_in_the_home_of_the_walk(control: Walked) -> None:
    result = verify(control.database.engine("auditor"), control.context.artifacts)
    assert result.findings == []


def test_the_model_lost_after_the_reversal_what_it_won_before(control: Walked) -> None:
    """What it took, by the shadow trades of its candidates: the rollback was not for nothing."""
    served = next(model for kind, model in events(control) if kind == "promoted")
    gains: dict[bool, list[float]] = {True: [], False: []}
    with control.database.engine("reader").connect() as conn:
        rows = conn.execute(
            text(
                "SELECT c.body, s.return_percent FROM candidates c JOIN shadow_outcomes s ON s.candidate_uuid = c.uuid "
                "WHERE c.experiment = :e AND s.return_percent IS NOT NULL"
            ),
            {"e": control.experiment.id},
        ).all()
    turn = datetime(PLAN.reversal.year, PLAN.reversal.month, PLAN.reversal.day, tzinfo=UTC).isoformat()
    for raw, percent in rows:
        body = json.loads(bytes(raw))
        lines = [line for line in body["decision"]["scores"] if line["model"] == served]
        if lines and lines[0]["take"]:
            gains[body["decision_time"] < turn].append(float(percent))
    assert sum(gains[True]) / len(gains[True]) > 2.0
    assert sum(gains[False]) / len(gains[False]) < -2.0
