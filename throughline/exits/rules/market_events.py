"""Ends that no rule decides: a halt, a drained pool, and the end of a benchmark's bars.

The engine finds them (``throughline.trading``); they stand here so that every reason is declared in one kind of place.
"""

from __future__ import annotations

from pydantic import Field

from throughline.exits.rule import ExitRule, Reason, RuleSettings
from throughline.exits.rules.time_limit import LONGEST_HOURS


class Settings(RuleSettings):
    """halt_hours: an instrument without any bar for so long is halted."""

    halt_hours: int = Field(default=24, gt=0, le=LONGEST_HOURS)


RULE = ExitRule(
    name="market_events",
    settings=Settings,
    reasons=(
        Reason("halted", "event", "its market halted, or its price was no longer comparable", stopped=True, code=4),
        Reason("rug_pull", "event", "its pool was drained or selling was locked", stopped=True, code=5),
        Reason("end_of_data", "event", "the bars ended", recorded=False, code=6),
    ),
    numbers=lambda settings: (),
    describe=lambda settings: f"halted after {settings.halt_hours} h without a bar",
    recompute=lambda settings, entry, bars: (),
    always=True,
)
