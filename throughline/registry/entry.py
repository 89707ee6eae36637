"""A closed trade as a person writes it: the seed's `TradeEntry`, what must be given, and what must agree.

Belongs here: reading and judging one hand-written trade, and giving it its body. Does not belong here: the entries tied
to it (records) and where they are written (coordinator).

Nothing is invented: an instant, an exit price or a profit that is missing is an error, never the wall clock or a zero.
Told twice must agree: a profit that prices, amount and fees do not give is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from throughline.errors import InvalidTrade
from throughline.given_values import agrees, instant, number
from throughline.identity import decimal_text, score_text, time_text

Number = float | int | str | Decimal
Instant = float | int | datetime

ACTIONS = ("buy", "sell")

@dataclass(frozen=True, kw_only=True)
class TradeEntry:
    """One closed trade with the fields of the seed document.

    timestamp: when the position was opened, as Unix seconds (UTC) or an aware datetime; closed_at: when it was closed,
    None = at the same instant. action: 'buy' (long) or 'sell' (short). Prices in USD a unit, amount in units, fees and
    profit_usd (net of fees) in USD; profit_percentage: net, of the notional (entry price x amount), None = as it
    follows. confidence and chrono_resonance in [0, 1]. market_context, math_optimization: names -> numbers or texts.
    trade_hash, linked_registries and specialized_hashes are results; where they are given they must be the same.
    """

    timestamp: Instant | None = None
    symbol: str = ""
    action: str = "buy"
    entry_price: Number | None = None
    exit_price: Number | None = None
    amount: Number | None = None
    fees: Number = 0
    profit_usd: Number | None = None
    profit_percentage: Number | None = None
    strategy_id: str | None = None
    signal_strength: Number | None = None
    confidence: Number | None = None
    chrono_resonance: Number | None = None
    temporal_warp: Number | None = None
    math_optimization: Mapping[str, Any] | None = None
    market_context: Mapping[str, Any] = field(default_factory=dict)
    closed_at: Instant | None = None
    termination_reason: str = "unknown"
    model_version: str = "none"
    model_hash: str | None = None
    params_ptr: str | None = None
    segment: str | None = None
    linked_registries: frozenset[str] = frozenset()
    specialized_hashes: Mapping[str, str] = field(default_factory=dict)
    trade_hash: str | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any] | TradeEntry) -> TradeEntry:
        """Return the entry that `data` tells. Raises InvalidTrade for a field that does not exist."""
        if isinstance(data, TradeEntry):
            return data
        known = {item.name for item in fields(cls)}
        unknown = sorted(str(name) for name in data if name not in known)
        if unknown:
            raise InvalidTrade(f"{', '.join(unknown)}: no field of a trade, which has {', '.join(sorted(known))}")
        return cls(**data)

    def body(self, experiment: str, supersedes: tuple[Mapping[str, str], date] | None = None) -> dict[str, Any]:
        """Return the canonical body without its links to the specialised registries.

        Args:
            experiment: whole ID.
            supersedes: reference of the entry that this one corrects, and the day on which the correction is recorded,
                which is its partition; else the partition is the day of the exit.

        Raises:
            InvalidTrade: where a field is missing or contradicts another; it names the field.
        """
        opened = instant("timestamp", self.timestamp)
        closed = opened if self.closed_at is None else instant("closed_at", self.closed_at)
        if closed < opened:
            raise InvalidTrade(f"closed_at {time_text(closed)} lies before timestamp {time_text(opened)}")
        if self.action not in ACTIONS:
            raise InvalidTrade(f"action '{self.action}' does not exist: choose one of {', '.join(ACTIONS)}")
        entry, amount = (_positive(name, getattr(self, name)) for name in ("entry_price", "amount"))
        leave, fees = (_at_least_zero(name, getattr(self, name)) for name in ("exit_price", "fees"))
        notional = entry * amount
        profit, percentage = self._profit(entry, leave, amount, fees)
        body: dict[str, Any] = {
            "action": self.action,
            "amount": decimal_text(amount),
            "arm": None,
            "attrition_usd": None,
            "candidate": None,
            "chrono_resonance": _share("chrono_resonance", self.chrono_resonance),
            "closed_at": time_text(closed),
            "confidence": _share("confidence", self.confidence),
            "costs_usd": None,
            "entry_price": decimal_text(entry),
            "execution": None,
            "exit_price": decimal_text(leave),
            "experiment": experiment,
            "fees_usd": decimal_text(fees),
            "flags": [],
            "market_context": _plain("market_context", self.market_context or {}),
            "math_optimization": _plain("math_optimization", self.math_optimization),
            "model_hash": self.model_hash,
            "model_version": _word("model_version", self.model_version),
            "notional_usd": decimal_text(notional),
            "opened_at": time_text(opened),
            "outcome": None,
            "params_ptr": self.params_ptr,
            "partition": (supersedes[1] if supersedes else closed.date()).isoformat(),
            "profit_percentage": percentage,
            "profit_usd": decimal_text(profit),
            "research": None,
            "segment": self.segment,
            "signal_strength": _score("signal_strength", self.signal_strength),
            "strategy_id": _word("strategy_id", self.strategy_id),
            "symbol": _word("symbol", self.symbol),
            "temporal_warp": _score("temporal_warp", self.temporal_warp),
            "termination_reason": _word("termination_reason", self.termination_reason),
        }
        return body if supersedes is None else body | {"supersedes": dict(supersedes[0])}

    def _profit(self, entry: Decimal, leave: Decimal, amount: Decimal, fees: Decimal) -> tuple[Decimal, str]:
        """Return profit in USD and percent as given, which must be what prices, amount and fees give."""
        profit = number("profit_usd", self.profit_usd)
        side = 1 if self.action == "buy" else -1
        notional = entry * amount
        expected = side * (leave - entry) * amount - fees
        size = max(notional, leave * amount, fees)
        if not agrees(profit, expected, size):
            raise InvalidTrade(
                f"profit_usd is {profit}, but prices, amount and fees give {decimal_text(expected)}: "
                "one of them is wrong"
            )
        percent = profit / notional * 100
        if self.profit_percentage is None:
            return profit, score_text(percent)
        given = number("profit_percentage", self.profit_percentage)
        if not agrees(given, expected / notional * 100, size / notional * 100):
            raise InvalidTrade(
                f"profit_percentage is {given}, but the net profit is {score_text(percent)} % of the notional"
            )
        return profit, score_text(given)


def _positive(name: str, value: Any) -> Decimal:
    result = number(name, value)
    if result <= 0:
        raise InvalidTrade(f"{name} is {value!r}: give a number above zero")
    return result


def _at_least_zero(name: str, value: Any) -> Decimal:
    result = number(name, value)
    if result < 0:
        raise InvalidTrade(f"{name} is {value!r}: give zero or more")
    return result


def _score(name: str, value: Any) -> str | None:
    return None if value is None else score_text(number(name, value))


def _share(name: str, value: Any) -> str | None:
    if value is not None and not 0 <= number(name, value) <= 1:
        raise InvalidTrade(f"{name} is {value!r}: it lies in [0, 1]")
    return _score(name, value)


def _word(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidTrade(f"{name} is {value!r}: give a text")
    return value


def _plain(name: str, value: Any) -> Any:
    """Return what a person gives beside the fields with its numbers as text, so that it has one canonical form."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(f"{name}.{key}", item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(f"{name}[{place}]", item) for place, item in enumerate(value)]
    return score_text(number(name, value))
