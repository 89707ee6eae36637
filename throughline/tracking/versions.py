"""Versions of record bodies: which fields a body of each table has, and since which version. Data, and reading by it.

Belongs here: `FIELDS`, the one table of these facts, and the functions that read a stored body by it. Does not belong
here: what a field means (the stage that writes it) and the columns beside a body (records).

To add a field, name it in `FIELDS` under the version that no release has written yet; where a release has written the
newest version already, open the next one. `make_row` writes the newest version into every new body, so nothing else
changes. A body that was written before the field existed reads as if the field were None. `tests/fixtures/releases`
holds a home of every release, and a test that each still verifies.

Two releases wrote version 1: the first without the fields of version 2, the second with them. A body of version 1 may
therefore have them or not. Hashes are over the stored bytes, so reading by version changes no identity.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from throughline.errors import StorageError

VERSION = "schema_version"
"""Key of the version in every body."""

FIELDS: Mapping[str, Mapping[int, str]] = {
    "market_scans": {
        1: "admitted data_seals decision_time eligible experiment funnel instruments partition rows strategy triggered",
    },
    "candidates": {
        1: "arm confidence created_by data_seals decision_time experiment features instrument missing model_version "
        "notional_usd opportunity_score params_ptr partition scan scores segment side strategy verdicts",
        2: "decision features_hash model_hash",
    },
    "research_docs": {
        1: "candidate code_version configuration contract_address decision_time experiment initial_market_cap inputs "
        "instrument missing partition rugpull_heuristic_scores scan_row scores social_sentiment_scores trade_rationale "
        "verdicts volume_24h",
        2: "features signals",
    },
    "dispositions": {
        1: "candidate decision_time disposition experiment partition reason",
    },
    "executions": {
        1: "candidate entry_price experiment fee_usd fill_bar_open fill_time impact_cost_usd instrument latency_ms "
        "notional_usd order_id partial participation partition quantity raw_price research segment side slippage "
        "spread_cost_usd",
    },
    "outcomes": {
        1: "ambiguous attrition_usd candidate costs_usd execution exit_bar_open exit_price exit_time experiment "
        "fees_usd flags gross_pnl_usd instrument label partition pnl_high_usd pnl_low_usd realized_pnl_percent "
        "realized_pnl_usd segment termination_reason time_in_market_seconds",
    },
    "shadow_outcomes": {
        1: "ambiguous candidate decision_time entry_time exit_time experiment partition reference_notional_usd "
        "resolved_at return_high_percent return_low_percent return_percent termination_reason",
        2: "flags",
    },
    "portfolio_states": {
        1: "as_of blocked experiment open_positions partition paths previous",
    },
    "trade_features": {
        1: "candidate decision_time experiment features instrument label outcome partition research resolved_at "
        "segment shadow source",
    },
    "canonical_trades": {
        1: "action amount arm attrition_usd candidate chrono_resonance closed_at confidence costs_usd entry_price "
        "execution exit_price experiment fees_usd flags linked_registries market_context math_optimization model_hash "
        "model_version notional_usd opened_at outcome params_ptr partition profit_percentage profit_usd research "
        "segment signal_strength specialized_hashes strategy_id symbol temporal_warp termination_reason",
    },
    "soulprints": {
        1: "canonical decision_time experiment missing partition reference schema simhash soulprint subject values",
    },
    "profit_buckets": {
        1: "buckets canonical closed_at exits experiment max_adverse_percent max_favorable_percent partition pattern "
        "schema soulprint",
    },
}
"""Table -> version -> the fields that bodies have since that version, apart from `schema_version` and `OPTIONAL`."""

OPTIONAL: Mapping[str, str] = dict.fromkeys(FIELDS, "supersedes") | {"executions": "supersedes latency_metrics"}
"""Table -> fields that a body has only where there is something to say: corrections, and records written by hand."""

CURRENT: Mapping[str, int] = {table: max(versions) for table, versions in FIELDS.items()}
"""Table -> the version of the bodies that this release writes."""

_SINCE: Mapping[str, Mapping[str, int]] = {
    table: {field: version for version, fields in versions.items() for field in fields.split()}
    for table, versions in FIELDS.items()
}


class UnknownVersion(StorageError, ValueError):
    """A body has a version that this release cannot read; the message names table and version."""


def known_fields(table: str, version: int) -> frozenset[str]:
    """Return the fields that every body of `table` of that version has, `schema_version` apart."""
    return frozenset(field for field, since in _SINCE[table].items() if since <= version)


def version_problem(table: str, body: Mapping[str, Any]) -> str | None:
    """Return why this release cannot read the version of a body of `table`, None where it can."""
    version = body.get(VERSION)
    if type(version) is int and 1 <= version <= CURRENT[table]:
        return None
    if type(version) is int and version > CURRENT[table]:
        return (
            f"body has version {version}, this release knows versions of {table} up to {CURRENT[table]}: "
            "a newer release wrote it, so check it with that release"
        )
    return f"body names no version that exists ({VERSION} is {json.dumps(version)[:40]})"


def missing_fields(table: str, body: Mapping[str, Any]) -> list[str]:
    """Return the fields that a body of `table` lacks, though its version (one that is known) has them."""
    version = body[VERSION]
    return sorted(field for field, since in _SINCE[table].items() if since <= version and field not in body)


def filled(table: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return a body of a known version with None for each field that came after its version. The body itself is kept.

    Fields that its version must have are not added: a body that lacks one stays incomplete.
    """
    version = body[VERSION]
    if version == CURRENT[table]:
        return body
    later = {field: None for field, since in _SINCE[table].items() if since > version}
    return {**later, **body}


def read_body(table: str, data: bytes | memoryview | str) -> dict[str, Any]:
    """Return a stored body of `table` as this release reads it: fields that came after its version are None.

    data: the canonical JSON as it is stored. Raises UnknownVersion for a version that this release does not know, and
    ValueError where the data is no JSON object.
    """
    body = json.loads(bytes(data) if isinstance(data, memoryview) else data)
    if not isinstance(body, dict):
        raise ValueError(f"a body of {table} is no JSON object")
    problem = version_problem(table, body)
    if problem is not None:
        raise UnknownVersion(f"A record of {table} cannot be read: {problem}.")
    return filled(table, body)


def same_version(table: str, body: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return of `given`, a body as this release makes it, what a body of the stored body's version says too.

    body: the stored one. For comparing what is stored with what its sources give now: a field that came after the
    stored version, and the version itself, say nothing about a change.
    """
    version = body.get(VERSION)
    fields = known_fields(table, version if type(version) is int else CURRENT[table])
    return {name: value for name, value in given.items() if name in fields}
