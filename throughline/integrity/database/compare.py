"""Which objects of two snapshots differ, each named once.

Belongs here: what is missing, foreign or changed, without what only follows from it: the columns of a table that is
gone, definitions that mention a renamed column. Does not belong here: which of it matters (`policy`) and how it is
worded (`wording`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from throughline.integrity.database.naming import Key
from throughline.integrity.database.snapshot import Properties, Snapshot

RELATIONS = frozenset(
    ("table", "view", "materialized view", "sequence", "foreign table", "partitioned table", "composite type", "index")
)
"""Kinds that share one space of names."""


@dataclass(frozen=True)
class Difference:
    """One object that is not as expected.

    Attributes:
        kind: such as ``trigger``.
        name: such as ``outcomes.outcomes_append_only``.
        expected: its expected properties, None where there should be no such object.
        actual: its properties, None where it is missing.
        instead: kind and name of what is there in its place, where it was renamed or replaced by another kind.
        parent: what it belongs to.
    """

    kind: str
    name: str
    expected: Properties | None
    actual: Properties | None
    instead: Key | None = None
    parent: Key | None = None

    @property
    def changed(self) -> Mapping[str, tuple[str | None, str | None]]:
        """Property to (expected, actual) of those that differ; a property that one side lacks is None there."""
        expected, actual = self.expected or {}, self.actual or {}
        names = sorted(expected.keys() | actual.keys())
        return {
            name: (expected.get(name), actual.get(name)) for name in names if expected.get(name) != actual.get(name)
        }


_WITH_TABLE = re.compile(r"owner$|^relpersistence$|^reltablespace$")
"""Properties that the indexes, types and sequences of a table take from it."""
_HAS = {"relhasrules": "rule", "relhastriggers": "trigger", "relhasindex": "index", "relchecks": "constraint"}
"""Properties that say which kind of object a table has."""

_PORTABLE = {
    "table": ("relpersistence", "relrowsecurity", "relforcerowsecurity", "relhastriggers", "relhasrules"),
    "column": ("type", "default", "attnotnull", "attgenerated", "attidentity"),
    "constraint": ("contype", "definition", "convalidated"),
    "index": ("indisunique", "indisvalid", "indisready", "indislive", "indkey"),
    "trigger": ("definition", "tgenabled", "tgtype", "tgattr", "tgfoid"),
    "function": ("prosrc", "prosecdef", "proconfig"),
    "view": ("reloptions",),
    "rule": ("definition",),
    "policy": ("using",),
    "sequence": ("seqincrement", "seqcycle"),
}
"""Kinds and properties that do not depend on the version of PostgreSQL."""
_COLUMN_NAMES = frozenset(
    ("attname", "adnum", "conkey", "confkey", "indkey", "tgattr", "owned by", "definition", "default", "using")
)
"""Properties in which columns are named."""
_WRITTEN = frozenset(("definition", "default", "using", "with check", "type"))


def differences(expected: Snapshot, actual: Snapshot) -> list[Difference]:
    """Return every object that differs, by kind and name.

    Args:
        expected: of a pristine database.
        actual: of the database that is checked, of the same server version.
    """
    by_object = {(item.kind, item.name): item for item in _differences(expected, actual)}
    own = [item for item in by_object.values() if not _follows(item, by_object)]
    return [item for item in own if not _is_unwritten(item)] or own


def _is_unwritten(item: Difference) -> bool:
    """Return whether all that differs is that the server cannot write definitions any more: something they need is
    gone, and named."""
    if item.expected is None or item.actual is None:
        return False
    return all(name in _WRITTEN and actual is None for name, (_, actual) in item.changed.items())


def portable(snapshot: Snapshot) -> Snapshot:
    """Return what of a snapshot every supported version of PostgreSQL writes alike."""
    objects = {
        key: {name: value for name, value in properties.items() if name in _PORTABLE[key[0]]}
        for key, properties in snapshot.objects.items()
        if key[0] in _PORTABLE and properties.get("contype") != "n" and properties.get("tgisinternal") != "true"
    }
    parents = {key: parent for key, parent in snapshot.parents.items() if key in objects and parent in objects}
    return Snapshot(objects, parents)


def _follows(item: Difference, by_object: Mapping[Key, Difference]) -> bool:
    """Return whether a difference only repeats that of another object, which is named instead."""
    properties = item.expected or item.actual or {}
    above = by_object.get(item.parent) if item.parent is not None else None
    if item.kind == "constraint" and properties.get("contype") == "n":
        column = by_object.get(("column", f"{item.name.rpartition('.')[0]}.{properties['conkey']}"))
        return column is not None and "attnotnull" in column.changed
    if item.kind == "trigger" and properties.get("tgisinternal") == "true":
        return above is not None  # the foreign key is named
    if item.kind in ("default acl", "parameter acl"):
        rights_on = "default privileges" if item.kind == "default acl" else item.name
        return any(key[0] == "grant" and key[1].startswith(f"{rights_on}.") for key in by_object)
    if item.kind == "grant" and above is not None and above.kind != "grant":
        owners = [change[1] for name, change in above.changed.items() if name.endswith("owner")]
        return item.name.rpartition(".")[2] in owners
    if item.expected is None or item.actual is None:
        return False
    return all(_repeats(item, name, change, by_object) for name, change in item.changed.items())


def _repeats(
    item: Difference, name: str, change: tuple[str | None, str | None], by_object: Mapping[Key, Difference]
) -> bool:
    """Return whether a changed property repeats another difference: of what a table has, or of the table itself."""
    if name in _HAS and (change == ("false", "true") or name == "relchecks"):
        return any(other.kind == _HAS[name] and other.parent == (item.kind, item.name) for other in by_object.values())
    above = by_object.get(item.parent) if item.parent is not None else None
    while above is not None and _WITH_TABLE.search(name):
        if any(change == other and _WITH_TABLE.search(key) for key, other in above.changed.items()):
            return True
        above = by_object.get(above.parent) if above.parent is not None else None
    return False


def _differences(expected: Snapshot, actual: Snapshot) -> Iterator[Difference]:
    renamed = _renamed_columns(expected, actual)
    if renamed:
        actual = _with_old_names(actual, renamed)
    replaced = _replaced(expected, actual)
    uneven = _uneven_tables(expected, actual)
    for key in sorted(expected.objects.keys() | actual.objects.keys()):
        intended, present = expected.objects.get(key), actual.objects.get(key)
        parent = expected.parents.get(key) or actual.parents.get(key)
        if key in renamed:
            instead = ("column", renamed[key])
            changed = {**(present or {}), "attname": renamed[key].rpartition(".")[2]}
            yield Difference(*key, intended, changed, instead, parent)
        elif present is None:
            if not _falls(key, expected, actual) and not _has_constraint(key, expected, actual):
                other = replaced.get(key)
                yield Difference(*key, intended, actual.objects[other] if other else None, other, parent)
        elif intended is None:
            follows = key in replaced.values() or _falls(key, actual, expected)
            if not follows and not _has_constraint(key, actual, expected):
                yield Difference(*key, None, present, None, parent)
        elif key[0] == "column" and parent in uneven:
            placed = {**present, "position": intended.get("position")}
            if intended != placed:
                yield Difference(*key, intended, placed, None, parent)
        elif intended != present:
            yield Difference(*key, intended, present, None, parent)


def _falls(key: Key, here: Snapshot, there: Snapshot) -> bool:
    """Return whether something that `key` falls with is only in `here`, so that it is named instead.

    Objects that fall with each other in a circle, as only damaged or forged dependencies say, are named each.
    """
    above: list[Key] = []
    current = key
    while (parent := here.parents.get(current)) is not None and parent not in above:
        above.append(parent)
        current = parent
    return key not in above and any(parent not in there.objects for parent in above)


def _has_constraint(key: Key, here: Snapshot, there: Snapshot) -> bool:
    """Return whether `key` is the index of a constraint that is only in `here` too."""
    constraint = ("constraint", key[1])
    return key[0] == "index" and constraint in here.objects and constraint not in there.objects


def _replaced(expected: Snapshot, actual: Snapshot) -> dict[Key, Key]:
    """Return missing relations to relations of another kind that have their names."""
    foreign = {name: kind for kind, name in actual.objects.keys() - expected.objects.keys() if kind in RELATIONS}
    missing = expected.objects.keys() - actual.objects.keys()
    return {(kind, name): (foreign[name], name) for kind, name in missing if kind in RELATIONS and name in foreign}


def _uneven_tables(expected: Snapshot, actual: Snapshot) -> set[Key]:
    """Return the relations that lack columns or have foreign ones: the places of the others follow from that."""
    different = expected.objects.keys() ^ actual.objects.keys()
    columns = [key for key in different if key[0] == "column"]
    return {here.parents[key] for here in (expected, actual) for key in columns if key in here.parents}


def _renamed_columns(expected: Snapshot, actual: Snapshot) -> dict[Key, str]:
    """Return missing columns to the name of the foreign column of their type that stands in their place."""

    def places(here: Snapshot, there: Snapshot) -> dict[tuple[Key, str | None, str | None], str]:
        return {
            (here.parents[key], properties.get("position"), properties.get("type")): key[1]
            for key, properties in here.objects.items()
            if key[0] == "column" and key not in there.objects and key in here.parents
        }

    foreign = places(actual, expected)
    return {("column", name): foreign[place] for place, name in places(expected, actual).items() if place in foreign}


@dataclass
class _Renaming:
    """Old names in the objects of one table."""

    words: dict[str, str] = field(default_factory=dict)

    def apply(self, value: str) -> str:
        for new, old in self.words.items():
            value = re.sub(rf"\b{re.escape(new)}\b", old, value)
            value = value.replace(f"{old} AS {old}", old)
        return value


def _with_old_names(actual: Snapshot, renamed: Mapping[Key, str]) -> Snapshot:
    """Return a snapshot in which what belongs to or reads a table names its renamed columns as expected."""
    tables: dict[str, _Renaming] = {}
    for (_, old), new in renamed.items():
        table, _, word = new.rpartition(".")
        tables.setdefault(table, _Renaming()).words[word] = old.rpartition(".")[2]
    objects: dict[Key, Properties] = {}
    parents: dict[Key, Key] = {}
    for key, properties in actual.objects.items():
        new_key = key
        for table, renaming in tables.items():
            if key[1].startswith(f"{table}.") or any(_mentions(value, table) for value in properties.values()):
                properties = {
                    name: renaming.apply(value) if value is not None and name in _COLUMN_NAMES else value
                    for name, value in properties.items()
                }
                if key[0] == "column" and key[1].startswith(f"{table}."):
                    new_key = (key[0], renaming.apply(key[1]))
        objects[new_key] = properties
        if key in actual.parents:
            parents[new_key] = actual.parents[key]
    return Snapshot(objects, parents)


def _mentions(value: str | None, table: str) -> bool:
    return value is not None and re.search(rf"\b{re.escape(table)}\b", value) is not None
