"""What a trade written by hand says of its own profit. A trade of the flow is held against its chain instead (chain).

The rule is the one by which `registry.entry` took it in: profit = side x (exit - entry) x amount - fees, as far as the
decimals go that it is given with; percent = 100 x profit / notional; notional = entry x amount.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from throughline.given_values import agrees
from throughline.registries import TRADES, places
from throughline.registry.consistency.entries import Entry
from throughline.registry.consistency.trades import Part

_TRADE = places(TRADES)
_QUICK = tuple(
    _TRADE[name]
    for name in ("entry_price", "exit_price", "amount", "fees_usd", "profit_usd", "profit_percentage", "notional_usd")
)
_CLOSE = 1e-10


def check_sums(part: Part) -> None:
    """Add to `part` the trades whose profit does not follow from their prices, amount and fees."""
    for trade in part.trades:
        if trade.fields is not None and _certainly_add_up(trade):
            continue
        body = trade.body
        if body is None:
            continue
        try:
            for problem, expected, actual in _problems(body):
                part.find(trade, "inconsistent", problem, expected, actual)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            part.find(trade, "unreadable", f"body lacks or garbles a field ({type(error).__name__}: {error})")


def _certainly_add_up(trade: Entry) -> bool:
    fields = trade.fields
    assert fields is not None
    entry, leave, amount, fees, profit, percent, notional = [float(fields[place]) for place in _QUICK]
    side = 1.0 if fields[_TRADE["action"]] == "buy" else -1.0
    size = max(notional, leave * amount, fees)
    return (
        notional > 0
        and abs(notional - entry * amount) <= _CLOSE * notional
        and abs(profit - (side * (leave - entry) * amount - fees)) <= _CLOSE * size
        and abs(percent - 100 * profit / notional) <= 1e-9 * max(1.0, abs(percent))
    )


def _problems(body: Mapping[str, Any]) -> Iterator[tuple[str, object, object]]:
    entry, leave, amount, fees, profit, percent, notional = (
        Decimal(body[name])
        for name in (
            "entry_price",
            "exit_price",
            "amount",
            "fees_usd",
            "profit_usd",
            "profit_percentage",
            "notional_usd",
        )
    )
    side = 1 if body["action"] == "buy" else -1
    size = max(abs(entry * amount), abs(leave * amount), abs(fees))
    expected = side * (leave - entry) * amount - fees
    if not agrees(profit, expected, size):
        yield f"profit_usd {profit} does not follow from prices, amount and fees", expected, profit
    if not agrees(notional, entry * amount, size):
        yield f"notional_usd {notional} is not entry price x amount", entry * amount, notional
    if notional and not agrees(percent, 100 * expected / notional, 100 * size / abs(notional)):
        right = 100 * expected / notional
        yield f"profit_percentage {percent} is not the profit in percent of the notional", right, percent
