"""Exit rule: a position is sold at the first price at or after a number of hours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from throughline.exits.rule import NO_STOP, NO_TARGET, Bar, Entry, ExitRule, Level, Reason, RuleSettings

LONGEST_HOURS = 8_784
"""A year with its leap day."""
HOUR_MS = 3_600_000


class Settings(RuleSettings):
    """max_hold_hours: from the fill of the entry."""

    max_hold_hours: int = Field(default=48, gt=0, le=LONGEST_HOURS)


def levels(
    numbers: Any, slots: Any, entry_price: float, entry_time: int, when: int, evidence: bool
) -> tuple[float, float, int]:
    """The instant of leaving is known at the entry."""
    return NO_STOP, NO_TARGET, entry_time + int(numbers[0])


def deadline(settings: Settings, entry_time: datetime) -> datetime:
    """Return the instant from which on a position is sold."""
    return entry_time + timedelta(hours=settings.max_hold_hours)


def recompute(settings: Settings, entry: Entry, bars: Sequence[Bar]) -> tuple[Level, ...]:
    """Return the deadline, a level without a price."""
    return (Level("time_limit", ((deadline(settings, entry.time), None),)),)


RULE = ExitRule(
    name="time_limit",
    settings=Settings,
    reasons=(Reason("time_limit", "leave", "it had been held for the longest time allowed", code=2),),
    numbers=lambda settings: (float(settings.max_hold_hours * HOUR_MS),),
    describe=lambda settings: f"sold after {settings.max_hold_hours} h",
    recompute=recompute,
    levels=levels,
    order=10,
    always=True,
)
