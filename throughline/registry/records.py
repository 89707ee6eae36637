"""The three entries of a closed trade and how they are tied to each other. Pure.

Belongs here: bodies and rows of canonical trades, soulprints and profit-bucket entries. Does not belong here: where
they are written (flow, coordinator) and what is asked of them (patterns, statistics).

Identity has no circle: the hashes of a soulprint and of a bucket pattern are over their own content, without the trade;
the canonical body names both, so `trade_hash` covers them; the specialised rows name the canonical UUID and hash, which
their own content hashes cover. An edit in either direction breaks a hash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from throughline.identity import decimal_text, hash_body
from throughline.signals.simhash import band_keys, simhash
from throughline.signals.vector import SOULPRINT_SCHEMA, soulprint_hash, vector_from_text, vector_text
from throughline.storage.records import LedgerRow
from throughline.tracking.records import make_row, reference
from throughline.tracking.versions import read_body

Body = Mapping[str, Any]
Texts = Mapping[str, str | None]

BUCKET_SCHEMA = "profit_bucket/1"
"""Version of what a bucket entry says and of the cells it lies in."""
LINKED = ("profit_buckets", "soulprints")
"""The specialised registries, in the order in which a trade names them."""


@dataclass(frozen=True, slots=True)
class Soulprint:
    """The causal vector of a decision. subject: segment or symbol; values: component -> text, None = missing;
    reference: the series that it was measured against."""

    subject: str
    decision_time: str
    values: Texts
    reference: str | None = None

    @property
    def hash(self) -> str:
        """Identity of the vector (SHA-256)."""
        return soulprint_hash(self.decision_time, self.subject, self.values)

    @property
    def simhash(self) -> int | None:
        """Similarity key (64 bits), None where too little of the vector is known."""
        return simhash(vector_from_text(self.values))


@dataclass(frozen=True, slots=True)
class Excursion:
    """How far the price went while the trade was open, in percent of the entry price; None = no bar in between.

    hours_to_best: from the fill to the best price.
    """

    max_favorable_percent: str | None = None
    max_adverse_percent: str | None = None
    hours_to_best: str | None = None


@dataclass(frozen=True, slots=True)
class TradeRows:
    """The rows of one closed trade, parents first."""

    trade: LedgerRow
    soulprint: LedgerRow
    bucket: LedgerRow

    def by_table(self) -> dict[str, LedgerRow]:
        """Return the rows by their table."""
        return {"canonical_trades": self.trade, "soulprints": self.soulprint, "profit_buckets": self.bucket}


def link_trade(trade: Body, soulprint: Soulprint, excursion: Excursion, run_id: str | None = None) -> TradeRows:
    """Return the three rows of a trade.

    trade: the canonical body without `linked_registries` and `specialized_hashes`. Raises ValueError for a value that
    has no canonical form.
    """
    exits = {
        "hours_to_best": excursion.hours_to_best,
        "max_adverse_percent": excursion.max_adverse_percent,
        "max_favorable_percent": excursion.max_favorable_percent,
        "reason": trade["termination_reason"],
    }
    mark = soulprint.simhash
    identity = soulprint.hash
    buckets = sorted(band_keys(mark, trade["strategy_id"]))
    pattern = pattern_hash(identity, buckets, exits)
    canonical = make_row(
        "canonical_trades",
        {
            **trade,
            "linked_registries": list(LINKED),
            "specialized_hashes": {"profit_buckets": pattern, "soulprints": identity},
        },
        run_id,
    )
    shared = {
        "canonical": reference(canonical),
        "experiment": canonical.experiment,
        "partition": canonical.partition,
    }
    print_row = make_row(
        "soulprints",
        shared
        | {
            "decision_time": soulprint.decision_time,
            "missing": sorted(name for name, text in soulprint.values.items() if text is None),
            "reference": soulprint.reference,
            "schema": SOULPRINT_SCHEMA,
            "simhash": None if mark is None else simhash_text(mark),
            "soulprint": identity,
            "subject": soulprint.subject,
            "values": dict(soulprint.values),
        },
        run_id,
    )
    bucket = make_row(
        "profit_buckets",
        shared
        | {
            "buckets": buckets,
            "closed_at": trade["closed_at"],
            "exits": exits,
            "max_adverse_percent": excursion.max_adverse_percent,
            "max_favorable_percent": excursion.max_favorable_percent,
            "pattern": pattern,
            "schema": BUCKET_SCHEMA,
            "soulprint": identity,
        },
        run_id,
    )
    return TradeRows(canonical, print_row, bucket)


def pattern_hash(soulprint: str, buckets: Sequence[str], exits: Body) -> str:
    """Return the identity of a bucket entry: over its soulprint's hash, its cells and its exit."""
    body = {"buckets": list(buckets), "exits": dict(exits), "schema": BUCKET_SCHEMA, "soulprint": soulprint}
    return hash_body("profit_bucket_pattern", body)


def simhash_text(value: int) -> str:
    """Return a SimHash as it stands in records: 16 hex digits."""
    return f"{value:016x}"


def trade_body(candidate: LedgerRow, research: LedgerRow, execution: LedgerRow, outcome: LedgerRow) -> dict[str, Any]:
    """Return the canonical body of the trade that `outcome` closed, without its links to the specialised registries."""
    head, known = read_body("candidates", candidate.body), read_body("research_docs", research.body)
    entry, ended = read_body("executions", execution.body), read_body("outcomes", outcome.body)
    signals = known.get("signals") or {}
    values = signals.get("values") or {}
    return {
        "action": entry["side"],
        "amount": entry["quantity"],
        "arm": head["arm"],
        "attrition_usd": ended["attrition_usd"],
        "candidate": reference(candidate),
        "chrono_resonance": values.get("chrono_resonance"),
        "closed_at": ended["exit_time"],
        "confidence": head["confidence"],
        "costs_usd": ended["costs_usd"],
        "entry_price": entry["entry_price"],
        "execution": reference(execution),
        "exit_price": ended["exit_price"],
        "experiment": outcome.experiment,
        "fees_usd": ended["fees_usd"],
        "flags": ended["flags"],
        "market_context": dict(head["features"]),
        "math_optimization": signals.get("math"),
        "model_hash": head.get("model_hash"),
        "model_version": head["model_version"],
        "notional_usd": entry["notional_usd"],
        "opened_at": entry["fill_time"],
        "outcome": reference(outcome),
        "params_ptr": head["params_ptr"],
        "partition": outcome.partition,
        "profit_percentage": ended["realized_pnl_percent"],
        "profit_usd": ended["realized_pnl_usd"],
        "research": reference(research),
        "segment": head["segment"],
        "signal_strength": head["opportunity_score"],
        "strategy_id": head["strategy"],
        "symbol": entry["instrument"],
        "temporal_warp": values.get("temporal_warp"),
        "termination_reason": ended["termination_reason"],
    }


def soulprint_of(research: LedgerRow) -> Soulprint:
    """Return the soulprint of the trade behind a research record, which holds the signals as of the decision.

    A record written by hand may hold none: then every component is missing.
    """
    told = read_body("research_docs", research.body)
    signals = told["signals"] or {"values": vector_text({}), "reference": None}
    segment = (told.get("scan_row") or {}).get("segment") or told["instrument"]
    return Soulprint(segment, told["decision_time"], signals["values"], signals["reference"])


def percent_text(value: float) -> str:
    """Return a percentage as it stands in records: six decimals, half even."""
    return decimal_text(round(value, 6) + 0.0)
