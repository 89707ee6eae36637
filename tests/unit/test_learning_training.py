"""Training: noise and shuffled labels never pass, a planted edge does, and equal labels give equal models."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training_cases import SCHEMA, SMALL_GRID, labels, takes_all
from throughline.configuration import LearningSettings
from throughline.identity import canonical_bytes, score_text
from throughline.learning.gates import (
    GATES,
    Evidence,
    Size,
    judge_holdout,
    judge_model,
    judge_size,
    judge_stability,
    not_trained,
    refusal_words,
)
from throughline.learning.metrics import Bound, Calibration
from throughline.learning.models import Parameters
from throughline.learning.splits import DAY_MS
from throughline.learning.training import Trained, train
from throughline.learning.trials import data_key, hyper_parameters, run_trials, trial_grid
from throughline.learning.types import GateResult, TrainingData

GRID = tuple(
    Parameters(rounds, rate, leaves, 3)
    for leaves in (2, 4)
    for rounds, rate in ((5, 0.1), (5, 0.3), (8, 0.3), (8, 0.6), (8, 1.0))
)
QUICK = LearningSettings(folds=3)


def run(data: TrainingData, **changed: object) -> Trained:
    told: dict[str, object] = {
        "champion_takes": takes_all,
        "earlier_trials": (),
        "stake_share": 0.2,
        "schema": SCHEMA,
        "grid": SMALL_GRID,
        **changed,
    }
    settings = told.pop("settings", QUICK)
    return train(data, settings, 7, **told)  # type: ignore[arg-type]


def status(trained: Trained) -> dict[str, str]:
    return {item.gate: item.status for item in trained.gates}


@cache
def planted() -> Trained:
    return run(labels(1300, features=3, days=150, edge=0.06), grid=GRID)


def test_a_planted_edge_passes_every_gate() -> None:
    made = planted()
    assert [item.reason for item in made.gates if item.status != "pass"] == []
    assert [item.gate for item in made.gates] == list(GATES)
    assert made.holdout is not None
    assert float(made.holdout["gain"]) > float(made.holdout["gain_champion"])
    assert made.metrics["importance"][0]["feature"] == "feature_0"
    assert len(made.trials) == len({trial.hash for trial in made.trials}) == 10
    assert made.chosen in {trial.hash for trial in made.trials}
    canonical_bytes(made.metrics), canonical_bytes(made.holdout), canonical_bytes(made.dropped)  # no floats in them


def test_the_holdout_says_how_many_of_its_days_earlier_models_had_seen() -> None:
    first = planted()
    assert first.holdout is not None
    assert (first.holdout["days"], first.holdout["days_seen"]) == (30, 0)
    assert first.gates[-1].reason.endswith(
        "; 0 of its 30 days lie in holdouts that earlier models of the experiment opened"
    )
    earlier = {"first_decided": 0, "last_decided": first.holdout["first_decided"] + 5 * DAY_MS}
    again = run(labels(1300, features=3, days=150, edge=0.06), grid=GRID, earlier_openings=[earlier, earlier])
    assert again.holdout is not None
    assert (again.holdout["days"], again.holdout["days_seen"]) == (30, 6)
    assert "; 6 of its 30 days lie in holdouts" in again.gates[-1].reason
    assert [(item.status, item.value) for item in again.gates] == [(item.status, item.value) for item in first.gates]


@pytest.mark.parametrize("seed", [1, 2])
def test_pure_noise_scores_no_better_than_a_coin_and_is_refused(seed: int) -> None:
    made = run(labels(2400, features=40, days=200, seed=seed))
    assert 0.45 <= float(made.metrics["roc_auc"]) <= 0.55
    assert {"r2", "deflated_sharpe"} <= {item.gate for item in made.gates if item.status == "fail"}
    assert made.holdout is None


def test_shuffled_labels_fail_the_gates() -> None:
    data = labels(1300, features=3, days=150, edge=0.06)
    order = np.random.Generator(np.random.PCG64(5)).permutation(len(data))
    made = run(replace(data, net_return=data.net_return[order]))
    assert 0.43 <= float(made.metrics["roc_auc"]) <= 0.57
    assert sum(item.status == "fail" for item in made.gates) >= 3
    assert status(made)["r2"] == "fail"
    assert status(made)["holdout"] == "insufficient"


def scores_text(made: Trained) -> str:
    assert made.model is not None
    probability, expected, take = made.model.score(labels(50, features=4, seed=8).features)
    rows = zip(probability.tolist(), expected.tolist(), take.tolist(), strict=True)
    told = [f"{score_text(a)} {score_text(b)} {c}" for a, b, c in rows]
    return "\n".join([*told, *(trial.hash for trial in made.trials), *(item.reason for item in made.gates)])


def small() -> Trained:
    return run(labels(1000, features=4, edge=0.06), grid=SMALL_GRID[:1])


def test_the_same_labels_give_the_same_scores_here_and_in_another_process_with_another_hash_seed(repo: Path) -> None:
    here = scores_text(small())
    code = "from tests.unit.test_learning_training import small, scores_text; print(scores_text(small()))"
    env = {**os.environ, "PYTHONHASHSEED": "4711", "OMP_NUM_THREADS": "3"}
    there = subprocess.run([sys.executable, "-c", code], cwd=repo, env=env, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here
    assert scores_text(small()) == here


def test_what_lies_behind_a_fold_or_in_the_holdout_changes_no_score_before_it() -> None:
    data = labels(700, features=3, edge=0.06)
    late = np.arange(len(data)) >= 560
    spoilt = replace(
        data,
        net_return=np.where(late, -data.net_return, data.net_return),
        features=np.where(late[:, None], 9.0, data.features),
    )
    plain, other = (run_trials(item, QUICK, 7, SCHEMA, 0.2, SMALL_GRID[:1])[0].scores for item in (data, spoilt))
    before = plain.rows < 520  # the folds that were trained and tested before the change
    before &= plain.fold < 2
    assert before.sum() > 200
    assert plain.probability[before].tolist() == other.probability[before].tolist()
    assert plain.expected[before].tolist() == other.expected[before].tolist()


@pytest.mark.parametrize(
    ("data", "short"),
    [
        (labels(900), "minimum_labels"),
        (labels(1200, days=12), "minimum_days"),
        (replace(labels(1200), weight=np.full(1200, 0.05)), "effective_labels"),
        (replace(labels(60), weight=np.full(60, 0.1)), "effective_labels"),
    ],
)
def test_too_little_to_learn_from_trains_nothing_and_is_insufficient(data: TrainingData, short: str) -> None:
    made = run(data)
    assert made.model is None
    assert not made.trials
    assert status(made)[short] == "insufficient"
    assert {value for name, value in status(made).items() if name in GATES[3:]} == {"insufficient"}
    assert list(status(made)) == list(GATES)


def test_labels_of_one_kind_train_nothing() -> None:
    data = labels(1200)
    made = run(replace(data, net_return=np.abs(data.net_return) + 0.01))
    assert made.model is None
    assert status(made)["r2"] == "insufficient"


RATIOS = ("sharpe", "sharpe_over_rule")


def test_trials_are_keyed_by_content_so_that_a_rerun_adds_none_and_others_deflate_more() -> None:
    data = labels(1000, features=3, edge=0.03, noise=0.12)
    first = run(data)
    bodies = [dict.fromkeys(RATIOS, score_text((-1) ** k * 0.2)) for k in range(200)]
    strangers = tuple(replace(first.trials[0], hash=f"{k:064d}", body=body) for k, body in enumerate(bodies))
    again = run(data, earlier_trials=first.trials, home_trials=strangers)
    assert [trial.hash for trial in again.trials] == [trial.hash for trial in first.trials]
    assert again.metrics["trials_experiment"] == 2
    assert again.metrics["deflated_sharpe"] == first.metrics["deflated_sharpe"]
    assert float(again.metrics["deflated_sharpe_home"]) < float(first.metrics["deflated_sharpe_home"])
    more = run(data, earlier_trials=strangers)
    assert more.metrics["trials_experiment"] == 202
    assert more.metrics["deflated_sharpe"] == again.metrics["deflated_sharpe_home"]


def test_a_champion_that_does_the_same_leaves_nothing_to_improve() -> None:
    data = labels(1000, features=4, edge=0.06)
    first = run(data, grid=SMALL_GRID[:1])
    assert first.scores is not None
    known = {data.candidates[row]: take for row, take in zip(first.scores.rows, first.scores.take, strict=True)}

    def same(part: TrainingData) -> np.ndarray:
        return np.array([known.get(name, True) for name in part.candidates])

    verdict = {item.gate: item for item in run(data, grid=SMALL_GRID[:1], champion_takes=same).gates}["improvement"]
    assert (verdict.status, verdict.value) == ("fail", 0.0)


def test_data_that_no_model_can_be_made_of_is_refused() -> None:
    data = labels(1000)
    for broken, words in (
        (replace(data, features=np.where(np.isnan(data.features), np.inf, data.features)), "infinite"),
        (replace(data, net_return=data.net_return - 1.5), "cannot be lost"),
        (replace(data, weight=data.weight * 2), "uniqueness"),
    ):
        with pytest.raises(ValueError, match=words):
            run(broken)
    with pytest.raises(ValueError, match="which schema"):
        run(data, schema=None)


def test_the_grid_has_twelve_distinct_trials_whatever_is_selected() -> None:
    for selected in (1, 2, 3, 20, 500):
        grid = trial_grid(LearningSettings(selected_features=selected))
        assert len(set(grid)) == 12
    canonical_bytes(hyper_parameters(QUICK))


def test_the_key_of_the_data_knows_every_value_and_no_bit_of_missing() -> None:
    data = labels(50)
    other_nan = np.where(np.isnan(data.features), -np.nan, data.features)
    assert data_key(replace(data, features=other_nan)) == data_key(data)
    turned = replace(data, net_return=-data.net_return)
    others = (replace(data, t1=data.t1 + 1), turned, replace(data, features=-other_nan))
    assert len({data_key(item) for item in (data, *others)}) == 4


NAN = float("nan")
SLOPE = Bound(0.9, 0.4, 200)
GOOD = Evidence(
    r2=Bound(0.05, 0.01, 200),
    brier_skill=0.03,
    calibration=Calibration(0.02, 0.06, Bound(0.9, 0.4, 200)),
    pr_auc=0.6,
    base_rate=0.4,
    growth=0.004,
    taken=300,
    fold_gains=(0.01, 0.02, 0.015),
    fold_improvements=(0.012, 0.018, 0.015),
    fold_taken=(80, 120, 100),
    over_linear=0.001,
    improvement=Bound(0.01, 0.002, 200),
    deflated=0.97,
    days=300,
    all_trials=24,
    pbo=0.1,
    trials=12,
)


def gate(evidence: Evidence, name: str) -> GateResult:
    return {item.gate: item for item in judge_model(evidence, LearningSettings())}[name]


@pytest.mark.parametrize(
    ("name", "bad", "ending"),
    [
        ("calibration", {"calibration": Calibration(0.02, 0.11, SLOPE)}, "11.00; at most 10 points are asked for"),
        ("pbo", {"pbo": 0.21}, "at most 20 % is asked for"),
        ("improvement", {"improvement": Bound(0.01, -0.001, 200)}, "-0.100 %; above 1.5 % is asked for"),
        ("log_growth", {"growth": -0.002}, "above 0 % is asked for"),
        ("pr_auc", {"pr_auc": 0.39}, "a lift of -0.0100; above 0 is asked for"),
    ],
)
def test_a_gate_states_what_it_found_and_what_it_asks_for_in_one_unit(
    name: str, bad: dict[str, Any], ending: str
) -> None:
    settings = LearningSettings(improvement_minimum=0.015)
    told = {item.gate: item.reason for item in judge_model(replace(GOOD, **bad), settings)}[name]
    assert ending in told


def test_a_model_is_said_to_be_better_than_what_it_was_compared_with() -> None:
    cash = replace(GOOD, against="cash (the rule is closed)")
    assert "the mean gain over cash (the rule is closed) on the same rows" in gate(cash, "improvement").reason
    told = judge_holdout(0.01, 100, 0, LearningSettings(), cash.against)
    assert "the mean gain over cash (the rule is closed) is" in told.reason


def test_gates_that_had_no_model_to_judge_are_not_counted_among_those_that_refused() -> None:
    settings = LearningSettings()
    short = (*judge_size(Size(979, 40, 44.0), settings), *not_trained(settings, "too few labels"))
    assert refusal_words(short).startswith("2 gate(s) refused it, the first minimum_labels: 979 resolved labels")
    bad = (*judge_size(Size(1000, 30, 200.0), settings), *judge_model(replace(GOOD, pbo=0.21), settings))
    assert refusal_words(bad).startswith("1 gate(s) refused it, the first pbo: ")


def test_good_evidence_passes() -> None:
    assert {item.status for item in judge_model(GOOD, LearningSettings())} == {"pass"}
    assert {item.status for item in judge_size(Size(1000, 30, 200.0), LearningSettings())} == {"pass"}


@pytest.mark.parametrize(
    ("name", "bad", "missing"),
    [
        ("r2", {"r2": Bound(0.05, 0.0, 200)}, {"r2": Bound(0.1, float("nan"), 1)}),
        ("brier", {"brier_skill": 0.0}, {"brier_skill": float("nan")}),
        ("calibration", {"calibration": Calibration(0.02, 0.11, SLOPE)}, {"calibration": Calibration(NAN, NAN, SLOPE)}),
        (
            "resolution",
            {"calibration": Calibration(0.02, 0.06, Bound(0.3, -0.1, 200))},
            {"calibration": Calibration(0.02, 0.06, Bound(NAN, NAN, 200))},
        ),
        ("pr_auc", {"pr_auc": 0.4}, {"pr_auc": float("nan")}),
        ("log_growth", {"growth": 0.0}, {"growth": float("nan"), "taken": 0}),
        (
            "fold_stability",
            {"fold_gains": (-0.05, 0.06, 0.01)},
            {"fold_gains": (0.1,), "fold_improvements": (0.1,), "fold_taken": (300,)},
        ),
        ("fold_stability", {"fold_gains": (-0.1, -0.1, -0.1)}, {"fold_gains": (0.1, 0.1, NAN)}),
        ("fold_stability", {"fold_improvements": (0.0, 0.1, 0.0)}, {"fold_improvements": (0.1, 0.1, NAN)}),
        ("fold_stability", {"fold_gains": (0.0, 0.1, 0.0)}, {"fold_taken": (9, 300, 9)}),
        ("beats_linear", {"over_linear": 0.0}, {"over_linear": float("-inf")}),
        ("improvement", {"improvement": Bound(0.01, -0.001, 200)}, {"improvement": Bound(0.1, float("nan"), 1)}),
        ("deflated_sharpe", {"deflated": 0.94}, {"deflated": float("nan")}),
        ("pbo", {"pbo": 0.21}, {"trials": 9}),
        ("pbo", {"pbo": 0.21}, {"pbo": float("nan")}),
    ],
)
def test_each_gate_fails_on_a_bad_figure_and_is_insufficient_on_a_missing_one(
    name: str, bad: dict[str, object], missing: dict[str, object]
) -> None:
    assert gate(replace(GOOD, **bad), name).status == "fail"  # type: ignore[arg-type]
    absent = gate(replace(GOOD, **missing), name)  # type: ignore[arg-type]
    assert (absent.status, absent.value) == ("insufficient", None)
    refused = [item.gate for item in judge_model(replace(GOOD, **bad), LearningSettings()) if item.status != "pass"]  # type: ignore[arg-type]
    assert refused == [name]


def stability(gains: tuple[float, ...], taken: tuple[int, ...] | None = None, **settings: float) -> GateResult:
    chosen = LearningSettings(**settings)  # type: ignore[arg-type]
    return judge_stability(gains, gains, taken or (50,) * len(gains), chosen)


def test_a_gain_that_only_the_rule_makes_is_no_stability_of_the_model_and_neither_is_a_loss_that_only_it_makes() -> (
    None
):
    gain, nothing, taken = (0.010, 0.012, 0.011), (0.0, 0.0001, -0.0001), (50, 50, 50)
    settings = LearningSettings()
    by_the_rule = judge_stability(gain, nothing, taken, settings, "the rule")
    by_refusing = judge_stability(nothing, gain, taken, settings, "the rule")
    assert (by_the_rule.status, by_refusing.status) == ("fail", "fail")
    assert "the mean gain over the rule a candidate" in by_the_rule.reason
    assert "the mean gain over cash a candidate" in by_refusing.reason
    assert judge_stability(gain, gain, taken, settings, "the rule").status == "pass"


def test_a_gain_that_lies_in_one_fold_is_not_stable_however_large_it_is() -> None:
    for size in (0.001, 0.1, 100.0):
        for place in range(5):
            gains = tuple(size * (k == place) for k in range(5))
            assert stability(gains).status == "fail"
            assert stability(gains[:4]).status == "fail", "four folds, the spread of which is at most twice their mean"
    assert stability((0.02, 0.02, 0.02, -0.02, -0.02)).status == "fail"
    assert stability((0.01, 0.03, 0.005, 0.02, 0.015)).status == "pass"


def test_one_taken_label_says_nothing_about_stability() -> None:
    one = stability((0.0, 0.0, 0.01, 0.0, 0.0), (0, 0, 1, 0, 0))
    assert (one.status, one.value) == ("insufficient", None)
    assert "0 of 5 folds took at least 10 labels; stability needs 3 such folds" in one.reason
    gains = (0.01, 0.012, 0.011, 0.0, 0.0)
    assert stability(gains, (10, 10, 9, 0, 0)).status == "insufficient"
    assert stability(gains, (10, 10, 10, 0, 0)).status != "insufficient"
    assert stability((0.01, 0.011), (10, 10), folds=2).status == "pass", "all folds, where there are fewer than three"


@given(
    st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=8),
    st.floats(0.01, 100.0),
    st.floats(0.0, 0.5),
)
def test_stability_knows_no_unit_and_no_order_and_a_better_fold_does_not_hide_a_worse_mean(
    gains: list[float], scale: float, fall: float
) -> None:
    found = stability(tuple(gains))
    assert stability(tuple(gains[::-1])).status == found.status
    value = found.value
    assert value is not None
    scaled = stability(tuple(scale * gain for gain in gains)).value
    assert scaled == pytest.approx(scale * value, rel=1e-9, abs=1e-9)
    assert value <= sum(gains) / len(gains) + 1e-12
    lower = stability(tuple(gain - fall for gain in gains)).value
    assert lower == pytest.approx(value - fall, abs=1e-12)


def test_the_holdout_refuses_harm_and_stays_sealed_for_who_is_refused() -> None:
    settings = LearningSettings(holdout_harm=0.001)
    assert judge_holdout(-0.0009, 100, 0, settings).status == "pass"
    assert judge_holdout(-0.0011, 100, 0, settings).status == "fail"
    assert judge_holdout(float("nan"), 0, 0, settings).status == "insufficient"
    sealed = judge_holdout(None, 100, 2, settings)
    assert sealed.status == "insufficient"
    assert "stays sealed: 2 other gate(s)" in sealed.reason
