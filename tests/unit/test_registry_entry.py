"""Hand-written trades: what must be told, what must agree, and that nothing is made up (defects 1, 2, 4, 6)."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.errors import InvalidTrade
from throughline.registry.entry import TradeEntry
from throughline.registry.records import given_facts, link_trade

EXPERIMENT = "e" * 64
AT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
SEED: dict[str, Any] = {
    "timestamp": AT.timestamp(),
    "symbol": "BTC/USDC",
    "action": "buy",
    "entry_price": 50000.0,
    "exit_price": 50500.0,
    "amount": 0.01,
    "fees": 0.1,
    "profit_usd": 4.9,
    "strategy_id": "unified_pipeline_v1",
}
"""The seed's example; the amount and the fees are those that give its profit."""


def body_of(**changes: Any) -> dict[str, Any]:
    return TradeEntry.of(SEED | changes).body(EXPERIMENT)


def rows_of(specialised: Any = None, **changes: Any) -> Any:
    body = body_of(**changes)
    return link_trade(body, given_facts(specialised, body))


def test_the_seeds_example_becomes_a_body_with_exact_texts() -> None:
    body = body_of(profit_percentage=0.98, confidence=0.8, market_context={"volatility": 0.02, "conditions": "calm"})
    assert body["opened_at"] == body["closed_at"] == "2024-05-06T07:08:09.000000Z"
    assert (body["entry_price"], body["exit_price"], body["amount"]) == ("50000", "50500", "0.01")
    assert (body["notional_usd"], body["fees_usd"], body["profit_usd"]) == ("500", "0.1", "4.9")
    assert (body["profit_percentage"], body["confidence"]) == ("0.98", "0.8")
    assert body["market_context"] == {"conditions": "calm", "volatility": "0.02"}
    assert body["partition"] == "2024-05-06"


def test_an_entry_cannot_be_changed_after_it_was_made() -> None:
    with pytest.raises(FrozenInstanceError):
        TradeEntry.of(SEED).exit_price = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("timestamp", "timestamp is missing"),
        ("exit_price", "exit_price is missing"),
        ("profit_usd", "profit_usd is mis"),
    ],
)
def test_a_closed_trade_without_instant_exit_or_profit_is_refused_by_name(field: str, told: str) -> None:
    with pytest.raises(InvalidTrade, match=told):
        body_of(**{field: None})
    with pytest.raises(InvalidTrade, match=told):
        TradeEntry.of({key: value for key, value in SEED.items() if key != field}).body(EXPERIMENT)


def test_the_hash_is_a_function_of_the_trade_and_not_of_the_clock() -> None:
    assert rows_of().trade.content_hash == rows_of().trade.content_hash
    assert rows_of(timestamp=AT).trade.content_hash == rows_of().trade.content_hash
    assert rows_of(timestamp=AT + timedelta(seconds=1)).trade.content_hash != rows_of().trade.content_hash


@pytest.mark.parametrize(
    "changes",
    [
        {"exit_price": 50600.0, "profit_usd": 5.9},
        {"fees": 0.2, "profit_usd": 4.8},
        {"profit_usd": 4.9001, "fees": 0.0999},
        {"symbol": "ETH/USDC"},
        {"action": "sell", "exit_price": 49500.0},
        {"strategy_id": "other"},
        {"confidence": 0.7},
        {"termination_reason": "stop_loss"},
        {"model_version": "v2"},
        {"market_context": {"volume": 1}},
        {"math_optimization": {"probability": 0.5}},
        {"closed_at": AT + timedelta(hours=1)},
    ],
)
def test_the_trade_hash_covers_every_field_exit_fees_and_profit_included(changes: dict[str, Any]) -> None:
    assert rows_of(**changes).trade.content_hash != rows_of().trade.content_hash


def test_every_hash_is_whole() -> None:
    rows = rows_of()
    told = json.loads(rows.trade.body)
    for digest in (rows.trade.content_hash, *told["specialized_hashes"].values()):
        assert len(digest) == 64
        assert set(digest) <= set("0123456789abcdef")


@pytest.mark.parametrize("order", [("profit_buckets", "soulprints"), ("soulprints", "profit_buckets")])
def test_linked_registries_are_written_as_a_sorted_list_never_as_a_sets_text(order: tuple[str, ...]) -> None:
    told = rows_of({name: {} for name in order}).trade.body
    assert b'"linked_registries":["profit_buckets","soulprints"]' in told
    assert b"set(" not in told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"profit_usd": 5.0}, "profit_usd is 5.0, but prices, amount and fees give 4.9"),
        ({"profit_percentage": 1.0}, r"profit_percentage is 1.0, but the net profit is 0.98 %"),
        ({"action": "sell"}, "profit_usd is 4.9, but"),
        ({"action": "hold"}, "action 'hold' does not exist"),
        ({"entry_price": 0.0}, "entry_price is 0.0: give a number above zero"),
        ({"amount": -1}, "amount is -1"),
        ({"fees": -0.1}, "fees is -0.1"),
        ({"exit_price": math.nan}, "exit_price is nan: give a finite number"),
        ({"profit_usd": math.inf}, "profit_usd is inf"),
        ({"signal_strength": math.nan}, "signal_strength is nan"),
        ({"market_context": {"volume": math.nan}}, "market_context.volume is nan"),
        ({"confidence": 1.01}, r"confidence is 1.01: it lies in \[0, 1\]"),
        ({"chrono_resonance": -0.1}, "chrono_resonance is -0.1"),
        ({"entry_price": "many"}, "entry_price is 'many': give a number"),
        ({"amount": True}, "amount is True: give a number"),
        ({"symbol": " "}, "symbol is ' ': give a text"),
        ({"strategy_id": None}, "strategy_id is None: give a text"),
        ({"closed_at": AT - timedelta(seconds=1)}, "closed_at .* lies before timestamp"),
        ({"timestamp": datetime(2024, 1, 1)}, "timestamp 2024-01-01 00:00:00 has no time zone"),  # noqa: DTZ001
        ({"timestamp": 1e300}, "is no instant"),
        ({"colour": "red"}, "colour: no field of a trade"),
    ],
)
def test_what_contradicts_or_says_nothing_is_refused_by_name(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidTrade, match=told):
        body_of(**changes)


def test_a_short_trade_earns_when_the_price_falls() -> None:
    body = body_of(action="sell", exit_price=49500.0, profit_usd=4.9)
    assert body["profit_percentage"] == "0.98"


def test_a_profit_may_be_rounded_to_the_decimals_it_is_told_with() -> None:
    third = {"entry_price": 3, "exit_price": 4, "amount": "0.333333", "fees": 0}
    assert body_of(**third, profit_usd=0.33)["profit_usd"] == "0.33"
    with pytest.raises(InvalidTrade, match="profit_usd"):
        body_of(**third, profit_usd=0.34)
    with pytest.raises(InvalidTrade, match="profit_usd"):
        body_of(**third, profit_usd="0.3334")


@given(
    st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.floats(0, 10), st.sampled_from(["buy", "sell"])
)
def test_the_profit_that_float_arithmetic_gives_is_accepted(
    entry: float, leave: float, amount: float, fees: float, action: str
) -> None:
    profit = (leave - entry if action == "buy" else entry - leave) * amount - fees
    percent = profit / (entry * amount) * 100
    told = {"entry_price": entry, "exit_price": leave, "amount": amount, "fees": fees, "action": action}
    body = body_of(**told, profit_usd=profit, profit_percentage=percent)
    assert math.isclose(float(body["profit_usd"]), profit, rel_tol=1e-9, abs_tol=1e-17)


def test_a_correction_stands_in_the_day_it_is_made_and_names_what_it_corrects() -> None:
    before = {"hash": "0" * 64, "uuid": "018f4c3e-0000-8000-8000-000000000000"}
    body = TradeEntry.of(SEED).body(EXPERIMENT, (before, date(2024, 6, 1)))
    assert (body["partition"], body["supersedes"]) == ("2024-06-01", before)
    assert body["closed_at"].startswith("2024-05-06")


def test_the_seeds_specialised_data_is_read() -> None:
    told = {
        "profit_buckets": {"entry_price": 50000.0, "exit_price": 50500.0, "profit_pct": 1.0, "confidence": 0.8},
        "soulprints": {"vector": {"phase": 0.5, "drift": 0.3}, "strategy_id": "unified_pipeline_v1"},
    }
    rows = rows_of(told, confidence=0.8)
    values = json.loads(rows.entries["soulprints"].body)["values"]
    assert (values["phase"], values["drift"], values["slope"]) == ("0.5", "0.3", None)
    assert rows.entries["soulprints"].columns["simhash"] is None  # two components are too few to be alike by
    assert rows.entries["profit_buckets"].columns["buckets"] == ["soulprint/1|unified_pipeline_v1|unknown"]


@pytest.mark.parametrize(
    ("specialised", "told"),
    [
        ({"soulprint": {}}, "soulprint: no registry has this name; there are profit_buckets and soulprints"),
        ({"ghost_shell": {}, "soulprints": {}}, "ghost_shell: no registry"),
        ({"soulprints": {"vector": {"warp": 1.0}}}, "soulprints.vector: warp: no component"),
        ({"soulprints": {"vector": {"drift": math.nan}}}, "soulprints.vector: drift is nan"),
        ({"soulprints": {"vectors": {}}}, "soulprints: vectors: no such field"),
        ({"soulprints": {"strategy_id": "other"}}, "soulprints.strategy_id is 'other', the trade's is"),
        ({"soulprints": {"confidence": 0.5}}, "soulprints.confidence is 0.5, the trade's is None"),
        ({"soulprints": {"decision_time": AT + timedelta(1)}}, "soulprints.decision_time .* lies after the entry"),
        ({"soulprints": "data"}, "soulprints is 'data': give names and values"),
        ({"profit_buckets": {"exit_price": 1}}, "profit_buckets.exit_price is 1, the trade says 50500"),
        ({"profit_buckets": {"profit_pct": 7}}, "profit_buckets.profit_pct is 7, the trade made 0.98 %"),
        ({"profit_buckets": {"max_favorable_percent": 0.5}}, "but the exit itself lies 1 % from the entry"),
        ({"profit_buckets": {"max_adverse_percent": 1.5}}, "profit_buckets.max_adverse_percent is 1.5"),
        ({"profit_buckets": {"hours_to_best": 1}}, "hours_to_best is 1, but the trade was open for 0:00:00"),
    ],
)
def test_specialised_data_that_is_unknown_or_contradicts_the_trade_is_refused_by_name(
    specialised: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidTrade, match=told):
        rows_of(specialised)


def test_what_is_told_reaches_both_specialised_entries_and_they_name_the_trade() -> None:
    told = {
        "profit_buckets": {"max_favorable_percent": 2.5, "max_adverse_percent": Decimal("-0.25"), "hours_to_best": 0.5},
        "soulprints": {"vector": {"drift": 0.3}, "reference": "BTC", "decision_time": AT - timedelta(minutes=1)},
    }
    rows = rows_of(told, closed_at=AT + timedelta(hours=1))
    bucket, soulprint = json.loads(rows.entries["profit_buckets"].body), json.loads(rows.entries["soulprints"].body)
    assert (bucket["max_favorable_percent"], bucket["max_adverse_percent"]) == ("2.5", "-0.25")
    assert bucket["exits"]["hours_to_best"] == "0.5"
    assert (soulprint["reference"], soulprint["decision_time"]) == ("BTC", "2024-05-06T07:07:09.000000Z")
    for entry in (bucket, soulprint):
        assert entry["canonical"] == {"hash": rows.trade.content_hash, "uuid": str(rows.trade.uuid)}
    named = json.loads(rows.trade.body)["specialized_hashes"]
    assert named == {"profit_buckets": bucket["pattern"], "soulprints": soulprint["soulprint"]}
