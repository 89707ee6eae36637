"""The records of the chain: which table holds which kind, how its UUID is derived, which columns project its body.

A record is a body (canonical JSON, the truth) and its projection (columns, for queries). `make_row` turns a body into
the row that is stored; `verify` uses `project` and `expected_uuid` to hold stored rows against their bodies.
Does not belong here: SQL (storage) and what a stage decides (flow).
"""

from __future__ import annotations

import json
import uuid as uuid_module
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from throughline.identity import canonical_bytes, chain_uuid, content_hash, parse_time
from throughline.storage.records import LedgerRow
from throughline.tracking.versions import CURRENT, VERSION

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """How one table's records are named and projected.

    kind: the domain-separation word of its hashes and UUIDs. event_time: body key of the instant in its UUID. parent:
    body key of the record it hangs on ({uuid, hash}), or None for a head. natural_key: body keys beside these.
    columns: column -> body path (dots) and the reading of its text.
    """

    kind: str
    event_time: str
    parent: str | None
    natural_key: tuple[str, ...]
    columns: Mapping[str, tuple[str, Callable[[Any], Any]]]


def _text(value: Any) -> Any:
    return value


def _uuid(value: Any) -> Any:
    return None if value is None else uuid_module.UUID(value)


def _time(value: Any) -> Any:
    return None if value is None else parse_time(value)


def _decimal(value: Any) -> Any:
    return None if value is None else Decimal(value)


_CANDIDATE = {"candidate_uuid": ("candidate.uuid", _uuid)}
_CANONICAL = {"canonical_uuid": ("canonical.uuid", _uuid), "canonical_hash": ("canonical.hash", _text)}

KINDS: Mapping[str, Kind] = {
    "market_scans": Kind(
        "market_scan",
        "decision_time",
        None,
        ("strategy",),
        {
            "decision_time": ("decision_time", _time),
            "instruments": ("instruments", _text),
            "triggered": ("triggered", _text),
            "admitted": ("admitted", _text),
        },
    ),
    "candidates": Kind(
        "candidate",
        "decision_time",
        None,
        ("segment", "strategy", "side"),
        {
            "scan_uuid": ("scan.uuid", _uuid),
            "instrument": ("instrument", _text),
            "segment": ("segment", _text),
            "decision_time": ("decision_time", _time),
            "strategy": ("strategy", _text),
            "side": ("side", _text),
            "confidence": ("confidence", _decimal),
            "opportunity_score": ("opportunity_score", _decimal),
            "model_version": ("model_version", _text),
            "params_ptr": ("params_ptr", _text),
            "created_by": ("created_by", _text),
        },
    ),
    "research_docs": Kind(
        "research_doc",
        "decision_time",
        "candidate",
        (),
        _CANDIDATE
        | {
            "initial_market_cap": ("initial_market_cap", _decimal),
            "volume_24h": ("volume_24h", _decimal),
            "contract_address": ("contract_address", _text),
            "trade_rationale": ("trade_rationale", _text),
        },
    ),
    "dispositions": Kind(
        "disposition", "decision_time", "candidate", (), _CANDIDATE | {"disposition": ("disposition", _text)}
    ),
    "executions": Kind(
        "execution",
        "fill_time",
        "research",
        ("order_id",),
        _CANDIDATE
        | {
            "research_uuid": ("research.uuid", _uuid),
            "order_id": ("order_id", _text),
            "instrument": ("instrument", _text),
            "side": ("side", _text),
            "fill_time": ("fill_time", _time),
            "entry_price": ("entry_price", _decimal),
            "quantity": ("quantity", _decimal),
            "notional_usd": ("notional_usd", _decimal),
            "fee_usd": ("fee_usd", _decimal),
        },
    ),
    "outcomes": Kind(
        "outcome",
        "exit_time",
        "execution",
        (),
        _CANDIDATE
        | {
            "execution_uuid": ("execution.uuid", _uuid),
            "exit_time": ("exit_time", _time),
            "exit_price": ("exit_price", _decimal),
            "realized_pnl_usd": ("realized_pnl_usd", _decimal),
            "realized_pnl_percent": ("realized_pnl_percent", _decimal),
            "time_in_market_seconds": ("time_in_market_seconds", _text),
            "termination_reason": ("termination_reason", _text),
        },
    ),
    "shadow_outcomes": Kind(
        "shadow_outcome",
        "resolved_at",
        "candidate",
        (),
        _CANDIDATE
        | {
            "resolved_at": ("resolved_at", _time),
            "return_percent": ("return_percent", _decimal),
            "termination_reason": ("termination_reason", _text),
        },
    ),
    "portfolio_states": Kind(
        "portfolio_state",
        "as_of",
        "previous",
        (),
        {
            "previous_uuid": ("previous.uuid", _uuid),
            "as_of": ("as_of", _time),
            "cash_usd": ("paths.base.cash_usd", _decimal),
            "equity_usd": ("paths.base.equity_usd", _decimal),
            "open_positions": ("open_positions", _text),
        },
    ),
    "trade_features": Kind(
        "trade_feature",
        "resolved_at",
        "research",
        ("source",),
        _CANDIDATE
        | {
            "research_uuid": ("research.uuid", _uuid),
            "source": ("source", _text),
            "resolved_at": ("resolved_at", _time),
            "net_return": ("label.net_return", _decimal),
            "features_hash": ("features.hash", _text),
            "schema": ("features.schema", _text),
        },
    ),
    "canonical_trades": Kind(
        "canonical_trade",
        "closed_at",
        "outcome",
        ("symbol", "action", "opened_at", "strategy_id", "entry_price", "amount"),
        _CANDIDATE
        | {
            "outcome_uuid": ("outcome.uuid", _uuid),
            "symbol": ("symbol", _text),
            "action": ("action", _text),
            "strategy_id": ("strategy_id", _text),
            "model_version": ("model_version", _text),
            "opened_at": ("opened_at", _time),
            "closed_at": ("closed_at", _time),
            "entry_price": ("entry_price", _decimal),
            "exit_price": ("exit_price", _decimal),
            "amount": ("amount", _decimal),
            "fees_usd": ("fees_usd", _decimal),
            "profit_usd": ("profit_usd", _decimal),
            "profit_percentage": ("profit_percentage", _decimal),
            "termination_reason": ("termination_reason", _text),
            "soulprint": ("specialized_hashes.soulprints", _text),
            "pattern": ("specialized_hashes.profit_buckets", _text),
        },
    ),
    "soulprints": Kind(
        "soulprint",
        "decision_time",
        "canonical",
        ("schema",),
        _CANONICAL
        | {
            "soulprint": ("soulprint", _text),
            "schema": ("schema", _text),
            "decision_time": ("decision_time", _time),
            "simhash": ("simhash", _text),
        },
    ),
    "profit_buckets": Kind(
        "profit_bucket_entry",
        "closed_at",
        "canonical",
        ("schema",),
        _CANONICAL
        | {
            "pattern": ("pattern", _text),
            "buckets": ("buckets", _text),
            "closed_at": ("closed_at", _time),
            "max_favorable_percent": ("max_favorable_percent", _decimal),
            "max_adverse_percent": ("max_adverse_percent", _decimal),
        },
    ),
}
"""Every ledger table, in the order of the chain; the registries after it."""


def _at(body: Body, path: str) -> Any:
    value: Any = body
    for part in path.split("."):
        if value is None:
            return None
        value = value[part]
    return value


def project(table: str, body: Body) -> dict[str, Any]:
    """Return the projection columns of a body of `table`, typed as the database gives them back."""
    return {column: read(_at(body, path)) for column, (path, read) in KINDS[table].columns.items()}


def expected_uuid(table: str, body: Body) -> uuid_module.UUID:
    """Return the chain UUID that a body of `table` must carry.

    A correction (`supersedes` in the body) has the superseded UUID in its natural key, so it is another record.
    """
    kind = KINDS[table]
    parent = _at(body, f"{kind.parent}.uuid") if kind.parent else None
    natural = [str(body[key]) for key in kind.natural_key]
    superseded = body.get("supersedes")
    if superseded:
        natural.append(str(superseded["uuid"]))
    return chain_uuid(kind.kind, body["experiment"], _uuid(parent), natural, parse_time(body[kind.event_time]))


def body_hash(table: str, canonical: bytes) -> str:
    """Return the content hash of a stored body of `table`."""
    return content_hash(KINDS[table].kind, canonical)


def make_row(table: str, body: Body, run_id: str | None = None) -> LedgerRow:
    """Return the row that stores `body`: canonical bytes, content hash, chain UUID and projection.

    The body carries `experiment` and `partition` (ISO date); its `schema_version` becomes the one that this release
    writes (`versions.CURRENT`). Raises ValueError for a value that has no canonical form.
    """
    canonical = canonical_bytes({**body, VERSION: CURRENT[table]})
    plain = json.loads(canonical)
    superseded = plain.get("supersedes")
    return LedgerRow(
        uuid=expected_uuid(table, plain),
        experiment=plain["experiment"],
        partition=date.fromisoformat(plain["partition"]),
        content_hash=body_hash(table, canonical),
        body=canonical,
        run_id=run_id,
        columns=project(table, plain),
        supersedes=_uuid(superseded["uuid"]) if superseded else None,
    )


def reference(row: LedgerRow) -> dict[str, str]:
    """Return the {uuid, hash} by which a later record names `row`."""
    return {"hash": row.content_hash, "uuid": str(row.uuid)}
