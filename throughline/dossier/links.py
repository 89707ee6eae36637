"""A trade's registry entries against each other and against the chain that they come from. Pure.

Belongs here: what must hold between the rows of one story. Does not belong here: one row against itself
(tracking.checking), the whole registry (registry.consistency).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from throughline.catalogue import catalogue
from throughline.identity import canonical_bytes
from throughline.registries import TRADES, Problem, registries
from throughline.registry.records import trade_body
from throughline.storage.queries import as_row
from throughline.storage.tables import ledger_table, projection
from throughline.tracking.versions import read_body, same_version

Row = Mapping[str, Any]
Body = Mapping[str, Any]
Chain = Sequence[tuple[str, Row]]

def registry_problems(table: str, row: Row, body: Body, chain: Chain) -> list[str]:
    """Return what does not hold between an entry of the registries and the rest of its story; nothing for other tables.

    row: the entry as stored; body: its body as read; chain: (table, row) of every record of the story. Raises KeyError,
    TypeError, ValueError or AttributeError where a body lacks or garbles a field.
    """
    if table == TRADES:
        return [*_named_problems(row, body, chain), *_origin_problems(body, chain)]
    if table in registries():
        return _entry_problems(table, row, body, chain)
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
        if name not in registries():
            problems.append(f"names a registry '{name}', which does not exist")
            continue
        entries = _bodies(chain, name, "canonical_uuid", row["uuid"])
        if not entries:
            problems.append(f"has no entry in {name}, where it names {str(expected)[:16]}...")
        elif entries[0][registries()[name].identity] != expected:
            problems.append(f"names {str(expected)[:16]}... in {name}, its entry there has another hash")
    return problems


def _origin_problems(body: Body, chain: Chain) -> list[str]:
    """A trade of the flow repeats its chain; a correction, and a trade registered by hand, do not."""
    origin = catalogue().links[TRADES]
    if body.get("supersedes") or not all(body.get(key) for key in origin):
        return []
    sources = []
    for key, table in origin.items():
        rows = [row for name, row in chain if name == table and str(row["uuid"]) == body[key]["uuid"]]
        if not rows:
            return [f"its {key} {body[key]['uuid']} is not in its own chain"]
        sources.append(as_row(rows[0], projection(ledger_table(table))))
    candidate, research, execution, outcome = sources
    derived = json.loads(canonical_bytes(trade_body(candidate, research, execution, outcome)))
    expected = same_version(TRADES, body, derived)
    return [
        f"{key} is {body.get(key)}, its chain has {value}" for key, value in expected.items() if body.get(key) != value
    ]


def _entry_problems(table: str, row: Row, body: Body, chain: Chain) -> list[str]:
    """An entry follows from itself, from its trade and the trade's other entries, and from the research snapshot."""
    registry = registries()[table]
    problems = list(registry.own_problems(body))
    for trade in _bodies(chain, TRADES, "uuid", row["canonical_uuid"]):
        others = {name: _bodies(chain, name, "canonical_uuid", row["canonical_uuid"])[:1] for name in registries()}
        if all(others[name] for name in registry.record.computed_from):  # else the trade says that it is missing
            problems += registry.problems(body, trade, {name: bodies[0] for name, bodies in others.items() if bodies})
        research = trade.get("research") or {}
        for name, item in chain:
            if name == "research_docs" and str(item["uuid"]) == research.get("uuid"):
                record = as_row(item, projection(ledger_table(name)))
                # A research document written by hand has no signals; the person gave the trade's vector apart.
                derived = registry.derived(record) if read_body(name, record.body)["signals"] else {}
                problems += [
                    Problem("inconsistent", f"its field '{key}' differs from the research snapshot", value, body[key])
                    for key, value in derived.items()
                    if body[key] != value
                ]
    return [problem.sentence for problem in problems]
