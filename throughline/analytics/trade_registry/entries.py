"""What registry analytics read: the trades with their soulprints and buckets, coverage and linkage counts. SQL only.

Belongs here: which rows count as of an instant, and plain results. Does not belong here: figures (registry_figures and
its neighbours), and proof that nothing was changed (`throughline.registry.consistency`): linkage health here is a count
over columns.

Which rows count: the latest of each chain of corrections, without trades that are out of use. As of an instant a trade
counts from its closing time; a correction, from the end of the day it was made on: as in
`throughline.registry.reading`, which asks by instants alone; a report asks by partitions too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, FromClause, and_, cast, exists, func, or_, select, true
from sqlalchemy.dialects.postgresql import JSONB

from throughline.analytics.trade_registry.model import Coverage, Link
from throughline.signals import SOULPRINT_SCHEMA, vector_from_text
from throughline.storage.tables import canonical_trades, outcomes, profit_buckets, soulprints
from throughline.tracking.versions import read_body


@dataclass(frozen=True)
class Scope:
    """Which entries count.

    Args:
        experiment: its ID.
        as_of: those known at that aware instant.
        last_day: those of partitions up to it.
        quarantined: trades that are out of use, because they or one of their entries are in quarantine.
    """

    experiment: str
    as_of: datetime | None = None
    last_day: date | None = None
    quarantined: frozenset[UUID] = frozenset()

    def usable(self, trade: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return the condition that the trade whose uuid is in the column `trade` is not out of use."""
        return trade.not_in(self.quarantined) if self.quarantined else true()


@dataclass(frozen=True, slots=True)
class Trade:
    """One closed trade. decided_at: the decision, or the fill where there is no soulprint; known_at: from when its
    outcome can stand behind a later decision; net_return: a fraction of the notional; values: the soulprint,
    None without one of this schema; buckets: keys, empty without an entry."""

    uuid: str
    symbol: str
    strategy: str
    reason: str
    decided_at: datetime
    opened_at: datetime
    closed_at: datetime
    known_at: datetime
    profit_usd: Decimal
    net_return: float
    signal_strength: float | None
    confidence: float | None
    simhash: str | None
    values: dict[str, float | None] | None
    buckets: tuple[str, ...]

    @property
    def won(self) -> bool:
        """Whether the net profit is above zero."""
        return self.profit_usd > 0


def _known(scope: Scope, rows: FromClause, event: str) -> ColumnElement[bool]:
    """Rows of the experiment that count in the scope, superseded ones too."""
    conditions: list[ColumnElement[bool]] = [rows.c.experiment == scope.experiment]
    if scope.last_day is not None:
        conditions.append(rows.c.partition <= scope.last_day)
    if scope.as_of is not None:
        written_before = rows.c.partition < scope.as_of.astimezone(UTC).date()
        original = and_(rows.c.supersedes.is_(None), rows.c[event] <= scope.as_of)
        conditions.append(or_(original, and_(rows.c.supersedes.is_not(None), written_before)))
    return and_(*conditions)


def _latest(scope: Scope, rows: Any, event: str) -> ColumnElement[bool]:
    """`_known` rows that no `_known` correction replaces."""
    later = rows.alias("later")
    return and_(
        _known(scope, rows, event),
        ~exists(select(1).where(_known(scope, later, event), later.c.supersedes == rows.c.uuid)),
    )


def read_trades(connection: Connection, scope: Scope) -> list[Trade]:
    """Return the trades that count, in order of closing (then uuid). All of them are read into memory."""
    t, s, b = canonical_trades, soulprints, profit_buckets
    statement = (
        select(
            *(
                t.c[name]
                for name in ("uuid", "symbol", "strategy_id", "opened_at", "closed_at", "partition", "supersedes")
            ),
            *(t.c[name] for name in ("profit_usd", "profit_percentage", "termination_reason")),
            t.c.body.label("trade"),
            s.c.body.label("soulprint_body"),
            s.c.decision_time,
            s.c.schema,
            s.c.simhash,
            b.c.buckets,
        )
        .select_from(t)
        .outerjoin(s, s.c.canonical_uuid == t.c.uuid)
        .outerjoin(b, b.c.canonical_uuid == t.c.uuid)
        .where(_latest(scope, t, "closed_at"), scope.usable(t.c.uuid))
        .order_by(t.c.closed_at, t.c.uuid)
    )
    return [_trade(row) for row in connection.execute(statement)]


def _trade(row: Any) -> Trade:
    body = read_body("canonical_trades", row.trade)
    values = None
    if row.schema == SOULPRINT_SCHEMA:
        values = vector_from_text(read_body("soulprints", row.soulprint_body)["values"])
    known = row.closed_at
    if row.supersedes is not None:
        known = max(known, datetime.combine(row.partition, time(), UTC) + timedelta(days=1))
    return Trade(
        uuid=str(row.uuid),
        symbol=row.symbol,
        strategy=row.strategy_id,
        reason=row.termination_reason,
        decided_at=row.decision_time or row.opened_at,
        opened_at=row.opened_at.astimezone(UTC),
        closed_at=row.closed_at.astimezone(UTC),
        known_at=known,
        profit_usd=row.profit_usd,
        net_return=float(row.profit_percentage) / 100.0,
        signal_strength=_number(body["signal_strength"]),
        confidence=_number(body["confidence"]),
        simhash=row.simhash,
        values=values,
        buckets=tuple(row.buckets or ()),
    )


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def count_quarantined(connection: Connection, scope: Scope) -> int:
    """Return how many trades of the scope are out of use."""
    t = canonical_trades
    if not scope.quarantined:
        return 0
    known = _known(scope, t, "closed_at")
    statement = select(func.count()).select_from(t).where(known, t.c.uuid.in_(scope.quarantined))
    return int(connection.execute(statement).scalar_one())


def read_coverage(connection: Connection, scope: Scope, trades: list[Trade]) -> Coverage:
    """Return what is known of the scope's outcomes and of `trades`, which `read_trades` gave."""
    o, t = outcomes, canonical_trades
    entry = exists(select(1).where(t.c.outcome_uuid == o.c.uuid, scope.usable(t.c.uuid)))
    row = connection.execute(
        select(func.count(), func.count().filter(entry)).select_from(o).where(_latest(scope, o, "exit_time"))
    ).one()
    missing: dict[str, int] = {}
    for trade in trades:
        for name in (name for name, value in (trade.values or {}).items() if value is None):
            missing[name] = missing.get(name, 0) + 1
    return Coverage(
        outcomes=row[0],
        outcomes_with_trade=row[1],
        trades=len(trades),
        with_soulprint=sum(trade.values is not None for trade in trades),
        with_simhash=sum(trade.simhash is not None for trade in trades),
        with_known_bucket=sum(any(not key.endswith("|unknown") for key in trade.buckets) for trade in trades),
        missing=dict(sorted(missing.items())),
    )


def _link(
    connection: Connection,
    source: Any,
    counted: ColumnElement[bool],
    target: Any,
    partner: ColumnElement[bool],
    agrees: ColumnElement[bool],
) -> Link:
    """Count one direction. counted: rows of the source; partner: two rows name each other; agrees: by hash too."""
    there = exists(select(1).where(partner))
    whole = exists(select(1).where(partner, agrees))
    counts = (
        func.count(),
        func.count().filter(whole),
        func.count().filter(~there),
        func.count().filter(there & ~whole),
    )
    return Link(source.name, target.name, *connection.execute(select(*counts).select_from(source).where(counted)).one())


def read_links(connection: Connection, scope: Scope) -> list[Link]:
    """Return the health of each linkage, in both directions, corrections and what they replaced included.

    Trades that are out of use are not counted, nor are their entries; as partner of an outcome they are missing. Trades
    written by hand name no outcome, so they are counted towards their entries only.
    """
    t, o = canonical_trades, outcomes
    trades = and_(_known(scope, t, "closed_at"), scope.usable(t.c.uuid))
    links = []
    for table, mark in ((soulprints, "soulprint"), (profit_buckets, "pattern")):
        named = table.c.canonical_uuid == t.c.uuid
        agrees = and_(table.c.canonical_hash == t.c.content_hash, table.c[mark] == t.c[mark])
        # An entry is known when its trade is; one whose trade is not there at all is always counted.
        mine = t.alias("mine")
        known = exists(select(1).where(mine.c.uuid == table.c.canonical_uuid, _known(scope, mine, "closed_at")))
        lost = ~exists(select(1).where(mine.c.uuid == table.c.canonical_uuid))
        entries = and_(table.c.experiment == scope.experiment, known | lost, scope.usable(table.c.canonical_uuid))
        links.append(_link(connection, t, trades, table, named, agrees))
        links.append(_link(connection, table, entries, t, named, agrees))
    named = t.c.outcome_uuid == o.c.uuid
    agrees = cast(func.convert_from(t.c.body, "UTF8"), JSONB)["outcome"]["hash"].astext == o.c.content_hash
    links.append(_link(connection, t, and_(trades, t.c.outcome_uuid.is_not(None)), o, named, agrees))
    ended = _known(scope, o, "exit_time")
    links.append(_link(connection, o, ended, t, and_(named, scope.usable(t.c.uuid)), agrees))
    return links
