"""Every shell and Python example of README.md runs as printed, on one home that `make demo` made.

Python examples run in an empty folder, on that home as it is; then shell examples run in README's order, in a folder
that holds what the clone holds. What the test changes in a printed line is listed here and nowhere else: shorter
ranges, IDs and folders in place of the capitals, exit codes that README announces. `make setup` is left out, since it
would install from a package index.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from throughline.cli import DirectWiring, run
from throughline.storage.database import open_database

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

REPO = Path(__file__).resolve().parents[2]
README = (REPO / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SHORTER = {
    "--start 2021-01-01 --end 2021-05-31": "--start 2021-01-01 --end 2021-01-06",
    "--start 2018-01-01 --end 2018-05-26": "--start 2018-01-01 --end 2018-01-08",
    "--start 2022-03-15 --end 2022-10-15": "--start 2022-03-15 --end 2022-03-18",
}
"""Ranges as printed -> as run here: the commands are tested, not what months of data say."""
REFUSED = {
    "throughline train": (4, "insufficient"),
    "throughline promote": (1, "lets no model decide|cannot serve|no model"),
    "throughline rollback": (1, "no model serves|lets no model decide"),
}
"""Commands whose honest answer after so few days is a refusal: exit code, and what it must say."""
PRINTED = {
    "registry_coordinator": r"compared on 3 of 17 components.* \[\('[0-9a-f]{12}', -?\d",
    "UnifiedTradingPipeline": r"^\d+ -?\d",
    "FeatureEngineer": r"'champion'",
    "import throughline": r"instrument +exit_time +pnl_usd",
    "simulate": r"\[-?\d",
    "TradeTrackingSystem": r"'instrument': 'BTC/USDT'",
}
"""What the Python example that uses a name must print at least: an answer, and not an empty one."""


@dataclass(frozen=True)
class Place:
    """A folder like a clone, an empty folder, and the environment that a person has in both."""

    clone: Path
    empty: Path
    environment: dict[str, str]

    def run(self, command: str, code: int = 0) -> str:
        """Run a shell command in the clone; return all that it printed. Fails on another exit code."""
        done = subprocess.run(
            ["sh", "-c", f"PATH=.venv/bin:$PATH; {command}"],
            cwd=self.clone,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=500,
        )
        assert done.returncode == code, f"{command}\n{done.stdout[-3000:]}"
        return done.stdout

    def json(self, *arguments: str) -> dict[str, Any]:
        """Ask the home in this process: it saves the start of one where the example itself needs no more than an ID."""
        said = io.StringIO()
        with redirect_stdout(said):
            assert run([*arguments, "--json", "--home", self.environment["THROUGHLINE_HOME"]], DirectWiring()) == 0
        return dict(json.loads(said.getvalue()))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if not (Path(sys.prefix) / "bin" / "throughline").exists() or shutil.which("make") is None:
        pytest.skip("the `throughline` command of this environment, or make, is not here")
    folder = tmp_path_factory.mktemp("readme")
    clone, empty = folder / "throughline", folder / "empty"
    clone.mkdir()
    empty.mkdir()
    for path in REPO.iterdir():
        if not path.name.startswith(".") or path.name == ".env":
            (clone / path.name).symlink_to(path)
    (clone / ".venv").symlink_to(sys.prefix)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "THROUGHLINE_HOME"))}
    made = Place(clone, empty, {**kept, "THROUGHLINE_HOME": str(folder / "home")})
    made.run("make -o setup demo")
    with open_database(folder / "home"):  # held, so that the server is not stopped and started between the examples
        yield made


def name_of(block: tuple[str, str]) -> str:
    kind, text = block
    found = re.search(r"^from throughline\S* import ([\w, ]+)", text, re.MULTILINE) if kind == "python" else None
    return found[1].split(",")[-1].strip() if found else text.split("#")[0].split("--")[0].strip().splitlines()[0]


def commands(text: str) -> list[str]:
    """Return the commands of a shell example, one a line, without comments."""
    joined = text.replace("\\\n", " ")
    lines = (re.sub(r"\s+", " ", re.sub(r"\s#\s.*", "", line)).strip() for line in joined.splitlines())
    return [line for line in lines if line]


def filled(place: Place, command: str, folder: Callable[[], Path]) -> str:
    """Return a printed command with a shorter range, and with real things in place of its capitals."""
    for printed, shorter in SHORTER.items():
        command = command.replace(printed, shorter)
    command = re.sub(r"\bDIR\b", lambda _: f"'{folder()}'", command)
    if re.search(r"\bID\b", command):
        command = re.sub(r"\bID\b", an_id(place, command.split()[1]), command)
    rest = re.findall(r"(?<![-\w/'])[A-Z]{2,}(?![-\w/'])", command)
    assert not rest, f"{command}: say in this test what stands for {rest[0]}"
    return command


def backtests(place: Place) -> list[Any]:
    return list(place.json("experiments", "--mode", "backtest")["experiments"])


def an_id(place: Place, command: str) -> str:
    """Return an ID of the kind that the command takes, as a documented command prints it."""
    if command in ("models", "promote", "rollback"):
        return str(place.json("models")["models"][0]["id"])[:8]
    if command == "use":
        return str(place.json("experiments")["experiments"][0]["id"])[:8]
    return str(place.json("trades", "--limit", "1")["trades"][0]["id"])


def test_every_shortened_range_and_every_announced_refusal_is_printed_in_the_readme() -> None:
    lines = [command for kind, text in BLOCKS if kind == "sh" for command in commands(text)]
    for printed in SHORTER:
        assert any(printed in line for line in lines), f"README does not print {printed} any more"
    for command in REFUSED:
        assert any(line.startswith(command) for line in lines), f"README does not print {command} any more"
    names = [name_of(block) for block in BLOCKS if block[0] == "python"]
    assert sorted(names) == sorted(PRINTED), "say what each Python example must print"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block[0] == "python"], ids=name_of)
def test_a_python_example_runs_as_printed_in_an_empty_folder_and_answers_something(
    block: tuple[str, str], place: Place
) -> None:
    script = place.empty / "example.py"
    script.write_text(block[1], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "example.py"],
        cwd=place.empty,
        env=place.environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(PRINTED[name_of(block)], done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize("block", [block for block in BLOCKS if block[0] == "sh"], ids=name_of)
def test_a_shell_example_runs_as_printed_in_the_clone(
    block: tuple[str, str], place: Place, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    def folder() -> Path:
        return tmp_path / "planted" if "planted_edge" in block[1] else request.getfixturevalue("shared_data")

    for command in commands(block[1]):
        if command.startswith("make dev"):
            start_and_stop(place)
        elif command.startswith("make"):
            if command != "make demo":  # it made the home; the others run the tests themselves
                place.run(f"make -n {command.removeprefix('make')}")
        elif command.startswith("throughline train") and not backtests(place):
            pytest.skip("there is no backtest to train on without the real data files")
        else:
            code, words = next((REFUSED[key] for key in REFUSED if command.startswith(key)), (0, ""))
            assert re.search(words, place.run(filled(place, command, folder), code))


def start_and_stop(place: Place) -> None:
    """Run `make dev` on a free port until the UI answers, and stop it as Ctrl-C does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        ["make", "-o", "setup", "dev", f"PORT={port}"],
        cwd=place.clone,
        env=place.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 240
        while True:
            assert process.poll() is None, "make dev ended by itself"
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5) as answer:
                    assert "dagster_version" in json.load(answer)
                break
            except OSError:
                assert time.monotonic() < until, "the UI of make dev did not answer within 240 s"
                time.sleep(0.2)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(240)
