"""The page of operations names what there is: every variable, schedule and sensor of the code, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from pipelines.definitions import defs
from resources.settings import CHUNK_DAYS, FIRST_DAY
from throughline.cli import cli
from throughline.experiment.mode import mode_names

VARIABLE = re.compile(r"THROUGHLINE_[A-Z]+(?:_[A-Z]+)*")
ROOMS = ("throughline", "pipelines", "assets", "resources", "sensors")


@pytest.fixture(scope="module")
def page(repo: Path) -> str:
    return (repo / "docs" / "operations.md").read_text(encoding="utf-8")


def rows(page: str, title: str) -> dict[str, list[str]]:
    """Return first cell -> the other cells of the table under a title, `<mode>` written out."""
    section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| `([^`]+)` \|(.*)\|$", section, re.MULTILINE)
    told = {}
    for name, rest in found:
        for mode in mode_names() if "<mode>" in name else ("",):
            told[name.replace("<mode>", mode)] = [cell.strip() for cell in rest.split(" | ")]
    return told


def test_every_variable_of_the_code_is_on_the_page_and_no_other(repo: Path, page: str) -> None:
    sources = [path for room in ROOMS for path in (repo / room).rglob("*.py")]
    used = {name for path in sources for name in VARIABLE.findall(path.read_text(encoding="utf-8"))}
    assert set(rows(page, "Environment variables")) == used
    assert set(VARIABLE.findall(page)) == used


def test_the_defaults_on_the_page_are_those_of_the_code(page: str) -> None:
    told = rows(page, "Environment variables")
    assert told["THROUGHLINE_CHUNK_DAYS"][0] == f"`{CHUNK_DAYS}`"
    assert told["THROUGHLINE_PARTITIONS_START"][0] == f"`{FIRST_DAY}`"


def test_every_schedule_is_on_the_page_and_all_are_stopped(page: str) -> None:
    schedules = {item.name: item for item in defs.get_repository_def().schedule_defs}
    told = rows(page, "Schedules")
    assert set(told) == set(schedules)
    for name, item in schedules.items():
        assert item.default_status.value == "STOPPED"
        minute, hour, *_ = str(item.cron_schedule).split()
        assert (f"{int(hour):02}:{int(minute):02}" if hour != "*" else "every hour") in told[name][0]


def test_every_sensor_is_on_the_page_with_its_default(page: str) -> None:
    sensors = {item.name: item.default_status.value.lower() for item in defs.get_repository_def().sensor_defs}
    assert {name: cells[0] for name, cells in rows(page, "Sensors and alerts").items()} == sensors


def test_every_command_on_the_page_exists(page: str) -> None:
    named = set(re.findall(r"`?throughline ([a-z][a-z-]+)", page))
    assert {"dev", "mlflow", "verify", "backtest"} <= named <= set(cli.list_commands(click.Context(cli)))
