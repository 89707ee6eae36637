"""What an exit rule is: its settings, the hooks that the engine compiles, its reasons, and its check in plain Python.

Order within a bar, the same for every rule. At the first price of the bar (its open; its close with closes only): a
rule that leaves, then a price at or below the highest stop, then one at or above the lowest target; all of them fill at
that price. Inside the bar: the highest stop, then the lowest target (the reverse on the optimistic path); they fill at
the level. Between equal levels and equal instants the rule with the smaller `order` gives the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

NO_STOP = 0.0
"""The stop of a rule that has none: no price is at or below it."""
NO_TARGET = float("inf")
"""The target of a rule that has none."""
NEVER = 2**62
"""The instant (Unix ms) at which a rule leaves that does not leave."""


class RuleSettings(BaseModel):
    """The settings of one rule: frozen, validated once. A rule's own class derives from it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Reason:
    """Why a position ended, as records name it.

    Args:
        name: The name in records, such as ``stop_loss``.
        gives: What gives it: the rule's stop, its target, its leaving, or an event of the market.
        sentence: What happened, for people: the end of "The position was closed because ...".
        stopped: True if the position ended at its stop or worse. Learning counts these as stopped.
        recorded: False for a reason that no record carries.
        code: The number in the engine's columns. None: the next free one, in order of the names.
    """

    name: str
    gives: Literal["stop", "target", "leave", "event"]
    sentence: str
    stopped: bool = False
    recorded: bool = True
    code: int | None = None


@dataclass(frozen=True)
class Entry:
    """The fill of an entry. price: the market price, before spread and impact; time: aware UTC."""

    price: Decimal
    time: datetime


@dataclass(frozen=True)
class Bar:
    """A bar of the position's instrument. opens, closes: aware UTC; traded: False if it is known to have no volume.

    With closes only, open, high and low equal the close.
    """

    opens: datetime
    closes: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    traded: bool
    close_only: bool

    @property
    def first_price_at(self) -> datetime:
        """The instant of the bar's first price: its open, or its close with closes only."""
        return self.closes if self.close_only else self.opens


@dataclass(frozen=True)
class Level:
    """A level of a rule over time, recomputed for the proof.

    Args:
        reason: The reason that the level gives.
        points: (since when, price) in order of time; a price stands until the next point. Price None: no level.
        share: The level as a fraction of the entry price where it is fixed (-0.15 = 15 % below it), else None.
    """

    reason: str
    points: tuple[tuple[datetime, Decimal | None], ...]
    share: float | None = None

    def at(self, instant: datetime) -> Decimal | None:
        """Return the price that stands at an instant, None where there is none."""
        return next((price for since, price in reversed(self.points) if since <= instant), None)


Levels = Callable[[Any, Any, float, int, int, bool], tuple[float, float, int]]
Carry = Callable[[Any, Any, float, int, int, float, float, float], None]


@dataclass(frozen=True)
class ExitRule:
    """One exit rule. The module of a rule declares it as `RULE`.

    The hooks are compiled (numba, no Python objects) and called for each path and bar, so they take numbers. A hook
    uses its arguments and constants. It calls no function of another file: the compiler's cache misses a change there.

    ``levels(numbers, slots, entry_price, entry_time, when, evidence) -> (stop, target, leave)``
        What stands in the bar whose first price falls at `when`. stop and target are prices (`NO_STOP` and `NO_TARGET`
        where there is none), leave is the instant from which on the position is sold at a first price (`NEVER`). A hook
        sees nothing of the bar itself, so it cannot look ahead.
    ``carry(numbers, slots, entry_price, entry_time, closes, high, low, close)``
        Called after each bar in which somebody could trade and which left the position as it was. Writes `slots`.

    Args:
        name: The name of the module, of the table in the configuration, and in records.
        settings: The class of its settings.
        reasons: The reasons it gives, at most one for each of stop, target and leave.
        numbers: The settings as the numbers that the hooks are given.
        levels: The hook above. None for reasons of the market, which belong to no rule.
        carry: The hook above, None where nothing is carried.
        slots: Names of the numbers that a position carries for this rule. Each is 0 at the entry.
        moves: True if `levels` depends on `slots` or `when`. Resting levels are faster.
        order: Precedence between equal levels, smaller first.
        always: True for a rule that every position has, whose settings are keys of [exits] itself.
        recompute: Settings, entry and the bars since then -> the levels, in plain Python, for the proof. Shares no code
            with the hooks.
        describe: Settings -> one sentence for people.

    Example:
        ``throughline/exits/rules/trailing_stop.py``
    """

    name: str
    settings: type[RuleSettings]
    reasons: tuple[Reason, ...]
    numbers: Callable[[Any], tuple[float, ...]]
    describe: Callable[[Any], str]
    recompute: Callable[[Any, Entry, Sequence[Bar]], tuple[Level, ...]]
    levels: Levels | None = None
    carry: Carry | None = None
    slots: tuple[str, ...] = ()
    moves: bool = False
    order: int = 100
    always: bool = field(default=False)
