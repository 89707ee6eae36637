"""Options of the commands that run days: how a day is written, and what a run leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar

import click

from throughline.errors import shown

DOSSIERS = 5
"""Default of --dossiers: of the best and of the worst trades each; a page takes about 0.25 s."""
Command = TypeVar("Command", bound=Callable[..., Any])


class Day(click.ParamType[date]):
    """A day written as 2021-01-31."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Return the day. Fails with a usage error for anything else."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{shown(str(value))} is not a day: write it as 2021-01-31", param, ctx)


def produces(command: Command) -> Command:
    """Give a command the options of what a run of days leaves behind: the active experiment, and pages of trades."""
    for option in (
        click.option(
            "--dossiers",
            default=DOSSIERS,
            show_default=True,
            type=click.IntRange(0, 1000),
            help="Number of best and of worst trades that get a dossier page beside the tear sheet.",
        ),
        click.option(
            "--use",
            is_flag=True,
            help="Make this the active experiment of its mode (the first experiment of a mode always is).",
        ),
    ):
        command = option(command)
    return command
