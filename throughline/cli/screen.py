"""What is written to the terminal: JSON or text on stdout, notes and progress on stderr.

Every command prints through `echo`, so that no name or text from a file, a record or a proof reaches a terminal as a
command to it: a ticker may hold an escape sequence that colours the screen, sets the window's title or reorders a line.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from throughline.cli.streams import give_up
from throughline.errors import SettingsError, is_hidden, printable

_OPEN_SHAPE = "{desc}: {elapsed}{postfix}"
_SHAPE = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left{postfix}"
QUIET_SECONDS = 20.0
"""Time between two lines of progress where stderr is no terminal."""


def visible(text: str, keep: str = "\n\t") -> str:
    """Return `text` as it may be printed: `errors.printable`, with line feeds and tabs and the spaces of any script.

    keep: characters that stay as they are; none for text that must stay on its line.
    """
    return printable(text, keep, spaces=True)


def echo(text: str = "", err: bool = False) -> None:
    """Print text and a line feed on stdout, or on stderr, with what a terminal would obey made visible."""
    _write(visible(text), err)


def echo_line(text: str, err: bool = False) -> None:
    """Print text as one line: as `echo`, and a line feed inside a name cannot begin a line of its own."""
    _write(visible(text, keep=""), err)


def out_json(value: Any) -> None:
    """Print one JSON object on stdout; what a terminal would obey is escaped as JSON does, so the value is the same."""
    text = json.dumps(value, ensure_ascii=not _takes_every_character(), indent=2, allow_nan=False)
    _write("".join(_escaped(character) for character in text), False)


def _write(text: str, err: bool) -> None:
    """Print text and a line feed. What stderr cannot take is lost and the work goes on; a lost answer is an error.

    Raises SettingsError where stdout cannot be written, BrokenPipeError where its reader has gone.
    """
    try:
        click.echo(text, err=err)
    except OSError as error:
        give_up(2 if err else 1)
        if err:
            return
        if isinstance(error, BrokenPipeError):
            raise
        raise SettingsError(f"the answer cannot be written to stdout ({error.strerror}): send it elsewhere") from None


def _takes_every_character() -> bool:
    """Return whether stdout is UTF-8; elsewhere JSON is written in ASCII, since an escape of Python's is not JSON."""
    encoding = sys.stdout.encoding if isinstance(sys.stdout, io.TextIOBase) else None
    return encoding is None or encoding.lower().replace("-", "") in ("utf8", "utf8sig")


def _escaped(character: str) -> str:
    if character == "\n" or not is_hidden(character, spaces=True):
        return character
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def note(text: str, quiet: bool = False) -> None:
    """Print a line on stderr, unless `quiet`."""
    if not quiet:
        echo(text, err=True)


class Bar:
    """The progress of a long command on stderr: a bar on a terminal, else a line now and then; nothing if `quiet`.

    A bar shows the share that is done, the time left and the step that is under way. Where stderr is no terminal (a
    file, a service) a line of the same is printed `QUIET_SECONDS` after the last one: short commands print none.
    """

    def __init__(
        self, total: int | None, what: str, quiet: bool, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what = what
        self._total = total
        self._done = 0
        self._step = ""
        self._clock = clock
        self._started = self._printed = clock()
        self._silent = quiet
        self._bar: Any = None
        if not quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=total,
                desc=what,
                file=sys.stderr,
                dynamic_ncols=True,
                leave=False,
                bar_format=_SHAPE if total else _OPEN_SHAPE,
                mininterval=0.2,
            )

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def expect(self, total: int) -> None:
        """Say how many parts there are, where that is known only once the work has begun."""
        self._total = max(1, total)
        if self._bar is not None:
            self._bar.bar_format = _SHAPE
            self._bar.reset(total=self._total)

    def at(self, step: str) -> None:
        """Say which step is under way."""
        self.step(0, step)

    def step(self, amount: int = 1, what: str | None = None) -> None:
        """Advance by `amount` parts of the total, and say which step is under way."""
        self._done += amount
        if what is not None:
            self._step = what
        if self._silent:
            return
        if self._bar is not None:
            if self._total is not None and self._done > self._total:  # more parts than were counted: never above 100 %
                self._bar.total = self._total = self._done
            if what is not None:
                self._bar.set_postfix_str(visible(what), refresh=amount == 0)
            self._bar.update(amount)
        elif self._clock() - self._printed >= QUIET_SECONDS:
            self._printed = self._clock()
            echo_line(self._line(), err=True)

    def note(self, text: str) -> None:
        """Print a line on stderr above the bar."""
        if self._silent:
            return
        if self._bar is not None:
            self._bar.clear()
        echo_line(text, err=True)
        if self._bar is not None:
            self._bar.refresh()

    def _line(self) -> str:
        spent = self._clock() - self._started
        parts = [f"{span(spent)} so far"]
        if self._total:
            share = min(1.0, self._done / self._total)
            parts.insert(0, f"{share * 100:.0f} %")
            if share > 0.0:
                parts.append(f"about {span(spent / share - spent)} left")
        if self._step:
            parts.append(self._step)
        return f"{self._what}: {', '.join(parts)}"


def span(seconds: float) -> str:
    """Return a time in its two largest units: '2 h 05 min', '3 min 10 s', '8 s'."""
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{whole} s"
