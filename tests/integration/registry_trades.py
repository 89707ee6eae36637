"""Trades to register, made from numbers: prices that add up, whole soulprints, wins and losses."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from throughline.signals.vector import COMPONENTS

AT = datetime(2024, 5, 6, 7, tzinfo=UTC)


def vector(numbers: random.Random) -> dict[str, float]:
    """Return a whole soulprint vector around the centers of its components."""
    return {
        item.name: item.center + (0.7 if math.isinf(item.scale) else item.scale) * numbers.gauss(0, 1)
        for item in COMPONENTS
    }


def trade(number: int, strategy: str = "tests", **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return trade and specialised data number `number`: one an hour from `AT`, two hours long, two in five won."""
    numbers = random.Random(f"{strategy}/{number}")
    won = number % 5 < 2
    entry = Decimal(numbers.randint(10_000, 900_000)) / 1000
    leave = (entry * (Decimal("1.3") if won else Decimal("0.85"))).quantize(Decimal("0.0001"))
    amount = Decimal(numbers.randint(1, 5000)) / 100
    fees = Decimal(numbers.randint(0, 100)) / 100
    opened = AT + timedelta(hours=number)
    told: dict[str, Any] = {
        "timestamp": opened,
        "closed_at": opened + timedelta(hours=2),
        "symbol": f"C{number % 7}/USDT",
        "action": "buy",
        "entry_price": entry,
        "exit_price": leave,
        "amount": amount,
        "fees": fees,
        "profit_usd": (leave - entry) * amount - fees,
        "strategy_id": strategy,
        "termination_reason": "profit_target" if won else "stop_loss",
    }
    specialised = {
        "soulprints": {"vector": vector(numbers), "reference": "BTC/USDT"},
        "profit_buckets": {
            "max_favorable_percent": 31 if won else 4,
            "max_adverse_percent": -3 if won else -16,
            "hours_to_best": 1,
        },
    }
    return told | changes, specialised
