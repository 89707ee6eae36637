"""Which experiment commands work on: the active one stays until somebody asks, and a listing says what differs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_cli_backtest import END, MIDDLE, START, Shell, csv_lines, write_archive
from throughline.analytics.experiments import overviews
from throughline.cli import DirectWiring, run
from throughline.cli.options import Options
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home

LATER = "2021-01-10"


@dataclass
class RecordingWiring(DirectWiring):
    """Runs the stages without Dagster and remembers what the UI was shown of the active experiment: mode and days."""

    modes: list[str] = field(default_factory=list)
    days: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(days=10)

    def show_active(self, options: Options, database: Database, mode: str) -> None:
        self.modes.append(mode)
        with database.engine("reader").connect() as connection:
            self.days += [item.days for item in overviews(connection, mode) if item.active]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One home for the module, its server kept running; the tests run in order and build on one another."""
    with open_database(Home(tmp_path_factory.mktemp("experiments") / "home")) as database:
        yield database.home


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("archive")
    write_archive(where, csv_lines())
    (where / "other.toml").write_text("[exits]\nstop_loss = 0.2\n[strategy]\nmomentum_minimum = 0.04\n")
    return where


@pytest.fixture
def shell(home: Home, folder: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(home.path, folder, capsys)


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """IDs of the module's experiments by name, filled by the first test."""
    return {}


def listed(shell: Shell) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in shell.json("experiments")["experiments"]}


def test_the_first_experiment_of_a_mode_becomes_active_and_later_ones_leave_it_alone(
    shell: Shell, made: dict[str, str]
) -> None:
    code, out, err = shell(*shell.backtest(MIDDLE))
    assert code == 0, err
    assert "This is the active experiment of mode 'backtest'" in out
    first = shell.json(*shell.backtest(MIDDLE))
    second = shell.json(*shell.backtest(MIDDLE, START, "--config", str(shell.folder / "other.toml"), "--dossiers", "0"))
    assert first["experiment"] != second["experiment"]
    assert first["active_experiment"] == second["active_experiment"] == first["experiment"]
    made |= {"first": first["experiment"], "second": second["experiment"]}
    code, out, err = shell(*shell.backtest(MIDDLE, START, "--config", str(shell.folder / "other.toml")))
    assert f"The active experiment of mode 'backtest' is still {first['experiment'][:12]}" in out
    assert f"throughline use {second['experiment'][:12]}" in out
    assert [row["active"] for row in listed(shell).values()] == [True, False]


def test_the_list_says_days_trades_return_and_what_differs_by_setting(shell: Shell, made: dict[str, str]) -> None:
    rows = listed(shell)
    second = rows[made["second"]]
    report = shell.json(*shell.backtest(MIDDLE, START, "--config", str(shell.folder / "other.toml")))
    assert (second["days"], second["trades"]) == (11, report["trades"])
    assert second["return"] == pytest.approx(report["returns"]["base"], abs=1e-12)
    assert second["compared_with"] == made["first"]
    assert second["differences"] == [
        {"setting": "exits.stop_loss", "before": "0.15", "after": "0.2"},
        {"setting": "strategy.momentum_minimum", "before": "0.1", "after": "0.04"},
    ]
    assert second["inputs"] == {"archive": str(shell.folder / "archive.toml"), "data": str(shell.folder)}
    assert rows[made["first"]]["differences"] == []
    code, out, _ = shell("experiments")
    assert code == 0
    assert "exits.stop_loss: 0.15 -> 0.2" in out
    marked = [line for line in out.splitlines() if line.startswith("*  ")]
    assert [made["first"][:12] in line for line in marked] == [True]


def test_a_trade_that_several_experiments_share_the_digits_of_is_chosen_by_the_experiment(
    shell: Shell, made: dict[str, str], home: Home, tmp_path: Path
) -> None:
    trades = {
        name: {row["id"] for row in shell.json("trades", "--experiment", name)["trades"]} for name in made.values()
    }
    first, second = made["first"], made["second"]
    shared = min({item[:13] for item in trades[first]} & {item[:13] for item in trades[second]})
    code, out, err = shell("trade", shared)
    assert (code, out) == (1, "")
    for name in made.values():
        assert f"`throughline trade {shared} --experiment {name[:12]} --home {home.path}`" in err
    assert "`throughline proof " in shell("proof", shared)[2]
    mine = next(item for item in sorted(trades[second]) if item.startswith(shared))
    within = shell("trade", shared, "--experiment", second[:12])
    named = set(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", within[1] + within[2]))
    assert mine in named, "the candidates of this experiment"
    assert not named & trades[first]
    assert shell.json("trade", mine, "--experiment", second[:12])["experiment"] == second
    assert shell("proof", mine, "--experiment", second, "--out", str(tmp_path / "proof.json"))[0] == 0
    code, _, err = shell("trade", mine, "--experiment", first)
    assert code == 1
    assert f"no record or trade of experiment {first[:12]} has the ID '{mine}'" in err


def test_use_chooses_by_any_unique_beginning_and_says_what_was_active_before(
    shell: Shell, made: dict[str, str], home: Home
) -> None:
    wiring = RecordingWiring()
    assert run(["use", made["second"][:8], "--home", str(home.path)], wiring) == 0
    assert wiring.modes == ["backtest"], "the UI is told"
    assert listed(shell)[made["second"]]["active"]
    assert not listed(shell)[made["first"]]["active"]
    told = shell.json("use", made["first"])
    assert (told["before"], told["active"]) == (made["second"], made["first"])
    assert "is the active one of mode 'backtest' already" in shell("use", made["first"][:12])[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("use", "0000000000"), "`throughline experiments` lists them"),
        (("use", "0000"), "too short for an ID"),
        (("trades", "--mode", "demo"), "mode 'demo' has no active experiment in this home"),
    ],
)
def test_an_experiment_that_is_not_there_is_one_sentence_with_the_remedy(
    shell: Shell, arguments: tuple[str, ...], sentence: str
) -> None:
    code, out, err = shell(*arguments)
    assert (code, out) == (1, "")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_an_experiment_of_another_mode_is_refused_by_name(shell: Shell, made: dict[str, str]) -> None:
    code, _, err = shell("use", made["first"], "--mode", "demo")
    assert code == 1
    assert "is of mode 'backtest', not 'demo'" in err


def test_a_run_with_use_becomes_active_and_the_questions_follow_it(
    shell: Shell, made: dict[str, str], home: Home, folder: Path
) -> None:
    wiring = RecordingWiring()
    arguments = shell.backtest(MIDDLE, LATER, "--use", "--dossiers", "0")
    assert run([*arguments, "--home", str(home.path)], wiring) == 0
    assert set(wiring.modes) == {"backtest"}
    active = [name for name, row in listed(shell).items() if row["active"]]
    assert len(active) == 1
    assert active[0] not in made.values()
    assert shell.json("trades")["experiment"] == active[0]
    assert shell.json("trades", "--experiment", made["second"][:10])["experiment"] == made["second"]
    assert shell.json("models", "--experiment", made["second"][:10])["experiment"] == made["second"]


def test_the_ui_shows_the_days_that_a_run_has_sealed(shell: Shell, home: Home, folder: Path) -> None:
    wiring = RecordingWiring()
    arguments = shell.backtest(MIDDLE, START, "--use", "--seed", "11", "--dossiers", "0")
    assert run([*arguments, "--home", str(home.path)], wiring) == 0
    active = next(row for row in listed(shell).values() if row["active"])
    assert active["days"] > 0
    assert wiring.days[-1] == active["days"]


def test_an_experiment_goes_on_from_its_own_files_whichever_is_active(
    shell: Shell, made: dict[str, str], tmp_path: Path
) -> None:
    write_archive(tmp_path / "moved", csv_lines())
    archive = ("--archive", str(tmp_path / "moved" / "archive.toml"), "--data", str(tmp_path / "moved"))
    again = shell.json("backtest", *archive, "--start", START, "--end", END, "--dossiers", "0")
    assert again["experiment"] == made["first"]
    rows = listed(shell)
    assert rows[made["first"]]["inputs"]["data"] == str(tmp_path / "moved"), "where it was run from last"
    assert rows[made["second"]]["inputs"]["data"] == str(shell.folder)
