"""Set-up from nothing: what a person meets before there is an environment. No test here reaches a package index."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKE = shutil.which("make")


@pytest.fixture
def checkout(repo: Path, tmp_path: Path) -> Path:
    """A bare copy of the set-up files in a folder whose path holds spaces and other awkward characters."""
    folder = tmp_path / "a folder's (name)"
    (folder / "scripts").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock", "scripts/setup.sh"):
        shutil.copy(repo / name, folder / name)
    return folder


def fake_python(folder: Path, name: str, answer: str, then: str = "exit 1") -> Path:
    """A stand-in interpreter: answers the question of what it is, and logs what else it is asked to do."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f'#!/bin/sh\nif [ "$1" = -c ]; then {answer}; exit 0; fi\n{then}\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def set_up(checkout: Path, kind: str = "run", **environment: str) -> subprocess.CompletedProcess[str]:
    # Only `sh` and the basic tools on the path: whatever Python this machine has is out of reach.
    tools = checkout / "tools"
    tools.mkdir(exist_ok=True)
    for tool in ("sh", "cat", "cksum", "tr", "mkdir", "rm", "sleep", "tail", "dirname", "env", "grep"):
        place = shutil.which(tool)
        if place and not (tools / tool).exists():
            (tools / tool).symlink_to(place)
    path = os.pathsep.join([str(checkout / "bin"), str(tools)])
    return subprocess.run(
        ["/bin/sh", "scripts/setup.sh", kind],
        cwd=checkout,
        env={"PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("throughline: ")
    assert not (done.stdout + done.stderr).count("Traceback")
    return line


def test_a_machine_without_python_is_told_which_to_install(checkout: Path) -> None:
    assert "install Python 3.11 to 3.14" in one_sentence(set_up(checkout))


def test_a_python_that_is_too_old_is_named_with_its_version(checkout: Path) -> None:
    fake_python(checkout / "bin", "python3", "echo version 3.9.18")
    line = one_sentence(set_up(checkout))
    assert "needs Python 3.11 to 3.14" in line
    assert "python3 is 3.9.18" in line


def test_a_python_without_venv_is_told_how_to_get_it(checkout: Path) -> None:
    fake_python(checkout / "bin", "python3", "echo novenv 3.11.2")
    line = one_sentence(set_up(checkout))
    assert "python3 3.11.2 lacks the venv module" in line
    assert "apt install python3-venv" in line


def test_a_chosen_python_that_will_not_do_is_refused_by_name(checkout: Path) -> None:
    chosen = fake_python(checkout / "bin", "mine", "echo version 3.15.0")
    line = one_sentence(set_up(checkout, PYTHON=str(chosen)))
    assert str(chosen) in line
    assert "3.15.0" in line


def test_a_later_python_serves_where_the_first_will_not_do(checkout: Path) -> None:
    fake_python(checkout / "bin", "python3", "echo version 3.8.1")
    fake_python(checkout / "bin", "python3.12", "echo good 3.12.1", "echo made by the right one; exit 3")
    done = set_up(checkout)
    assert "Python 3.12.1" in done.stderr
    assert (checkout / ".venv" / "setup.log").read_text(encoding="utf-8") == "made by the right one\n"


def test_a_folder_in_the_way_is_not_removed(checkout: Path) -> None:
    fake_python(checkout / "bin", "python3", "echo good 3.12.1")
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "precious").write_text("mine", encoding="utf-8")
    assert ".venv is not an environment" in one_sentence(set_up(checkout))
    assert (checkout / ".venv" / "precious").exists()


def test_the_lock_is_installed_with_hashes_and_then_the_project_without_dependencies(checkout: Path) -> None:
    makes_venv = 'mkdir -p .venv/bin; cat "$0" >.venv/bin/python; env chmod +x .venv/bin/python; exit 0'
    then = f'if [ "$2" = venv ]; then {makes_venv}; fi; echo "$*" >>calls'
    fake_python(checkout / "bin", "python3", "echo good 3.11.9", then)
    (checkout / "tools").mkdir()
    (checkout / "tools" / "chmod").symlink_to(shutil.which("chmod") or "/bin/chmod")
    assert set_up(checkout, "run").returncode == 0
    first, second = (checkout / "calls").read_text(encoding="utf-8").splitlines()
    assert "--require-hashes" in first
    assert first.endswith("-r requirements.lock")
    assert second.endswith("--no-deps --no-build-isolation -e .")
    assert "http" not in first + second

    assert set_up(checkout, "run").returncode == 0  # nothing changed: nothing is done
    assert len((checkout / "calls").read_text(encoding="utf-8").splitlines()) == 2
    with (checkout / "requirements.lock").open("a", encoding="utf-8") as lock:
        lock.write("# another lock\n")
    assert set_up(checkout, "run").returncode == 0
    assert len((checkout / "calls").read_text(encoding="utf-8").splitlines()) == 4


def test_a_failed_installation_says_which_step_and_is_tried_again(checkout: Path) -> None:
    makes_venv = 'mkdir -p .venv/bin; cat "$0" >.venv/bin/python; env chmod +x .venv/bin/python; exit 0'
    then = f'if [ "$2" = venv ]; then {makes_venv}; fi; echo "ERROR: no route"; exit 1'
    fake_python(checkout / "bin", "python3", "echo good 3.11.9", then)
    (checkout / "tools").mkdir()
    (checkout / "tools" / "chmod").symlink_to(shutil.which("chmod") or "/bin/chmod")
    for _ in range(2):
        done = set_up(checkout)
        assert done.returncode == 1
        *_, reason, sentence = done.stderr.splitlines()
        assert reason == "ERROR: no route"
        assert sentence.startswith("throughline: installing what requirements.lock lists failed")
    assert not (checkout / ".setup.lock").exists()


@pytest.mark.skipif(MAKE is None, reason="make is not installed")
@pytest.mark.parametrize("target", ["demo", "dev", "test", "check", "lock"])
def test_every_target_sets_up_first_and_uses_only_relative_paths(checkout: Path, target: str) -> None:
    assert MAKE is not None
    asked = [MAKE, "--no-print-directory", "-n", target, "PORT=3001"]
    done = subprocess.run(asked, cwd=checkout, capture_output=True, text=True, check=True)
    first, *rest = done.stdout.splitlines()
    assert first.startswith("sh scripts/setup.sh ")
    assert rest
    assert all(line.startswith((".venv/bin/", "sh scripts/")) for line in rest)
    assert str(checkout) not in done.stdout


@pytest.mark.skipif(MAKE is None, reason="make is not installed")
def test_make_in_a_path_with_spaces_reports_the_same_sentence(checkout: Path) -> None:
    assert MAKE is not None
    fake = fake_python(checkout / "bin", "old", "echo version 3.6.0")
    done = subprocess.run(
        [MAKE, "-C", str(checkout), "setup", f"PYTHON={fake}"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode != 0
    assert "is Python 3.6.0, and Throughline needs 3.11 to 3.14" in done.stderr
