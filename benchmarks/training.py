"""Training on N invented labels beside one bare fit: python benchmarks/training.py [N] [days].

The whole of it: holdout, twelve trials out of fold, the linear baseline, calibration, the refit, every gate, importance
and the file. Prints the ratio to one HistGradientBoostingClassifier fitted once on the same labels and those features
that are not missing throughout (it cannot bin others), without imputation, selection, calibration or folds, on one
thread as well; and the peak memory of the process.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from throughline.configuration import LearningSettings
from throughline.learning.files import dump_model
from throughline.learning.models import one_thread
from throughline.learning.training import train
from throughline.learning.types import TrainingData

FEATURES = 45
MISSING = 5
HOUR = 3_600_000
AIM_MINUTES = 5.0


def invented(n: int, days: int) -> TrainingData:
    """Labels with a faint bent edge in one feature; a tenth of all values and five whole features are missing."""
    rng = np.random.Generator(np.random.PCG64(7))
    x = rng.standard_normal((n, FEATURES))
    returns = np.clip(0.1 * rng.standard_t(4, n) + 0.02 * np.where(np.abs(x[:, 0]) < 0.67, 1.0, -1.0), -1.0, 3.0)
    x[rng.random(x.shape) < 0.1] = np.nan
    x[:, -MISSING:] = np.nan
    decided = 1_577_836_800_000 + np.sort(rng.integers(0, days * 24, n)) * HOUR
    return TrainingData(
        features=x,
        names=tuple(f"feature_{k}" for k in range(FEATURES)),
        net_return=returns,
        decided=decided,
        t0=decided + HOUR,
        t1=decided + rng.integers(2, 49, n) * HOUR,
        stopped=returns < -0.15,
        lost=returns < -0.9,
        weight=rng.uniform(0.1, 1.0, n),
        executed=np.zeros(n, bool),
        candidates=tuple(str(k) for k in range(n)),
        segments=tuple(f"COIN{k % 300}" for k in range(n)),
    )


def main() -> int:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    days = int(sys.argv[2]) if len(sys.argv) > 2 else 730
    from sklearn.ensemble import HistGradientBoostingClassifier

    data = invented(n, days)
    win = data.net_return > 0
    with one_thread():
        bare_features = data.features[:, :-MISSING]
        HistGradientBoostingClassifier(max_iter=2).fit(bare_features[:500], win[:500])
        begun = time.perf_counter()
        bare_model = HistGradientBoostingClassifier(max_iter=60, early_stopping=False, random_state=7)
        bare_model.fit(bare_features, win, sample_weight=data.weight)
        bare = time.perf_counter() - begun
    begun, busy = time.perf_counter(), time.process_time()
    made = train(
        data,
        LearningSettings(),
        7,
        champion_takes=lambda part: np.ones(len(part), bool),
        earlier_trials=(),
        stake_share=0.2,
        schema="invented/1",
    )
    whole, busy = time.perf_counter() - begun, time.process_time() - busy
    print(f"{n:,} labels x {FEATURES} features on {days} days, {len(made.trials)} trials")
    print(f"{'one bare fit, one thread':<44} {bare:8.2f} s")
    print(f"{'train: everything':<44} {whole:8.2f} s   ({busy:.2f} s of one core)")
    print(f"{'ratio':<44} {whole / bare:8.1f}")
    print(f"{'peak memory of the process':<44} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:8.0f} MB")
    print(f"{'model file':<44} {0 if made.model is None else len(dump_model(made.model, '0' * 64)) / 1024:8.0f} kB")
    refused = [item.gate for item in made.gates if item.status != "pass"]
    print(f"{'gates that refused':<44} {', '.join(refused) or 'none'}")
    met = whole < 60 * AIM_MINUTES
    print(f"aim (below {AIM_MINUTES:g} minutes): {'met' if met else 'NOT met'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
