"""File locks that the kernel drops when their holder dies, however it dies (flock).

Belongs here: the lock primitive of the embedded server. Soft locks (marker files) would outlive a ``kill -9``, so
they are not offered. A lock belongs to the open file: a copy handed to a child process keeps it alive.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from throughline.errors import StorageError


def open_lock(path: Path, *, create: bool = True) -> int:
    """Return a new descriptor on the lock file `path` (made 0600 where missing, closed in programs that are executed).

    Without `create` a missing file raises FileNotFoundError: who only stops leaves nothing in a home that is deleted.
    """
    return os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Take the lock without waiting; return whether it was free."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_held(path: Path) -> bool:
    """Return whether anyone holds the lock `path` alone; asking disturbs nobody else who asks."""
    try:
        descriptor = open_lock(path, create=False)
    except FileNotFoundError:
        return False
    try:
        return not try_lock(descriptor, shared=True)
    finally:
        os.close(descriptor)


def wait_for(path: Path) -> None:
    """Sleep until nobody holds the lock `path`. Raises FileNotFoundError where there is none."""
    descriptor = open_lock(path, create=False)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def wait_until(condition: Callable[[], bool], seconds: float, pause: float = 0.005) -> bool:
    """Return True as soon as `condition` is true, False after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
    return True


@contextmanager
def exclusive(path: Path, seconds: float, *, create: bool = True) -> Iterator[None]:
    """Hold the lock `path` alone, waiting at most `seconds` (then StorageError). `create` as in `open_lock`."""
    descriptor = open_lock(path, create=create)
    try:
        if not wait_until(lambda: try_lock(descriptor), seconds):
            raise StorageError(
                f"Another process has held {path} for {seconds:g} s: wait for its start to finish, or end that process."
            )
        yield
    finally:
        os.close(descriptor)
