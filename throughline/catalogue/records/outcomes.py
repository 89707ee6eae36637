"""How an execution ended: exit, return, time in the market and termination reason."""

from __future__ import annotations

from throughline.catalogue.record import Column, RecordKind

RECORD = RecordKind(
    table="outcomes",
    kind="outcome",
    asset="outcomes",
    event_time="exit_time",
    parent="execution",
    links={"candidate": "candidates", "execution": "executions"},
    columns=(
        Column("candidate_uuid", "uuid", "candidate.uuid"),
        Column("execution_uuid", "uuid", "execution.uuid"),
        Column("exit_time", "instant"),
        Column("exit_price", "money"),
        Column("realized_pnl_usd", "money"),
        Column("realized_pnl_percent", "number"),
        Column("time_in_market_seconds", "big_integer"),
        Column("termination_reason"),
    ),
    versions={
        1: "ambiguous attrition_usd candidate costs_usd execution exit_bar_open exit_price exit_time "
        "experiment fees_usd flags gross_pnl_usd instrument label partition pnl_high_usd pnl_low_usd "
        "realized_pnl_percent realized_pnl_usd segment termination_reason time_in_market_seconds",
    },
    one_per_candidate=True,
)
