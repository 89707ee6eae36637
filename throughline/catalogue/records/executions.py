"""An entry that was taken: order, fill, size and costs."""

from __future__ import annotations

from throughline.catalogue.record import Column, RecordKind

RECORD = RecordKind(
    table="executions",
    kind="execution",
    asset="executions",
    event_time="fill_time",
    parent="research",
    natural_key=("order_id",),
    links={"candidate": "candidates", "research": "research_docs"},
    columns=(
        Column("candidate_uuid", "uuid", "candidate.uuid"),
        Column("research_uuid", "uuid", "research.uuid"),
        Column("order_id"),
        Column("instrument"),
        Column("side"),
        Column("fill_time", "instant"),
        Column("entry_price", "money"),
        Column("quantity", "money"),
        Column("notional_usd", "money"),
        Column("fee_usd", "money"),
    ),
    versions={
        1: "candidate entry_price experiment fee_usd fill_bar_open fill_time impact_cost_usd instrument "
        "latency_ms notional_usd order_id partial participation partition quantity raw_price research "
        "segment side slippage spread_cost_usd",
    },
    optional="latency_metrics",
    one_per_candidate=True,
)
