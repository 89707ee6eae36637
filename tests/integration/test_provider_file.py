"""A market data provider that is one file outside the package, through the command's own path."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from tests.conftest import AddModule
from tests.provider_file import RECORDED
from throughline.cli import run
from throughline.cli.wiring import DirectWiring
from throughline.unified import UnifiedTradingPipeline


def test_a_provider_in_a_file_of_its_own_is_backtested_and_opened_again_by_name(
    add_module: AddModule, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    add_module("throughline.experiment.providers", "recorded", RECORDED)
    (tmp_path / "tape").write_text("7")
    home = ["--home", str(tmp_path / "home"), "--json"]
    given = ["--provider", "recorded", "--tape", str(tmp_path / "tape"), "--start", "2024-01-28", "--end", "2024-01-30"]
    assert run(["backtest", *given, *home, "--dossiers", "0"], DirectWiring()) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["candidates"] > 0
    assert report["mode"] == "backtest"
    assert run(["use", report["experiment"], *home], DirectWiring()) == 0
    inputs = json.loads(capsys.readouterr().out)["inputs"]
    assert inputs == {"provider": "recorded", "seed": 7, "tape": str(tmp_path / "tape")}
    with UnifiedTradingPipeline("backtest", tmp_path / "home", start=date(2024, 1, 28), **inputs) as pipeline:
        assert pipeline.get_performance_analytics()["experiment"] == report["experiment"]
