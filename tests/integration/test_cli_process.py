"""The installed command as a process: Dagster behind it, interrupted, stopped and started again."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from throughline.cli import DirectWiring, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).resolve().parents[2]
DAYS = "20"


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
    out, err = process.communicate(timeout=280)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A home in which the demo ran from nothing without a break, and what it printed on stdout and stderr."""
    home = tmp_path_factory.mktemp("whole") / "home"
    code, out, err = answer(home, "demo", "--days", DAYS)
    assert code == 0, err
    return home, out, err


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Ask a home in this process, without Dagster: what a question costs is mostly the start of a process."""

    def asked(home: Path, *arguments: str) -> Any:
        capsys.readouterr()
        code = run([*arguments, "--json", "--home", str(home)], DirectWiring())
        said = capsys.readouterr()
        assert code == 0, said.out + said.err
        return json.loads(said.out)

    return asked


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_exits_130_with_one_sentence_and_goes_on_to_the_same_seals(
    tmp_path: Path, sent: signal.Signals, whole: tuple[Path, str, str], ask: Callable[..., Any]
) -> None:
    home = tmp_path / "a home"
    process = command(home, "demo", "--days", DAYS)
    deadline = time.monotonic() + 280
    while not list((home / "artifacts").glob("*/*/*")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(sent)
    out, err = process.communicate(timeout=280)
    assert process.returncode == 130, err
    assert out == ""
    last = err.strip().splitlines()[-1]
    assert last.startswith("throughline: interrupted: ")
    assert "experiment" in last, "it says what is stored"
    again = shlex.split(last.split("; continue with: ")[1])
    assert again == ["throughline", "demo", "--days", DAYS, "--home", str(home)], "and gives the exact command"
    assert "Traceback" not in err
    assert ask(home, "verify")["findings"] == []
    code, out, err = answer(home, *again[1:-2], "--json")
    assert code == 0, err
    resumed = json.loads(out)
    assert resumed["chain"]["broken"] == 0
    sealed = ask(home, "verify")["experiments"]
    assert list(sealed) == [resumed["experiment"]]
    assert len(sealed[resumed["experiment"]]["outcomes"]) == int(DAYS)
    assert sealed == ask(whole[0], "verify")["experiments"]


def test_the_demo_runs_from_nothing_says_that_it_is_invented_and_how_to_see_it(
    whole: tuple[Path, str, str], ask: Callable[..., Any]
) -> None:
    home, out, err = whole
    assert "invented" in out
    assert "throughline dev" in out
    page = next(line for line in out.splitlines() if line.startswith("Tear sheet: ")).removeprefix("Tear sheet: ")
    assert Path(page).is_file()
    assert "Traceback" not in err
    listed = ask(home, "experiments")["experiments"]
    assert [(row["mode"], row["active"], row["last_sealed_day"]) for row in listed] == [("demo", True, "2024-02-22")]
