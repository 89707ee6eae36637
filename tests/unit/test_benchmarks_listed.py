"""The one script that reproduces the README's numbers knows every benchmark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_every_benchmark_is_part_of_the_run_that_reproduces_the_readme(repo: Path) -> None:
    answer = subprocess.run(
        (sys.executable, str(repo / "benchmarks" / "readme.py"), "--list"), capture_output=True, text=True, check=True
    )
    listed = {line.split()[1] for line in answer.stdout.splitlines()}
    assert listed == {path.name for path in (repo / "benchmarks").glob("*.py")} - {"readme.py"}
