"""`throughline experiments` and `use`: everything that was ever run in a home, and which experiment is active."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from throughline.cli.options import Options, common
from throughline.cli.screen import echo, out_json
from throughline.experiment.mode import mode_names
from throughline.rendering.formats import percent
from throughline.rendering.table import Table

if TYPE_CHECKING:
    from throughline.analytics.experiments import Difference, Overview

_SHOWN = 8
"""So many differences are printed per experiment; --json has all of them."""


@click.command(short_help="List all experiments and what differs between them.")
@click.option("--mode", type=click.Choice(mode_names()), help="Only the experiments of this mode.")
@common
def experiments(options: Options, mode: str | None) -> None:
    """List all experiments of the home: days, trades, return on the base path, and what differs from which other one.

    An experiment is compared with its parent, or without one with the experiment of its mode that was recorded before
    it. An asterisk marks the active one of each mode, which the UI and commands use unless another is named.
    """
    from throughline.analytics.experiments import overviews

    with options.open() as (database, _), database.engine("reader").connect() as connection:
        listed = overviews(connection, mode)
    if options.json:
        out_json({"experiments": [item.as_json() for item in listed]})
        return
    if not listed:
        echo("No experiment yet: run `throughline demo`, or `throughline backtest` on your own data.")
        return
    echo(_listing(listed))


@click.command(short_help="Make an experiment the active one of its mode.")
@click.argument("id_", metavar="ID")
@click.option("--mode", type=click.Choice(mode_names()), help="Refuse an experiment of another mode.")
@common
def use(options: Options, id_: str, mode: str | None) -> int:
    """Make an experiment the active one of its mode. UI, schedules and commands use it unless another is named.

    ID is the ID of an experiment, or its first 8 or more digits (`throughline experiments` lists them).
    """
    from throughline.experiment.choice import use as make_active

    with options.open() as (database, _):
        chosen, before = make_active(database.engine("writer"), id_, mode)
        options.wiring.show_active(options, database, chosen.experiment.mode)
    name, of = chosen.experiment.id, chosen.experiment.mode
    if options.json:
        out_json({"mode": of, "active": name, "before": before, "inputs": dict(chosen.inputs or {})})
    elif before == name:
        echo(f"Experiment {name[:12]} is the active one of mode '{of}' already.")
    else:
        instead = "" if before is None else f" instead of {before[:12]}"
        echo(f"Experiment {name[:12]} is now the active one of mode '{of}'{instead}.")
    return 0


def _listing(listed: Sequence[Overview]) -> str:
    head = ("", "experiment", "mode", "epoch", "last day", "days", "trades", "return", "seed", "compared with")
    lines = [
        (
            "*" if item.active else "",
            item.id[:12],
            item.mode,
            item.epoch,
            item.last_day,
            f"{item.days:,}",
            f"{item.trades:,}",
            None if item.total_return is None else percent(item.total_return),
            item.body.get("seed"),
            _relation(item),
        )
        for item in listed
    ]
    rows = Table(head, lines, left=(0, 1, 2, 3, 4, 9)).lines()
    text = [rows[0]]
    for row, item in zip(rows[1:], listed, strict=True):
        text += [row, *(f"     {line}" for line in _differences(item.differences))]
    text.append(
        "* active experiment of its mode: the UI and commands use it unless another is named (see `throughline use`)."
    )
    return "\n".join(text)


def _relation(item: Overview) -> str:
    if item.compared_with is None:
        return "-"
    return f"{item.compared_with[:12]}{', its parent' if item.compared_with == item.parent else ''}"


def _differences(items: Sequence[Difference]) -> list[str]:
    shown = [str(item) for item in items[:_SHOWN]]
    if len(items) > _SHOWN:
        shown.append(f"and {len(items) - _SHOWN} more (all of them with --json)")
    return shown
