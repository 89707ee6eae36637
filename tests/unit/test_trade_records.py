"""The three entries of a trade: every field is under the trade's hash, and each entry names the others."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.identity import SCHEMA_VERSION
from throughline.registries.profit_buckets import Excursion, pattern_hash, percent_text
from throughline.registries.soulprints import Soulprint
from throughline.registry.records import TradeRows, link_trade
from throughline.signals import COMPONENTS, soulprint_hash, vector_text

TRADE: dict[str, Any] = {
    "action": "buy",
    "amount": "0.01",
    "arm": None,
    "attrition_usd": None,
    "candidate": None,
    "chrono_resonance": "0.4",
    "closed_at": "2021-01-02T03:00:00.000000Z",
    "confidence": "0.8",
    "costs_usd": None,
    "entry_price": "50000",
    "execution": None,
    "exit_price": "50500",
    "experiment": "e" * 64,
    "fees_usd": "0.1",
    "flags": [],
    "market_context": {"volatility": "0.05"},
    "math_optimization": None,
    "model_hash": None,
    "model_version": "rule",
    "notional_usd": "500",
    "opened_at": "2021-01-02T01:00:00.000000Z",
    "outcome": None,
    "params_ptr": None,
    "partition": date(2021, 1, 2),
    "profit_percentage": "0.98",
    "profit_usd": "4.9",
    "research": None,
    "schema_version": SCHEMA_VERSION,
    "segment": None,
    "signal_strength": "0.7",
    "strategy_id": "unified_pipeline_v1",
    "symbol": "BTC/USDC",
    "temporal_warp": "0.1",
    "termination_reason": "profit_target",
}
NAMES = sorted(component.name for component in COMPONENTS)
VALUES = vector_text({name: 0.1 * number for number, name in enumerate(NAMES)})
WENT = Excursion("2", "-1", "0.5")


def rows(soulprint: Soulprint | None = None, went: Excursion = WENT, **changes: Any) -> TradeRows:
    own = soulprint or Soulprint("BTC/USDC", "2021-01-02T01:00:00.000000Z", VALUES, "BTC")
    return link_trade({**TRADE, **changes}, {"soulprints": own, "profit_buckets": went})


def body(row: Any) -> dict[str, Any]:
    told = json.loads(row.body)
    assert isinstance(told, dict)
    return told


def test_the_trade_names_its_soulprint_and_its_pattern_and_both_name_the_trade() -> None:
    made = rows()
    trade, mark, bucket = body(made.trade), body(made.entries["soulprints"]), body(made.entries["profit_buckets"])
    assert trade["linked_registries"] == ["profit_buckets", "soulprints"]
    assert trade["specialized_hashes"] == {"profit_buckets": bucket["pattern"], "soulprints": mark["soulprint"]}
    back = {"hash": made.trade.content_hash, "uuid": str(made.trade.uuid)}
    assert mark["canonical"] == back
    assert bucket["canonical"] == back
    assert bucket["soulprint"] == mark["soulprint"]


@pytest.mark.parametrize("field", sorted(TRADE.keys() - {"experiment", "partition", "schema_version", "flags"}))
def test_the_trade_hash_covers_every_field_exit_and_profit_too(field: str) -> None:
    other = "2021-01-02T02:00:00.000000Z" if field.endswith("_at") else "1.5"
    if field == "market_context":
        changed: Any = {"volatility": "0.06"}
    elif field in ("candidate", "execution", "outcome", "research"):
        changed = {"hash": "0" * 64, "uuid": "00000000-0000-8000-8000-000000000001"}
    elif field == "math_optimization":
        changed = {"probability": "0.5"}
    else:
        changed = other
    assert rows(**{field: changed}).trade.content_hash != rows().trade.content_hash


def test_the_trade_hash_covers_the_linked_entries() -> None:
    other = vector_text({name: 0.2 * number for number, name in enumerate(NAMES)})
    hashes = {
        rows().trade.content_hash,
        rows(went=Excursion("3", "-1", "0.5")).trade.content_hash,
        rows(soulprint=Soulprint("BTC/USDC", "2021-01-02T01:00:00.000000Z", other, "BTC")).trade.content_hash,
    }
    assert len(hashes) == 3


def test_trade_and_specialised_hashes_are_whole_sha256_digests() -> None:
    made = rows()
    told = [made.trade.content_hash, *body(made.trade)["specialized_hashes"].values()]
    assert [len(item) for item in told] == [64, 64, 64]


def test_the_soulprints_hash_does_not_know_its_trade() -> None:
    mark = body(rows(profit_usd="-3").entries["soulprints"])
    assert mark["soulprint"] == body(rows().entries["soulprints"])["soulprint"]
    assert mark["soulprint"] == soulprint_hash(mark["decision_time"], mark["subject"], mark["values"])


def test_a_loss_lies_in_the_same_buckets_as_a_win_of_the_same_soulprint() -> None:
    lost_rows = rows(profit_usd="-75", termination_reason="stop_loss")
    won, lost = (body(item.entries["profit_buckets"]) for item in (rows(), lost_rows))
    assert won["buckets"] == lost["buckets"]
    assert len(won["buckets"]) == 4
    assert won["pattern"] != lost["pattern"]


def test_a_trade_of_which_little_is_known_lies_in_the_unknown_bucket() -> None:
    nothing: dict[str, str | None] = dict.fromkeys(NAMES)
    made = rows(soulprint=Soulprint("BTC/USDC", "2021-01-02T01:00:00.000000Z", nothing))
    assert body(made.entries["soulprints"])["simhash"] is None
    assert body(made.entries["soulprints"])["missing"] == NAMES
    assert body(made.entries["profit_buckets"])["buckets"] == ["soulprint/1|unified_pipeline_v1|unknown"]


def test_the_pattern_is_a_function_of_soulprint_buckets_and_exit_alone() -> None:
    bucket = body(rows().entries["profit_buckets"])
    assert bucket["pattern"] == pattern_hash(bucket["soulprint"], bucket["buckets"], bucket["exits"])


@given(st.floats(min_value=-1e6, max_value=1e6))
def test_percentages_have_six_decimals_and_no_minus_zero(value: float) -> None:
    text = percent_text(value)
    assert text != "-0"
    assert len(text.partition(".")[2]) <= 6
    assert abs(float(text) - value) <= 0.5e-6 + abs(value) * 1e-15
