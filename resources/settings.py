"""Settings of this machine: from the environment, validated once, with one clear error.

Belongs here: where the home is, which database, how long a chunk is, whom to notify. Does not belong here: anything
that decides a trade (the experiment's configuration file).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlsplit

from throughline.errors import SettingsError, shown
from throughline.storage.home import HOME_VARIABLE, Home

DATABASE_VARIABLE = "THROUGHLINE_DATABASE_URL"
ARTIFACTS_VARIABLE = "THROUGHLINE_ARTIFACTS"
START_VARIABLE = "THROUGHLINE_PARTITIONS_START"
CHUNK_VARIABLE = "THROUGHLINE_CHUNK_DAYS"
REDIS_VARIABLE = "THROUGHLINE_REDIS_URL"
WEBHOOK_VARIABLE = "THROUGHLINE_WEBHOOK_URL"
WEBHOOK_PRIVATE_VARIABLE = "THROUGHLINE_WEBHOOK_PRIVATE"

FIRST_DAY = date(2009, 1, 3)
"""Default first partition: one start date for all assets and modes, since Dagster's backfills need one. The day of the
first Bitcoin block, so that any archive fits: 6,500 partitions up to late 2026, which cost a run nothing measurable
(8.2 and 8.3 s for 120 days from 2017 and from 2009); Dagster's UI stays quick below 20,000."""

CHUNK_DAYS = 60
"""Default days per run of a backfill: memory is bounded by the chunk, not by the history."""


@dataclass(frozen=True)
class Settings:
    """Settings of this machine.

    Attributes:
        home: the Throughline home.
        database_url: PostgreSQL server; None = the embedded server of the home.
        artifacts: artifact store, a folder or an address of fsspec; None = a folder of the home.
        partitions_start: first day (UTC) of all partitions.
        chunk_days: days per run of a backfill.
        redis_url: Redis server for the latest feature vectors; None = the database.
        webhook_url: where alerts are posted; None = they are only logged.
        webhook_private: whether the webhook may have a private address.
    """

    home: Home
    database_url: str | None = None
    artifacts: str | None = None
    partitions_start: date = FIRST_DAY
    chunk_days: int = CHUNK_DAYS
    redis_url: str | None = None
    webhook_url: str | None = None
    webhook_private: bool = False


def load_settings(environment: Mapping[str, str] | None = None, home: str | None = None) -> Settings:
    """Return the settings of an environment (default: this process's). Raises SettingsError naming the variable.

    home: a folder that takes precedence over the environment's.
    """
    env = os.environ if environment is None else environment
    return Settings(
        home=Home.locate(home or env.get(HOME_VARIABLE) or None),
        database_url=_text(env, DATABASE_VARIABLE),
        artifacts=_text(env, ARTIFACTS_VARIABLE),
        partitions_start=_day(env, START_VARIABLE, FIRST_DAY),
        chunk_days=_count(env, CHUNK_VARIABLE, CHUNK_DAYS),
        redis_url=_text(env, REDIS_VARIABLE),
        webhook_url=_address(env, WEBHOOK_VARIABLE),
        webhook_private=_switch(env, WEBHOOK_PRIVATE_VARIABLE),
    )


def _text(env: Mapping[str, str], name: str) -> str | None:
    return env.get(name, "").strip() or None


def _day(env: Mapping[str, str], name: str, default: date) -> date:
    text = _text(env, name)
    if text is None:
        return default
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{name} is {shown(text)}: write a day such as 2017-01-01") from None


def _count(env: Mapping[str, str], name: str, default: int) -> int:
    text = _text(env, name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10) or not 1 <= int(text) <= 10_000:
        raise SettingsError(f"{name} is {shown(text)}: write a number of days from 1 to 10000")
    return int(text)


def _switch(env: Mapping[str, str], name: str) -> bool:
    text = (_text(env, name) or "0").lower()
    if text not in ("0", "1", "false", "true", "no", "yes"):
        raise SettingsError(f"{name} is {shown(text)}: write 1 or 0")
    return text in ("1", "true", "yes")


def _address(env: Mapping[str, str], name: str) -> str | None:
    text = _text(env, name)
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:  # the text itself may hold a token, so it is not repeated
        raise SettingsError(f"{name} cannot be read: write an address that starts with https:// or http://")
    return text
