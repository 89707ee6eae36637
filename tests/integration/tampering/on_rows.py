"""Tampers of ledger rows: cell edit, body and hash together, row delete, insert in the past, link re-pointed."""

from __future__ import annotations

import json
import uuid as uuids
from typing import Any

from tests.integration.tampering.attacker import Attacker
from tests.integration.tampering.books import CANDIDATES_OF, Row, references
from tests.integration.tampering.values import leaves, other_cell, other_leaf, other_text, put
from throughline.catalogue import catalogue
from throughline.registries.profit_buckets import Excursion
from throughline.registries.soulprints import Soulprint
from throughline.registry.records import link_trade
from throughline.storage.tables import LEDGER, ledger_table
from throughline.tracking.records import make_row

EDITED = frozenset(("hash_mismatch", "unreadable", "rewritten"))
GONE = frozenset(("missing_row", "truncated"))
_UNIQUE = ("candidate_uuid", "canonical_uuid")
"""Link columns of which an index allows one row a record."""


def any_row(attacker: Attacker, table: str | None = None) -> Row:
    """Draw a row: first the table, so that small ones come as often as large ones."""
    rows = attacker.books.table(table or attacker.random.choice(LEDGER).name)
    return attacker.random.choice(rows)


def cell_edit(attacker: Attacker) -> None:
    """One cell of one ledger row, whichever column."""
    row = any_row(attacker)
    column = attacker.random.choice([item.name for item in ledger_table(row.table).columns])
    found = attacker.sql(f'SELECT "{column}" FROM {row.table} WHERE uuid = %s', row.uuid).scalar_one()
    value = other_cell(found, attacker.random) if found is not None else _instead(attacker, row, column)
    books, trace = attacker.books, attacker.trace
    if column == "experiment":
        value = books.home.by_hand if found == books.home.experiment else books.home.experiment
    attacker.unlock(row.table)
    attacker.sql(f'UPDATE {row.table} SET "{column}" = %s WHERE uuid = %s', value, row.uuid)
    attacker.note(f"{row.table} {row.uuid}: {column} {found!r} -> {value!r}")
    trace.rows[row.name] = "changed"
    trace.primary[row.name] = EDITED | GONE
    if column == "uuid":
        trace.rows[row.name] = "gone"
        trace.rows[row.table, str(value)] = "new"
        trace.primary[row.table, str(value)] = EDITED | {"unexpected_row"}
    if column == "partition":
        trace.days[row.name] = value
    if column == "body":
        try:
            trace.bodies[row.name] = json.loads(value)
        except ValueError:
            trace.bodies[row.name] = row.body
    if column in catalogue().records[row.table].column_names or column in ("supersedes", "uuid"):
        trace.may |= {(table, str(value)) for table in books.lines}
        trace.may |= {(table, f"candidate {value}") for table in CANDIDATES_OF}
    attacker.leave()


def _instead(attacker: Attacker, row: Row, column: str) -> Any:
    """Return something for a cell in which nothing is."""
    kind = ledger_table(row.table).c[column].type.python_type
    if kind is uuids.UUID:
        return str(uuids.UUID(int=attacker.random.getrandbits(128)))
    return "x" if kind is str else 1


def body_and_hash(attacker: Attacker) -> None:
    """A value in a body with its hash, and then as far as the degree goes."""
    row = any_row(attacker)
    body = attacker.body(row.name)
    path, value = attacker.random.choice(list(leaves(body)))
    put(body, path, other_leaf(value, attacker.random))
    attacker.note(f"{row.table} {row.uuid}: {'.'.join(map(str, path))} of the body was {value!r}")
    attacker.write_body(row.name, body, columns=attacker.reaches("columns"))
    attacker.trace.primary[row.name] = EDITED
    attacker.cover()


def row_delete(attacker: Attacker) -> None:
    """A row, and where the degree says so everything that hangs on it."""
    row = any_row(attacker)
    names = attacker.below([row.name]) if attacker.reaches("children") else {row.name}
    attacker.note(f"{row.table} {row.uuid} deleted, {len(names)} rows in all")
    attacker.delete(names)
    attacker.trace.primary |= dict.fromkeys(names, GONE)
    attacker.cover()


def insert_in_the_past(attacker: Attacker) -> None:
    """A row that is right in itself, in a day that is sealed or before records that are logged."""
    choice = attacker.random.random()
    if choice < 0.25:
        rows = made_up_trade(attacker, attacker.books.home.experiment)
    else:
        rows = [_another_record(attacker) if choice < 0.5 else _correction(attacker)]
    for table, row in rows:
        attacker.note(f"{table} {row.uuid} of {row.partition} inserted")
        attacker.insert(table, row)
        attacker.trace.primary[table, str(row.uuid)] = frozenset(("unexpected_row",))
    attacker.cover()


def _correction(attacker: Attacker) -> tuple[str, Any]:
    """A correction of a sealed record, told as if it had been made on the record's own day."""
    corrected = {row.body["supersedes"]["uuid"] for row in attacker.books.rows.values() if row.body.get("supersedes")}
    corrected |= {row.uuid for row in attacker.books.rows.values() if row.table in ("soulprints", "profit_buckets")}
    row = any_row(attacker)  # there may be one correction only, and one entry of a trade
    while row.uuid in corrected or row.experiment == attacker.books.home.by_hand:
        row = any_row(attacker)
    body = attacker.body(row.name)
    path, value = attacker.random.choice([item for item in leaves(body) if isinstance(item[1], str)])
    put(body, path, other_text(value, attacker.random))
    made = make_row(row.table, {**body, "supersedes": {"uuid": row.uuid, "hash": row.hash}})
    return row.table, made


def _another_record(attacker: Attacker) -> tuple[str, Any]:
    """A scan or a candidate that never was."""
    row = any_row(attacker, attacker.random.choice(("market_scans", "candidates")))
    body = attacker.body(row.name)
    name = "strategy" if row.table == "market_scans" else "segment"
    return row.table, make_row(row.table, body | {name: f"{body[name]}-2"})


def made_up_trade(attacker: Attacker, experiment: str) -> list[tuple[str, Any]]:
    """A winning trade with both its entries, in a day of the experiment."""
    books = attacker.books
    like = attacker.random.choice([row for row in books.table("canonical_trades") if row.experiment == experiment])
    told = {name: value for name, value in like.body.items() if name not in ("linked_registries", "specialized_hashes")}
    told.pop("supersedes", None)
    told |= {"symbol": "MADE/UP", "segment": None, "profit_usd": "1000", "profit_percentage": "10"}
    told |= dict.fromkeys(("candidate", "research", "execution", "outcome"))
    entry = next(row for row in books.table("soulprints") if row.body["canonical"]["uuid"] == like.uuid)
    vector = Soulprint("MADE/UP", told["opened_at"], entry.body["values"], entry.body["reference"])
    made = link_trade(told, {"soulprints": vector, "profit_buckets": Excursion("20", "-1", "1")})
    return list(made.by_table().items())


def link_repointed(attacker: Attacker) -> None:
    """A link to another record of the same table: the column, the body, and as far as the degree goes."""
    random = attacker.random
    table = random.choice([name for name, links in catalogue().links.items() if links])
    row = random.choice([item for item in attacker.books.table(table) if references(table, item.body)])
    key, target, uuid = random.choice(references(table, row.body))
    other = random.choice([item for item in attacker.books.table(target) if item.uuid != uuid])
    if table == "canonical_trades" and random.random() < 0.3:
        _other_entry(attacker, row)
    elif f"{key}_uuid" in _UNIQUE:
        _exchange(attacker, row, key, other)
    else:
        attacker.note(f"{table} {row.uuid}: {key} -> {target} {other.uuid}")
        _point(attacker, row, key, other)
    for name in attacker.trace.rows:
        attacker.trace.primary[name] = EDITED | {"dangling_link", "wrong_parent"}
    attacker.trace.may |= {other.name, *attacker.books.links[other.name]}
    attacker.cover()


def _point(attacker: Attacker, row: Row, key: str, other: Row) -> None:
    if attacker.degree == "bare" and f"{key}_uuid" in catalogue().records[row.table].column_names:
        attacker.unlock(row.table)
        attacker.sql(f"UPDATE {row.table} SET {key}_uuid = %s WHERE uuid = %s", other.uuid, row.uuid)
        attacker.trace.rows[row.name] = "changed"
        attacker.trace.bodies[row.name] = {**row.body, key: {"uuid": other.uuid, "hash": other.hash}}
        return
    body = attacker.body(row.name) | {key: {"uuid": other.uuid, "hash": other.hash}}
    attacker.write_body(row.name, body, columns=attacker.reaches("columns"))


def _exchange(attacker: Attacker, row: Row, key: str, other: Row) -> None:
    """Two records exchange what they name: an index allows one row a record."""
    books = attacker.books
    mine = row.body[key]["uuid"]
    theirs = [item for item in books.table(row.table) if (item.body.get(key) or {}).get("uuid") == other.uuid]
    old = books.rows[next(target for at, target, uuid in references(row.table, row.body) if at == key), mine]
    column = f"{key}_uuid"
    attacker.unlock(row.table)
    nobody = str(uuids.UUID(int=attacker.random.getrandbits(128)))
    for item in theirs:
        attacker.sql(f"UPDATE {row.table} SET {column} = %s WHERE uuid = %s", nobody, item.uuid)
        nobody = str(uuids.UUID(int=attacker.random.getrandbits(128)))
    attacker.note(f"{row.table}: {row.uuid} and {[item.uuid for item in theirs]} exchange their {key}")
    _point(attacker, row, key, other)
    for item in theirs:
        _point(attacker, item, key, old)
    attacker.trace.may |= {old.name, *books.links[old.name]}


def _other_entry(attacker: Attacker, row: Row) -> None:
    """A trade names the soulprint or the bucket entry of another trade."""
    others = [item for item in attacker.books.table("canonical_trades") if item.uuid != row.uuid]
    other = attacker.random.choice(others)
    registry = attacker.random.choice(("soulprints", "profit_buckets"))
    body = attacker.body(row.name)
    body["specialized_hashes"][registry] = other.body["specialized_hashes"][registry]
    attacker.note(f"canonical_trades {row.uuid}: names the entry in {registry} of {other.uuid}")
    attacker.write_body(row.name, body, columns=attacker.reaches("columns"))
    attacker.trace.may |= attacker.books.family({other.name})
