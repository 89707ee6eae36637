"""A trade's registry entries against each other and against the chain that they come from. Pure.

Belongs here: what must hold between the rows of one story. Does not belong here: one row against itself
(tracking.checking), the whole registry (registry.consistency).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from throughline.identity import canonical_bytes
from throughline.storage.queries import as_row
from throughline.storage.tables import ledger_table, projection
from throughline.tracking.versions import read_body, same_version

Row = Mapping[str, Any]
Body = Mapping[str, Any]
Chain = Sequence[tuple[str, Row]]

_IDENTITY = {"soulprints": "soulprint", "profit_buckets": "pattern"}
"""Specialised registry -> the key of its body that the canonical trade names."""
_ORIGIN = {
    "candidate": "candidates",
    "research": "research_docs",
    "execution": "executions",
    "outcome": "outcomes",
}
"""Reference of a canonical trade -> the table it points to."""


def registry_problems(table: str, row: Row, body: Body, chain: Chain) -> list[str]:
    """Return what does not hold between an entry of the registries and the rest of its story; nothing for other tables.

    row: the entry as stored; body: its body as read; chain: (table, row) of every record of the story. Raises KeyError,
    TypeError, ValueError or AttributeError where a body lacks or garbles a field.
    """
    if table == "canonical_trades":
        return [*_named_problems(row, body, chain), *_origin_problems(body, chain)]
    if table == "soulprints":
        return _soulprint_problems(row, body, chain)
    if table == "profit_buckets":
        return _bucket_problems(row, body, chain)
    return []


def _bodies(chain: Chain, table: str, column: str, value: Any) -> list[dict[str, Any]]:
    return [read_body(table, bytes(row["body"])) for name, row in chain if name == table and row[column] == value]


def _named_problems(row: Row, body: Body, chain: Chain) -> list[str]:
    """Each registry that the trade names has an entry that refers back to it, and it is the one that is named."""
    problems = []
    named = dict(body["specialized_hashes"])
    if list(body["linked_registries"]) != sorted(named):
        problems.append(f"linked_registries {list(body['linked_registries'])} are not those with a hash")
    for name, expected in sorted(named.items()):
        if name not in _IDENTITY:
            problems.append(f"names a registry '{name}', which does not exist")
            continue
        entries = _bodies(chain, name, "canonical_uuid", row["uuid"])
        if not entries:
            problems.append(f"has no entry in {name}, where it names {str(expected)[:16]}...")
        elif entries[0][_IDENTITY[name]] != expected:
            problems.append(f"names {str(expected)[:16]}... in {name}, its entry there has another hash")
    return problems


def _origin_problems(body: Body, chain: Chain) -> list[str]:
    """A trade of the flow repeats its chain; a correction, and a trade registered by hand, do not."""
    if body.get("supersedes") or not all(body.get(key) for key in _ORIGIN):
        return []
    from throughline.registry.records import trade_body

    sources = []
    for key, table in _ORIGIN.items():
        rows = [row for name, row in chain if name == table and str(row["uuid"]) == body[key]["uuid"]]
        if not rows:
            return [f"its {key} {body[key]['uuid']} is not in its own chain"]
        sources.append(as_row(rows[0], projection(ledger_table(table))))
    candidate, research, execution, outcome = sources
    derived = json.loads(canonical_bytes(trade_body(candidate, research, execution, outcome)))
    expected = same_version("canonical_trades", body, derived)
    return [
        f"{key} is {body.get(key)}, its chain has {value}" for key, value in expected.items() if body.get(key) != value
    ]


def _soulprint_problems(row: Row, body: Body, chain: Chain) -> list[str]:
    from throughline.registry.consistency.vectors import soulprint_problems

    problems = [problem for problem, _, _ in soulprint_problems(body)]
    for trade in _bodies(chain, "canonical_trades", "uuid", row["canonical_uuid"]):
        research = trade.get("research")
        known = [
            item
            for name, item in chain
            if name == "research_docs" and research and str(item["uuid"]) == research["uuid"]
        ]
        signals = read_body("research_docs", bytes(known[0]["body"]))["signals"] if known else None
        if known and (signals or {}).get("values") != body["values"]:
            problems.append("its values are not the signals of the research snapshot")
    return problems


def _bucket_problems(row: Row, body: Body, chain: Chain) -> list[str]:
    from throughline.registry.consistency.vectors import bucket_problems

    trades = _bodies(chain, "canonical_trades", "uuid", row["canonical_uuid"])
    prints = _bodies(chain, "soulprints", "canonical_uuid", row["canonical_uuid"])
    if not trades or not prints:
        return []  # the checks of the trade and of the link name what is missing
    problems = [problem for problem, _, _ in bucket_problems(body, prints[0]["simhash"], trades[0]["strategy_id"])]
    if prints[0]["soulprint"] != body["soulprint"]:
        problems.append("names another soulprint than its trade has")
    return problems
