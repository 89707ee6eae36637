"""Exit rule: a stop that follows the highest price since the entry, and never falls.

The level of a bar follows the bars before it, as a bot's stop does that is moved when a bar closes. The bar's own high
does not raise it: within a bar the low is taken to come before the high, so no position is sold near a top that the
same bar made. With closes only the level follows closes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import Field

from throughline.exits.rule import NEVER, NO_STOP, NO_TARGET, Bar, Entry, ExitRule, Level, Reason, RuleSettings


class Settings(RuleSettings):
    """percent: distance below the highest price, a fraction of it (0.05 = 5 %). activation: the stop begins to trail
    once the highest price lies so far above the entry price, a fraction of that (0: from the entry on)."""

    percent: float = Field(gt=0, lt=1)
    activation: float = Field(default=0.0, ge=0, le=1_000)


def levels(
    numbers: Any, slots: Any, entry_price: float, entry_time: int, when: int, evidence: bool
) -> tuple[float, float, int]:
    """The stop below the highest price so far."""
    highest = max(entry_price, slots[0])
    if highest < entry_price * (1.0 + numbers[1]):
        return NO_STOP, NO_TARGET, NEVER
    return highest * (1.0 - numbers[0]), NO_TARGET, NEVER


def carry(
    numbers: Any, slots: Any, entry_price: float, entry_time: int, closes: int, high: float, low: float, close: float
) -> None:
    """Note the highest price."""
    slots[0] = max(slots[0], high)


def recompute(settings: Settings, entry: Entry, bars: Sequence[Bar]) -> tuple[Level, ...]:
    """Return the stop at the entry and after each bar that raised it."""
    below, from_price = 1 - Decimal(repr(settings.percent)), entry.price * (1 + Decimal(repr(settings.activation)))
    highest, since = entry.price, entry.time
    points: list[tuple[datetime, Decimal | None]] = []
    for bar in [None, *bars]:
        if bar is not None and (not bar.traded or bar.closes <= entry.time):
            continue
        if bar is not None:
            since = bar.closes
            highest = max(highest, bar.high)
        price = highest * below if highest >= from_price else None
        if not points or points[-1][1] != price:
            points.append((since, price))
    return (Level("trailing_stop", tuple(points)),)


RULE = ExitRule(
    name="trailing_stop",
    settings=Settings,
    reasons=(Reason("trailing_stop", "stop", "its price fell from its highest by the trailing stop"),),
    numbers=lambda settings: (settings.percent, settings.activation),
    describe=lambda settings: (
        f"stop {settings.percent:.6g} below the highest price, once that is {settings.activation:.6g} above the entry"
    ),
    recompute=recompute,
    levels=levels,
    carry=carry,
    slots=("highest",),
    moves=True,
    order=40,
)
