"""A database at head that new homes of a test process start from: copying it takes 0.1 s, making it 0.8 s.

It is made by the product's own code, once a process, and stands for `initdb` and the migrations only: roles, locks,
settings and the start of the server are the real ones each time. Tests of the storage itself, and processes that tests
start, make their databases as a person does.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from throughline.storage import cluster
from throughline.storage.database import open_database
from throughline.storage.home import Home
from throughline.storage.programs import Programs

REAL = ("test_storage_", "test_releases")
"""Modules whose names begin with one of these get no prepared database: they test the making, or load a dump."""

_make = cluster.initialise


def initialise(data: Path, programs: Programs) -> None:
    """Do what `cluster.initialise` does, but copy the prepared database where it would run ``initdb``."""
    if not data.exists():
        copy(empty_data(), data)
    _make(data, programs)  # finds it there, and removes what a killed initdb left


@cache
def empty_data() -> Path:
    """Return the data directory of a database at head whose server is stopped: only then is a copy consistent."""
    home = Home(new_folder() / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "initialise", _make)
        open_database(home).close()
    return home.path / "database" / "data"


def new_folder() -> Path:
    """Return a new folder for something that is copied; it is removed when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="throughline-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def copy(source: Path, target: Path) -> None:
    """Copy a folder with the owners of its files: as root, the server's files are another user's."""
    assert not target.exists(), f"{target} is there already: cp would copy into it"
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


@pytest.fixture(scope="module", autouse=True)
def homes_start_prepared(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the homes of the module's tests start from the prepared database."""
    if request.module.__name__.rpartition(".")[2].startswith(REAL):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "initialise", initialise)
        yield
