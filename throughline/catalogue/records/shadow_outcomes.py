"""What the same exit rules would have given a candidate at a fixed size, whether it was taken or not."""

from __future__ import annotations

from throughline.catalogue.record import Column, RecordKind

RECORD = RecordKind(
    table="shadow_outcomes",
    kind="shadow_outcome",
    asset="shadow_outcomes",
    event_time="resolved_at",
    parent="candidate",
    links={"candidate": "candidates"},
    columns=(
        Column("candidate_uuid", "uuid", "candidate.uuid"),
        Column("resolved_at", "instant"),
        Column("return_percent", "number", nullable=True),
        Column("termination_reason"),
    ),
    versions={
        1: "ambiguous candidate decision_time entry_time exit_time experiment partition "
        "reference_notional_usd resolved_at return_high_percent return_low_percent return_percent "
        "termination_reason",
        2: "flags",
    },
    one_per_candidate=True,
)
