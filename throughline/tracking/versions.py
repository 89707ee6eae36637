"""Versions of record bodies: reading a stored body by the version that it was written as.

Belongs here: what a body of a version has, and reading by it. Does not belong here: the versions themselves, which each
kind of record declares (`RecordKind.versions`), and what a field means (the stage that writes it).

To add a field, name it in the kind's `versions` under the version that no release has written yet; where a release has
written the newest version already, open the next one. `make_row` writes the newest version into every new body, so
nothing else changes. A body that was written before the field existed reads as if the field were None. `tests/releases`
holds a home of every release, and a test that each still verifies.

Two releases wrote version 1: the first without the fields of version 2, the second with them. A body of version 1 may
therefore have them or not. Hashes are over the stored bytes, so reading by version changes no identity.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from throughline.catalogue import catalogue
from throughline.errors import StorageError

VERSION = "schema_version"
"""Key of the version in every body."""


@cache
def _since(table: str) -> Mapping[str, int]:
    """Return field -> the first version of the bodies of `table` that has it."""
    versions = catalogue().records[table].versions
    return {field: version for version, fields in versions.items() for field in fields.split()}


class UnknownVersion(StorageError, ValueError):
    """A body has a version that this release cannot read; the message names table and version."""


def known_fields(table: str, version: int) -> frozenset[str]:
    """Return the fields that every body of `table` of that version has, `schema_version` apart."""
    return frozenset(field for field, since in _since(table).items() if since <= version)


def current_version(table: str) -> int:
    """Return the version of the bodies of `table` that this release writes."""
    return catalogue().records[table].version


def version_problem(table: str, body: Mapping[str, Any]) -> str | None:
    """Return why this release cannot read the version of a body of `table`, None where it can."""
    version = body.get(VERSION)
    if type(version) is int and 1 <= version <= current_version(table):
        return None
    if type(version) is int and version > current_version(table):
        return (
            f"body has version {version}, this release knows versions of {table} up to {current_version(table)}: "
            "a newer release wrote it, so check it with that release"
        )
    return f"body names no version that exists ({VERSION} is {json.dumps(version)[:40]})"


def missing_fields(table: str, body: Mapping[str, Any]) -> list[str]:
    """Return the fields that a body of `table` lacks, though its version (one that is known) has them."""
    version = body[VERSION]
    return sorted(field for field, since in _since(table).items() if since <= version and field not in body)


def filled(table: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return a body of a known version with None for each field that came after its version. The body itself is kept.

    Fields that its version must have are not added: a body that lacks one stays incomplete.
    """
    version = body[VERSION]
    if version == current_version(table):
        return body
    later = {field: None for field, since in _since(table).items() if since > version}
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
    fields = known_fields(table, version if type(version) is int else current_version(table))
    return {name: value for name, value in given.items() if name in fields}
