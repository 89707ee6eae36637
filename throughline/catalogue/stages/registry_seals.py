"""The day's seals under one, written to the seal log."""

from __future__ import annotations

from throughline.catalogue.stage import StageSpec

STAGE = StageSpec(
    asset="registry_seals",
    group="proof",
    description="The seals of the day under one, appended to the signed seal log and copied to the anchor.",
    run="throughline.flow.log:log_seals",
    closes_day=True,
)
