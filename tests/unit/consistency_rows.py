"""Trades written by hand, as rows, and how PostgreSQL shows a row by COPY: for tests of the consistency check.

`copied` is a second, plain account of COPY's text format for typed rows; an integration test holds it against a server.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

from throughline.identity import canonical_bytes, content_hash, decimal_text, score_text, time_text
from throughline.registries.profit_buckets import Excursion, percent_text
from throughline.registries.soulprints import Soulprint
from throughline.registry.consistency.forms import COMMON
from throughline.registry.records import TradeRows, link_trade
from throughline.signals.vector import COMPONENTS, vector_text
from throughline.storage.records import LedgerRow
from throughline.storage.tables import MONEY, ledger_table, projection

BODY = canonical_bytes({"mode": "tracking", "name": "consistency tests", "schema_version": 1})
BY_HAND = content_hash("experiment", BODY)
DAY = date(2024, 5, 6)


def hand_body(number: int, experiment: str = BY_HAND, day: date = DAY, **changes: Any) -> dict[str, Any]:
    """Return the canonical body of trade `number` without its links; its profit adds up."""
    numbers = random.Random(number)
    closed = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=numbers.randrange(86_400))
    opened = closed - timedelta(hours=1 + number % 40)
    entry = Decimal(numbers.randrange(100, 90_000)) / 1000
    leave = Decimal(numbers.randrange(100, 90_000)) / 1000
    amount, fees = Decimal(numbers.randrange(1, 5000)) / 8, Decimal(numbers.randrange(100)) / 100
    profit = (leave - entry) * amount - fees
    told = {
        "action": "buy",
        "amount": decimal_text(amount),
        "arm": None,
        "attrition_usd": None,
        "candidate": None,
        "chrono_resonance": None,
        "closed_at": time_text(closed),
        "confidence": "0.5" if number % 2 else None,
        "costs_usd": None,
        "entry_price": decimal_text(entry),
        "execution": None,
        "exit_price": decimal_text(leave),
        "experiment": experiment,
        "fees_usd": decimal_text(fees),
        "flags": [],
        "market_context": {"mood": "calm", "volume_24h": str(number)} if number % 3 else {},
        "math_optimization": None,
        "model_hash": None,
        "model_version": "none",
        "notional_usd": decimal_text(entry * amount),
        "opened_at": time_text(opened),
        "outcome": None,
        "params_ptr": None,
        "partition": day.isoformat(),
        "profit_percentage": score_text(100 * profit / (entry * amount)),
        "profit_usd": decimal_text(profit),
        "research": None,
        "schema_version": 1,
        "segment": None,
        "signal_strength": None,
        "strategy_id": "tests",
        "symbol": f"C{number % 7}/USDT",
        "temporal_warp": None,
        "termination_reason": "unknown" if number % 5 else "stop_loss",
    }
    return told | changes


def hand_rows(number: int, experiment: str = BY_HAND, day: date = DAY, **changes: Any) -> TradeRows:
    """Return the three rows of trade `number`; changes: of its body. Every fifth knows nothing of its vector."""
    body = hand_body(number, experiment, day, **changes)
    numbers = random.Random(f"soulprint {number}")
    values: dict[str, float | None] = {
        item.name: None if number % 5 == 0 or numbers.random() < 0.1 else numbers.gauss(item.center, min(item.scale, 2))
        for item in COMPONENTS
    }
    soulprint = Soulprint(body["segment"] or body["symbol"], body["opened_at"], vector_text(values), None)
    went = Excursion(percent_text(numbers.uniform(0, 40)), percent_text(-numbers.uniform(0, 30)), None)
    facts = {"soulprints": soulprint, "profit_buckets": went if number % 4 else Excursion()}
    return link_trade(body, facts)


def typed(table: str, row: LedgerRow) -> dict[str, Any]:
    """Return a row as the database gives it back, typed."""
    written = {name: getattr(row, name) for name in (*COMMON, "run_id")}
    return {**written, **{name: row.columns[name] for name in projection(ledger_table(table))}}


def copied(table: str, row: Mapping[str, Any]) -> list[str]:
    """Return the fields of the line by which COPY shows a typed row: `COMMON`, then the projection."""
    source = ledger_table(table)
    names = (*COMMON, *projection(source))
    fields = []
    for name in names:
        value = row[name]
        if name == "body":
            value = bytes(value).decode("utf-8")
        elif isinstance(value, Decimal) and source.c[name].type is MONEY and value.is_finite():
            value = money_column(value)
        fields.append(_field(value))
    return fields


def money_column(value: Decimal) -> str:
    """Return how COPY shows a NUMERIC(38,18)."""
    return format(value.quantize(Decimal(1).scaleb(-18), context=Context(prec=60)), "f")


def _field(value: Any) -> str:
    if value is None:
        return r"\N"
    if isinstance(value, Decimal):
        text = format(value, "f") if value.is_finite() else str(value)
    elif isinstance(value, datetime):
        text = value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f").rstrip("0").rstrip(".") + "+00"
    elif isinstance(value, list):
        text = "{" + ",".join(_element(item) for item in value) + "}"
    else:
        text = str(value)
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")


def _element(item: str | None) -> str:
    if item is None:
        return "NULL"
    if item == "" or item.upper() == "NULL" or any(sign in item for sign in '{}," \\\t\n'):
        return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return item


def with_body(row: LedgerRow, table: str, body: bytes) -> LedgerRow:
    """Return the row with another body and the content hash of that."""
    from throughline.tracking.records import body_hash

    return replace(row, body=body, content_hash=body_hash(table, body))
