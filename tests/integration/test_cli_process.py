"""The installed command as a process: Dagster behind it, interrupted, stopped and started again."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def command(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.command", *arguments, "--home", str(home)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={key: value for key, value in os.environ.items() if not key.startswith(("THROUGHLINE_", "DAGSTER_HOME"))},
    )


def answer(home: Path, *arguments: str) -> tuple[int, str, str]:
    process = command(home, *arguments)
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def told(home: Path, *arguments: str) -> Any:
    code, out, err = answer(home, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_exits_130_with_one_sentence_and_goes_on_to_the_same_seals(
    tmp_path: Path, sent: signal.Signals
) -> None:
    home = tmp_path / "a home"
    process = command(home, "demo", "--days", "20")
    deadline = time.monotonic() + 120
    while not list((home / "artifacts").glob("*/*/*")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(sent)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    last = err.strip().splitlines()[-1]
    assert last.startswith("throughline: interrupted: ")
    assert "experiment" in last, "it says what is stored"
    again = shlex.split(last.split("; continue with: ")[1])
    assert again == ["throughline", "demo", "--days", "20", "--home", str(home)], "and gives the exact command"
    assert "Traceback" not in err
    assert told(home, "verify")["findings"] == []
    resumed = told(home, *again[1:-2])
    assert resumed["chain"]["broken"] == 0
    assert told(tmp_path / "another", "demo", "--days", "20")["seals"] == resumed["seals"]


@pytest.mark.slow
def test_the_demo_runs_from_nothing_says_that_it_is_invented_and_how_to_see_it(tmp_path: Path) -> None:
    code, out, err = answer(tmp_path / "home", "demo", "--days", "10")
    assert code == 0, err
    assert "invented" in out
    assert "throughline dev" in out
    page = next(line for line in out.splitlines() if line.startswith("Tear sheet: ")).removeprefix("Tear sheet: ")
    assert Path(page).is_file()
    assert "Traceback" not in err
    listed = told(tmp_path / "home", "experiments")["experiments"]
    assert [(row["mode"], row["active"], row["last_sealed_day"]) for row in listed] == [("demo", True, "2024-02-22")]
