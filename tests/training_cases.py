"""Invented labels for the tests of training: noise, or an edge of a known shape."""

from __future__ import annotations

import numpy as np

from throughline.learning.models import Parameters
from throughline.learning.types import Mask, TrainingData

HOUR = 3_600_000
DAY = 24 * HOUR
START = 1_640_995_200_000
SCHEMA = "synthetic/1"
SMALL_GRID = (Parameters(15, 0.1, 4, 8), Parameters(15, 0.3, 8, 8))
"""Two cheap trials."""


def labels(
    n: int = 600, *, features: int = 6, days: int = 120, edge: float = 0.0, noise: float = 0.08, seed: int = 1
) -> TrainingData:
    """Labels whose mean return is +edge where the first feature is middling and -edge elsewhere, a tenth missing."""
    rng = np.random.Generator(np.random.PCG64(seed))
    x = rng.standard_normal((n, features))
    returns = np.clip(noise * rng.standard_normal(n) + edge * np.where(np.abs(x[:, 0]) < 0.67, 1.0, -1.0), -0.95, 2.0)
    x[rng.random((n, features)) < 0.1] = np.nan
    decided = START + np.sort(rng.integers(0, days * 24, n)) * HOUR
    t0 = decided + HOUR
    return TrainingData(
        features=x,
        names=tuple(f"feature_{k}" for k in range(features)),
        net_return=returns,
        decided=decided,
        t0=t0,
        t1=t0 + rng.integers(1, 48, n) * HOUR,
        stopped=returns < -0.15,
        lost=returns < -0.9,
        weight=rng.uniform(0.3, 1.0, n),
        executed=np.zeros(n, bool),
        candidates=tuple(f"candidate-{k}" for k in range(n)),
        segments=tuple(f"COIN{k % 7}" for k in range(n)),
    )


def takes_all(data: TrainingData) -> Mask:
    """The rule: it takes every candidate."""
    return np.ones(len(data), bool)
