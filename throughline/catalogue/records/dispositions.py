"""Whether a candidate was taken, and why not."""

from __future__ import annotations

from throughline.catalogue.record import Column, RecordKind

RECORD = RecordKind(
    table="dispositions",
    kind="disposition",
    asset="portfolio_state",
    event_time="decision_time",
    parent="candidate",
    links={"candidate": "candidates"},
    columns=(
        Column("candidate_uuid", "uuid", "candidate.uuid"),
        Column("disposition"),
    ),
    versions={
        1: "candidate decision_time disposition experiment partition reason",
    },
    one_per_candidate=True,
)
