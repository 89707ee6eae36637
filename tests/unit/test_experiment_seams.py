"""A mode and a market data provider are each added by one file, which is found by being there."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.conftest import AddModule
from tests.provider_file import RECORDED, REPLAY
from throughline.cli import run
from throughline.cli.wiring import DirectWiring
from throughline.configuration import Configuration
from throughline.errors import SettingsError
from throughline.experiment.identity import make_experiment
from throughline.experiment.mode import all_modes, default_mode, find_mode, mode_names, mode_warning
from throughline.experiment.provider import find_provider, plain_inputs, providers_of, read_options
from throughline.unified import UnifiedTradingPipeline


def test_a_question_without_a_mode_means_the_backtest_and_then_the_demo() -> None:
    assert mode_names() == ("backtest", "demo")
    assert default_mode().name == "backtest"
    assert mode_warning("demo").startswith("The market of demo mode is invented")
    assert mode_warning("backtest") == mode_warning("tracking") == ""


def test_each_mode_has_a_provider_of_its_kind_of_market() -> None:
    for mode in all_modes():
        assert next(iter(providers_of(mode))) == mode.provider
        assert find_provider(mode.provider).market == mode.market


def test_a_mode_in_a_file_of_its_own_is_found(add_module: AddModule) -> None:
    add_module("throughline.experiment.modes", "replay", REPLAY)
    assert mode_names() == ("backtest", "demo", "replay")
    made = make_experiment("replay", date(2024, 1, 1), Configuration(), "a" * 64, 7, lock="0" * 64)
    assert made.mode == "replay"
    assert not find_mode("replay").allows("walk-forward")
    with pytest.raises(
        SettingsError, match="no market data provider 'recorded' of mode 'replay': choose one of archive"
    ):
        UnifiedTradingPipeline("replay")


def test_two_modes_of_one_name_are_refused_by_their_files(add_module: AddModule) -> None:
    file = add_module("throughline.experiment.modes", "replay", REPLAY.replace('"replay"', '"demo"'))
    with pytest.raises(SettingsError, match=rf"{file}: the name 'demo' is taken by .*demo\.py"):
        all_modes()


def test_a_file_that_declares_nothing_is_named(add_module: AddModule) -> None:
    file = add_module("throughline.experiment.providers", "empty", "PROVIDER = 3\n")
    with pytest.raises(SettingsError, match=rf"{file}: the module must define PROVIDER, an instance of ProviderSpec"):
        find_provider("archive")


def test_options_are_validated_once_and_named_as_they_were_given(tmp_path: Path) -> None:
    mode = find_mode("backtest")
    spec, options = read_options(mode, {"archive": tmp_path / "a.toml", "data": str(tmp_path), "data_also": None})
    assert plain_inputs(mode, spec, options) == {"archive": str(tmp_path / "a.toml"), "data": str(tmp_path)}
    assert read_options(mode, plain_inputs(mode, spec, options)) == (spec, options)
    with pytest.raises(SettingsError, match=r"mode 'backtest' needs --data: .* takes --archive, --data, --data-also"):
        read_options(mode, {"archive": "a.toml"}, flags=True)
    with pytest.raises(SettingsError, match="'archive' has no option folder: it takes archive, data, data_also"):
        read_options(mode, {"archive": "a.toml", "data": ".", "folder": "."})
    with pytest.raises(SettingsError, match="seed is 'seven', which market data provider 'simulated' refuses"):
        read_options(find_mode("demo"), {"seed": "seven"})
    with pytest.raises(SettingsError, match="no market data provider 'simulated' of mode 'backtest': choose"):
        read_options(mode, {"provider": "simulated"})
    with pytest.raises(SettingsError, match="begins with '~nobody-of-this-name'"):
        read_options(mode, {"archive": "~nobody-of-this-name/a.toml", "data": "."})


def test_a_command_runs_each_mode_that_allows_it(add_module: AddModule, capsys: pytest.CaptureFixture[str]) -> None:
    add_module("throughline.experiment.modes", "replay", REPLAY)
    assert run(["backtest", "--help"], DirectWiring()) == 0
    assert "--mode [backtest|replay]" in capsys.readouterr().out
    assert run(["walk-forward", "--help"], DirectWiring()) == 0
    assert "--mode" not in capsys.readouterr().out
    days = ["--start", "2024-01-28", "--end", "2024-01-29"]
    assert run(["backtest", "--mode", "demo", *days], DirectWiring()) == 2
    assert "'demo' is not one of 'backtest', 'replay'" in capsys.readouterr().err


def test_a_provider_in_a_file_of_its_own_is_an_option_of_the_command(
    add_module: AddModule, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    add_module("throughline.experiment.providers", "recorded", RECORDED)
    assert run(["backtest", "--help"], DirectWiring()) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--provider [archive|recorded]" in text
    assert "--tape PATH With --provider recorded: File with the seed of the recording. [required]" in text
    assert "--gaps / --no-gaps With --provider recorded: Read days with gaps." in text
    days = ["--start", "2024-01-28", "--end", "2024-01-29"]
    assert run(["backtest", "--provider", "recorded", *days], DirectWiring()) == 2
    assert "Missing option '--tape'" in capsys.readouterr().err
    (tmp_path / "tape").write_text("7")
    tape = ["--tape", str(tmp_path / "tape")]
    assert run(["backtest", "--provider", "recorded", *tape, "--until", "soon", *days], DirectWiring()) == 1
    assert "--until is 'soon', which market data provider 'recorded' refuses" in capsys.readouterr().err
    assert run(["backtest", "--provider", "recorded", *tape, "--data", ".", *days], DirectWiring()) == 1
    assert "'recorded' has no option --data: it takes --tape, --until, --seed, --gaps" in capsys.readouterr().err
