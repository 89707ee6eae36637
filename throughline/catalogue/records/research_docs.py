"""Everything that was known about a candidate when it was decided, frozen."""

from __future__ import annotations

from throughline.catalogue.record import Column, RecordKind

RECORD = RecordKind(
    table="research_docs",
    kind="research_doc",
    asset="research_snapshots",
    event_time="decision_time",
    parent="candidate",
    links={"candidate": "candidates"},
    columns=(
        Column("candidate_uuid", "uuid", "candidate.uuid"),
        Column("initial_market_cap", "number", nullable=True),
        Column("volume_24h", "number", nullable=True),
        Column("contract_address", nullable=True),
        Column("trade_rationale"),
    ),
    versions={
        1: "candidate code_version configuration contract_address decision_time experiment "
        "initial_market_cap inputs instrument missing partition rugpull_heuristic_scores scan_row scores "
        "social_sentiment_scores trade_rationale verdicts volume_24h",
        2: "features signals",
    },
    one_per_candidate=True,
)
