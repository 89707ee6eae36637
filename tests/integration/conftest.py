"""Fixtures of the tests that need a real server: one embedded PostgreSQL for the whole session.

`database` is that server's application database at head. Tests keep apart by experiment: `experiment` registers a
fresh one each time.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.integration.served_home import ServedHome, serve_home
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home
from throughline.storage.ledger import register_experiment


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Return the home that the session's tests share."""
    return Home(tmp_path_factory.mktemp("home") / "throughline")


@pytest.fixture(scope="session")
def database(home: Home) -> Iterator[Database]:
    """Return the session's database, at head, on the embedded server."""
    with open_database(home) as opened:
        yield opened


@pytest.fixture(scope="session")
def served_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    """Return the home in which models have decided; whatever is done to it is rolled back."""
    served = serve_home(tmp_path_factory.mktemp("served"))
    with served.database:
        yield served


@pytest.fixture
def experiment(database: Database) -> str:
    """Return the id of a fresh experiment in demo mode."""
    name = uuid.uuid4().hex * 2
    with database.engine("writer").begin() as connection:
        register_experiment(connection, name, "demo", b'{"schema_version":1}')
    return name
