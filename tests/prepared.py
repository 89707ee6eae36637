"""A database at head that new homes of a test process start from: copying it takes 0.1 s, making it 0.8 s.

The copy is made by the product's own code, once a process, and stands for `initdb` and the migrations only: roles,
locks, settings and the start of the server are the real ones each time. Tests of the storage itself, and processes that
tests start, make their databases as a person does.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from throughline.storage import cluster
from throughline.storage.database import open_database
from throughline.storage.home import Home
from throughline.storage.programs import Programs

REAL = ("test_storage_", "test_releases")
"""Modules whose names begin with one of these get no prepared database: they test the making, or load a dump."""


class Prepared:
    """Takes the place of `cluster.initialise`: a new data directory is a copy of one that was made before."""

    def __init__(self, folder: Path) -> None:
        self._home = Home(folder / "prepared")
        self._initialise = cluster.initialise

    def initialise(self, data: Path, programs: Programs) -> None:
        """Do what `cluster.initialise` does, from the copy where it would run ``initdb``."""
        if data.parent == self._home.path / "database" or data.exists():
            return self._initialise(data, programs)
        source = self._home.path / "database" / "data"
        if not source.exists():
            open_database(self._home).close()  # a copy is consistent only while no server runs
        subprocess.run(["cp", "-a", str(source), str(data)], check=True)  # with the owner, as root's server needs
        return self._initialise(data, programs)  # it removes what a killed initdb left, as ever


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Return the process's prepared database, which is made when first asked for."""
    return Prepared(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module", autouse=True)
def homes_start_prepared(request: pytest.FixtureRequest, prepared: Prepared) -> Iterator[None]:
    """Let the homes of the module's tests start from the prepared database."""
    if request.module.__name__.rpartition(".")[2].startswith(REAL):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "initialise", prepared.initialise)
        yield
