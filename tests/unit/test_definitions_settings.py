"""Settings come from the environment once, and what is wrong names its variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.settings import CHUNK_DAYS, load_settings
from throughline.errors import SettingsError


def test_an_empty_environment_gives_the_defaults(tmp_path: Path) -> None:
    settings = load_settings({"THROUGHLINE_HOME": str(tmp_path), "THROUGHLINE_DATABASE_URL": " "})
    assert settings.home.path == tmp_path.resolve()
    assert settings.database_url is None
    assert settings.webhook_url is None
    assert settings.chunk_days == CHUNK_DAYS


def test_a_given_home_takes_precedence_over_the_environments(tmp_path: Path) -> None:
    settings = load_settings({"THROUGHLINE_HOME": str(tmp_path / "a")}, home=str(tmp_path / "b"))
    assert settings.home.path.name == "b"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("THROUGHLINE_PARTITIONS_START", "last year"),
        ("THROUGHLINE_CHUNK_DAYS", "0"),
        ("THROUGHLINE_CHUNK_DAYS", "sixty"),
        ("THROUGHLINE_WEBHOOK_PRIVATE", "maybe"),
        ("THROUGHLINE_WEBHOOK_URL", "file:///etc/passwd"),
        ("THROUGHLINE_WEBHOOK_URL", "http://"),
        ("THROUGHLINE_WEBHOOK_URL", "https://host:port/"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load_settings({name: value}, home=str(tmp_path))


def test_a_webhook_address_that_cannot_be_read_is_not_repeated_since_it_may_hold_a_token(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"THROUGHLINE_WEBHOOK_URL": "ftp://host/token-123"}, home=str(tmp_path))
    assert "token-123" not in str(caught.value)
