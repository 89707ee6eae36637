"""Finding the declarations, checking them against each other, and what follows from them.

Belongs here: `Catalogue`, its order and its questions. Does not belong here: any declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from graphlib import CycleError, TopologicalSorter
from types import ModuleType

from throughline.catalogue.record import RecordKind
from throughline.catalogue.stage import GROUPS, StageSpec
from throughline.discovery import package_modules
from throughline.errors import CatalogueError

REGISTRIES = "throughline.registries"
"""The package whose records are the registries."""
PACKAGES = ("throughline.catalogue.records", "throughline.catalogue.stages", REGISTRIES)
"""The packages whose modules declare records and stages, but for those whose name begins with an underscore."""


@dataclass(frozen=True)
class Catalogue:
    """Everything that is declared.

    Args:
        records: table -> kind of record, parents before children.
        stages: asset -> stage, in the order of the day: each after all that it stands on.
        registries: the tables of the registries, parents before children.

    Example:
        >>> catalogue().upstream["outcomes"]
        ('portfolio_state', 'executions')
    """

    records: Mapping[str, RecordKind]
    stages: Mapping[str, StageSpec]
    registries: tuple[str, ...]

    @cached_property
    def asset_tables(self) -> Mapping[str, tuple[str, ...]]:
        """Asset -> tables whose rows its seal is made of; only assets that seal rows."""
        tables = {
            asset: tuple(table for table, kind in self.records.items() if kind.asset == asset) for asset in self.stages
        }
        return {asset: names for asset, names in tables.items() if names}

    @cached_property
    def table_asset(self) -> Mapping[str, str]:
        """Table -> asset whose seal covers its rows."""
        return {table: kind.asset for table, kind in self.records.items()}

    @cached_property
    def links(self) -> Mapping[str, Mapping[str, str]]:
        """Table -> body key of a {uuid, hash} reference -> table of the record that it names."""
        return {table: kind.links for table, kind in self.records.items()}

    @cached_property
    def upstream(self) -> Mapping[str, tuple[str, ...]]:
        """Asset -> assets whose same day must be sealed before."""
        inner = {asset: spec.upstream for asset, spec in self.stages.items() if not spec.closes_day}
        needed = {name for names in inner.values() for name in names}
        last = tuple(asset for asset in inner if asset not in needed)
        return {asset: inner.get(asset, last) for asset in self.stages}

    @cached_property
    def direct_upstream(self) -> Mapping[str, tuple[str, ...]]:
        """Asset -> the part of `upstream` that does not follow from the rest of it: the edges that Dagster shows."""
        above: dict[str, frozenset[str]] = {}
        direct = {}
        for asset, names in self.upstream.items():
            implied = frozenset[str]().union(*(above[name] for name in names))
            above[asset] = implied.union(names)
            direct[asset] = tuple(name for name in names if name not in implied)
        return direct

    @cached_property
    def written_by(self) -> Mapping[str, str]:
        """Asset -> the other asset whose transaction writes its rows before it seals them."""
        return {asset: spec.written_by for asset, spec in self.stages.items() if spec.written_by is not None}

    @cached_property
    def gated(self) -> tuple[str, ...]:
        """Assets with a quality suite, in the order of the flow."""
        return tuple(asset for asset, spec in self.stages.items() if spec.gated)

    @cached_property
    def hard(self) -> tuple[str, ...]:
        """Gated assets of the ledger and the registries: there a failure raises (docs/architecture.md, Gates)."""
        return tuple(asset for asset, spec in self.stages.items() if spec.gate == "hard")

    @cached_property
    def blockable(self) -> tuple[str, ...]:
        """Assets whose day is blocked (no rows) where an asset upstream failed its gate or is itself blocked."""
        return tuple(asset for asset, spec in self.stages.items() if spec.blockable)


@cache
def catalogue() -> Catalogue:
    """Return the catalogue of the installed package, read once per process."""
    return load_catalogue()


def load_catalogue() -> Catalogue:
    """Read every declaration and return them as a whole.

    Raises:
        CatalogueError: where a file declares nothing, or two declarations contradict each other; it names the file.
    """
    records: dict[str, RecordKind] = {}
    stages: dict[str, StageSpec] = {}
    registries: set[str] = set()
    for module in (module for package in PACKAGES for module in package_modules(package)):
        record, stage = getattr(module, "RECORD", None), getattr(module, "STAGE", None)
        if record is None and stage is None:
            raise CatalogueError(f"{module.__file__} declares neither RECORD nor STAGE: add one, or move the file")
        if record is not None:
            _require(record, RecordKind, module)
            if record.table in records:
                raise CatalogueError(f"{module.__file__} declares the table '{record.table}', which another file has")
            records[record.table] = record
            if module.__name__.startswith(f"{REGISTRIES}."):
                registries.add(record.table)
        if stage is not None:
            _require(stage, StageSpec, module)
            if stage.asset in stages:
                raise CatalogueError(f"{module.__file__} declares the asset '{stage.asset}', which another file has")
            stages[stage.asset] = stage
    _check_records(records, stages)
    _check_stages(stages)
    above = {name: {*kind.links.values(), *kind.computed_from} - {name} for name, kind in records.items()}
    tables = _ordered(above, str, "records")
    place = {name: number for number, name in enumerate(tables)}
    ordered = _order_of_stages(stages, records, place)
    position = {asset: number for number, asset in enumerate(ordered)}
    tables = sorted(tables, key=lambda name: (position[records[name].asset], place[name]))
    return Catalogue(
        records={name: records[name] for name in tables},
        stages={asset: stages[asset] for asset in ordered},
        registries=tuple(name for name in tables if name in registries),
    )


def _require(value: object, kind: type, module: ModuleType) -> None:
    if not isinstance(value, kind):
        raise CatalogueError(f"{module.__file__}: a {type(value).__name__} stands where a {kind.__name__} must")


def _check_records(records: Mapping[str, RecordKind], stages: Mapping[str, StageSpec]) -> None:
    words: dict[str, str] = {}
    for table, kind in records.items():
        where = f"record kind '{table}'"
        if words.setdefault(kind.kind, table) != table:
            raise CatalogueError(f"{where}: the kind '{kind.kind}' is that of '{words[kind.kind]}': give it its own")
        if kind.asset not in stages:
            raise CatalogueError(f"{where}: no stage makes the asset '{kind.asset}'")
        for target in (*kind.links.values(), *kind.computed_from):
            if target not in records:
                raise CatalogueError(f"{where} names the table '{target}', which no file declares")
        if kind.parent is not None and kind.parent not in kind.links:
            raise CatalogueError(f"{where}: the parent '{kind.parent}' is none of its links")
        if sorted(kind.versions) != list(range(1, len(kind.versions) + 1)):
            raise CatalogueError(f"{where}: versions are numbered from 1 without gaps, not {sorted(kind.versions)}")
        _check_columns(where, kind)


def _check_columns(where: str, kind: RecordKind) -> None:
    names = kind.column_names
    if len(set(names)) != len(names):
        raise CatalogueError(f"{where}: a column is declared twice")
    keys = (kind.event_time, *kind.natural_key, *kind.links, *(column.keys[0] for column in kind.columns))
    for key in ("experiment", "partition", *keys):
        if key not in kind.fields:
            raise CatalogueError(f"{where}: '{key}' is no field of its bodies: add it to `versions`")
    for name in (name for index in kind.indexes for name in index.columns):
        if name not in (*names, "content_hash"):
            raise CatalogueError(f"{where}: an index names the column '{name}', which it does not have")
    if kind.one_per_candidate and "candidate_uuid" not in names:
        raise CatalogueError(f"{where}: one_per_candidate needs the column candidate_uuid")


def _check_stages(stages: Mapping[str, StageSpec]) -> None:
    for asset, spec in stages.items():
        where = f"stage '{asset}'"
        for name in (*spec.upstream, *filter(None, [spec.written_by])):
            if name not in stages:
                raise CatalogueError(f"{where} stands on '{name}', which no file declares")
        if spec.written_by is not None and spec.written_by not in spec.upstream:
            raise CatalogueError(f"{where}: '{spec.written_by}' writes its rows, so it must be upstream")
        if spec.closes_day and spec.upstream:
            raise CatalogueError(f"{where} closes the day, so it stands on all other stages and lists no upstream")
        if not all(part.isidentifier() for part in spec.run.replace(":", ".", 1).split(".")) or ":" not in spec.run:
            raise CatalogueError(f"{where}: run is '{spec.run}', write it as module:function")
    closing = [asset for asset, spec in stages.items() if spec.closes_day]
    if len(closing) > 1:
        raise CatalogueError(f"the stages {' and '.join(closing)} close the day; only one can")


def _order_of_stages(
    stages: Mapping[str, StageSpec], records: Mapping[str, RecordKind], place: Mapping[str, int]
) -> list[str]:
    first = {asset: len(records) for asset in stages}
    for table, kind in records.items():
        first[kind.asset] = min(first[kind.asset], place[table])
    groups = {name: number for number, name in enumerate(GROUPS)}

    def key(asset: str) -> tuple[int, int, str]:
        return groups.get(stages[asset].group, len(groups)), first[asset], asset

    inner = {asset: set(spec.upstream) for asset, spec in stages.items() if not spec.closes_day}
    return [*_ordered(inner, key, "stages"), *(asset for asset, spec in stages.items() if spec.closes_day)]


def _ordered(graph: Mapping[str, set[str]], key: Callable[[str], object], what: str) -> list[str]:
    """Return the nodes so that each comes after what it stands on; of several that could come, the least by `key`."""
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        raise CatalogueError(f"the {what} {' -> '.join(error.args[1])} stand on each other in a circle") from None
    result: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=key)  # type: ignore[arg-type]
        result.append(ready.pop(0))
        sorter.done(result[-1])
    return result
