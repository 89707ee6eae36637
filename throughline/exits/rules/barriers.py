"""Exit rule: a stop and a target at fixed fractions of the entry price, live from the entry bar on."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from pydantic import Field

from throughline.exits.rule import NEVER, Bar, Entry, ExitRule, Level, Reason, RuleSettings


class Settings(RuleSettings):
    """Fractions of the entry's market price: 0.15 is a stop 15 % below it."""

    stop_loss: float = Field(default=0.15, gt=0, lt=1)
    take_profit: float = Field(default=0.30, gt=0, le=1_000)


def levels(
    numbers: Any, slots: Any, entry_price: float, entry_time: int, when: int, evidence: bool
) -> tuple[float, float, int]:
    """Both barriers stand still."""
    return entry_price * (1.0 - numbers[0]), entry_price * (1.0 + numbers[1]), NEVER


def barrier_prices(settings: Settings, entry_price: Decimal) -> tuple[Decimal, Decimal]:
    """Return (stop, target) of an entry price, exactly."""
    return entry_price * (1 - Decimal(repr(settings.stop_loss))), entry_price * (
        1 + Decimal(repr(settings.take_profit))
    )


def recompute(settings: Settings, entry: Entry, bars: Sequence[Bar]) -> tuple[Level, ...]:
    """Return both barriers, which need no bars."""
    stop, target = barrier_prices(settings, entry.price)
    return (
        Level("stop_loss", ((entry.time, stop),), -settings.stop_loss),
        Level("profit_target", ((entry.time, target),), settings.take_profit),
    )


RULE = ExitRule(
    name="barriers",
    settings=Settings,
    reasons=(
        Reason("profit_target", "target", "its price rose to the profit target", code=0),
        Reason("stop_loss", "stop", "its price fell to the stop", stopped=True, code=1),
    ),
    numbers=lambda settings: (settings.stop_loss, settings.take_profit),
    describe=lambda settings: f"stop {-settings.stop_loss:+.6g}, target {settings.take_profit:+.6g} of the entry price",
    recompute=recompute,
    levels=levels,
    order=30,
    always=True,
)
