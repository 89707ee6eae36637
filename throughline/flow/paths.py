"""From settings to the engine's rules and costs, and from its states to record text and back.

States are recorded as decimal text and always read back before the next day, in a range as well as day by day: the
rounding is then part of the definition, and a resumed run cannot differ from an unbroken one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from throughline.configuration import Configuration, SizingSettings
from throughline.exits.registry import chosen
from throughline.identity import decimal_text, parse_time, time_text_ms, time_to_ms
from throughline.market.blocks import segment_ms, segment_name
from throughline.market.panel import SourceDescription
from throughline.trading.state import equity_usd
from throughline.trading.types import Costs, ExitRules, PathState, Position

HOUR_MS = 3_600_000


def exit_rules(configuration: Configuration, source: SourceDescription) -> ExitRules:
    """Return the engine's exit rules; which jump is doubtful is a fact of the source."""
    exits = configuration.exits
    return ExitRules(
        stop_loss=exits.stop_loss,
        take_profit=exits.take_profit,
        max_hold_ms=exits.max_hold_hours * HOUR_MS,
        halt_ms=exits.halt_hours * HOUR_MS,
        max_participation=configuration.costs.max_participation,
        doubtful_jump=source.doubtful_jump,
        others=chosen(exits),
    )


def costs(configuration: Configuration, source: SourceDescription) -> Costs:
    """Return the engine's costs; the attrition haircut applies to universes of survivors only."""
    settings = configuration.costs
    return Costs(
        fee=settings.fee,
        half_spread=settings.half_spread,
        impact_coefficient=settings.impact_coefficient,
        impact_floor=settings.impact_floor,
        attrition_48h=source.attrition_per_48h if source.survivors_only else 0.0,
        halted_recovery=settings.halted_recovery,
    )


_MONEY = (
    "entry_price",
    "raw_entry_price",
    "quantity",
    "initial_quantity",
    "notional",
    "entry_fee",
    "entry_costs",
    "last_price",
    "traded_price",
    "low_quantity",
    "high_quantity",
    "sold_value",
    "exit_value",
    "exit_fees",
    "attrition",
    "low_gain",
    "high_gain",
)
_TIMES = ("entry_time", "entry_bar", "last_bar_close", "traded_close", "resume_time")


def size_scale(state: PathState, sizing: SizingSettings) -> float:
    """Return by what a path scales the sizes of a day's candidates: its equity at the day's start over the small fund.

    At most one: losses shrink positions, so a path cannot run out of cash after a few stops; gains are not staked,
    the small fund stays small. At least 1e-6, since a size must be positive; what is then below the smallest position
    is not entered (`below_minimum`).
    """
    return scale_of_equity(equity_usd(state), sizing)


def scale_of_equity(equity: float, sizing: SizingSettings) -> float:
    """Return `size_scale` of an equity in USD."""
    return max(1e-6, min(1.0, equity / sizing.small_fund_usd))


def position_body(position: Position) -> dict[str, Any]:
    """Return a position as it stands in a state record; `slots` only where an exit rule carries something."""
    body: dict[str, Any] = {
        "ambiguous": position.ambiguous,
        "exit_reason": position.exit_reason,
        "flags": list(position.flags),
        "instrument": position.instrument,
        "key": position.key,
        "segment": segment_name(position.instrument, position.segment),
    }
    for name in _MONEY:
        body[name] = decimal_text(getattr(position, name))
    for name in _TIMES:
        body[name] = time_text_ms(getattr(position, name))
    if position.slots:
        body["slots"] = {name: decimal_text(value) for name, value in position.slots.items()}
    return body


def position_from(body: Mapping[str, Any]) -> Position:
    """Return the position that `position_body` wrote."""
    money: dict[str, Any] = {name: float(body[name]) for name in _MONEY}
    times: dict[str, Any] = {name: time_to_ms(parse_time(body[name])) for name in _TIMES}
    return Position(
        key=body["key"],
        instrument=body["instrument"],
        segment=segment_ms(body["segment"]),
        exit_reason=body["exit_reason"],
        ambiguous=body["ambiguous"],
        flags=tuple(body["flags"]),
        slots={name: float(value) for name, value in body.get("slots", {}).items()},
        **money,
        **times,
    )


def state_body(state: PathState) -> dict[str, Any]:
    """Return a path's state as it stands in a state record, positions in order of entry."""
    return {
        "cash_usd": decimal_text(state.cash),
        "equity_usd": decimal_text(equity_usd(state)),
        "positions": [position_body(item) for item in state.positions],
    }


def state_from(body: Mapping[str, Any]) -> PathState:
    """Return the state that `state_body` wrote."""
    return PathState(
        cash=float(body["cash_usd"]),
        positions=tuple(position_from(item) for item in body["positions"]),
    )
