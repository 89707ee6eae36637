"""Similarity search over soulprints: ``python benchmarks/similarity.py [SOULPRINTS] [QUESTIONS]`` (10^6 and 400).

Vectors are correlated and clipped as real ones are. Printed: median, p99 and largest time of a question (k = 20) over
all trades and as of an instant in the middle, against a bare scan of the same vectors with numpy (one matrix product
and a partition, exact); the share of the true nearest twenty that is found; memory of the index. Aim: p99 below 10 ms.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray

from throughline.registry.similarity import NEVER, SoulprintIndex, unit_rows
from throughline.signals.simhash import CLIP, COMPARED, simhash_many

K = 20
AIM_MS = 10.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def scores(rng: np.random.Generator, rows: int) -> NDArray[np.float64]:
    """Return standard scores of vectors whose components hang together."""
    mixing = np.eye(len(COMPARED)) + 0.4 * np.random.default_rng(1).standard_normal((len(COMPARED), len(COMPARED)))
    drawn = rng.standard_normal((rows, len(COMPARED))) @ mixing
    return np.clip(drawn / np.sqrt((mixing**2).sum(axis=0)), -CLIP, CLIP)


def index_of(rng: np.random.Generator, rows: int) -> SoulprintIndex:
    """Return an index of `rows` trades, one a second."""
    drawn = scores(rng, rows)
    return SoulprintIndex(
        uuid=rng.integers(0, 256, (rows, 16), np.uint8),
        simhash=simhash_many(drawn),
        unit=unit_rows(drawn),
        known_from=np.arange(rows, dtype=np.int64) * 1_000_000,
        known_until=np.full(rows, NEVER, np.int64),
        profit_percentage=rng.standard_normal(rows).astype(np.float32),
        won=rng.random(rows) < 0.45,
    )


def times(calls: list[Callable[[], Any]]) -> NDArray[np.float64]:
    """Return the milliseconds that each call takes."""
    taken = []
    for call in calls:
        start = time.perf_counter()
        call()
        taken.append((time.perf_counter() - start) * 1e3)
    return np.array(taken)


def line(name: str, taken: NDArray[np.float64]) -> None:
    """Print one line of times."""
    median, high = np.quantile(taken, (0.5, 0.99))
    print(f"{name:<44} median {median:6.2f} ms   p99 {high:6.2f} ms   largest {taken.max():6.2f} ms")


def main() -> int:
    """Measure, print, and return 0 where the aim is met."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    questions = int(sys.argv[2]) if len(sys.argv) > 2 else 400
    rng = np.random.default_rng(7)
    index = index_of(rng, rows)
    asked = scores(rng, questions)
    vectors = [
        {item.name: item.center + item.scale * float(value) for item, value in zip(COMPARED, row, strict=True)}
        for row in asked
    ]
    units = unit_rows(asked)
    middle = EPOCH + timedelta(seconds=rows // 2)

    def bare(place: int) -> NDArray[np.intp]:
        cosine = index.unit @ units[place]
        return np.argpartition(-cosine, K)[:K]

    for warm in range(min(5, questions)):
        index.search(vectors[warm], None, K)
        bare(warm)
    whole = times([lambda v=vector: index.search(v, None, K) for vector in vectors])
    half = times([lambda v=vector: index.search(v, middle, K) for vector in vectors])
    scan = times([lambda p=place: bare(p) for place in range(questions)])
    print(f"{rows:,} soulprints, {questions} questions, {len(COMPARED)} components")
    line("find_similar's search", whole)
    line("as of an instant in the middle", half)
    line("bare numpy cosine scan and partition", scan)
    print(f"{'ratio of the medians':<44} {np.median(whole) / np.median(scan):6.2f}")
    shares = []
    for place in range(min(100, questions)):
        true = {index.uuid[row].tobytes() for row in bare(place)}
        shares.append(len(true & {hit.uuid.bytes for hit in index.search(vectors[place], None, K).hits}) / K)
    print(f"{'share of the true nearest 20 found':<44} mean {np.mean(shares):.3f}   least {np.min(shares):.2f}")
    size = sum(getattr(index, name).nbytes for name in index.__dataclass_fields__)
    print(f"{'memory of the index':<44} {size / 1e6:6.0f} MB")
    met = bool(np.quantile(whole, 0.99) < AIM_MS)
    print(f"aim (p99 below {AIM_MS:g} ms): {'met' if met else 'NOT met'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
