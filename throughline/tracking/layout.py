"""Which asset seals which tables, what each asset stands on, and which records name which others. Data only."""

from __future__ import annotations

from collections.abc import Mapping

ASSET_TABLES: Mapping[str, tuple[str, ...]] = {
    "market_scan": ("market_scans",),
    "trade_candidates": ("candidates",),
    "research_snapshots": ("research_docs",),
    "portfolio_state": ("dispositions", "portfolio_states"),
    "executions": ("executions",),
    "outcomes": ("outcomes",),
    "shadow_outcomes": ("shadow_outcomes",),
    "trade_features": ("trade_features",),
    "canonical_trades": ("canonical_trades",),
    "soulprints": ("soulprints",),
    "profit_buckets": ("profit_buckets",),
}
"""Asset -> ledger tables whose rows its seal is made of. `market_bars` seals the lines of an artifact instead."""

BARS = "market_bars"
SESSION = "portfolio_state"
LOG = "registry_seals"
"""The asset that writes the day's seals to the seal log; its own seal is over theirs."""
REGISTRIES = ("canonical_trades", "soulprints", "profit_buckets")
"""The assets of the registries, whose rows one transaction writes and their own assets seal."""
UPSTREAM: Mapping[str, tuple[str, ...]] = {
    BARS: (),
    "market_scan": (BARS,),
    "trade_candidates": ("market_scan",),
    "research_snapshots": ("trade_candidates", BARS),
    SESSION: (BARS, "trade_candidates", "research_snapshots"),
    "executions": (SESSION,),
    "outcomes": (SESSION, "executions"),
    "shadow_outcomes": (SESSION,),
    "trade_features": ("outcomes", "shadow_outcomes"),
    "canonical_trades": ("outcomes",),
    "soulprints": ("canonical_trades",),
    "profit_buckets": ("canonical_trades",),
    LOG: ("trade_features", "soulprints", "profit_buckets"),
}
"""Asset -> assets whose same day must be sealed before."""

BLOCKABLE = ("market_scan", "trade_candidates", "research_snapshots")
"""Assets whose day is blocked (zero rows) where an asset upstream failed its gate or is itself blocked."""

WRITTEN_BEFORE: Mapping[str, str] = {
    "executions": SESSION,
    "outcomes": SESSION,
    "soulprints": "canonical_trades",
    "profit_buckets": "canonical_trades",
}
"""Asset -> the asset whose transaction writes its rows before it seals them."""

LINKS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "market_scans": (),
    "candidates": (("scan", "market_scans"),),
    "research_docs": (("candidate", "candidates"),),
    "dispositions": (("candidate", "candidates"),),
    "executions": (("candidate", "candidates"), ("research", "research_docs")),
    "outcomes": (("candidate", "candidates"), ("execution", "executions")),
    "shadow_outcomes": (("candidate", "candidates"),),
    "portfolio_states": (("previous", "portfolio_states"),),
    "trade_features": (
        ("candidate", "candidates"),
        ("research", "research_docs"),
        ("shadow", "shadow_outcomes"),
        ("outcome", "outcomes"),
    ),
    "canonical_trades": (
        ("candidate", "candidates"),
        ("research", "research_docs"),
        ("execution", "executions"),
        ("outcome", "outcomes"),
    ),
    "soulprints": (("canonical", "canonical_trades"),),
    "profit_buckets": (("canonical", "canonical_trades"),),
}
"""Table -> (body key of a {uuid, hash} reference, table it points to)."""

TABLE_ASSET: Mapping[str, str] = {table: asset for asset, tables in ASSET_TABLES.items() for table in tables}
