"""The commands of models, and SafeMLPipeline, on a small sealed home: lists, cards, decisions by hand, refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from tests.integration.learning_models import PASSED, store_model
from tests.integration.small_home import TableGates
from throughline.cli import DirectWiring, run
from throughline.clock import FixedClock
from throughline.configuration import Configuration
from throughline.errors import UnknownRecord
from throughline.experiment.identity import Experiment, make_experiment
from throughline.experiment.registry import activate, register
from throughline.flow import make_context, run_range
from throughline.learning.pipeline import SafeMLPipeline
from throughline.learning.store import record_look
from throughline.learning.types import RULE, GateResult, Judgement
from throughline.market.simulated import SimulatedProvider
from throughline.proof.settings import open_proof
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home

T0 = datetime(2024, 3, 2, tzinfo=UTC)
DAYS = 6
LATER = T0 + timedelta(days=DAYS)
FAILED = (replace(PASSED[0], status="fail"), GateResult("pbo", "insufficient", None, 0.2, "too few trials"))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with open_database(Home(tmp_path_factory.mktemp("cli") / "home")) as database:
        yield database


@pytest.fixture(scope="module")
def sealed(own: Database) -> Experiment:
    """Six days of the invented market, decided by the rule under the policy 'gated'."""
    provider = SimulatedProvider(7)
    source = provider.description.source_hash
    settings = Configuration(model_policy="gated")
    made = make_experiment("demo", T0.date(), settings, source, 7, lock="0" * 64, code="1" * 64)
    engine = own.engine("writer")
    register(engine, made)
    activate(engine, made, {"seed": 7})
    clock = FixedClock(datetime(2024, 4, 1, tzinfo=UTC))
    context = make_context(made, provider, engine, ArtifactStore(own.home.artifacts), TableGates(), clock)
    context = replace(context, proof=open_proof(own.home, own.embedded, clock=clock))
    run_range(context, T0.date(), (LATER - timedelta(days=1)).date())
    return made


class Told:
    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._home, self._capsys = home, capsys

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run a command on the home; return what it printed, on stderr where it failed."""
        self._capsys.readouterr()
        assert run([*arguments, "--home", str(self._home)], DirectWiring()) == code
        told = self._capsys.readouterr()
        return told.out if code in (0, 4) else told.err

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code))


@pytest.fixture
def told(own: Database, sealed: Experiment, capsys: pytest.CaptureFixture[str]) -> Told:
    return Told(own.home.path, capsys)


@pytest.fixture(scope="module")
def models(own: Database, sealed: Experiment) -> tuple[str, str, str]:
    """A model that passed, another that passed, and one that was refused."""
    engine, store = own.engine("writer"), ArtifactStore(own.home.artifacts)
    first, second = (
        store_model(engine, sealed, LATER - timedelta(days=k), artifacts=store, file=f"{k}".encode()) for k in (2, 1)
    )
    refused = store_model(engine, sealed, LATER, verdicts=FAILED, artifacts=store, file=b"refused")
    return first, second, refused


def test_an_experiment_without_models_says_how_to_train_one(told: Told) -> None:
    assert "No model yet: run `throughline train`" in told("models", "--mode", "demo")
    assert "No model is on trial" in told("canary", "--mode", "demo")
    assert "nothing to roll back" in told("rollback", "--mode", "demo", code=1)
    assert "mode 'backtest' has no active experiment" in told("models", code=1)


def test_training_on_too_little_is_insufficient_and_exits_with_4(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("throughline.quality.runner.GreatExpectationsRunner", lambda _: TableGates())
    made = told.json("train", "--mode", "demo", "--deploy", code=4)
    assert {gate["gate"]: gate["status"] for gate in made["gates"]}["minimum_labels"] == "insufficient"
    assert (made["passed"], made["deployed"], made["known"]) == (False, False, False)
    assert made["as_of"] == "2024-03-08T00:00:00Z"
    again = told("train", "--mode", "demo", code=4)
    assert made["fitted"] is False
    name = made["model"][:12]
    labels = made["labels"]["labels"]
    assert again.startswith(f"No model was trained on {labels} labels; the attempt was recorded before as {name}")
    assert f"Model {name}" not in again
    assert "Nothing can serve: " in again
    (line,) = [row for row in told("models", "--mode", "demo").splitlines() if row.startswith(name)]
    assert "no model was trained" in line
    assert "nothing was sealed" not in told("models", made["model"], "--mode", "demo")


def test_the_life_of_a_model_by_hand(
    told: Told, own: Database, sealed: Experiment, models: tuple[str, str, str]
) -> None:
    first, second, _ = models
    with SafeMLPipeline(own.home.path, mode="demo") as pipeline:
        assert (pipeline.get_active_model().version_id, pipeline.get_active_model().metrics.r2_score) == (RULE, None)
        assert pipeline.get_model(first).metrics.r2_score == 0.12
        with pytest.raises(UnknownRecord):
            pipeline.get_model("f" * 64)
        started = pipeline.deploy_canary(first)
        assert started.event is not None
        assert started.event.effective_at == LATER
    look = Judgement(
        "extend", "too little evidence: 4 of 50 pairs", LATER, 2, 4, 3, 1, 0.01, 1.2, 0.9, 1.0, 1.0, 0.83, 31.0
    )
    record_look(own.engine("writer"), sealed.id, first, look)
    card = told.json("canary", "--mode", "demo")
    assert (card["model"], card["role"], card["last"]["days_to_verdict"]) == (first, "canary", 31.0)
    words = told("canary", "--mode", "demo")
    assert "extend: too little evidence: 4 of 50 pairs" in words
    assert "verdict in about 31 days" in words
    assert "spent      0.83 of the error" in words

    assert "only the current canary can" in told("promote", second, "--mode", "demo", code=1)
    made = told.json("promote", first[:8], "--mode", "demo", "--reason", "I know better")
    assert (made["changed"], made["champion"], made["mirror_problem"]) == (True, first, None)
    assert "is the champion already" in told("promote", first, "--mode", "demo")
    listed = told.json("models", "--mode", "demo", "--experiment", sealed.id[:10])
    states = {row["id"]: row["state"] for row in listed["models"]}
    assert (states[first], states[second]) == ("champion", "idle")
    assert listed["trades_by_rule"] > 0
    shown = told.json("models", first, "--mode", "demo")
    assert [event["reason"] for event in shown["events"]] == ["by hand", "I know better"]
    assert shown["mlflow"]["version"]
    page = told("models", first[:9], "--mode", "demo")
    for words in (
        "state       champion",
        "compared to the rule",
        "Events",
        "promoted by hand: I know better",
    ):
        assert words in page
    assert "watched as champion" in told("canary", "--mode", "demo")

    back = told("rollback", "--mode", "demo", "--reason", "enough")
    assert back.startswith(
        f"Model {first[:12]} is rolled back from 2024-03-08 00:00 UTC on and never comes back; the rule"
    )
    assert "barred" in told("models", "--mode", "demo")
    with SafeMLPipeline(home=own.home.path, mode="demo") as pipeline:
        assert pipeline.get_active_model().version_id == RULE
        summary = pipeline.get_model_performance_summary()
        assert summary["performance"][RULE]["trades"] == listed["trades_by_rule"] == len(pipeline.get_trades_of(RULE))
        one = pipeline.get_trades_of(RULE)[0]
        assert pipeline.get_model_of(one.candidate) == RULE
        assert pipeline.get_trades_of(first) == ()
        with own.engine("reader").connect() as conn:
            outcome: UUID = conn.execute(
                text("SELECT uuid FROM outcomes WHERE candidate_uuid = :c"), {"c": one.candidate}
            ).scalar_one()
        assert pipeline.get_model_of(str(outcome)) == RULE
        assert pipeline.get_model(first[:8].upper()).version_id == first
        assert pipeline.get_trades_of(first[:8]) == ()
    assert "train again" in told("promote", first, "--mode", "demo", code=1)


def test_a_beginning_that_fits_no_model_or_two_is_refused(told: Told, models: tuple[str, str, str]) -> None:
    assert "`throughline models` lists" in told("models", "00000000", "--mode", "demo", code=1)
    assert "is not an ID" in told("models", "", "--mode", "demo", code=1)
    assert "is not an ID" in told("models", "--experiment", "zzz", code=1)


def test_a_refused_model_shows_which_gates_refused_it(told: Told, models: tuple[str, str, str]) -> None:
    card = told.json("models", models[2], "--mode", "demo")
    assert (card["passed"], card["refused_by"]) == (False, ["r2", "pbo"])
    page = told("models", models[2], "--mode", "demo")
    assert "insufficient" in page
    assert "too few trials" in page
