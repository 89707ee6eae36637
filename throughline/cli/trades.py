"""`throughline trades` and `equity`: the closed trades and the daily equity of an experiment, listed and exported.

Belongs here: options, files and the printed table. Does not belong here: the reading (`throughline.analytics.trades`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from throughline.cli.model_choice import choose_experiment, which
from throughline.cli.options import Options, common
from throughline.cli.screen import echo, note, out_json
from throughline.cli.trade_options import filter_options
from throughline.errors import SettingsError, shown
from throughline.rendering.formats import amount, minute, percent_points, words
from throughline.rendering.table import Table
from throughline.user_files import write_file

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Connection

    from throughline.analytics.trade_filters import Filters
    from throughline.experiment.identity import Experiment

_SHOWN = 50
"""So many trades are printed where no --limit is given; files and --json always have all of them."""
_ALIKE = 0.6
"""Names of at least this similarity (difflib's ratio) are offered as what was meant."""


@click.command(short_help="List, filter and export the closed trades.")
@filter_options
@click.option(
    "--sort",
    "column",
    metavar="COLUMN",
    default="exit_time",
    show_default=True,
    help="Sort by this column; -COLUMN sorts in descending order.",
)
@click.option(
    "--limit", type=click.IntRange(min=1), help=f"Show at most this many (default: all; {_SHOWN} are printed)."
)
@click.option("--csv", "csv_file", metavar="FILE", help="Write CSV with the ledger's exact decimals ('-': to stdout).")
@click.option("--parquet", "parquet_file", metavar="FILE", help="Write Parquet with 64-bit floats and UTC timestamps.")
@which
@common
def trades(
    options: Options,
    filters: Filters,
    column: str,
    limit: int | None,
    csv_file: str | None,
    parquet_file: str | None,
    mode: str,
    experiment: str | None,
) -> int:
    """List the closed trades of an experiment (base path); `throughline trade ID` prints the dossier of one.

    The ID of a trade is the UUID of its candidate. Columns to sort by: id, instrument, side, decision_time, entry_time,
    exit_time, entry_price, exit_price, quantity, notional_usd, fees_usd, costs_usd, pnl_usd, pnl_low_usd, pnl_high_usd,
    return_percent, hours, reason, flags, strategy, arm, model.
    """
    from throughline.analytics.trades import read_trades, sort_trades

    _refuse_two_answers(options, csv_file)
    if filters.since is not None and filters.until is not None and filters.until < filters.since:
        raise SettingsError(f"--to {filters.until} lies before --from {filters.since}: no trade can match")
    with options.open() as (database, _):
        engine = database.engine("reader")
        meant = choose_experiment(engine, mode, experiment)
        with engine.connect() as connection:
            _refuse_unknown(connection, meant.id, filters)
            exact = read_trades(connection, meant.id, filters, exact=True)
    exact = sort_trades(exact, column.removeprefix("-"), descending=column.startswith("-"))
    total = len(exact)
    exact = exact if limit is None else exact.head(limit)
    if csv_file is not None:
        write_csv(exact, csv_file)
    if parquet_file is not None:
        _write_parquet(exact, parquet_file)
    if options.json:
        out_json({"experiment": meant.id, "mode": meant.mode, "matching": total, "trades": records(exact)})
    elif csv_file is None and parquet_file is None:
        echo(_listing(meant, exact, total, limit))
    else:
        for name in (csv_file, parquet_file):
            if name is not None and name != "-":
                note(f"{name}: {len(exact):,} trades of experiment {meant.id[:12]}")
    return 0


@click.command(short_help="Print or export the daily equity of the three paths.")
@click.option("--csv", "csv_file", metavar="FILE", help="Write CSV with the ledger's exact decimals ('-': to stdout).")
@which
@common
def equity(options: Options, csv_file: str | None, mode: str, experiment: str | None) -> int:
    """Print the equity of an experiment at the end of each day (UTC), in USD, on its three fill paths."""
    _refuse_two_answers(options, csv_file)
    from throughline.analytics.trades import read_equity

    with options.open() as (database, _):
        engine = database.engine("reader")
        meant = choose_experiment(engine, mode, experiment)
        with engine.connect() as connection:
            frame = read_equity(connection, meant.id, exact=True).reset_index()
    frame["day"] = frame["day"].dt.strftime("%Y-%m-%d")
    if csv_file is not None:
        write_csv(frame, csv_file)
    if options.json:
        out_json({"experiment": meant.id, "mode": meant.mode, "equity": records(frame)})
    elif csv_file is None:
        rows = [(row[0], *map(amount, row[1:])) for row in frame.itertuples(index=False)]
        echo(Table(tuple(frame.columns), rows).text(""))
    elif csv_file != "-":
        note(f"{csv_file}: {len(frame):,} days of experiment {meant.id[:12]}")
    return 0


def _refuse_two_answers(options: Options, csv_file: str | None) -> None:
    """Raise SettingsError where CSV and JSON would both go to stdout: neither could be read there."""
    if options.json and csv_file == "-":
        raise SettingsError("--json and --csv - both write to stdout: leave one out, or give --csv a file")


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of an exact table as JSON objects; a value that is not there is null."""
    result: list[dict[str, Any]] = json.loads(frame.to_json(orient="records"))
    return result


def write_csv(frame: pd.DataFrame, file: str) -> None:
    """Write a table as CSV to a file, or to stdout for '-'. Raises SettingsError where it cannot be written."""
    text = frame.to_csv(index=False, lineterminator="\n")
    if file == "-":
        echo(text.removesuffix("\n"))
        return
    write_file(file, text.encode("utf-8"), "--csv")


def _write_parquet(exact: pd.DataFrame, file: str) -> None:
    from throughline.analytics.trades import with_types

    if file == "-":
        raise SettingsError("--parquet writes a file and not to stdout: give the file's path")
    write_file(file, with_types(exact).to_parquet(index=False), "--parquet")


def _refuse_unknown(connection: Connection, experiment: str, filters: Filters) -> None:
    """Raise SettingsError where a filter names something that no trade of the experiment has, with what there is."""
    from throughline.analytics.trades import read_trades

    asked = {
        "instrument": filters.instruments,
        "reason": filters.reasons,
        "flag": () if filters.flag is None else (filters.flag,),
    }
    if not any(asked.values()):
        return
    every = read_trades(connection, experiment, exact=True)
    if every.empty:
        return
    present = {
        "instrument": sorted(set(every["instrument"])),
        "reason": sorted(set(every["reason"])),
        "flag": sorted({word for words in every["flags"] for word in str(words).split()}),
    }
    for what, names in asked.items():
        known = present[what]
        for name in names:
            if name in known:
                continue
            near = _nearest(name, known)
            hint = f"did you mean '{near}'?" if near else f"there is {', '.join(known[:8]) or 'none'}"
            more = f" and {len(known) - 8} more" if near is None and len(known) > 8 else ""
            raise SettingsError(f"no closed trade of this experiment has the {what} {shown(name)}: {hint}{more}")


def _nearest(name: str, known: Sequence[str]) -> str | None:
    """Return what a name was probably meant to be: equal but for case and separators, else one that is spelled alike.

    A quote currency that both have is left out of the comparison: ``BTC/USDT`` is not spelled like ``PNT/USDT``.
    """
    from difflib import SequenceMatcher

    def plain(text: str) -> str:
        return "".join(letter for letter in text.casefold() if letter.isalnum())

    def alike(other: str) -> float:
        base, separator, quote = name.casefold().rpartition("/")
        ending = f"{separator}{quote}" if separator and other.casefold().endswith(f"/{quote}") else ""
        return SequenceMatcher(None, base if ending else name.casefold(), other.casefold().removesuffix(ending)).ratio()

    same = [other for other in known if plain(other) == plain(name)]
    if same:
        return same[0]
    best = max(known, key=alike, default=None)
    return best if best is not None and alike(best) >= _ALIKE else None


def _listing(experiment: Experiment, frame: pd.DataFrame, total: int, limit: int | None) -> str:
    shown = frame if limit is not None else frame.head(_SHOWN)
    head = ("id", "instrument", "entry (UTC)", "exit (UTC)", "notional $", "pnl $", "return", "ended by", "flags")
    rows = [
        (
            row["id"],
            row["instrument"],
            minute(row["entry_time"]),
            minute(row["exit_time"]),
            amount(row["notional_usd"]),
            amount(row["pnl_usd"]),
            percent_points(row["return_percent"]),
            words(row["reason"]),
            row["flags"],
        )
        for row in shown.to_dict("records")
    ]
    title = f"Experiment {experiment.id[:12]} ({experiment.mode}): {total:,} closed trades match"
    if not rows:
        return f"Experiment {experiment.id[:12]} ({experiment.mode}): no closed trade matches."
    more = total - len(rows)
    tail = f"\n... and {more:,} more: --limit N, --csv FILE or --json" if more else ""
    return f"{title}\n{Table(head, rows, left=(0, 1, 2, 3, 7, 8)).text('')}{tail}"
