"""Exit rule: a position is sold at the first price at which there is evidence of a rug pull.

What counts as evidence is the strategy's (``strategy.emergency_rug_risk``); the bars carry it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from throughline.exits.rule import NEVER, NO_STOP, NO_TARGET, Bar, Entry, ExitRule, Level, Reason, RuleSettings


class Settings(RuleSettings):
    """No settings of its own."""


def levels(
    numbers: Any, slots: Any, entry_price: float, entry_time: int, when: int, evidence: bool
) -> tuple[float, float, int]:
    """Leave at once where there is evidence."""
    return NO_STOP, NO_TARGET, when if evidence else NEVER


def recompute(settings: Settings, entry: Entry, bars: Sequence[Bar]) -> tuple[Level, ...]:
    """Return nothing: the rule has no level."""
    return ()


RULE = ExitRule(
    name="emergency_exit",
    settings=Settings,
    reasons=(Reason("emergency_exit", "leave", "there was evidence of a rug pull", stopped=True, code=3),),
    numbers=lambda settings: (),
    describe=lambda settings: "sold at evidence of a rug pull",
    recompute=recompute,
    levels=levels,
    order=20,
    always=True,
)
