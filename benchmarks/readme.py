"""Every number of the README from its script, in one run: `python benchmarks/readme.py [NAME ...]`.

Runs the scripts one after another and writes what each prints to a folder, with the machine and the commit above it.
Without names all of them run (four to five hours on 2 cores); `--list` says which script gives which part.
Exit code 1 if a script failed.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"


@dataclass(frozen=True)
class Part:
    """A part of the README and the command that gives its numbers. arguments: after the script's name."""

    script: str
    arguments: tuple[str, ...]
    gives: str


PARTS = {
    "engine": Part("engine.py", (), "Speed: `simulate` against vectorbt and a bare loop, whole process"),
    "whole": Part("whole.py", ("--data", str(SHARED)), "Speed: the whole command, from the shell to the report"),
    "backfill": Part("backfill.py", (), "Speed: one and five years through Dagster"),
    "candidates": Part("candidates.py", (str(SHARED),), "Speed: what one candidate costs"),
    "load": Part("load.py", (), "Speed: loading the code location"),
    "similarity": Part("similarity.py", (), "Speed, registries: look-alikes"),
    "consistency": Part(
        "consistency.py", ("--million",), "Speed, registries: consistency of all rows, the daily check"
    ),
    "registering": Part("registering.py", (), "Speed, registries: registering and linking"),
    "seal_log": Part("seal_log.py", (), "Speed, registries: one by one, a proof's size"),
    "features": Part("features.py", (), "Speed, learning: vectors, as-of join, hot reads"),
    "training": Part("training.py", (), "Speed, learning: labels read, nightly training"),
    "judge": Part("judge.py", (), "Learning: what the judge gets wrong"),
    "drift": Part("drift.py", (), "Learning: false alarms of drift"),
    "gates": Part("gates.py", (), "Learning: what the gates let through"),
    "cash": Part("cash.py", (), "Learning: when the rule is closed"),
    "archives": Part("archives.py", (str(SHARED),), "Learning: what it found on real data; trades of each archive"),
    "attrition": Part(
        "attrition.py", (str(SHARED / "coinmarketcap_daily_2018h1"),), "examples/archives: attrition of a cohort"
    ),
}


def heading() -> str:
    """Return what was measured, and on what."""
    commit = subprocess.run(
        ("git", "rev-parse", "--short=12", "HEAD"), cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    changed = subprocess.run(
        ("git", "status", "--porcelain"), cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    state = f"{commit}{' with uncommitted changes' if changed else ''}"
    load = os.getloadavg()[0]
    return (
        f"commit {state}, Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors, "
        f"load {load:.1f}"
    )


def main() -> int:
    """Run the parts; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *PARTS], metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--list", action="store_true", help="say which script gives which part of the README")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmark-results", help="folder for what they print")
    options = parser.parse_args()
    if options.list:
        for name, part in PARTS.items():
            print(f"{name:12} {part.script:15} {part.gives}")
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in options.names or PARTS:
        part = PARTS[name]
        command = (sys.executable, str(ROOT / "benchmarks" / part.script), *part.arguments)
        print(f"--- {name}: {part.gives}", flush=True)
        started = time.monotonic()
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        text = f"{heading()}\n{result.stdout}{result.stderr if result.returncode else ''}"
        (options.out / f"{name}.txt").write_text(text, encoding="utf-8")
        print(f"{text}\n({time.monotonic() - started:.0f} s, exit code {result.returncode})", flush=True)
        if result.returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
