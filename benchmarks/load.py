"""What loading the code location costs, against `import dagster` alone: ``python benchmarks/load.py [RUNS]``.

Each run is a new process with warm files; the two are taken in turn, so that a busy moment meets both. Printed: the
median of each and their ratio. Aim: below 1.5.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
PROGRAMS = {"import dagster": "import dagster", "the code location": "import pipelines.definitions"}
AIM = 1.5


def seconds(program: str) -> float:
    """Return the wall time of a new Python process that runs `program`."""
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], cwd=REPO, env=environment, check=True)
    return time.perf_counter() - start


def main() -> int:
    """Measure, print, and return 0 where the aim is met."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    for program in PROGRAMS.values():
        seconds(program)  # compiles and warms
    taken: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(runs):
        for name, program in PROGRAMS.items():
            taken[name].append(seconds(program))
    medians = {name: statistics.median(values) for name, values in taken.items()}
    for name, values in taken.items():
        print(f"{name:<20} median {medians[name]:.2f} s   fastest {min(values):.2f} s   of {runs} runs")
    base, ours = medians.values()
    print(f"{'ratio':<20} {ours / base:.2f}   (aim: below {AIM})")
    return 0 if ours / base < AIM else 1


if __name__ == "__main__":
    sys.exit(main())
