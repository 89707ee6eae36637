"""Figures of the registries themselves: how many entries, how well linked, under which roots, and the trades' results.

Belongs here: counts, sums and roots by SQL. Does not belong here: risk-adjusted figures (analytics), and whether hashes
and links hold (consistency).

Corrected trades count once, as corrected; what is in quarantine is counted, but enters no sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from throughline.catalogue import catalogue
from throughline.identity import seal_of
from throughline.registries import TRADES, linked_names, registries
from throughline.registry.quarantine import TABLES, quarantined_entries, quarantined_trades
from throughline.registry.reading import USABLE, usable

_CURRENT = "SELECT * FROM current_canonical_trades WHERE experiment = :experiment"
_GROUPS = {"by_strategy": "strategy_id", "by_symbol": "symbol", "by_termination_reason": "termination_reason"}
_SUMS = (
    "count(*) AS trades, count(*) FILTER (WHERE t.profit_usd > 0) AS wins, coalesce(sum(t.profit_usd), 0) AS profit, "
    "coalesce(sum(t.profit_usd) FILTER (WHERE t.profit_usd > 0), 0) AS gained, "
    "coalesce(sum(-t.profit_usd) FILTER (WHERE t.profit_usd < 0), 0) AS lost, avg(t.profit_percentage) AS percent, "
    "coalesce(sum(t.fees_usd), 0) AS fees, min(t.closed_at) AS first, max(t.closed_at) AS last"
)
_TRADES = f"FROM canonical_trades AS t WHERE t.experiment = :experiment AND {USABLE}"


def performance(connection: Connection, experiment: str) -> dict[str, Any]:
    """Return the results of an experiment's trades. USD net of costs; percent of the notional; rates in [0, 1].

    Keys: experiment, total_trades, winning_trades, success_rate, total_profit, mean_profit, mean_profit_percentage,
    total_fees, profit_factor (gains over losses), first_closed_at, last_closed_at, by_strategy, by_symbol,
    by_termination_reason (each name -> the first seven figures). None where there is nothing to divide.
    """
    parameters = {"experiment": experiment, **usable(None, quarantined_trades(connection))}
    whole = connection.execute(text(f"SELECT {_SUMS} {_TRADES}"), parameters).one()
    result: dict[str, Any] = {"experiment": experiment, **_figures(whole)}
    result |= {
        "first_closed_at": whole.first.isoformat() if whole.first else None,
        "last_closed_at": whole.last.isoformat() if whole.last else None,
    }
    for name, column in _GROUPS.items():
        statement = text(f"SELECT t.{column} AS name, {_SUMS} {_TRADES} GROUP BY t.{column} ORDER BY t.{column}")
        result[name] = {row.name: _figures(row) for row in connection.execute(statement, parameters)}
    return result


def _figures(row: Any) -> dict[str, Any]:
    trades = int(row.trades)
    return {
        "total_trades": trades,
        "winning_trades": int(row.wins),
        "success_rate": int(row.wins) / trades if trades else None,
        "total_profit": float(row.profit),
        "mean_profit": float(row.profit / trades) if trades else None,
        "mean_profit_percentage": float(row.percent) if trades else None,
        "total_fees": float(row.fees),
        "profit_factor": float(Decimal(row.gained) / Decimal(row.lost)) if row.lost else None,
    }


def registry_statistics(connection: Connection, experiment: str) -> dict[str, Any]:
    """Return how many entries there are, how well they are tied, under which roots, and what is in quarantine.

    Keys: experiment; canonical_trades, soulprints, profit_buckets (each entries, corrected: how many a correction
    replaced, root: the Merkle root over the content hashes of the others); linkage (registry -> linked, unlinked:
    trades whose entry is there under the hash they name, or not; backlinked, dangling: entries that name a trade which
    is there under the hash they name and names them, or not; coverage: linked over trades); the figures of each
    registry (`Registry.statistics`: soulprint_coverage, buckets); quarantine (registry -> entries in quarantine, of all
    experiments).
    """
    parameters = {"experiment": experiment}
    roots = {name: _entries(connection, name, parameters) for name in TABLES}
    waiting = quarantined_entries(connection)
    figures: dict[str, Any] = {}
    for name, registry in registries().items():
        figures |= registry.statistics(connection, experiment, _current_entries(name))
    return {
        "experiment": experiment,
        **roots,
        "linkage": {name: _linkage(connection, name, parameters) for name in linked_names()},
        **figures,
        "quarantine": {name: sum(item.table == name for item in waiting) for name in TABLES},
    }


def _current_entries(table: str) -> str:
    """SQL of the entries of the trades that no correction replaced."""
    if table == TRADES:
        return _CURRENT
    return (
        f"SELECT * FROM {table} AS e WHERE e.experiment = :experiment AND NOT EXISTS "
        "(SELECT 1 FROM canonical_trades AS later WHERE later.supersedes = e.canonical_uuid)"
    )


def _entries(connection: Connection, table: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    statement = text(f"SELECT content_hash FROM ({_current_entries(table)}) AS entry")
    hashes = list(connection.execute(statement, parameters).scalars())
    whole = connection.execute(text(f"SELECT count(*) FROM {table} WHERE experiment = :experiment"), parameters)
    return {"entries": len(hashes), "corrected": int(whole.scalar_one()) - len(hashes), "root": seal_of(hashes)}


def _named_by_trade(registry: str) -> str:
    """SQL of the hash under which ``canonical_trades AS t`` names its entry: a column where there is one."""
    path = f"specialized_hashes.{registry}"
    for column in catalogue().records[TRADES].columns:
        if column.source == path:
            return f"t.{column.name}"
    return f"(convert_from(t.body, 'UTF8')::jsonb #>> '{{{path.replace('.', ',')}}}')"


def _linkage(connection: Connection, table: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    named, name = _named_by_trade(table), registries()[table].identity
    there = (
        f"SELECT count(*) FILTER (WHERE EXISTS (SELECT 1 FROM {table} AS e WHERE e.canonical_uuid = t.uuid "
        f"AND e.canonical_hash = t.content_hash AND e.{name} = {named})), count(*) FROM ({_CURRENT}) AS t"
    )
    back = (
        "SELECT count(*) FILTER (WHERE EXISTS (SELECT 1 FROM canonical_trades AS t WHERE t.uuid = e.canonical_uuid "
        f"AND t.content_hash = e.canonical_hash AND {named} = e.{name})), count(*) "
        f"FROM ({_current_entries(table)}) AS e"
    )
    linked, trades = connection.execute(text(there), parameters).one()
    backlinked, entries = connection.execute(text(back), parameters).one()
    return {
        "linked": linked,
        "unlinked": trades - linked,
        "backlinked": backlinked,
        "dangling": entries - backlinked,
        "coverage": linked / trades if trades else None,
    }
