"""`throughline experiments`: everything that was ever run in a home."""

from __future__ import annotations

import json
from typing import Any

import click

from throughline.cli.options import Options, common
from throughline.cli.screen import echo, out_json, table


@click.command()
@common
def experiments(options: Options) -> None:
    """List all experiments of the home: mode, epoch, how far each is sealed, parent, which one is active."""
    from sqlalchemy import func, select

    from throughline.storage.queries import get_active, read_experiments
    from throughline.storage.tables import partition_seals

    with options.open() as (database, _), database.engine("reader").connect() as connection:
        stored = read_experiments(connection)
        c = partition_seals.c
        last = dict(
            connection.execute(
                select(c.experiment, func.max(c.partition)).where(c.asset == "portfolio_state").group_by(c.experiment)
            ).all()
        )
        active = {mode: found for mode in {item.mode for item in stored} if (found := get_active(connection, mode))}
    rows: list[dict[str, Any]] = []
    for item in stored:
        body = json.loads(item.body)
        current = active.get(item.mode)
        rows.append(
            {
                "id": item.id,
                "mode": item.mode,
                "epoch": body.get("epoch"),  # records written by hand (mode tracking) have no days
                "last_sealed_day": last[item.id].isoformat() if item.id in last else None,
                "source": body.get("source"),
                "seed": body.get("seed"),
                "parent": item.parent,
                "data_revision": item.data_revision,
                "code": body.get("code_hash"),
                "active": current is not None and current.experiment == item.id,
                "inputs": dict(current.inputs) if current is not None and current.experiment == item.id else None,
            }
        )
    if options.json:
        out_json({"experiments": rows})
        return
    if not rows:
        echo("No experiment yet: run `throughline demo`, or `throughline backtest` on your own data.")
        return
    head = ("", "experiment", "mode", "epoch", "last sealed day", "source", "seed", "parent")
    lines = [
        (
            "*" if row["active"] else "",
            row["id"][:12],
            row["mode"],
            row["epoch"] or "-",
            row["last_sealed_day"] or "-",
            (row["source"] or "-")[:12],
            "-" if row["seed"] is None else row["seed"],
            (row["parent"] or "-")[:12],
        )
        for row in rows
    ]
    echo(table([head, *lines], left=range(8), indent=""))
    echo("* the active experiment of its mode: the one that runs from the UI work on.")
