"""The entries of a closed trade and how they are tied to each other. Pure.

Belongs here: the body of a canonical trade, and the rows of a trade in all registries. Does not belong here: what a
registry says of a trade (`throughline.registries`), where rows are written (flow, writing) and what is asked of them.

Identity has no circle: the hash under which a trade names an entry is over the entry's own content, without the trade;
the canonical body names them all, so `trade_hash` covers them; the entries name the canonical UUID and hash, which
their own content hashes cover. An edit in either direction breaks a hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from throughline.errors import InvalidTrade
from throughline.registries import TRADES, Body, linked_names, registries
from throughline.storage.records import LedgerRow
from throughline.tracking.records import make_row, reference
from throughline.tracking.versions import read_body


@dataclass(frozen=True, slots=True)
class TradeRows:
    """The rows of one closed trade.

    Args:
        trade: the canonical trade.
        entries: registry -> the trade's entry in it.

    Example:
        >>> rows = link_trade(body, {"soulprints": soulprint, "profit_buckets": excursion})  # doctest: +SKIP
        >>> rows.entries["soulprints"].columns["simhash"]  # doctest: +SKIP
    """

    trade: LedgerRow
    entries: Mapping[str, LedgerRow]

    def by_table(self) -> dict[str, LedgerRow]:
        """Return the rows by their table, the canonical trade first."""
        return {TRADES: self.trade, **self.entries}


def given_facts(data: Mapping[str, Any] | None, trade: Body) -> dict[str, Any]:
    """Return registry -> facts of a trade that a person registers.

    Args:
        data: registry -> what the person says to it (`Registry.given`); what is not said is unknown.
        trade: the canonical body without its links to the registries.

    Raises:
        InvalidTrade: where a registry, field or component does not exist or contradicts the trade.
    """
    said = dict(data or {})
    unknown = sorted(str(name) for name in said if name not in registries())
    if unknown:
        raise InvalidTrade(f"{', '.join(unknown)}: no registry has this name; there are {' and '.join(linked_names())}")
    return {name: registry.given(said.get(name) or {}, trade) for name, registry in registries().items()}


def link_trade(trade: Body, facts: Mapping[str, Any], run_id: str | None = None) -> TradeRows:
    """Return the rows of a trade in all registries.

    Args:
        trade: the canonical body without `linked_registries` and `specialized_hashes`.
        facts: registry -> what is known of the trade there (`Registry.given`, `Registry.observed`).
        run_id: the run that writes them.

    Raises:
        ValueError: for a value that has no canonical form.
    """
    bodies: dict[str, dict[str, Any]] = {}
    for name, registry in registries().items():
        bodies[name] = registry.entry(facts[name], trade, bodies)
    hashes = {name: bodies[name][registry.identity] for name, registry in registries().items()}
    links = {"linked_registries": list(linked_names()), "specialized_hashes": hashes}
    canonical = make_row(TRADES, {**trade, **links}, run_id)
    shared = {
        "canonical": reference(canonical),
        "experiment": canonical.experiment,
        "partition": canonical.partition,
    }
    return TradeRows(canonical, {name: make_row(name, shared | body, run_id) for name, body in bodies.items()})


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
