"""What every registry asks of the data that a person gives it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from throughline.errors import InvalidTrade
from throughline.given_values import number


def require_fields(registry: str, data: Any, known: tuple[str, ...]) -> None:
    """Raise InvalidTrade where `data` is no mapping, or has a field that is not `known`."""
    if not isinstance(data, Mapping):
        raise InvalidTrade(f"{registry} is {data!r}: give names and values")
    unknown = sorted(str(name) for name in data if name not in known)
    if unknown:
        raise InvalidTrade(f"{registry}: {', '.join(unknown)}: no such field, there are {', '.join(sorted(known))}")


def require_agreement(registry: str, data: Mapping[str, Any], trade: Mapping[str, Any]) -> None:
    """Raise InvalidTrade where strategy or confidence, which every registry takes, are not those of the trade."""
    strategy = data.get("strategy_id")
    if strategy is not None and strategy != trade["strategy_id"]:
        raise InvalidTrade(f"{registry}.strategy_id is {strategy!r}, the trade's is {trade['strategy_id']!r}")
    if data.get("confidence") is None:
        return
    confidence = number(f"{registry}.confidence", data["confidence"])
    if trade["confidence"] is None or confidence != Decimal(trade["confidence"]):
        raise InvalidTrade(f"{registry}.confidence is {confidence}, the trade's is {trade['confidence']}")
