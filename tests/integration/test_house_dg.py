"""Dagster's command line `dg` works in a clone: it checks and lists the definitions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from throughline.experiment.mode import mode_names


def test_dg_loads_and_lists_the_definitions_of_the_clone(repo: Path, tmp_path: Path) -> None:
    dg = Path(sys.executable).with_name("dg")
    if not dg.is_file():
        pytest.skip("dagster-dg-cli is not installed here: make setup-dev installs it")
    environment = os.environ | {"THROUGHLINE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [dg, "list", "defs", "--json"], cwd=repo, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    definitions = json.loads(done.stdout)
    assert {f"{mode}/portfolio_state" for mode in mode_names()} <= {item["asset_key"] for item in definitions["assets"]}
    assert {f"{mode}_daily" for mode in mode_names()} <= {item["name"] for item in definitions["schedules"]}
    assert {item["name"] for item in definitions["resources"]} >= {"home", "notifier"}
