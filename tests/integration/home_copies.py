"""Homes that are copied instead of built: an empty one, and one with the sealed experiment of `small_home`.

Belongs here: the template of the sealed home, built once a process by the ordinary way, and copying it; the empty one
is that of `tests/prepared.py`. Building the sealed home takes three seconds; a copy takes a tenth. Tests of how a home
is built, started or migrated do not use it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.integration.small_home import seal_experiment
from tests.prepared import copy, empty_data, new_folder
from throughline.experiment.identity import Experiment
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home


def open_copy(home: Home | Path) -> Database:
    """Open the database of a home that does not exist yet; it begins as a copy of an empty one."""
    place = home if isinstance(home, Home) else Home(home)
    copy(empty_data(), place.database / "data")
    return open_database(place)


def open_sealed_copy(folder: Path) -> tuple[Database, ArtifactStore, Experiment]:
    """Open a copy of the sealed home.

    Args:
        folder: gets ``home`` and ``artifacts``; neither may exist.

    Returns:
        The open database, the artifact store, and the experiment that `seal_experiment` gave by its defaults. The seal
        log is signed with the key of the test session and anchored within the home.
    """
    template, experiment = _sealed()
    for name in ("home/database/data", "home/anchor", "artifacts"):
        copy(template / name, folder / name)
    return open_database(Home(folder / "home")), ArtifactStore(folder / "artifacts"), experiment


@cache
def _sealed() -> tuple[Path, Experiment]:
    folder = new_folder()
    with open_copy(folder / "home") as database:
        return folder, seal_experiment(database, ArtifactStore(folder / "artifacts"))
