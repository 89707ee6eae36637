"""What is written to the terminal: JSON or text on stdout, notes and progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click


def out_json(value: Any) -> None:
    """Print one JSON object on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def note(text: str, quiet: bool = False) -> None:
    """Print a line on stderr, unless `quiet`."""
    if not quiet:
        click.echo(text, err=True)


def table(rows: Sequence[Sequence[object]], left: Sequence[int] = (0,), indent: str = "  ") -> str:
    """Return rows as aligned text; the first is the header. left: columns aligned to the left."""
    cells = [[str(cell) for cell in row] for row in rows]
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
                self._bar.set_postfix_str(what, refresh=False)
            self._bar.update(amount)
