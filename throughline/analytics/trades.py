"""The closed trades and the daily equity of an experiment as data frames: for commands, tear sheets and notebooks.

Belongs here: reading the ledger into tables, and filters. Does not belong here: figures of a whole backtest
(performance), one trade's dossier (`throughline.dossier`), how a table is printed (cli).

Trades are those of the base path, the one that is in the ledger. A trade is named by the UUID of its candidate, which
`throughline trade`, `throughline proof` and the dossiers take.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, Table, select

from throughline.analytics.trade_filters import Filters as Filters
from throughline.errors import SettingsError
from throughline.experiment.choice import choose
from throughline.experiment.mode import default_mode
from throughline.storage import tables
from throughline.trading.types import PATHS

if TYPE_CHECKING:
    import pandas as pd

TEXTS = ("id", "instrument", "side", "reason", "flags", "strategy", "arm", "model")
TIMES = ("decision_time", "entry_time", "exit_time")
NUMBERS = (
    "entry_price",
    "exit_price",
    "quantity",
    "notional_usd",
    "fees_usd",
    "costs_usd",
    "pnl_usd",
    "pnl_low_usd",
    "pnl_high_usd",
    "return_percent",
    "hours",
)
COLUMNS = (
    "id",
    "instrument",
    "side",
    "decision_time",
    "entry_time",
    "entry_price",
    "exit_time",
    "exit_price",
    "quantity",
    "notional_usd",
    "fees_usd",
    "costs_usd",
    "pnl_usd",
    "pnl_low_usd",
    "pnl_high_usd",
    "return_percent",
    "hours",
    "reason",
    "flags",
    "strategy",
    "arm",
    "model",
)
"""Columns of a table of trades, in order.

id: UUID of the candidate. decision_time, entry_time, exit_time: UTC. entry_price, exit_price: USD (or the quote
currency of the archive), after spread and impact. quantity: units bought. notional_usd: entry_price x quantity.
fees_usd: fees of entry and exits. costs_usd: fees, spread and impact. pnl_usd: profit or loss after all costs;
pnl_low_usd, pnl_high_usd: its interval where the order within a bar is unknown. return_percent: pnl_usd in percent
of the notional. hours: time in market. reason: why it ended. flags: what is doubtful about it, separated by blanks.
strategy: the rule behind the candidate. arm: 'champion' or 'challenger'. model: ID of the deciding model, 'rule'
where none decided.
"""


def trades(
    experiment: str | None = None,
    *,
    mode: str | None = None,
    home: str | os.PathLike[str] | None = None,
    filters: Filters | None = None,
    exact: bool = False,
) -> pd.DataFrame:
    """Return the closed trades of an experiment, by exit time.

    Args:
        experiment: its ID, or the first 8 or more digits; None = the active experiment of `mode`.
        mode: whose active experiment is meant where none is given; None = the default mode (backtest).
        home: folder of the home; None = THROUGHLINE_HOME or the default.
        filters: which trades.
        exact: numbers and times as the ledger's own text instead of floats and UTC timestamps.

    Returns:
        One row a trade with the columns of `COLUMNS`.

    Raises:
        UnknownRecord: no experiment has this ID, or several do.
        SettingsError: the mode has no active experiment.
    """
    with _opened(home) as engine:
        chosen = choose(engine, None if experiment else mode or default_mode().name, experiment)
        with engine.connect() as connection:
            return read_trades(connection, chosen.experiment.id, filters, exact=exact)


def equity(
    experiment: str | None = None, *, mode: str | None = None, home: str | os.PathLike[str] | None = None
) -> pd.DataFrame:
    """Return the daily equity of an experiment on its three fill paths, in USD at the end of each day (UTC).

    Args, Raises: as `trades`. Returns one row a day, indexed by day, with the columns pessimistic, base, optimistic.
    """
    with _opened(home) as engine:
        chosen = choose(engine, None if experiment else mode or default_mode().name, experiment)
        with engine.connect() as connection:
            return read_equity(connection, chosen.experiment.id)


def read_trades(
    connection: Connection,
    experiment: str,
    filters: Filters | None = None,
    *,
    exact: bool = False,
    partitions: tuple[date, date] | None = None,
) -> pd.DataFrame:
    """Return the closed trades of an experiment (whole ID) on an open connection; see `trades`.

    partitions: first and last partition of the outcomes, both included. A trade belongs to the day in which its exit
    bar opens: where it ended at that bar's close, its exit time may be the midnight after that day.
    """
    import pandas as pd

    selected = filters or Filters()
    kept = [row for row in _rows(connection, experiment, partitions) if selected.match(row)]
    kept.sort(key=lambda row: (row["exit_time"], row["id"]))
    frame = pd.DataFrame(kept, columns=list(COLUMNS))
    return frame if exact else with_types(frame)


def with_types(exact: pd.DataFrame) -> pd.DataFrame:
    """Return an exact table of trades with floats and UTC timestamps in place of text."""
    import pandas as pd

    times = {name: pd.to_datetime(exact[name], utc=True, format="ISO8601") for name in TIMES}
    numbers = {name: pd.to_numeric(exact[name]).astype("float64") for name in NUMBERS}
    return exact.assign(**times, **numbers)


def read_equity(connection: Connection, experiment: str, *, exact: bool = False) -> pd.DataFrame:
    """Return the daily equity of an experiment (whole ID) on an open connection; see `equity`.

    exact: the ledger's decimal text instead of floats.
    """
    import pandas as pd

    source = tables.portfolio_states
    statement = _current(source, source.c.partition, source.c.body, experiment=experiment)
    days: dict[date, dict[str, str]] = {}
    for day, body in connection.execute(statement.order_by(source.c.partition)):
        paths = json.loads(body)["paths"]
        days[day] = {path: paths[path]["equity_usd"] for path in PATHS}
    frame = pd.DataFrame.from_dict(days, orient="index", columns=list(PATHS))
    frame.index = pd.DatetimeIndex(frame.index, name="day")
    return frame if exact else frame.astype("float64")


def sort_trades(frame: pd.DataFrame, column: str, *, descending: bool = False) -> pd.DataFrame:
    """Return a table of trades sorted by a column, numbers by value also where they are exact text.

    Rows without a value come last; equal ones keep their order. Raises SettingsError for an unknown column.
    """
    import pandas as pd

    if column not in frame.columns:
        raise SettingsError(f"a trade has no column '{column}': sort by one of {', '.join(map(str, frame.columns))}")
    key = pd.to_numeric if column in NUMBERS else None
    return frame.sort_values(column, ascending=not descending, kind="stable", na_position="last", key=key)


def _rows(connection: Connection, experiment: str, partitions: tuple[date, date] | None) -> Iterator[dict[str, Any]]:
    outcomes, executions, candidates = tables.outcomes, tables.executions, tables.candidates
    statement = _current(
        outcomes,
        outcomes.c.candidate_uuid,
        outcomes.c.body,
        executions.c.body,
        candidates.c.body,
        experiment=experiment,
    ).join_from(outcomes, executions, executions.c.uuid == outcomes.c.execution_uuid)
    statement = statement.join(candidates, candidates.c.uuid == outcomes.c.candidate_uuid)
    if partitions is not None:
        statement = statement.where(outcomes.c.partition.between(*partitions))
    for uuid, *bodies in connection.execute(statement):
        yield _row(str(uuid), *(json.loads(body) for body in bodies))


def _row(uuid: str, outcome: dict[str, Any], execution: dict[str, Any], candidate: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": uuid,
        "instrument": outcome["instrument"],
        "side": execution["side"],
        "decision_time": candidate["decision_time"],
        "entry_time": execution["fill_time"],
        "entry_price": execution["entry_price"],
        "exit_time": outcome["exit_time"],
        "exit_price": outcome["exit_price"],
        "quantity": execution["quantity"],
        "notional_usd": execution["notional_usd"],
        "fees_usd": outcome["fees_usd"],
        "costs_usd": outcome["costs_usd"],
        "pnl_usd": outcome["realized_pnl_usd"],
        "pnl_low_usd": outcome["pnl_low_usd"],
        "pnl_high_usd": outcome["pnl_high_usd"],
        "return_percent": outcome["realized_pnl_percent"],
        "hours": f"{outcome['time_in_market_seconds'] / 3600:.10g}",
        "reason": outcome["termination_reason"],
        "flags": " ".join(outcome["flags"]),
        "strategy": candidate["strategy"],
        "arm": candidate["arm"],
        "model": candidate["model_version"],
    }


def _current(table: Table, *columns: Any, experiment: str) -> Any:
    """Select columns of the records of an experiment that no later record supersedes."""
    later = table.alias("later")
    superseded = select(1).where(later.c.supersedes == table.c.uuid).exists()
    return select(*columns).where(table.c.experiment == experiment, ~superseded)


@contextmanager
def _opened(home: str | os.PathLike[str] | None) -> Iterator[Engine]:
    from throughline.registry.opening import open_configured
    from throughline.storage.home import Home

    database = open_configured(Home.locate(home))
    try:
        yield database.engine("reader")
    finally:
        database.close()
