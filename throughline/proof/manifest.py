"""Leaf manifests: which rows stand behind a seal, in order, as bytes that an event's hash covers.

Belongs here: the form of a leaf and of a manifest. Does not belong here: reading the rows (sources).

A leaf is (table, key, hash): a ledger row with its UUID and content hash, a seal of the day with ``asset/partition``
and its leaf hash, a quarantine action with its number and hash. Ledger rows come table by table in the order of
``layout.ASSET_TABLES``, within a table by the bytes of their UUID; all other leaves in the order they were made.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from throughline.identity import sha256_hex


class Leaf(NamedTuple):
    """One thing that a seal or an event stands for. hash: 64 hex digits."""

    table: str
    key: str
    hash: str


def manifest_bytes(leaves: Iterable[Leaf]) -> bytes:
    r"""Return the lines ``table key hash\n`` of the leaves, in their order."""
    return "".join(f"{leaf.table} {leaf.key} {leaf.hash}\n" for leaf in leaves).encode("ascii")


def manifest_hash(leaves: Iterable[Leaf]) -> str:
    """Return the hex SHA-256 of the manifest."""
    return sha256_hex(manifest_bytes(leaves))
