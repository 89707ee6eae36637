"""The message of an interrupted command: what is stored, and the exact command that goes on.

Belongs here: the sentence. Does not belong here: catching the signal (pipelines.command) and the exit code (main).
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING

from throughline.errors import is_hidden

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from throughline.experiment.identity import Experiment

_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]+@|([?&](?:ssl)?password=)[^&#\s]*", re.IGNORECASE)

_SHELL_BYTE = "\\x%02x"


class Interrupted(Exception):
    """A command was interrupted. The text names what is stored; `main` adds how to go on."""


@contextmanager
def days_stay(engine: Engine, experiment: Experiment, start: date, end: date, *, walk: bool = False) -> Iterator[None]:
    """Turn an interrupt of what is done inside into `Interrupted` with the days of [start, end] that are sealed."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(_sealed(engine, experiment, start, end, walk)) from None


@contextmanager
def nothing_stays(what: str) -> Iterator[None]:
    """Turn an interrupt of what is done inside into `Interrupted`, with the text that nothing of `what` was stored."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"nothing of {what} was stored") from None


def sentence(stored: str, arguments: Sequence[str]) -> str:
    """Return the sentence of an interrupted command line. A password in a URL is replaced: terminals are logged."""
    words = [_PASSWORD.sub(_without_password, item) for item in arguments]
    return f"interrupted: {stored}; continue with: {' '.join(shell_word(word) for word in ('throughline', *words))}"


def shell_word(text: str) -> str:
    """Return a word as it is typed in a shell, on one line: control characters in the quotes of bash, zsh and ksh."""
    if not any(is_hidden(char, spaces=True) for char in text):
        return shlex.quote(text)
    quoted = "".join(
        "".join(_SHELL_BYTE % byte for byte in os.fsencode(char))
        if is_hidden(char, spaces=True)
        else f"\\{char}"
        if char in "\\'"
        else char
        for char in text
    )
    return f"$'{quoted}'"


def _without_password(match: re.Match[str]) -> str:
    return f"{match[1]}...@" if match[1] is not None else f"{match[2]}..."


def _sealed(engine: Engine, experiment: Experiment, start: date, end: date, walk: bool) -> str:
    from sqlalchemy.exc import SQLAlchemyError

    from throughline.flow import STAGES

    name = f"experiment {experiment.id[:12]}"
    try:
        first = first_unsealed(engine, experiment.id, list(STAGES), start, end)
    except SQLAlchemyError:  # the server went with the same signal
        return f"the sealed days of {name} remain stored"
    if first is None:
        done = f"all days of {name} to {end} are sealed; only the report is missing"
    elif first == start:
        done = f"no day of {name} is completely sealed yet"
    else:
        done = f"{name} is sealed from {start} to {first - timedelta(days=1)}, and these days remain stored"
    return done + ("; the models that were trained remain stored too" if walk else "")


def first_unsealed(engine: Engine, experiment: str, assets: Sequence[str], start: date, end: date) -> date | None:
    """Return the first day that some asset has not sealed; None where every asset has sealed every day."""
    from throughline.storage.queries import sealed_days

    with engine.connect() as connection:
        sealed = [set(sealed_days(connection, experiment, asset)) for asset in assets]
    day = start
    while day <= end:
        if not all(day in days for days in sealed):
            return day
        day += timedelta(days=1)
    return None
