"""The models: what they see, what they say, and that equal labels give equal scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training_cases import SCHEMA, SMALL_GRID, labels
from throughline.identity import sig10
from throughline.learning.models import FittedModel, Parameters, calibration_folds, fit_linear, fit_model, strength


@pytest.fixture(scope="module")
def model() -> FittedModel:
    return fit_model(labels(edge=0.06), SMALL_GRID[0], 7, SCHEMA, 24)


def test_a_model_finds_a_bent_edge_that_a_straight_line_cannot(model: FittedModel) -> None:
    fresh = labels(edge=0.06, seed=2)
    _, _, take = model.score(fresh.features)
    _, _, straight = fit_linear(labels(edge=0.06), 6, 7, SCHEMA).score(fresh.features)
    assert float(np.mean(fresh.net_return[take])) > 0.03
    assert float(np.mean(fresh.net_return[straight])) < 0.01


def test_a_row_scores_the_same_alone_and_among_others(model: FittedModel) -> None:
    features = labels(seed=3).features
    together = model.score(features)
    for row in range(0, 60, 7):
        alone = model.score(features[row : row + 1])
        assert [float(item[0]) for item in alone] == [float(item[row]) for item in together]


def test_scores_have_ten_digits_and_the_rule_reads_those(model: FittedModel) -> None:
    probability, expected, take = model.score(labels(seed=4).features)
    assert all(value == sig10(value) for value in (*probability.tolist(), *expected.tolist(), model.break_even))
    assert (take == ((probability >= model.break_even) & (expected > 0))).all()
    assert model.break_even == sig10(model.loss / (model.win + model.loss))
    on_the_edge = replace(model, break_even=float(probability[take][0]))
    assert on_the_edge.score(labels(seed=4).features)[2][np.flatnonzero(take)[0]]


def test_a_probability_is_calibrated_out_of_sample(model: FittedModel) -> None:
    fresh = labels(4000, edge=0.06, seed=5)
    probability, _, _ = model.score(fresh.features)
    for low, high in ((0.0, 0.5), (0.5, 1.0)):
        inside = (probability >= low) & (probability < high)
        assert abs(probability[inside].mean() - (fresh.net_return[inside] > 0).mean()) < 0.08


def test_a_feature_that_is_always_missing_or_constant_is_no_error(model: FittedModel) -> None:
    data = labels(300, edge=0.06)
    features = data.features.copy()
    features[:, 4], features[:, 5] = np.nan, 1.0
    fitted = fit_model(replace(data, features=features), SMALL_GRID[0], 7, SCHEMA, 24)
    fresh = labels(100, seed=6).features  # in which both are there
    assert np.isfinite(fitted.score(fresh)[0]).all()
    assert np.isfinite(model.score(np.full((1, 6), np.nan))[0]).all()


def test_a_model_refuses_features_that_are_not_its_own(model: FittedModel) -> None:
    with pytest.raises(ValueError, match="do not fit a model of 6 features"):
        model.score(np.zeros((3, 5)))
    assert len(model.score(np.zeros((0, 6)))[0]) == 0


def test_labels_of_one_kind_cannot_be_trained_on() -> None:
    data = labels(200)
    won = replace(data, net_return=np.abs(data.net_return) + 0.01)
    assert calibration_folds(won, 24) is None
    with pytest.raises(ValueError, match="too few, or too much alike"):
        fit_model(won, SMALL_GRID[0], 7, SCHEMA, 24)


def test_weights_count() -> None:
    data = labels(400, edge=0.06)
    doubted = replace(data, weight=np.where(data.net_return > 0, 0.05, 1.0))
    parameters = Parameters(10, 0.1, 4, 6)
    plain, doubting = (fit_model(item, parameters, 7, SCHEMA, 24).score(data.features) for item in (data, doubted))
    assert doubting[0].mean() < plain[0].mean() - 0.1
    assert doubting[1].mean() < plain[1].mean()


def test_labels_of_little_weight_do_not_shape_the_trees() -> None:
    data = labels(800, edge=0.06)
    doubted = np.arange(800) % 2 == 0
    told = replace(
        data,
        net_return=np.where(doubted, -3 * data.net_return, data.net_return).clip(-1, 3),
        weight=np.where(doubted, 0.01, 1.0),
    )
    fitted = fit_model(told, SMALL_GRID[0], 7, SCHEMA, 24)
    middling = np.zeros((2, 6))
    middling[1, 0] = 2.0
    raw = fitted.classifier.calibrated_classifiers_[0].estimator.decision_function(middling)
    assert raw[0] > raw[1] + 1.0  # 0.4 where weights are forgotten
    expected = fitted.score(middling)[1]
    assert expected[0] > 0.02 > -0.02 > expected[1]


def test_all_rounds_are_boosted_and_no_label_stays_in_the_model(model: FittedModel) -> None:
    (calibrated,) = model.classifier.calibrated_classifiers_
    assert calibrated.estimator[-1].n_iter_ == model.regressor[-1].n_iter_ == SMALL_GRID[0].max_iter
    assert model.regressor[-1].get_params()["early_stopping"] is False  # it would draw rows
    assert model.classifier.cv is None


def test_strength_is_the_f_statistic_between_fifths_and_sees_a_bent_relation() -> None:
    from scipy.stats import f_oneway

    rng = np.random.Generator(np.random.PCG64(1))
    features = np.column_stack([rng.standard_normal((500, 2)), np.ones(500), rng.integers(0, 2, 500)])
    target = np.abs(features[:, 0]) + 0.1 * rng.standard_normal(500)
    found = strength(features, target)
    fifth = np.digitize(features[:, 1], np.sort(features[:, 1])[[100, 200, 300, 400]])
    assert found[1] == pytest.approx(f_oneway(*(target[fifth == k] for k in range(5))).statistic, rel=1e-9)
    halves = [target[features[:, 3] == k] for k in (0, 1)]
    assert found[3] == pytest.approx(f_oneway(*halves).statistic, rel=1e-9)
    assert found[2] == 0.0
    assert found[0] > 100 > found[1]
