"""A walk twice, in two homes, one of them broken off and gone on with: equal model ids, verdicts, events and seals."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from examples.planted_edge import Plan
from tests.integration.planted_walk import Walked, archive, settings, walked
from throughline.configuration import CanarySettings, LearningSettings
from throughline.learning.event_log import read_events
from throughline.learning.looks import read_looks
from throughline.learning.store import read_models, read_trials, read_verdicts
from throughline.storage.queries import read_all_seals

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

START, MIDDLE, END = date(2022, 3, 27), date(2022, 5, 1), date(2022, 5, 3)
PLAN = Plan(days=130)
# so little is asked for that some model of the few labels serves: what is compared is then models at work
LEARNING = LearningSettings(
    folds=4,
    selected_features=30,
    minimum_labels=50,
    minimum_days=5,
    minimum_effective=50.0,
    r2_minimum=-10.0,
    brier_skill_minimum=-10.0,
    max_calibration_error=1.0,
    pr_auc_lift_minimum=-1.0,
    log_growth_minimum=-1.0,
    fold_gain_minimum=-1.0,
    minimum_fold_taken=1,
    minimum_stable_folds=2,
    improvement_minimum=-1.0,
    deflated_sharpe_minimum=1e-9,
    max_pbo=1.0,
    holdout_harm=1.0,
)

CHOSEN = settings(LEARNING, CanarySettings(share=0.5))


def everything(done: Walked) -> dict[str, Any]:
    with done.database.engine("reader").connect() as conn:
        models = read_models(conn, done.experiment.id)
        return {
            "experiment": done.experiment.id,
            # The hash of a model's file is left out: skops does not write the same bytes twice.
            "models": [(item.id, {**item.body, "file": None}) for item in models],
            "verdicts": [read_verdicts(conn, item.id) for item in models],
            "trials": [(item.hash, item.body) for item in read_trials(conn, done.experiment.id)],
            "events": [event.hash for event in read_events(conn, done.experiment.id)],
            "looks": read_looks(conn, done.experiment.id),
            "seals": {(s.asset, s.partition): s.root for s in read_all_seals(conn, done.experiment.id)},
        }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("walks")


@pytest.fixture(scope="module")
def first(folder: Path) -> dict[str, Any]:
    with walked(folder / "one", archive(folder / "data", PLAN), CHOSEN, START, END) as whole:
        return everything(whole)


def test_two_walks_are_equal_and_one_that_was_broken_off_goes_on_as_if_it_had_not_been(
    folder: Path, first: dict[str, Any]
) -> None:
    description = archive(folder / "data", PLAN)
    with walked(folder / "two", description, CHOSEN, START, MIDDLE, END, END) as resumed:
        second = everything(resumed)
        assert resumed.result.ran == 0
    assert len(first["models"]) >= 2
    assert len(first["events"]) >= 1
    assert len(first["looks"]) >= 1
    assert first == second


def test_nothing_that_was_learned_or_decided_up_to_a_day_knows_what_comes_after_it(
    folder: Path, first: dict[str, Any]
) -> None:
    """From the turn on coins that jumped go the other way; imputation, selection and calibration do not know of it."""
    turn = date(2022, 5, 2)
    plan = replace(PLAN, reversal=turn - timedelta(days=1))  # jumps of that day go their way from the next one on
    with walked(folder / "three", archive(folder / "other", plan), CHOSEN, START, END) as done:
        other = everything(done)
    for name in ("experiment", "models", "verdicts", "trials", "events"):
        assert other[name] == first[name], name
    seals, others = first["seals"], other["seals"]
    # what is decided on the midnight that begins the turn rests on closed bars of the day before
    decisions = {("market_scan", turn), ("trade_candidates", turn), ("research_snapshots", turn)}
    before = {key for key in seals if key[1] < turn} | decisions
    assert {key: others[key] for key in before} == {key: seals[key] for key in before}
    assert others["market_bars", END] != seals["market_bars", END]
    assert others["trade_candidates", END] != seals["trade_candidates", END]
