"""Exit rule: the gain that suffices becomes smaller the longer a position is held (freqtrade's `minimal_roi`).

A step's target stands from the first bar on whose first price falls at or after the step's hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from throughline.exits.rule import NEVER, NO_STOP, NO_TARGET, Bar, Entry, ExitRule, Level, Reason, RuleSettings
from throughline.exits.rules.time_limit import HOUR_MS, LONGEST_HOURS


def _as_tuple(value: Any) -> Any:
    """A TOML file has lists where the settings have tuples."""
    return tuple(value) if isinstance(value, list) else value


Hours = Annotated[int, Field(ge=0, le=LONGEST_HOURS)]
Gain = Annotated[float, Field(gt=-1, le=1_000)]
Step = Annotated[tuple[Hours, Gain], BeforeValidator(_as_tuple)]


class Settings(RuleSettings):
    """steps: [hours since the fill, gain], hours ascending; gains are fractions of the entry price, and may be below
    zero. Before the first step there is no target."""

    steps: Annotated[tuple[Step, ...], BeforeValidator(_as_tuple), Field(min_length=1, max_length=100)]

    @field_validator("steps")
    @classmethod
    def _ascending(cls, steps: tuple[tuple[int, float], ...]) -> tuple[tuple[int, float], ...]:
        if any(later[0] <= earlier[0] for earlier, later in pairwise(steps)):
            raise ValueError("must have ascending hours, each once")
        return steps


def _numbers(settings: Settings) -> tuple[float, ...]:
    flat = [value for hours, gain in settings.steps for value in (float(hours * HOUR_MS), gain)]
    return (float(len(settings.steps)), *flat)


def levels(
    numbers: Any, slots: Any, entry_price: float, entry_time: int, when: int, evidence: bool
) -> tuple[float, float, int]:
    """The target of the last step that was reached."""
    target = NO_TARGET
    for step in range(int(numbers[0])):
        if when - entry_time >= numbers[1 + 2 * step]:
            target = entry_price * (1.0 + numbers[2 + 2 * step])
    return NO_STOP, target, NEVER


def recompute(settings: Settings, entry: Entry, bars: Sequence[Bar]) -> tuple[Level, ...]:
    """Return the target of each step."""
    points: list[tuple[datetime, Decimal | None]] = [
        (entry.time + timedelta(hours=hours), entry.price * (1 + Decimal(repr(gain)))) for hours, gain in settings.steps
    ]
    return (Level("roi_table", tuple(points)),)


RULE = ExitRule(
    name="roi_table",
    settings=Settings,
    reasons=(Reason("roi_table", "target", "its gain sufficed for the time that it had been held"),),
    numbers=_numbers,
    describe=lambda settings: "sold at " + ", ".join(f"{gain:+.6g} from {hours} h" for hours, gain in settings.steps),
    recompute=recompute,
    levels=levels,
    moves=True,
    order=50,
)
