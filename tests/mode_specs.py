"""What the definitions of one mode are made from, for tests that make a few of them."""

from __future__ import annotations

from datetime import date

from pipelines.partitions import daily_partitions
from resources.definition_factory import ModeSpec
from throughline.experiment.mode import find_mode


def spec_of(mode: str) -> ModeSpec:
    """Return the specification of a mode, with chunks of 30 days."""
    return ModeSpec(find_mode(mode), daily_partitions(date(2009, 1, 3)), 30)
