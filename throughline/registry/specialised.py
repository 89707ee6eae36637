"""What a person tells the specialised registries about one trade: its soulprint's vector and how its price went.

Belongs here: reading and judging `specialized_data`. Does not belong here: the trade itself (entry) and the rows
(records). What repeats the trade (its prices, its strategy) must agree with it and is not stored twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from throughline.identity import decimal_text, parse_time, time_text
from throughline.registry.entry import InvalidTrade, agrees, instant, number
from throughline.registry.records import LINKED, Excursion, Soulprint
from throughline.signals.vector import require_vector, vector_text

_SOULPRINT = ("confidence", "decision_time", "reference", "strategy_id", "vector")
_BUCKET = (
    "confidence",
    "entry_price",
    "exit_price",
    "hours_to_best",
    "max_adverse_percent",
    "max_favorable_percent",
    "profit_pct",
    "strategy_id",
)


def read_specialised(data: Mapping[str, Any] | None, trade: Mapping[str, Any]) -> tuple[Soulprint, Excursion]:
    """Return the soulprint and the excursion of a trade (its canonical body).

    data: registry name -> what is told. ``soulprints``: vector {component: number | None}, decision_time (None = the
    entry), reference (name of the series it was measured against). ``profit_buckets``: max_favorable_percent,
    max_adverse_percent (of the entry price, in the trade's favour and against it), hours_to_best. What is not told is
    unknown. Raises InvalidTrade naming a registry, field or component that does not exist or contradicts the trade.
    """
    told = dict(data or {})
    unknown = sorted(str(name) for name in told if name not in LINKED)
    if unknown:
        raise InvalidTrade(f"{', '.join(unknown)}: no registry has this name; there are {' and '.join(LINKED)}")
    return _soulprint(told.get("soulprints") or {}, trade), _excursion(told.get("profit_buckets") or {}, trade)


def _soulprint(told: Mapping[str, Any], trade: Mapping[str, Any]) -> Soulprint:
    _require_known("soulprints", told, _SOULPRINT)
    _require_same("soulprints", told, trade)
    try:
        values = vector_text(require_vector(told.get("vector") or {}))
    except ValueError as error:
        raise InvalidTrade(f"soulprints.vector: {error}") from error
    decided = trade["opened_at"]
    if told.get("decision_time") is not None:
        decided = time_text(instant("soulprints.decision_time", told["decision_time"]))
        if parse_time(decided) > parse_time(trade["opened_at"]):
            raise InvalidTrade(f"soulprints.decision_time {decided} lies after the entry {trade['opened_at']}")
    return Soulprint(trade["segment"] or trade["symbol"], decided, values, told.get("reference"))


def _excursion(told: Mapping[str, Any], trade: Mapping[str, Any]) -> Excursion:
    _require_known("profit_buckets", told, _BUCKET)
    _require_same("profit_buckets", told, trade)
    for name in ("entry_price", "exit_price"):
        if told.get(name) is not None and number(f"profit_buckets.{name}", told[name]) != Decimal(trade[name]):
            raise InvalidTrade(f"profit_buckets.{name} is {told[name]}, the trade says {trade[name]}")
    entry, leave = Decimal(trade["entry_price"]), Decimal(trade["exit_price"])
    move = (leave / entry - 1) * 100 * (1 if trade["action"] == "buy" else -1)
    if told.get("profit_pct") is not None:
        given = number("profit_buckets.profit_pct", told["profit_pct"])
        if not any(agrees(given, value, abs(move) + 100) for value in (move, Decimal(trade["profit_percentage"]))):
            raise InvalidTrade(f"profit_buckets.profit_pct is {given}, the trade made {trade['profit_percentage']} %")
    best, worst, hours = (
        None if told.get(name) is None else number(f"profit_buckets.{name}", told[name])
        for name in ("max_favorable_percent", "max_adverse_percent", "hours_to_best")
    )
    for name, value, ordered in (
        ("max_favorable_percent", best, best is None or best >= move or agrees(best, move, abs(move) + 100)),
        ("max_adverse_percent", worst, worst is None or worst <= move or agrees(worst, move, abs(move) + 100)),
    ):
        if not ordered:
            raise InvalidTrade(
                f"profit_buckets.{name} is {value}, but the exit itself lies {decimal_text(move)} % from the entry"
            )
    held = parse_time(trade["closed_at"]) - parse_time(trade["opened_at"])
    if hours is not None and not 0 <= float(hours) * 3600 <= held.total_seconds() + 1e-6:
        raise InvalidTrade(f"profit_buckets.hours_to_best is {hours}, but the trade was open for {held}")
    return Excursion(*(None if value is None else decimal_text(value) for value in (best, worst, hours)))


def _require_known(registry: str, told: Any, known: tuple[str, ...]) -> None:
    if not isinstance(told, Mapping):
        raise InvalidTrade(f"{registry} is {told!r}: give names and values")
    unknown = sorted(str(name) for name in told if name not in known)
    if unknown:
        raise InvalidTrade(f"{registry}: {', '.join(unknown)}: no such field, there are {', '.join(known)}")


def _require_same(registry: str, told: Mapping[str, Any], trade: Mapping[str, Any]) -> None:
    strategy = told.get("strategy_id")
    if strategy is not None and strategy != trade["strategy_id"]:
        raise InvalidTrade(f"{registry}.strategy_id is {strategy!r}, the trade's is {trade['strategy_id']!r}")
    if told.get("confidence") is None:
        return
    given = number(f"{registry}.confidence", told["confidence"])
    if trade["confidence"] is None or given != Decimal(trade["confidence"]):
        raise InvalidTrade(f"{registry}.confidence is {given}, the trade's is {trade['confidence']}")
