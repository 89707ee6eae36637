"""What commands produce is in the UI: the installed wiring on a real home, and its Dagster instance asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.learning import GATES_PASSED
from assets.registry_reports import CONSISTENT
from pipelines.command import DagsterWiring
from resources.dagster_instance import make_instance
from tests.integration.small_home import END, START, seal_experiment
from throughline.cli import run
from throughline.experiment.choice import settle
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with open_database(Home(tmp_path_factory.mktemp("shown") / "home")) as database:
        yield database


@pytest.fixture(scope="module")
def experiment(opened: Database) -> str:
    made = seal_experiment(opened, ArtifactStore(opened.home.artifacts), end=END - timedelta(days=3))
    settle(opened.engine("writer"), made, {"seed": 7})
    return made.id


def said(opened: Database, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert run([*arguments, "--json", "--home", str(opened.home.path)], DagsterWiring()) == code, capsys.readouterr()
    return json.loads(capsys.readouterr().out)


def latest(opened: Database, name: str) -> dg.AssetMaterialization:
    """Return the newest materialisation of an asset of mode demo that belongs to no run."""
    with make_instance(opened.home) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(["demo", name]))
    assert event is not None, f"{name} was never materialised"
    assert event.run_id == ""
    assert event.asset_materialization is not None
    return event.asset_materialization


def test_use_shows_the_active_experiment(opened: Database, experiment: str, capsys: pytest.CaptureFixture[str]) -> None:
    said(opened, capsys, "use", experiment[:8])
    shown = latest(opened, "active_experiment").metadata
    assert shown["experiment"].value == experiment
    assert shown["epoch"].value == str(START)
    assert experiment[:12] in str(shown["preview"].value)


def test_a_training_shows_its_model_card_its_gates_the_registries_check_and_who_serves(
    opened: Database, experiment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = said(opened, capsys, "train", "--mode", "demo", code=4)
    card = latest(opened, "challenger_model").metadata
    assert card["model"].value == told["model"]
    assert card["experiment"].value == experiment
    assert "minimum_labels" in str(card["gates"].value)
    assert latest(opened, "model_registry_state").metadata["models"].value == 1
    assert latest(opened, "registry_consistency").metadata["ok"].value is True
    with make_instance(opened.home) as instance:
        for asset, check, passed in (
            ("challenger_model", GATES_PASSED, False),
            ("registry_consistency", CONSISTENT, True),
        ):
            key = dg.AssetCheckKey(dg.AssetKey(["demo", asset]), check)
            record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
            assert record.event is not None
            assert record.event.dagster_event is not None
            assert record.event.dagster_event.asset_check_evaluation_data.passed is passed


@pytest.mark.slow
def test_a_run_of_days_shows_its_report_with_the_metadata_of_a_run_in_the_ui_and_the_registries(
    opened: Database, experiment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = said(opened, capsys, "demo", "--days", "5", "--dossiers", "1")
    assert told["active_experiment"] == experiment, "the active one stays"
    shown = latest(opened, "backtest_report").metadata
    assert shown["experiment"].value == told["experiment"]
    assert shown["tear_sheet"].value == told["tear_sheet"]
    assert shown["trades"].value == told["trades"]
    assert shown["return_base"].value == pytest.approx(told["returns"]["base"])
    assert Path(str(shown["tear_sheet"].value)).is_file()
    assert str(shown["preview"].value).count("](data:image/svg+xml;base64,") == 2
    assert latest(opened, "registry_analytics").metadata["trades"].value == told["trades"]
