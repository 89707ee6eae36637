"""Standard streams that are closed, full or of another encoding: an answer is given or its loss is said, once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = f'"{sys.executable}" -m pipelines.command'


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["sh", "-c", line], cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | environment
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_an_answer_that_a_full_disk_swallows_is_said_once_and_fails() -> None:
    done = shell(f"{COMMAND} --help > /dev/full")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "the answer cannot be written to stdout (No space left on device)" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_stderr_does_not_change_the_exit_code() -> None:
    assert shell(f"{COMMAND} nosuch 2> /dev/full").returncode == 2


def test_a_closed_stream_never_becomes_the_number_of_another_file(tmp_path: Path) -> None:
    script = "import os; from throughline.cli.streams import prepare; prepare(); print(os.open('x', 66, 0o600) > 2)"
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -c "{script}" 2>&- <&-'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == "True\n"
    assert shell(f"{COMMAND} --version >&- 2>&- <&-").returncode == 0


def test_a_terminal_of_another_encoding_gets_escapes_and_json_stays_json() -> None:
    script = (
        "from throughline.cli.streams import prepare; prepare();"
        "from throughline.cli.screen import echo, out_json;"
        "echo('R\u00b2 \u2026'); out_json({'name': '\u00e9\U0001f600'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        encoding="latin-1",
        check=True,
        env=os.environ | {"PYTHONIOENCODING": "latin-1"},
    )
    first, _, rest = done.stdout.partition("\n")
    assert first == "R\u00b2 \\u2026"
    assert json.loads(rest) == {"name": "\u00e9\U0001f600"}


def test_a_command_without_its_arguments_prints_its_help_in_lines() -> None:
    done = shell(f"{COMMAND} key")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) > 5
