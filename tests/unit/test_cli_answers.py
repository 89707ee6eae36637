"""How the command line answers: exit codes, one sentence for a failure, options on either side, no heavy imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from throughline.cli import DirectWiring, cli, run
from throughline.cli.backtest import Day
from throughline.cli.options import Options, common
from throughline.cli.screen import Bar
from throughline.errors import SettingsError

WIRING = DirectWiring()
LEARNING = ("walk-forward", "train", "models", "canary", "promote", "rollback")
COMMANDS = ("demo", "backtest", *LEARNING, "trade", "verify", "experiments", "mlflow", "dev")


@pytest.fixture
def probe() -> Iterator[dict[str, object]]:
    """A command `probe` in the group that does what the test puts under 'do' and notes the options it was given."""
    seen: dict[str, object] = {}

    @cli.command("probe")
    @common
    def command(options: Options) -> object:
        seen["options"] = options
        do = seen.get("do")
        return do() if callable(do) else None

    yield seen
    del cli.commands["probe"]


def raising(error: BaseException) -> object:
    def do() -> None:
        raise error

    return do


def test_help_lists_every_command_of_the_design() -> None:
    told = CliRunner().invoke(cli, ["--help"], obj=WIRING)
    assert told.exit_code == 0
    for name in COMMANDS:
        assert f"  {name} " in told.output


@pytest.mark.parametrize("group", [[], ["key"]])
def test_the_list_of_commands_shows_every_summary_whole_on_one_line(group: list[str]) -> None:
    told = CliRunner().invoke(cli, [*group, "--help"], obj=WIRING, terminal_width=80)
    listed = told.output.split("Commands:\n")[1].splitlines()
    listing = cli
    for name in group:
        listing = listing.get_command(click.Context(cli), name)  # type: ignore[assignment]
    assert [line.split()[0] for line in listed] == listing.list_commands(click.Context(listing))
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)


def test_the_help_of_train_says_what_exit_code_4_means() -> None:
    told = CliRunner().invoke(cli, ["train", "--help"], obj=WIRING)
    assert "Exit code 4: a gate refused the model" in " ".join(told.output.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_home_database_and_json(command: str) -> None:
    told = CliRunner().invoke(cli, [command, "--help"], obj=WIRING)
    for option in ("--home", "--database", "--json"):
        assert option in told.output


def test_common_options_may_stand_on_either_side_and_the_later_one_wins(probe: dict[str, object]) -> None:
    assert run(["--home", "first", "--json", "probe"], WIRING) == 0
    options = probe["options"]
    assert isinstance(options, Options)
    assert (options.home_path, options.json) == ("first", True)
    assert run(["--home", "first", "probe", "--home", "second", "--database", "postgresql://x/y"], WIRING) == 0
    options = probe["options"]
    assert isinstance(options, Options)
    assert (options.home_path, options.json, options.database) == ("second", False, "postgresql://x/y")


def test_the_environment_names_the_home_where_no_option_does(
    probe: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path / "from environment"))
    run(["probe"], WIRING)
    options = probe["options"]
    assert isinstance(options, Options)
    assert options.home.path == (tmp_path / "from environment").resolve()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SettingsError("the file x\nis wrong: mend it"), 1, "throughline: the file x is wrong: mend it\n"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("a bug"), 1, "unexpected error (ZeroDivisionError: a bug)"),
        (click.UsageError("no such thing."), 2, "throughline: no such thing"),
    ],
)
def test_each_failure_is_one_line_on_stderr_and_an_exit_code(
    probe: dict[str, object], capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    probe["do"] = raising(error)
    assert run(["probe"], WIRING) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert len(printed.err.strip().splitlines()) == 1
    assert "Traceback" not in printed.err


def test_with_debug_set_the_traceback_comes_through(probe: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHLINE_DEBUG", "1")
    probe["do"] = raising(SettingsError("wrong"))
    with pytest.raises(SettingsError):
        run(["probe"], WIRING)


def test_what_a_command_returns_is_the_exit_code(probe: dict[str, object]) -> None:
    probe["do"] = lambda: 3
    assert run(["probe"], WIRING) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No such command"),
        (["backtest"], "Missing option"),
        (["backtest", "--archive", "a", "--data", "d", "--start", "1.1.2021", "--end", "2021-01-02"], "write it as"),
        (["trade"], "Missing argument"),
        (["demo", "--days", "0"], "--days"),
    ],
)
def test_a_wrong_command_line_is_one_line_that_says_where_help_is(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(arguments, WIRING) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "--help" in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trade", "not-an-id"], "is not an ID"),
        (["experiments", "--home", ""], "home"),
        (["experiments", "--home", "{file}"], "a file is there"),
        (["experiments", "--home", "{folder}", "--database", "mysql://x/y"], "only postgresql://"),
        (
            [
                "backtest",
                "--archive",
                "{folder}/no.toml",
                "--data",
                ".",
                "--start",
                "2021-01-01",
                "--end",
                "2021-01-02",
            ],
            "no.toml",
        ),
        (["dev", "--home", "{folder}"], "needs Dagster"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "file").write_text("")
    filled = [item.format(file=tmp_path / "file", folder=tmp_path / "folder") for item in arguments]
    assert run(filled, WIRING) == 1
    err = capsys.readouterr().err
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_days_are_iso_days() -> None:
    assert Day().convert("2021-01-31", None, None) == date(2021, 1, 31)
    with pytest.raises(click.UsageError, match="2021-01-31"):
        Day().convert("31.01.2021", None, None)


def test_progress_is_silent_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar(3, "work", quiet=False) as bar:
        bar.step(1, "part")
    assert capsys.readouterr().err == ""


def test_progress_shows_on_a_terminal_but_not_beside_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Bar(3, "work", quiet=False) as bar:
        bar.step(1, "part")
    assert "work" in capsys.readouterr().err
    with Bar(3, "work", quiet=True) as bar:
        bar.step(1)
    assert capsys.readouterr().err == ""


def test_the_command_starts_without_dagster_pandas_or_anything_else_that_is_slow() -> None:
    code = (
        "import json, sys; import pipelines.command; "
        "print(json.dumps([name for name in ('sqlalchemy', 'numpy', 'pydantic', 'alembic') if name in sys.modules])); "
        "import throughline.dossier.story, throughline.verification; "
        "slow = ('dagster', 'pandas', 'matplotlib', 'quantstats', 'great_expectations', 'numba', 'pyarrow'); "
        "print(json.dumps([name for name in slow if name in sys.modules]))"
    )
    root = Path(__file__).resolve().parents[2]
    told = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=root, capture_output=True, text=True, env=dict(os.environ)
    )
    of_the_help, of_the_answers = told.stdout.splitlines()
    assert json.loads(of_the_help) == []
    assert json.loads(of_the_answers) == []
