"""The models: a calibrated classifier of a net gain and a regressor of the net return, and what follows from them.

Belongs here: estimators, how they are fitted on one set of labels, the decision rule. Does not belong here: which
labels train (splits), which hyper-parameters (trials), files, gates.

Imputation and selection are steps of each pipeline, so they see the training part of whatever fold they are fitted in
and nothing else. The classifier is calibrated by a sigmoid on predictions that a purged partition made out of fold.
Everything is seeded and runs on one thread: sums in one order, so that equal labels give equal scores.

Decision rule: the mean win W and the mean loss L of the training labels break even at a probability of L / (W + L). A
candidate is taken where its probability is at least that *and* its expected return is above zero; both are rounded to
10 significant digits before they meet a threshold.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.identity import score_text, sig10
from throughline.learning.splits import Fold, purged_partition
from throughline.learning.types import F64, Mask, TrainingData

CALIBRATION_FOLDS = 3
LEAST_OF_A_CLASS = 10
"""Wins, and losses, that the training part of every calibration fold must have."""
MAX_BINS = 16
"""Bins of a feature: markets need no finer ones."""
STRENGTH_BINS = 5


@dataclass(frozen=True)
class Parameters:
    """Hyper-parameters of one model; `selected`: features that selection leaves at most."""

    max_iter: int
    learning_rate: float
    max_leaf_nodes: int
    selected: int
    min_samples_leaf: int = 30
    l2: float = 1.0

    def body(self) -> dict[str, Any]:
        """Return them as canonical JSON."""
        return {
            "l2": score_text(self.l2),
            "learning_rate": score_text(self.learning_rate),
            "max_iter": self.max_iter,
            "max_leaf_nodes": self.max_leaf_nodes,
            "min_samples_leaf": self.min_samples_leaf,
            "selected": self.selected,
        }


@dataclass(frozen=True)
class FittedModel:
    """A trained model. names: its features in order; schema: hash of their definitions; win, loss: weighted means of
    the training labels that gained, and (as a positive number) that did not; break_even: loss / (win + loss)."""

    names: tuple[str, ...]
    schema: str
    classifier: Any
    regressor: Any
    win: float
    loss: float
    break_even: float
    seed: int

    def score(self, features: F64) -> tuple[F64, F64, Mask]:
        """Return probability of a net gain, expected net return and whether to take, each [n], of features [n, k].

        NaN is missing. Raises ValueError where k is not the number of its features.
        """
        if features.ndim != 2 or features.shape[1] != len(self.names):
            raise ValueError(f"features of shape {features.shape} do not fit a model of {len(self.names)} features")
        if len(features) == 0:
            return np.zeros(0), np.zeros(0), np.zeros(0, bool)
        with thread_pools().limit(limits=1):  # for one row, waking other threads takes longer than all the rest
            probability = rounded(self.classifier.predict_proba(features)[:, 1])
            expected = rounded(self.regressor.predict(features))
        return probability, expected, (probability >= self.break_even) & (expected > 0.0)


def rounded(values: F64) -> F64:
    """Return `values` at 10 significant digits."""
    return np.array([sig10(value) for value in values.tolist()], dtype=np.float64)


@cache  # finding the pools of a process takes milliseconds
def thread_pools() -> Any:
    """Return the control of the thread pools of linear algebra and tree growing, all loaded first."""
    import sklearn.ensemble  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Run linear algebra and tree growing on one thread, and without warnings that are answered here.

    Constant features are ranked last by selection; scikit-learn cannot see that a pipeline's last step takes weights.
    """
    with thread_pools().limit(limits=1), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Since Pipeline does not appear to accept")
        warnings.filterwarnings("ignore", message="Features .* are constant")
        warnings.filterwarnings("ignore", message="invalid value encountered in (true_)?divide")
        yield


def strength(features: F64, target: NDArray[Any]) -> F64:
    """Return the F statistic of `target` between fifths of each feature: large where its mean moves, in any shape.

    scikit-learn's `f_classif` and `f_regression` see straight lines only, and trees do not need one. Constant: 0.
    """
    n = len(target)
    centred = target.astype(np.float64) - float(np.mean(target))
    total = float(centred @ centred)
    at = np.unique([n * k // STRENGTH_BINS for k in range(1, STRENGTH_BINS)])
    scores = np.zeros(features.shape[1])
    for column in range(features.shape[1]):
        values = features[:, column]
        edges = np.unique(np.partition(values, at)[at])
        edges = edges[edges > values.min()]  # a bin below the least value would be empty
        if len(edges) == 0 or total == 0.0 or n <= len(edges) + 1:
            continue
        fifth = np.zeros(n, np.int64)
        for edge in edges:
            fifth += values >= edge
        count = np.bincount(fifth, minlength=len(edges) + 1)
        between = float(np.sum(np.bincount(fifth, weights=centred, minlength=len(edges) + 1) ** 2 / count))
        within = max(total - between, 1e-12 * total)
        scores[column] = (between / len(edges)) / (within / (n - len(edges) - 1))
    return scores


def calibration_folds(data: TrainingData, embargo_hours: int) -> tuple[Fold, ...] | None:
    """Return the purged partition that calibrates a model of `data`; None where it is too small to be trained on."""
    if len(data) == 0:
        return None
    folds = purged_partition(data.decided, data.t0, data.t1, CALIBRATION_FOLDS, embargo_hours)
    wins = data.net_return > 0.0
    for fold in folds:
        gained = int(wins[fold.train].sum())
        if min(gained, len(fold.train) - gained) < LEAST_OF_A_CLASS:
            return None
    return folds if len(folds) == CALIBRATION_FOLDS else None


def fit_model(data: TrainingData, parameters: Parameters, seed: int, schema: str, embargo_hours: int) -> FittedModel:
    """Fit the boosted trees on all of `data`. Raises ValueError where `calibration_folds` finds it too small."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    folds = calibration_folds(data, embargo_hours)
    if folds is None:
        raise ValueError(f"{len(data)} labels are too few, or too much alike, to calibrate a model on")
    boost: dict[str, Any] = {
        "max_iter": parameters.max_iter,
        "learning_rate": parameters.learning_rate,
        "max_leaf_nodes": parameters.max_leaf_nodes,
        "min_samples_leaf": parameters.min_samples_leaf,
        "l2_regularization": parameters.l2,
        "max_bins": MAX_BINS,
        "early_stopping": False,  # it would cut a validation part at random, across time
        "random_state": seed,
    }
    weight, win = data.weight / data.weight.mean(), data.net_return > 0.0
    keep = min(parameters.selected, len(data.names))
    with one_thread():
        classifier = CalibratedClassifierCV(
            _pipeline(keep, strength, HistGradientBoostingClassifier(**boost), bins=MAX_BINS),
            method="sigmoid",
            cv=[(fold.train, fold.test) for fold in folds],
            ensemble=False,
            n_jobs=1,
        )
        weights = {"bins__sample_weight": weight, "model__sample_weight": weight}
        classifier.fit(data.features, win, sample_weight=weight, **weights)
        regressor = _pipeline(keep, strength, HistGradientBoostingRegressor(**boost), bins=MAX_BINS)
        regressor.fit(data.features, data.net_return, **weights)
    classifier.cv = None  # positions of labels: of no use to a fitted model, and most of its file
    return _fitted(data, classifier, regressor, seed, schema)


def fit_linear(data: TrainingData, selected: int, seed: int, schema: str) -> FittedModel:
    """Fit the linear baseline on all of `data`: logistic regression and ridge. Raises ValueError for one class only."""
    from sklearn.feature_selection import f_classif, f_regression
    from sklearn.linear_model import LogisticRegression, Ridge

    weight, win = data.weight / data.weight.mean(), data.net_return > 0.0
    keep = min(selected, len(data.names))
    with one_thread():
        classifier = _pipeline(keep, f_classif, LogisticRegression(C=0.1, max_iter=500, random_state=seed), scale=True)
        classifier.fit(data.features, win, model__sample_weight=weight)
        regressor = _pipeline(keep, f_regression, Ridge(alpha=10.0), scale=True)
        regressor.fit(data.features, data.net_return, model__sample_weight=weight)
    return _fitted(data, classifier, regressor, seed, schema)


def _pipeline(keep: int, score: Any, model: Any, *, scale: bool = False, bins: int | None = None) -> Any:
    from sklearn.feature_selection import SelectKBest
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    steps: list[tuple[str, Any]] = [("impute", impute)]
    if scale:
        steps.append(("scale", StandardScaler()))
    steps.append(("select", SelectKBest(score, k=keep)))
    if bins is not None:
        from throughline.learning.binning import WeightedBins

        steps.append(("bins", WeightedBins(bins)))
    return Pipeline([*steps, ("model", model)])


def _fitted(data: TrainingData, classifier: Any, regressor: Any, seed: int, schema: str) -> FittedModel:
    won = data.net_return > 0.0
    win = sig10(float(np.average(data.net_return[won], weights=data.weight[won])))
    loss = sig10(float(-np.average(data.net_return[~won], weights=data.weight[~won])))
    return FittedModel(data.names, schema, classifier, regressor, win, loss, sig10(loss / (win + loss)), seed)
