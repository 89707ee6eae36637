"""Somebody with the superuser's password and our source code, but neither key nor anchor.

Belongs here: what such a person can do to rows, from one cell up to a whole history made consistent again (`cover`:
hashes, columns, children, seals, events, heads under a key of their own).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.integration.tampering.books import Name
from tests.integration.tampering.forging import Forger
from throughline.identity import canonical_bytes
from throughline.storage.records import LedgerRow
from throughline.tracking.records import body_hash, project


@dataclass
class Attacker(Forger):
    """One tamper: what is done on the connection, and its trace. degree: one of `intruder.DEGREES`."""

    def body(self, name: Name) -> dict[str, Any]:
        """Return what a row says now, to be changed."""
        told: dict[str, Any] = copy.deepcopy(dict(self.trace.bodies.get(name) or self.books.rows[name].body))
        return told

    def write_body(self, name: Name, body: Mapping[str, Any], columns: bool) -> None:
        """Replace the body of a row, with the hash, and with the columns where these can be read from the body."""
        table, uuid = name
        data = canonical_bytes(body)
        self.unlock(table)
        values: dict[str, Any] = {"body": data, "content_hash": body_hash(table, data)}
        if columns:
            try:
                values |= project(table, json.loads(data))
            except (KeyError, TypeError, ValueError, ArithmeticError):
                self.note("the columns do not follow")
        told = ", ".join(f'"{column}" = %s' for column in values)
        self.sql(f"UPDATE {table} SET {told} WHERE uuid = %s", *map(_plain, values.values()), uuid)
        self.trace.rows.setdefault(name, "changed")
        self.trace.bodies[name] = body

    def cascade(self) -> None:
        """Make every record below a changed one name it by its new hash, down to the end of the chain."""
        waiting = [name for name, how in self.trace.rows.items() if how == "changed"]
        while waiting:
            above = waiting.pop(0)
            if self.trace.rows[above] != "changed":
                continue
            digest = self.hash_of(above)
            for name in sorted(self.books.below[above]):
                body = self.body(name)
                refs = [item for item in body.values() if isinstance(item, dict) and item.get("uuid") == above[1]]
                if self.trace.rows.get(name, "changed") != "changed" or all(item["hash"] == digest for item in refs):
                    continue
                for item in refs:
                    item["hash"] = digest
                self.write_body(name, body, columns=True)
                waiting.append(name)

    def delete(self, names: Iterable[Name]) -> None:
        """Delete rows."""
        for table, uuid in sorted(names):
            self.unlock(table)
            self.sql(f"DELETE FROM {table} WHERE uuid = %s", uuid)
            self.trace.rows[table, uuid] = "gone"

    def below(self, names: Iterable[Name]) -> set[Name]:
        """Return the rows with everything that hangs on them."""
        found, waiting = set(names), list(names)
        while waiting:
            for name in self.books.below[waiting.pop()]:
                if name not in found:
                    found.add(name)
                    waiting.append(name)
        return found

    def insert(self, table: str, row: LedgerRow) -> None:
        """Insert a row that is right in itself."""
        self.unlock(table)
        values = {
            "uuid": row.uuid,
            "experiment": row.experiment,
            "partition": row.partition,
            "content_hash": row.content_hash,
            "body": row.body,
            "supersedes": row.supersedes,
            **row.columns,
        }
        names = ", ".join(f'"{column}"' for column in values)
        marks = ", ".join(["%s"] * len(values))
        self.sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", *map(_plain, values.values()))
        name = (table, str(row.uuid))
        self.trace.rows[name] = "new"
        self.trace.bodies[name] = json.loads(row.body)
        self.trace.days[name] = row.partition

    def cover(self) -> None:
        """Do all that the degree says, after the rows."""
        if self.reaches("children"):
            self.cascade()
        if self.reaches("seals"):
            self.reseal()
        if self.reaches("log"):
            self.relog()
        if self.reaches("heads"):
            self.rehead()
        self.leave()


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value
