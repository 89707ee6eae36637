"""The registry of profit buckets: the cells of similar decisions that a trade lies in, won or lost."""

from __future__ import annotations

from throughline.catalogue import Column, RecordKind, StageSpec, TableIndex

RECORD = RecordKind(
    table="profit_buckets",
    kind="profit_bucket_entry",
    asset="profit_buckets",
    event_time="closed_at",
    parent="canonical",
    natural_key=("schema",),
    links={"canonical": "canonical_trades"},
    computed_from=("soulprints",),
    columns=(
        Column("canonical_uuid", "uuid", "canonical.uuid"),
        Column("canonical_hash", "text", "canonical.hash"),
        Column("pattern"),
        Column("buckets", "texts"),
        Column("closed_at", "instant"),
        Column("max_favorable_percent", "number", nullable=True),
        Column("max_adverse_percent", "number", nullable=True),
    ),
    versions={
        1: "buckets canonical closed_at exits experiment max_adverse_percent max_favorable_percent partition "
        "pattern schema soulprint",
    },
    indexes=(TableIndex(("buckets",), method="gin"), TableIndex(("canonical_uuid",), unique=True)),
)

STAGE = StageSpec(
    asset="profit_buckets",
    group="registry",
    description="The cells of similar decisions that each of the day's trades lies in, wins and losses alike.",
    run="throughline.flow.registry:check_profit_buckets",
    upstream=("canonical_trades",),
    written_by="canonical_trades",
    gate="hard",
)
