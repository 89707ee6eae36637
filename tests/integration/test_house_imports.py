"""The installed project is what every script imports, whatever folders lie beside the script."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("throughline", "pipelines", "assets", "resources", "sensors")
SCRIPT = """
import importlib, sys
for name in sys.argv[1:]:
    print(importlib.import_module(name).__file__)
from throughline.experiment.identity import lock_hash
print(len(lock_hash()))
"""


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a user does, without what a test run adds to the path."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("started", ["as a file", "as a notebook does"])
def test_a_script_beside_folders_named_like_our_packages_imports_the_installed_project(
    started: str, tmp_path: Path, repo: Path
) -> None:
    for name in PACKAGES:  # as a clone named `throughline` is: a folder without __init__.py that holds one of its name
        (tmp_path / name / name).mkdir(parents=True)
        (tmp_path / name / name / "__init__.py").touch()
    (tmp_path / "script.py").write_text(SCRIPT)
    done = run(tmp_path, *(["script.py"] if started == "as a file" else ["-c", SCRIPT]), *PACKAGES)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [*(str(repo / name / "__init__.py") for name in PACKAGES), "64"]


def test_no_module_of_the_checkout_hides_an_installed_one() -> None:
    """The checkout is the last entry of the path, so a new folder at its root never replaces a library."""
    done = run(Path("/"), "-c", "import sys; print('\\n'.join(sys.path))")
    entries = [Path(line) for line in done.stdout.splitlines() if line]
    installed = next(place for place, entry in enumerate(entries) if entry.name == "site-packages")
    checkout = next(place for place, entry in enumerate(entries) if (entry / "throughline" / "__init__.py").exists())
    assert installed < checkout
