"""What `walk-forward` sets itself is said, and a file that contradicts it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from throughline.cli import DirectWiring, cli
from throughline.cli.walk_settings import policy_words, walk_configuration
from throughline.configuration import load_configuration
from throughline.errors import SettingsError


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def test_a_configuration_that_says_that_no_model_decides_is_refused_with_the_line_to_change(tmp_path: Path) -> None:
    path = written(tmp_path, 'model_policy = "none"\n')
    with pytest.raises(SettingsError) as refused:
        walk_configuration(load_configuration(path), path, None)
    for words in (str(path), "'model_policy'", 'write model_policy = "gated"', "throughline backtest"):
        assert words in str(refused.value)


@pytest.mark.parametrize("text", ["", "[learning]\nfolds = 4\n"])
def test_a_configuration_without_a_policy_is_set_to_gated_and_the_command_says_so(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text) if text else None
    made, (sentence,) = walk_configuration(load_configuration(path), path, None)
    assert made.model_policy == "gated"
    assert sentence.startswith('walk-forward sets model_policy = "gated": ')
    assert policy_words("close") in sentence


def test_a_configuration_that_says_gated_is_taken_as_it_is_without_a_word(tmp_path: Path) -> None:
    path = written(tmp_path, 'model_policy = "gated"\ncash_policy = "report"\n[learning]\nretrain = "weekly"\n')
    given = load_configuration(path)
    assert walk_configuration(given, path, "weekly") == (given, [])


def test_an_option_that_replaces_a_setting_of_the_file_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, 'model_policy = "gated"\n[learning]\nretrain = "weekly"\n')
    made, (sentence,) = walk_configuration(load_configuration(path), path, "never")
    assert made.learning.retrain == "never"
    assert sentence == f'--retrain never replaces learning.retrain = "weekly" of {path}.'
    made, sentences = walk_configuration(load_configuration(None), None, "never")
    assert made.learning.retrain == "never"
    assert not any("--retrain" in item for item in sentences), "a default is no choice that could be contradicted"


def test_the_words_on_the_policy_say_whether_the_rule_is_really_closed() -> None:
    assert "the rule is closed while" in policy_words("close")
    assert "would be closed, which is only reported" in policy_words("report")


def test_the_help_of_walk_forward_says_what_it_sets_and_what_it_refuses() -> None:
    told = " ".join(CliRunner().invoke(cli, ["walk-forward", "--help"], obj=DirectWiring()).output.split())
    assert 'Sets model_policy = "gated"' in told
    assert 'model_policy = "none" is refused' in told
