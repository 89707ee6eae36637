"""A market data provider and a mode that are one file each outside the package, through the command's own path."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from tests.conftest import AddModule
from tests.provider_file import RECORDED, REPLAY
from throughline.cli import run
from throughline.cli.wiring import DirectWiring
from throughline.unified import UnifiedTradingPipeline


def test_a_mode_on_a_provider_of_its_own_is_backtested_and_opened_again(
    add_module: AddModule, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    add_module("throughline.experiment.providers", "recorded", RECORDED)
    add_module("throughline.experiment.modes", "replay", REPLAY)
    (tmp_path / "tape").write_text("7")
    home = ["--home", str(tmp_path / "home"), "--json"]
    given = [
        "--mode",
        "replay",
        "--tape",
        str(tmp_path / "tape"),
        "--no-gaps",
        "--start",
        "2024-01-28",
        "--end",
        "2024-01-30",
    ]
    assert run(["backtest", *given, *home, "--dossiers", "0"], DirectWiring()) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["candidates"] > 0
    assert report["mode"] == "replay"
    assert run(["use", report["experiment"], *home], DirectWiring()) == 0
    inputs = json.loads(capsys.readouterr().out)["inputs"]
    assert inputs == {"gaps": False, "seed": 7, "tape": str(tmp_path / "tape")}
    with UnifiedTradingPipeline("replay", tmp_path / "home", start=date(2024, 1, 28), **inputs) as pipeline:
        assert pipeline.get_performance_analytics()["experiment"] == report["experiment"]
