"""Which differences matter, on which server.

Belongs here: one question, answered for one difference. On the embedded server nobody but us has any business, so all
of it matters. On a configured server the database may be used by others too, and its owner chooses: there an object
matters that the migrations make, that belongs to one of those, or that acts in sessions of ours.
"""

from __future__ import annotations

from throughline.integrity.database.compare import Difference
from throughline.storage.roles import ROLES, role_name

_ACTS_EVERYWHERE = frozenset(("event trigger", "subscription"))
_OURS = frozenset(role_name(role) for role in ROLES)
_OWNED_BY_US = "owner"


def matters(item: Difference, *, embedded: bool, roles: bool, names: frozenset[str]) -> bool:
    """Return whether a difference is a finding.

    Args:
        item: the difference.
        embedded: whether the server is the home's own.
        roles: whether sessions take our roles; without them there are no owners and rights to compare.
        names: names of the relations that the migrations make.
    """
    if not roles and (item.kind in ("grant", "default acl") or _only_owners(item)):
        return False
    if embedded:
        return True
    if item.kind == "grant" and item.parent in (None, ("schema", "public")):
        return _may_create_or_reaches_us(item)
    if item.kind in ("schema", "extension", "language", "default acl"):
        return item.expected is not None and item.actual is None
    if item.expected is not None or item.kind in _ACTS_EVERYWHERE:
        return True
    return _belongs_to_ours(item, names) or _runs_as_us(item)


def _belongs_to_ours(item: Difference, names: frozenset[str]) -> bool:
    if item.kind == "parameter acl":
        return True
    if item.kind == "inheritance":
        return any(value in names for value in (item.actual or {}).values())
    return item.parent is not None and item.parent[0] != "schema" and item.parent[1].partition(".")[0] in names


def _runs_as_us(item: Difference) -> bool:
    """Return whether a function runs with the rights of its owner, and may be called by others."""
    return item.kind == "function" and (item.actual or {}).get("prosecdef") == "true"


def _may_create_or_reaches_us(item: Difference) -> bool:
    """Return whether a right lets somebody make what stands before our tables, or reaches a role of ours."""
    rights = " ".join(value or "" for value in (item.actual or {}).values())
    before = " ".join(value or "" for value in (item.expected or {}).values())
    grantee = item.name.rpartition(".")[2]
    if grantee == role_name("owner"):  # `storage.database` lets it make the tables
        return False
    return ("CREATE" in rights and "CREATE" not in before) or grantee in _OURS


def _only_owners(item: Difference) -> bool:
    return (
        item.expected is not None
        and item.actual is not None
        and all(name.endswith(_OWNED_BY_US) for name in item.changed)
    )
