"""Temporary folders of tests in memory, where the machine has room for them.

A test's home is a PostgreSQL database of 70 MB. On a disk, each commit waits for the disk (3 ms against 0.2 ms), a stop
waits for a checkpoint, and removing a home takes seconds. So `tmp_path` and `tmp_path_factory.mktemp` give folders on
/dev/shm as long as it and the machine have room, and on the disk, as pytest does, where they have not. A folder in
memory is removed when the fixture that asked for it has ended, so that a whole run needs the memory of a few homes.

PYTEST_DEBUG_TEMPROOT=/tmp keeps all folders on the disk, as pytest does, for a look at what a failed test left.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from throughline.storage.locks import exclusive, try_lock

MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30
"""Bytes that must be free on /dev/shm, and twice as many in the machine's memory, for one more folder in memory."""
_PREFIX = f"throughline-tests-{os.geteuid()}-"

_setups: list[Any] = []  # the fixtures that are being set up, the innermost last
_folders: dict[Any, list[Path]] = {}  # fixture -> its folders in memory


def has_room(folder: Path = MEMORY) -> bool:
    """Return whether one more home may lie in memory."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return False
    return free > ROOM and psutil.virtual_memory().available > 2 * ROOM


class Folders:
    """pytest's factory of temporary folders, which are in memory where there is room."""

    def __init__(self, factory: pytest.TempPathFactory, base: Path) -> None:
        self._factory = factory
        self._base = base

    def mktemp(self, basename: str, numbered: bool = True) -> Path:
        """Make a folder named after `basename`; it is removed when the fixture that is being set up has ended."""
        if not has_room():
            return self._factory.mktemp(basename, numbered)
        if numbered:
            made = Path(tempfile.mkdtemp(prefix=basename, dir=self._base))
        else:
            made = self._base / basename
            made.mkdir(mode=0o700)
        if _setups:
            _folders.setdefault(_setups[-1], []).append(made)
        return made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._factory, name)


@pytest.fixture(scope="session")
def tmp_path_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.TempPathFactory | Folders]:
    """Return pytest's factory of temporary folders, with the folders in memory where there is room."""
    if os.environ.get("PYTEST_DEBUG_TEMPROOT") or not has_room():
        yield tmp_path_factory
        return
    with exclusive(MEMORY / f"{_PREFIX}lock", 60):
        _remove_leftovers()
        base = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=MEMORY))
        lock = os.open(base, os.O_RDONLY)
        assert try_lock(lock)  # dropped by the kernel when this process dies, however it dies
    try:
        yield Folders(tmp_path_factory, base)
    finally:
        shutil.rmtree(base, ignore_errors=True)
        os.close(lock)


def _remove_leftovers() -> None:
    """Remove the folders of runs that were killed: nobody holds their lock. Call with the common lock held."""
    for folder in MEMORY.glob(f"{_PREFIX}*/"):
        lock = os.open(folder, os.O_RDONLY)
        try:
            if try_lock(lock):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: Any) -> Iterator[None]:
    """Note which fixture is being set up: the folders that are made meanwhile are its own."""
    _setups.append(fixturedef)
    try:
        return (yield)
    finally:
        _setups.pop()


def pytest_fixture_post_finalizer(fixturedef: Any) -> None:
    """Remove the folders in memory of a fixture that has ended, and with it everything that used it."""
    for folder in _folders.pop(fixturedef, ()):
        shutil.rmtree(folder, ignore_errors=True)
