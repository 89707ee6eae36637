"""`registry_analytics`: what the registries of an experiment add up to, in one value.

Belongs here: putting the parts together. Reads the registries and the experiment's configuration, writes nothing.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Connection

from throughline.analytics.trade_registry.entries import (
    Scope,
    count_quarantined,
    read_coverage,
    read_links,
    read_trades,
)
from throughline.analytics.trade_registry.evidence import bucket_effectiveness, neighbour_agreement
from throughline.analytics.trade_registry.groups import (
    by_hour,
    by_weekday,
    figures_by,
    group_figures,
    risk_by_strategy,
    risk_figures,
)
from throughline.analytics.trade_registry.model import RegistryAnalytics
from throughline.analytics.trade_registry.soulprints import canonical_correlations, soulprint_figures
from throughline.errors import UnknownRecord
from throughline.registry.quarantine import quarantined_trades
from throughline.storage.queries import read_experiment


def registry_analytics(
    connection: Connection, experiment: str, as_of: datetime | None = None, *, last_day: date | None = None
) -> RegistryAnalytics:
    """Return the analytics of all closed trades of `experiment`, from its epoch on.

    Args:
        connection: may read the registries.
        experiment: its ID.
        as_of: an aware instant; entries known later are left out (a correction is known from the end of the day it was
            made on).
        last_day: entries of later partitions are left out, as a report over days needs it: a trade that closed at
            midnight belongs to the day that its exit bar opens.

    Returns:
        The figures; without trades every part has a note.

    Raises:
        UnknownRecord: the experiment is not recorded.
    """
    cash = _starting_cash(connection, experiment)
    scope = Scope(experiment, as_of, last_day, quarantined_trades(connection))
    trades = read_trades(connection, scope)
    hours, hours_test = by_hour(trades)
    weekdays, weekdays_test = by_weekday(trades)
    return RegistryAnalytics(
        experiment=experiment,
        as_of=as_of,
        entry_days=len({trade.opened_at.date() for trade in trades}),
        quarantined=count_quarantined(connection, scope),
        total=group_figures("all trades", trades),
        risk=risk_figures(trades, cash),
        strategies=figures_by(trades, lambda trade: (trade.strategy,)),
        strategy_risk=risk_by_strategy(trades, cash),
        hours=hours,
        hours_test=hours_test,
        weekdays=weekdays,
        weekdays_test=weekdays_test,
        reasons=figures_by(trades, lambda trade: (trade.reason,)),
        buckets=figures_by(trades, lambda trade: trade.buckets),
        effectiveness=bucket_effectiveness(trades),
        soulprints=soulprint_figures(trades),
        canonical=canonical_correlations(trades),
        neighbours=neighbour_agreement(trades),
        coverage=read_coverage(connection, scope, trades),
        links=read_links(connection, scope),
    )


def _starting_cash(connection: Connection, experiment: str) -> Decimal | None:
    """Return the starting cash in USD of the experiment's configuration; None where trades are written by hand."""
    stored = read_experiment(connection, experiment)
    if stored is None:
        raise UnknownRecord(f"experiment {experiment[:12]} is not recorded here: `throughline experiments` lists them")
    sizing = json.loads(stored.body).get("configuration", {}).get("sizing", {})
    return Decimal(str(sizing["small_fund_usd"])) if "small_fund_usd" in sizing else None
