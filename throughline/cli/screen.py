"""What is written to the terminal: JSON or text on stdout, notes and progress on stderr.

Every command prints through `echo`, so that no name or text from a file, a record or a proof reaches a terminal as a
command to it: a ticker may hold an escape sequence that colours the screen, sets the window's title or reorders a line.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

import click

_OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of characters that move the cursor, reorder or hide text, end a line, or cannot be encoded."""


def visible(text: str, keep: str = "\n\t") -> str:
    r"""Return `text` with every character that a terminal obeys instead of showing it as ``\xNN`` or ``\uNNNN``.

    Escaped are control characters, format and bidirectional characters, line and paragraph separators, and lone
    surrogates. keep: those that stay as they are; none for text that must stay on its line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character, keep) for character in text)


def _shown(character: str, keep: str) -> str:
    if character in keep or unicodedata.category(character) not in _OBEYED:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def echo(text: str = "", err: bool = False) -> None:
    """Print text and a line feed on stdout, or on stderr, with what a terminal would obey made visible."""
    click.echo(visible(text), err=err)


def echo_line(text: str, err: bool = False) -> None:
    """Print text as one line: as `echo`, and a line feed inside a name cannot begin a line of its own."""
    click.echo(visible(text, keep=""), err=err)


def out_json(value: Any) -> None:
    """Print one JSON object on stdout; what a terminal would obey is escaped as JSON does, so the value is the same."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    click.echo("".join(_escaped(character) for character in text))


def _escaped(character: str) -> str:
    if character == "\n" or unicodedata.category(character) not in _OBEYED:
        return character
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def note(text: str, quiet: bool = False) -> None:
    """Print a line on stderr, unless `quiet`."""
    if not quiet:
        echo(text, err=True)


def table(rows: Sequence[Sequence[object]], left: Sequence[int] = (0,), indent: str = "  ") -> str:
    """Return rows as aligned text; the first is the header. left: columns aligned to the left."""
    cells = [[visible(str(cell), keep="") for cell in row] for row in rows]
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    lines = []
    for row in cells:
        parts = [
            cell.ljust(width) if k in left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((indent + "  ".join(parts)).rstrip())
    return "\n".join(lines)


class Bar:
    """A progress bar on stderr; silent where stderr is no terminal or `quiet` is set."""

    def __init__(self, total: int | None, what: str, quiet: bool) -> None:
        self._bar: Any = None
        if not quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=what, file=sys.stderr, dynamic_ncols=True, leave=False)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self, amount: int = 1, what: str | None = None) -> None:
        """Advance, and say what was done."""
        if self._bar is not None:
            if what:
                self._bar.set_postfix_str(visible(what), refresh=False)
            self._bar.update(amount)
