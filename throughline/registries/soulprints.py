"""The registry of soulprints: what the market looked like when a trade was decided."""

from __future__ import annotations

from throughline.catalogue import Column, RecordKind, StageSpec, TableIndex

RECORD = RecordKind(
    table="soulprints",
    kind="soulprint",
    asset="soulprints",
    event_time="decision_time",
    parent="canonical",
    natural_key=("schema",),
    links={"canonical": "canonical_trades"},
    columns=(
        Column("canonical_uuid", "uuid", "canonical.uuid"),
        Column("canonical_hash", "text", "canonical.hash"),
        Column("soulprint"),
        Column("schema"),
        Column("decision_time", "instant"),
        Column("simhash", nullable=True),
    ),
    versions={
        1: "canonical decision_time experiment missing partition reference schema simhash soulprint subject values",
    },
    indexes=(TableIndex(("canonical_uuid",), unique=True), TableIndex(("soulprint",))),
)

STAGE = StageSpec(
    asset="soulprints",
    group="registry",
    description="The vector of what the market looked like when each of the day's trades was decided.",
    run="throughline.flow.registry:check_soulprints",
    upstream=("canonical_trades",),
    written_by="canonical_trades",
    gate="hard",
)
