"""One trade with everything tied to it, both directions of each link looked at.

Belongs here: the answer to `get_trade_with_all_linkages`. Does not belong here: whether hashes hold (consistency).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from throughline.registries import linked_names, registries
from throughline.registry.quarantine import quarantined_entries
from throughline.registry.reading import corrected_by, entries_of
from throughline.storage.records import LedgerRow
from throughline.storage.tables import canonical_trades
from throughline.tracking.versions import read_body


def trade_with_linkages(connection: Connection, trade: LedgerRow) -> dict[str, Any]:
    """Return a trade and its entries in the specialised registries.

    Keys: trade_hash; experiment; canonical_trade (its body with trade_hash and uuid); specialized_data (registry -> the
    entry's body with content_hash and uuid, None where it is not there); linkages (registry -> expected: the hash that
    the trade names, found: that of the entry, linked: they are equal, backlinked: the entry names this trade under its
    hash, entries: how many entries name it); complete (every link holds in both directions and no entry is there
    twice); corrects, corrected_by (trade hashes or None); quarantine (registry -> reason, of what is out of use).
    """
    body = read_body("canonical_trades", trade.body)
    waiting = {(item.table, item.uuid): item.reason for item in quarantined_entries(connection)}
    after = corrected_by(connection, trade.uuid)
    linked: dict[str, Any] = {
        "trade_hash": trade.content_hash,
        "experiment": trade.experiment,
        "canonical_trade": {**body, "trade_hash": trade.content_hash, "uuid": str(trade.uuid)},
        "specialized_data": {},
        "linkages": {},
        "corrects": _hash_of(connection, trade),
        "corrected_by": after.content_hash if after else None,
        "quarantine": {},
    }
    if ("canonical_trades", trade.uuid) in waiting:
        linked["quarantine"]["canonical_trades"] = waiting["canonical_trades", trade.uuid]
    for registry in linked_names():
        entries = entries_of(connection, registry, trade.uuid)
        entry = entries[0] if entries else None
        linked["specialized_data"][registry] = _as_json(registry, entry)
        linked["linkages"][registry] = _linkage(registry, trade, body, entry, len(entries))
        if entry and (registry, entry.uuid) in waiting:
            linked["quarantine"][registry] = waiting[registry, entry.uuid]
    linked["complete"] = all(
        link["linked"] and link["backlinked"] and link["entries"] == 1 for link in linked["linkages"].values()
    )
    return linked


def _linkage(
    registry: str, trade: LedgerRow, body: Mapping[str, Any], entry: LedgerRow | None, count: int
) -> dict[str, Any]:
    expected = body["specialized_hashes"][registry]
    own = read_body(registry, entry.body) if entry else {}
    identity = own.get(registries()[registry].identity)
    back = {"hash": trade.content_hash, "uuid": str(trade.uuid)}
    return {
        "expected": expected,
        "found": identity,
        "linked": identity == expected,
        "backlinked": own.get("canonical") == back,
        "entries": count,
    }


def _as_json(table: str, row: LedgerRow | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {**read_body(table, row.body), "content_hash": row.content_hash, "uuid": str(row.uuid)}


def _hash_of(connection: Connection, trade: LedgerRow) -> str | None:
    c = canonical_trades.c
    return connection.execute(select(c.content_hash).where(c.uuid == trade.supersedes)).scalar()
