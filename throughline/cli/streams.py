"""The standard streams of a process: open, able to print every text, and given up once nobody can take what they say.

Belongs here: what is done to file descriptors 0 to 2. Does not belong here: what is printed (screen).
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress


def prepare() -> None:
    """Make the three streams usable, before anything else is opened. Call once, at the start of a process.

    A stream that the caller closed (``2>&-``) is opened on /dev/null: its number would go to the next file that is
    opened, a lock or the database's socket, and whatever writes to the stream would write there. A character that the
    encoding of a stream does not have is written as an escape instead of ending the command.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - lives as long as we do
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def give_up(number: int) -> None:
    """Send what is still written to stream `number` to nowhere, so that Python does not fail on it at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)


def finish() -> str | None:
    """Write out what stdout still holds. Return why it cannot be, None where it was; then stdout is given up."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        give_up(1)
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        return getattr(error, "strerror", None) or "it is closed"
    return None
