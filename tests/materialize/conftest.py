"""One embedded PostgreSQL for all tests here: experiments keep them apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.settings import Settings
from tests.materialize.homes import opened, settings_of
from throughline.storage.database import Database


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with opened(tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.fixture
def settings(database: Database) -> Settings:
    return settings_of(database.home.path)


@pytest.fixture(scope="session")
def home(database: Database) -> Path:
    return database.home.path
