"""What a report reads from the ledger: counts, daily states and seals of a range of one experiment.

Belongs here: SQL and its plain results. Does not belong here: figures (performance) and sentences (sentences).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Table, func, select

from throughline.analytics.exposure import Stakes, stakes_of
from throughline.errors import MissingPredecessor
from throughline.identity import merkle_root, parse_time, time_to_ms
from throughline.storage import tables
from throughline.tracking.versions import read_body
from throughline.trading.types import PATHS


@dataclass(frozen=True)
class PathDays:
    """One path, day by day.

    Args:
        equity: at day ends, USD.
        cash: at day ends, USD.
        open_counts: numbers of open positions at day ends.
        pnl: net profit of each closed trade, USD.
        starting: equity before the first day, USD.
        stakes: the positions that were open at some time.
    """

    equity: Sequence[float]
    cash: Sequence[float]
    open_counts: Sequence[int]
    pnl: Sequence[float]
    starting: float
    stakes: Stakes


@dataclass(frozen=True)
class LedgerRange:
    """Everything a report takes from the ledger. candidates: their number; ambiguous: trades whose bar touched both
    barriers; doubtful: bodies of the outcomes that crossed a doubtful price jump; unlabelled: ends that are no labels
    for that reason, shadows included; last: the body of the last portfolio state; data_notes: as in `Report`."""

    days: Sequence[date]
    paths: Mapping[str, PathDays]
    last: Mapping[str, Any]
    candidates: int
    reasons: Mapping[str, int]
    dispositions: Mapping[str, int]
    ambiguous: int
    doubtful: Sequence[Mapping[str, Any]]
    unlabelled: int
    funnel: Sequence[Mapping[str, Any]]
    bars: int
    quarantined: Mapping[str, int]
    blocked: Sequence[Mapping[str, Any]]
    bars_blocked: frozenset[date]
    seals: Mapping[str, str]
    data_notes: Mapping[str, Any]


def range_root(roots: Mapping[date, str]) -> str:
    """Return the root of an asset over a range: the Merkle root whose leaves are ``date NUL root`` of each day.

    The leaf is the ISO date, a NUL and the 32 raw bytes of the day's seal; leaves are ordered by bytes, that is by day.
    """
    return merkle_root(day.isoformat().encode() + b"\0" + bytes.fromhex(root) for day, root in roots.items())


def read_range(connection: Connection, experiment: str, cash: float, start: date, end: date) -> LedgerRange:
    """Read [start, end]. cash: the experiment's starting cash. MissingPredecessor for a day without a session."""
    range_days = [start + timedelta(days=k) for k in range((end - start).days + 1)]
    states = _states(connection, experiment, start - timedelta(days=1), end)
    missing = next((day for day in range_days if day not in states), None)
    if missing is not None:
        raise MissingPredecessor(
            f"portfolio_state of {missing} is not there in experiment {experiment[:12]}: materialise the range first"
        )
    before = states.get(start - timedelta(days=1))
    seals = _seals(connection, experiment, start, end)
    blocked = _blocked(connection, experiment, start, end, seals)
    outcomes = _bodies(connection, tables.outcomes, experiment, start, end)
    quarantined: Counter[str] = Counter()
    for details in _details(seals, "market_bars"):
        quarantined.update(details.get("quarantined", {}))
    decided = _decided(connection, experiment)
    return LedgerRange(
        days=range_days,
        paths={path: _path(path, [states[day] for day in range_days], before, cash, decided) for path in PATHS},
        last=states[end],
        candidates=_count(connection, tables.candidates, experiment, start, end),
        reasons=dict(sorted(Counter(body["termination_reason"] for body in outcomes).items())),
        dispositions=_dispositions(connection, experiment, start, end),
        ambiguous=sum(bool(body["ambiguous"]) for body in outcomes),
        doubtful=[body for body in outcomes if "doubtful_jump" in body["flags"]],
        unlabelled=sum(details.get("doubtful_jump", 0) for details in _details(seals, "trade_features")),
        funnel=_funnel(_details(seals, "market_scan")),
        bars=sum(details.get("bars", 0) for details in _details(seals, "market_bars")),
        quarantined=dict(sorted(quarantined.items())),
        blocked=blocked,
        bars_blocked=frozenset(date.fromisoformat(row["day"]) for row in blocked if row["asset"] == "market_bars"),
        seals=_range_roots(seals),
        data_notes=_data_notes(_details(seals, "market_bars")),
    )


def _data_notes(days: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "untraded": sum(day.get("untraded", 0) for day in days),
        "doubtful_jumps": [note for day in days for note in day.get("doubtful_jumps", ())],
        "corporate_actions": [note for day in days for note in day.get("corporate_actions", ())],
    }


def _current(table: Table, experiment: str, start: date, end: date, *columns: Any) -> Any:
    """Select `columns` of the records of a range that no later record supersedes, by UUID."""
    later = table.alias("later")
    return (
        select(*columns)
        .where(table.c.experiment == experiment, table.c.partition.between(start, end))
        .where(~select(1).where(later.c.supersedes == table.c.uuid).exists())
        .order_by(table.c.uuid)
    )


def _bodies(connection: Connection, table: Table, experiment: str, start: date, end: date) -> list[dict[str, Any]]:
    return [
        read_body(table.name, body)
        for body in connection.execute(_current(table, experiment, start, end, table.c.body)).scalars()
    ]


def _count(connection: Connection, table: Table, experiment: str, start: date, end: date) -> int:
    current = _current(table, experiment, start, end, table.c.uuid).order_by(None).subquery()
    return int(connection.execute(select(func.count()).select_from(current)).scalar_one())


def _states(connection: Connection, experiment: str, start: date, end: date) -> dict[date, dict[str, Any]]:
    table = tables.portfolio_states
    rows = connection.execute(_current(table, experiment, start, end, table.c.partition, table.c.body))
    return {partition: read_body(table.name, body) for partition, body in rows}


def _decided(connection: Connection, experiment: str) -> dict[str, int]:
    """Return candidate -> the instant of its decision, Unix ms."""
    table = tables.candidates
    rows = connection.execute(select(table.c.uuid, table.c.decision_time).where(table.c.experiment == experiment))
    return {str(uuid): time_to_ms(at) for uuid, at in rows}


def _stakes(states: Sequence[Mapping[str, Any]], decided: Mapping[str, int]) -> Stakes:
    """Return the positions that the states of a path's days close, and those that the last one holds.

    A closed line holds the gain in USD and in percent of what was paid, hence what was paid (a gain of exactly
    nothing does not say it, and counts as nothing paid). Entries fill on the bar that opens at their decision.
    """
    rows = []
    for line in (line for state in states for line in state["closed"]):
        percent = float(line["return_percent"])
        paid = 100.0 * float(line["net_pnl_usd"]) / percent if percent else 0.0
        rows.append((decided[line["candidate"]], time_to_ms(parse_time(line["exit_time"])), paid))
    open_positions = states[-1]["positions"]
    return stakes_of(rows).with_open(
        (time_to_ms(parse_time(item["entry_time"])), float(item["notional"])) for item in open_positions
    )


def _path(
    path: str,
    states: Sequence[Mapping[str, Any]],
    before: Mapping[str, Any] | None,
    cash: float,
    decided: Mapping[str, int],
) -> PathDays:
    daily = [state["paths"][path] for state in states]
    return PathDays(
        equity=[float(item["equity_usd"]) for item in daily],
        cash=[float(item["cash_usd"]) for item in daily],
        open_counts=[len(item["positions"]) for item in daily],
        pnl=[float(line["net_pnl_usd"]) for item in daily for line in item["closed"]],
        starting=float(before["paths"][path]["equity_usd"]) if before else cash,
        stakes=_stakes(daily, decided),
    )


def _seals(connection: Connection, experiment: str, start: date, end: date) -> list[Mapping[str, Any]]:
    c = tables.partition_seals.c
    statement = select(tables.partition_seals).where(c.experiment == experiment, c.partition.between(start, end))
    return [dict(row) for row in connection.execute(statement.order_by(c.asset.collate("C"), c.partition)).mappings()]


def _details(seals: Sequence[Mapping[str, Any]], asset: str) -> list[dict[str, Any]]:
    return [json.loads(seal["details"]) for seal in seals if seal["asset"] == asset]


def _range_roots(seals: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    by_asset: dict[str, dict[date, str]] = {}
    for seal in seals:
        by_asset.setdefault(seal["asset"], {})[seal["partition"]] = seal["root"]
    return {asset: range_root(roots) for asset, roots in by_asset.items()}


def _funnel(details: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    total: dict[str, dict[str, Any]] = {}
    for item in details:
        for line in item.get("funnel", ()):
            sums = total.setdefault(line["filter"], {"filter": line["filter"], "seen": 0, "removed": 0, "missing": 0})
            for name in ("seen", "removed", "missing"):
                sums[name] += line[name]
    return list(total.values())


def _dispositions(connection: Connection, experiment: str, start: date, end: date) -> dict[str, int]:
    table = tables.dispositions
    current = _current(table, experiment, start, end, table.c.disposition).order_by(None).subquery()
    rows = connection.execute(select(current.c.disposition, func.count()).group_by(current.c.disposition))
    return dict(sorted((str(word), int(count)) for word, count in rows))


def _blocked(
    connection: Connection, experiment: str, start: date, end: date, seals: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return what blocked which day: failed verdicts, and causes that seals name, each once, by day."""
    c = tables.gate_verdicts.c
    statement = select(c.partition, c.asset, c.failures).where(
        c.experiment == experiment, c.partition.between(start, end), c.passed.is_(False)
    )
    causes: dict[tuple[date, str, str], int] = {}
    for day, asset, failures in connection.execute(statement):
        for failure in json.loads(failures):
            causes[day, asset, failure["rule"]] = failure["rows"]
    for seal in seals:
        cause = json.loads(seal["blocked_by"]) if seal["blocked_by"] else None
        if cause:
            causes.setdefault((seal["partition"], cause["asset"], cause["rule"]), cause["rows"])
    return [
        {"day": day.isoformat(), "asset": asset, "rule": rule, "rows": rows}
        for (day, asset, rule), rows in sorted(causes.items())
    ]
