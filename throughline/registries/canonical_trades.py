"""The registry of closed trades: one entry per trade, keyed by the hash of everything that it says."""

from __future__ import annotations

from throughline.catalogue import Column, RecordKind, StageSpec, TableIndex

COMPARED = ("segment", "linked_registries", "notional_usd", "research.uuid", "execution.uuid")
"""Paths in the body that checks between entries read, beside those of columns."""

RECORD = RecordKind(
    table="canonical_trades",
    kind="canonical_trade",
    asset="canonical_trades",
    event_time="closed_at",
    parent="outcome",
    natural_key=("symbol", "action", "opened_at", "strategy_id", "entry_price", "amount"),
    links={
        "candidate": "candidates",
        "research": "research_docs",
        "execution": "executions",
        "outcome": "outcomes",
    },
    columns=(
        Column("candidate_uuid", "uuid", "candidate.uuid", nullable=True),
        Column("outcome_uuid", "uuid", "outcome.uuid", nullable=True),
        Column("symbol"),
        Column("action"),
        Column("strategy_id"),
        Column("model_version"),
        Column("opened_at", "instant"),
        Column("closed_at", "instant"),
        Column("entry_price", "money"),
        Column("exit_price", "money"),
        Column("amount", "money"),
        Column("fees_usd", "money"),
        Column("profit_usd", "money"),
        Column("profit_percentage", "number"),
        Column("termination_reason"),
        Column("soulprint", "text", "specialized_hashes.soulprints"),
        Column("pattern", "text", "specialized_hashes.profit_buckets"),
    ),
    versions={
        1: "action amount arm attrition_usd candidate chrono_resonance closed_at confidence costs_usd "
        "entry_price execution exit_price experiment fees_usd flags linked_registries market_context "
        "math_optimization model_hash model_version notional_usd opened_at outcome params_ptr partition "
        "profit_percentage profit_usd research segment signal_strength specialized_hashes strategy_id "
        "symbol temporal_warp termination_reason",
    },
    one_per_candidate=True,
    indexes=(TableIndex(("content_hash",)), TableIndex(("symbol",))),
)

STAGE = StageSpec(
    asset="canonical_trades",
    group="registry",
    description="One entry per trade that closed in the day, keyed by the SHA-256 of all of it, with its soulprint and "
    "its profit buckets written in the same transaction.",
    run="throughline.flow.registry:register_trades",
    upstream=("outcomes", "market_bars"),
    gate="hard",
)
