"""The options of `throughline trades` that select trades, one for each field of `analytics.trade_filters.Filters`.

Belongs here: how a field is written on the command line. Does not belong here: what it selects, and its default, which
are the field's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar

import click

from throughline.analytics.trade_filters import Filters
from throughline.cli.days import Day

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "instruments": (
        "--instrument",
        {"multiple": True, "metavar": "NAME", "help": "Only this instrument (repeatable)."},
    ),
    "since": (
        "--from",
        {"type": Day(), "help": "Only trades that ended (or with --by entry: began) on this day or later."},
    ),
    "until": ("--to", {"type": Day(), "help": "Only trades that ended (or began) on this day or before."}),
    "by": (
        "--by",
        {"type": click.Choice(["exit", "entry"]), "show_default": True, "help": "Which time --from and --to refer to."},
    ),
    "reasons": (
        "--reason",
        {"multiple": True, "metavar": "REASON", "help": "Only trades that ended for this reason (repeatable)."},
    ),
    "won": ("--won/--lost", {"help": "Only trades with a profit, or only those without."}),
    "flag": ("--flag", {"metavar": "FLAG", "help": "Only trades with this flag."}),
}
"""Field -> its option and the option's settings."""


def filter_options(command: Command) -> Command:
    """Give a command the options of all fields of `Filters`; it is called with `filters` in their place.

    Reasons and flags are taken as tables print them (``time limit``) and as the ledger writes them (``time_limit``).
    """

    @wraps(command)
    def filtered(*args: Any, **kwargs: Any) -> Any:
        values = {field.name: kwargs.pop(field.name) for field in fields(Filters)}
        values["reasons"] = tuple(_as_recorded(reason) for reason in values["reasons"])
        values["flag"] = None if values["flag"] is None else _as_recorded(values["flag"])
        return command(*args, filters=Filters(**values), **kwargs)

    for field in reversed(fields(Filters)):
        name, settings = _OPTIONS[field.name]
        filtered = click.option(name, field.name, default=field.default, **settings)(filtered)
    return filtered  # type: ignore[return-value]


def _as_recorded(word: str) -> str:
    return "_".join(word.lower().split())
