"""The objects of a database that guard it: what they are called, and how a changed one is named."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Literal

from throughline.findings import Finding
from throughline.storage.tables import APPEND_ONLY, LEDGER, MUTABLE, metadata, view_name

FUNCTION = "throughline_refuse_change"
"""The function of every trigger that refuses a change."""
SCHEMA = "public"
"""Where the migrations make everything."""
Sort = Literal["append_only", "mutable", "view", "sequence"]
_MIGRATE = "run the migrations' statement for it again as the owner, after finding out who changed it"
_GRANT = "take it back or give it again as `throughline.storage.roles.grant_rights` does"


def trigger_changed(what: str, name: str, problem: str, expected: object, actual: object) -> Finding:
    """Return a finding on a table, view, trigger, rule, function or constraint."""
    return Finding(what, name, problem, "trigger_changed", str(expected), str(actual), _MIGRATE)


def grant_changed(what: str, name: str, problem: str, expected: object, actual: object) -> Finding:
    """Return a finding on a grant, an owner or a role."""
    return Finding(what, name, problem, "grant_changed", str(expected), str(actual), _GRANT)


@cache
def relations() -> Mapping[str, Sort]:
    """Return name -> sort of everything that rights are given on."""
    names: dict[str, Sort] = {table.name: "append_only" for table in APPEND_ONLY}
    names |= {table.name: "mutable" for table in MUTABLE}
    names |= {view_name(table): "view" for table in LEDGER}
    names |= {
        f"{table.name}_{column.name}_seq": "sequence"
        for table in metadata.tables.values()
        for column in table.columns
        if column.identity is not None
    }
    return MappingProxyType(names | {"alembic_version": "view"})
