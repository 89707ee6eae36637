"""What the screen saw of the whole universe at one decision instant."""

from __future__ import annotations

from throughline.catalogue.record import Column, RecordKind

RECORD = RecordKind(
    table="market_scans",
    kind="market_scan",
    asset="market_scan",
    event_time="decision_time",
    natural_key=("strategy",),
    columns=(
        Column("decision_time", "instant"),
        Column("instruments", "integer"),
        Column("triggered", "integer"),
        Column("admitted", "integer"),
    ),
    versions={
        1: "admitted data_seals decision_time eligible experiment funnel instruments partition rows strategy triggered",
    },
)
