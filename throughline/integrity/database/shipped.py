"""The pristine snapshot of a server version as a file of the package: written compactly, read without a database.

Belongs here: the format, and the digest of what it was made by. Does not belong here: when it is used (`pristine`),
and making it (``python scripts/pristine.py``).

Most properties of most objects are alike: the file has, for each kind, the usual value of every property, and for each
object only what differs. A value that repeats the object's name, or its part before or after the last dot, is written
``{name}``, ``{head}`` or ``{tail}``.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from throughline.integrity.database.builtins import Digest
from throughline.integrity.database.naming import Key
from throughline.integrity.database.snapshot import Snapshot
from throughline.storage import migrations
from throughline.storage.roles import grant_statements

FOLDER = "snapshots"
"""Folder of the files, one for each major version of PostgreSQL, in this package."""


@cache
def migrations_digest() -> str:
    """Return a digest of everything that makes a database: the migrations' sources and the grants."""
    digest = hashlib.sha256()
    for path in sorted((Path(migrations.__file__).parent / "versions").glob("[0-9]*.py")):
        digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    for statement in grant_statements():
        digest.update(statement.encode() + b"\0")
    return digest.hexdigest()


def file_name(major: int) -> str:
    """Return the name of the file of a major version."""
    return f"postgresql_{major}.json"


def read_shipped(major: int) -> Mapping[str, Any] | None:
    """Return the content of the file of a major version, None where there is none."""
    file = resources.files(__package__) / FOLDER / file_name(major)
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def encode(snapshot: Snapshot, digests: Mapping[str, Digest], server: str, fixed_below: int) -> str:
    """Return the text of a file.

    Args:
        snapshot: of a pristine database.
        digests: of its built-in objects.
        server: the server's whole version, such as ``18.6``.
        fixed_below: `builtins.first_free_oid` of the server.
    """
    kinds: dict[str, dict[str, dict[str, str | None]]] = {}
    for (kind, name), properties in snapshot.objects.items():
        values = {key: _shorten(value, name) for key, value in properties.items()}
        parent = snapshot.parents.get((kind, name))
        if parent is not None:
            values |= {"parent kind": parent[0], "parent": _shorten(parent[1], name)}
        kinds.setdefault(kind, {})[name] = values
    usual = {kind: _usual(objects.values()) for kind, objects in kinds.items()}
    objects = {
        kind: {name: _difference(values, usual[kind]) for name, values in sorted(members.items())}
        for kind, members in sorted(kinds.items())
    }
    head = {"server": server, "migrations": migrations_digest(), "fixed_below": fixed_below, "usual": usual}
    lines = [f"{json.dumps(key)}: {json.dumps(value, sort_keys=True)}" for key, value in head.items()]
    built_in = {name: [digest.whole, digest.rows] for name, digest in sorted(digests.items())}
    lines.append(f'"built_in": {{\n{_lines(built_in)}\n}}')
    groups = [f"{json.dumps(kind)}: {{\n{_lines(members)}\n}}" for kind, members in objects.items()]
    groups_text = ",\n".join(groups)
    lines.append(f'"objects": {{\n{groups_text}\n}}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def decode(content: Mapping[str, Any]) -> tuple[Snapshot, Mapping[str, Digest]]:
    """Return snapshot and built-in digests of a file's content."""
    objects: dict[Key, dict[str, str | None]] = {}
    parents: dict[Key, Key] = {}
    for kind, members in content["objects"].items():
        usual = content["usual"][kind]
        for name, values in members.items():
            properties = {key: _lengthen(value, name) for key, value in {**usual, **values}.items() if value != _ABSENT}
            parent_kind, parent = properties.pop("parent kind", None), properties.pop("parent", None)
            if parent_kind is not None and parent is not None:
                parents[kind, name] = (parent_kind, parent)
            objects[kind, name] = properties
    digests = {name: Digest(whole, rows) for name, (whole, rows) in content["built_in"].items()}
    return Snapshot(objects, parents), digests


_ABSENT = "{absent}"


def _usual(objects: Any) -> dict[str, str | None]:
    counted: dict[str, Counter[str | None]] = {}
    for values in objects:
        for key, value in values.items():
            counted.setdefault(key, Counter())[value] += 1
    return {key: counts.most_common(1)[0][0] for key, counts in counted.items()}


def _difference(values: Mapping[str, str | None], usual: Mapping[str, str | None]) -> dict[str, str | None]:
    absent = dict.fromkeys(usual.keys() - values.keys(), _ABSENT)
    return {key: value for key, value in values.items() if value != usual[key]} | absent


def _shorten(value: str | None, name: str) -> str | None:
    head, _, tail = name.rpartition(".")
    return {tail: "{tail}", head or name: "{head}", name: "{name}"}.get(value, value) if value else value


def _lengthen(value: str | None, name: str) -> str | None:
    head, _, tail = name.rpartition(".")
    return {"{name}": name, "{head}": head or name, "{tail}": tail}.get(value, value) if value else value


def _lines(values: Mapping[str, Any]) -> str:
    return ",\n".join(f"{json.dumps(key)}: {json.dumps(value, sort_keys=True)}" for key, value in values.items())
