"""The shadows that are open at the end of a day, each with its position."""

from __future__ import annotations

from throughline.catalogue.record import Column, RecordKind

RECORD = RecordKind(
    table="shadow_states",
    kind="shadow_state",
    asset="shadow_outcomes",
    event_time="as_of",
    parent="previous",
    links={"previous": "shadow_states"},
    columns=(
        Column("previous_uuid", "uuid", "previous.uuid", nullable=True),
        Column("as_of", "instant"),
        Column("open_shadows", "integer"),
    ),
    versions={
        1: "as_of experiment open_shadows partition previous shadows",
    },
)
