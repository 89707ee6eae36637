"""What a carried state is worth, and its 18-decimal form.

Belongs here: pure helpers on `PathState`. The engine already keeps every float of a state on the 18-decimal grid, so a
state may be stored as NUMERIC(38,18) or decimal text and read back without changing one bit of what follows.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from throughline.trading.types import PathState, Position

EXACT_FROM = 2.0**-7
"""Doubles from here on lie further apart than 2e-18 or so: 18 decimals name each of them; smaller ones are rounded."""


def round18(value: float) -> float:
    """Return the double that 18-decimal text of `value` reads back as (half-even; NaN and infinities unchanged).

    ``float(decimal_text(round18(x))) == round18(x)`` for every finite x: below 2^-7, k / 1e18 with k < 2^53 is the
    double nearest to the decimal; from 2^-7 on neighbouring doubles are more than 1e-18 apart.
    """
    if not -EXACT_FROM < value < EXACT_FROM:
        return value
    return round(value * 1e18) / 1e18


def rounded_state(state: PathState) -> PathState:
    """Return `state` with every float rounded by `round18`; unchanged for states of the engine."""
    return PathState(
        cash=round18(state.cash),
        positions=tuple(_rounded_position(position) for position in state.positions),
    )


def _rounded_position(position: Position) -> Position:
    values = {f.name: getattr(position, f.name) for f in fields(position)}
    rounded: dict[str, Any] = {k: round18(v) for k, v in values.items() if isinstance(v, float)}
    rounded["slots"] = {name: round18(value) for name, value in position.slots.items()}
    return replace(position, **rounded)


def equity_usd(state: PathState) -> float:
    """Return cash plus open positions marked at their last close (no exit costs), in USD."""
    total = state.cash
    for position in state.positions:
        total += position.quantity * position.last_price + position.proceeds
    return total
