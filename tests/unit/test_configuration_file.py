"""The one configuration file: defaults of the seed, frozen, and every mistake named with file and key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from throughline.configuration import Configuration, load_configuration
from throughline.errors import SettingsError


def _written(folder: Path, text: str) -> Path:
    path = folder / "my settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_defaults_are_the_seed_s_rules() -> None:
    given = load_configuration(None)
    strategy = given.strategy
    assert (strategy.market_cap.minimum, strategy.market_cap.maximum) == (100_000, 50_000_000)
    assert strategy.volume_24h.minimum == 100_000
    assert (given.exits.stop_loss, given.exits.take_profit, given.exits.max_hold_hours) == (0.15, 0.30, 48)
    assert given.sizing.max_positions == 5
    assert (strategy.momentum_minimum, strategy.momentum_window_hours) == (0.10, 24)


def test_costs_are_never_zero_by_default() -> None:
    costs = load_configuration(None).costs
    assert min(costs.fee, costs.half_spread, costs.impact_floor, costs.impact_coefficient) > 0


def test_a_file_changes_only_what_it_names(tmp_path: Path) -> None:
    path = _written(tmp_path, "[strategy.market_cap]\nenabled = false\n[exits]\nmax_hold_hours = 24\n")
    given = load_configuration(path)
    assert not given.strategy.market_cap.enabled
    assert given.exits.max_hold_hours == 24
    assert given.costs == Configuration().costs


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("[exits]\nstop_los = 0.1\n", "exits.stop_los", "did you mean 'exits.stop_loss'?"),
        ("[exits]\nstop_loss = 1.5\n", "exits.stop_loss", "less than 1"),
        ("[exits]\nstop_loss = nan\n", "exits.stop_loss", "finite"),
        ("[exits.trailing_stp]\npercent = 0.1\n", "exits.trailing_stp", "did you mean 'exits.trailing_stop'?"),
        ("[exits.trailing_stop]\npercnt = 0.1\n", "exits.trailing_stop.percent", "is missing"),
        ("[exits.trailing_stop]\npercent = 2\n", "exits.trailing_stop.percent", "less than 1"),
        ("[exits]\ntrailing_stop = 0.1\n", "exits.trailing_stop", "written as [exits.trailing_stop]"),
        ("[exits.roi_table]\nsteps = [[5, 0.1], [5, 0.2]]\n", "exits.roi_table.steps", "ascending hours"),
        ("[exits.roi_table]\nsteps = []\n", "exits.roi_table.steps", "a length of at least 1 (it has 0)"),
        ("[costs]\nfee = -0.1\n", "costs.fee", "greater than or equal to 0"),
        ("[sizing]\nmax_positions = 0\n", "sizing.max_positions", "greater than or equal to 1"),
        ("[sizing]\nmax_positions = 2.5\n", "sizing.max_positions", "integer"),
        ("[strategy]\nmomentum_minimum = inf\n", "strategy.momentum_minimum", "finite"),
        ("[strategy.volume_24h]\nminimum = 5\nmaximum = 4\n", "strategy.volume_24h", "is above maximum"),
        ('[strategy.volume_24h]\non_missing = "ignore"\n', "strategy.volume_24h.on_missing", "admit_flagged"),
        ("strategy = 3\n", "strategy", "dictionary"),
        ('model_policy = "best"\n', "model_policy", "none"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file_and_key(tmp_path: Path, text: str, key: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_configuration(_written(tmp_path, text))
    message = str(caught.value)
    assert "my settings.toml" in message
    assert f"'{key}'" in message
    assert words in message


def test_a_missing_file_and_a_file_that_is_no_toml_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml: there is no such configuration file"):
        load_configuration(tmp_path / "nowhere.toml")
    with pytest.raises(SettingsError, match=r"my settings\.toml: not valid TOML"):
        load_configuration(_written(tmp_path, "exits = [\n"))
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# caf\xe9\n")
    with pytest.raises(SettingsError, match=r"latin\.toml: not valid TOML"):
        load_configuration(latin)


def test_a_configuration_is_frozen() -> None:
    given = Configuration()
    with pytest.raises(ValidationError):
        given.exits.stop_loss = 0.5  # type: ignore[misc]


def test_a_canary_of_an_older_configuration_keeps_its_cap_under_the_new_name(tmp_path: Path) -> None:
    file = tmp_path / "older.toml"
    file.write_text("[canary]\nclip = 0.5\n")
    canary = load_configuration(file).canary
    assert canary.gain_cap == 0.5
    assert "clip" not in canary.model_dump()
    file.write_text("[canary]\nclip = 0.5\ngain_cap = 0.4\n")
    with pytest.raises(SettingsError, match="canary"):
        load_configuration(file)


def _numbers(table: dict[str, Any], where: str = "") -> Iterator[tuple[str, type]]:
    for name, value in table.items():
        key = f"{where}.{name}" if where else name
        if isinstance(value, dict):
            yield from _numbers(value, key)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield key, type(value)


def _line(key: str, value: str) -> str:
    table, _, name = key.rpartition(".")
    return f"[{table}]\n{name} = {value}\n" if table else f"{name} = {value}\n"


NUMBERS = [
    *_numbers(Configuration().model_dump()),
    ("strategy.market_cap.maximum", float),
    ("learning.window_days", int),
]


@pytest.mark.parametrize(("key", "kind"), NUMBERS)
def test_every_number_has_an_upper_and_a_lower_bound(tmp_path: Path, key: str, kind: type) -> None:
    for value in ("1e308", "-1e308", str(10**18), str(-(10**18)), "0x" + "f" * 400):
        if kind is int and "e" in value:
            continue
        with pytest.raises(SettingsError, match=f"setting '{key}' must be") as caught:
            load_configuration(_written(tmp_path, _line(key, value)))
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize(("key", "kind"), NUMBERS)
def test_a_number_written_as_a_text_is_refused(tmp_path: Path, key: str, kind: type) -> None:
    with pytest.raises(SettingsError, match=f"setting '{key}' must be a"):
        load_configuration(_written(tmp_path, _line(key, '"1"')))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[exits]\nstop_los = 0.1\n", "did you mean 'exits.stop_loss'?"),
        ("stop_loss = 0.1\n", "did you mean 'exits.stop_loss'?"),
        ("[strategy]\nstop_loss = 0.1\n", "did you mean 'exits.stop_loss'?"),
        ("[strategy.marketcap]\nenabled = false\n", "did you mean 'strategy.market_cap'?"),
        ("[strategy.market_cap]\nenabeld = false\n", "did you mean 'strategy.market_cap.enabled'?"),
        ("[sentiment]\nenabled = false\n", "did you mean 'strategy.sentiment'?"),
        ("[zzz]\nx = 1\n", "the settings at the top are strategy, sizing"),
        ('[strategy]\nname = "my label"\n', "the name is the code's own, 'high_volatility_low_cap'; remove the line"),
        ("[learning]\nmax_fold_spread = 2.0\n", "'fold_gain_minimum' bounds what folds gain"),
        ('[strategy]\n"\\u001b[31m" = 1\n', "<U+001B>"),
        ('"' + "x" * 5000 + '" = 1\n', "does not exist"),
    ],
)
def test_a_setting_that_nothing_reads_is_refused_with_the_one_that_was_meant(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_configuration(_written(tmp_path, text))
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a = " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b"a = " + b"9" * 5000, "thousands of digits"),
        (b"a = 1\na = 2\n", "a second time"),
        (b"[exits]\nstop_loss = 0,1\n", "line 2, column 14"),
        (b'a = "\0"\n', "line 1, column 6"),
        (b"\n\nx = '\xff'\n", "line 3 is not UTF-8"),
        (b"#" * 2_000_000, "larger than 1 MB"),
    ],
)
def test_a_file_that_is_no_toml_is_one_sentence_with_its_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load_configuration(path)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_folder_in_the_place_of_a_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is a folder"):
        load_configuration(tmp_path)
