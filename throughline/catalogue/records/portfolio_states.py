"""Positions, timers and cash on the three fill paths at the end of a day."""

from __future__ import annotations

from throughline.catalogue.record import Column, RecordKind

RECORD = RecordKind(
    table="portfolio_states",
    kind="portfolio_state",
    asset="portfolio_state",
    event_time="as_of",
    parent="previous",
    links={"previous": "portfolio_states"},
    columns=(
        Column("previous_uuid", "uuid", "previous.uuid", nullable=True),
        Column("as_of", "instant"),
        Column("cash_usd", "money", "paths.base.cash_usd"),
        Column("equity_usd", "money", "paths.base.equity_usd"),
        Column("open_positions", "integer"),
    ),
    versions={
        1: "as_of blocked experiment open_positions partition paths previous",
    },
)
