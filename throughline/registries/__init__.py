"""The registries of closed trades, one module each: what is recorded of a trade beside the trade itself.

Belongs here: what a registry is (`Registry`), and finding the registries. A module here declares the record and the
stage of a registry and, but for the canonical trades, what it does as `REGISTRY`; it is found by being here. Modules
whose name begins with an underscore belong to one of them. Does not belong here: writing entries (`registry.writing`,
`flow.registry`), asking them questions (`registry`), reading rows for checks (`registry.consistency`).

The catalogue reads these modules when the Dagster code location is loaded, so they import what is heavy inside their
functions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from throughline.catalogue import RecordKind, catalogue
from throughline.discovery import package_modules
from throughline.errors import CatalogueError
from throughline.findings import FindingKind

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from throughline.market.panel import MarketPanel
    from throughline.storage.records import LedgerRow

Body = Mapping[str, Any]
Fields = tuple[str, ...]
"""What a body says at the paths of `places`, as text; lists as their JSON, `NULL` where there is nothing."""

TRADES = "canonical_trades"
"""The registry of the trades themselves, which the entries of all others name."""
NULL = r"\N"
"""How a missing value is written in `Fields`, as in PostgreSQL's COPY: no plain text has a backslash."""


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """A trade that the flow closed: the records of its chain, and the bars from its entry on.

    Args:
        candidate: record of its candidate.
        research: record of what was known when it was decided.
        execution: record of its entry.
        outcome: record of its exit.
        panel: bars from the fill to the exit or longer; None where there are none.
    """

    candidate: LedgerRow
    research: LedgerRow
    execution: LedgerRow
    outcome: LedgerRow
    panel: MarketPanel | None


class Problem(NamedTuple):
    """Something that does not hold in an entry: kind of the finding, what is wrong, and expected and actual value."""

    kind: FindingKind
    sentence: str
    expected: object = None
    actual: object = None


class QuickEntry(Protocol):
    """An entry whose row holds in itself, with its body's text and the fields that were read from it."""

    @property
    def uuid(self) -> str:
        """UUID of the entry."""
        ...

    @property
    def text(self) -> str | None:
        """The body."""
        ...

    @property
    def fields(self) -> Fields | None:
        """The body's values at the paths of `places`."""
        ...


class Registry(ABC):
    """One registry beside the canonical trades: how its entry comes from a trade, and what must hold in it.

    An entry repeats nothing of the trade. Its identity is a hash over its own content; the trade names it under that
    hash, and the entry names the trade's UUID and hash, so an edit in either direction breaks a hash.

    Subclasses set `record` and `identity`, and define `given`, `observed`, `entry`, `own_problems` and `problems`. The
    rest has defaults: no statistics, no columns for the suite, and every entry checked the exact way.

    Example:
        See `docs/extending.md`, "Adding a registry".
    """

    record: ClassVar[RecordKind]
    """The kind of its entries. Their bodies have `canonical`, the reference to the trade, as parent."""
    identity: ClassVar[str]
    """Body key and column of the hash under which a trade names its entry."""

    @property
    def name(self) -> str:
        """Name of the registry: that of its table and of its asset."""
        return self.record.table

    @abstractmethod
    def given(self, data: Mapping[str, Any], trade: Body) -> Any:
        """Return the facts of a trade that a person registers.

        Args:
            data: what the person says to this registry; empty where nothing is said.
            trade: body of the canonical trade, without its links to the registries.

        Raises:
            InvalidTrade: where a field does not exist or contradicts the trade; it names the field.
        """

    @abstractmethod
    def observed(self, closed: ClosedTrade) -> Any:
        """Return the facts of a trade that the flow closed."""

    @abstractmethod
    def entry(self, facts: Any, trade: Body, others: Mapping[str, Body]) -> dict[str, Any]:
        """Return the body of the entry without `canonical`, `experiment` and `partition`.

        Args:
            facts: what `given` or `observed` returned.
            trade: body of the canonical trade, without its links to the registries.
            others: bodies of the registries that this one is computed from (`RecordKind.computed_from`), by name.
        """

    @abstractmethod
    def own_problems(self, entry: Body) -> Iterable[Problem]:
        """Return what does not hold within the body of an entry."""

    @abstractmethod
    def problems(self, entry: Body, trade: Body, others: Mapping[str, Body]) -> Iterable[Problem]:
        """Return what does not hold between an entry, its trade and the other entries of the trade, by name."""

    def derived(self, research: LedgerRow) -> Mapping[str, Any]:
        """Return the fields of an entry of the flow that follow from the research record of its trade."""
        return {}

    def frame(self, bodies: Sequence[Body]) -> dict[str, list[Any]]:
        """Return the columns that the suite judges, beside `canonical`: one value for each body."""
        return {}

    def statistics(self, connection: Connection, experiment: str, entries: str) -> dict[str, Any]:
        """Return figures of the registry itself, by name.

        Args:
            connection: to read with.
            experiment: whole ID.
            entries: SQL of the entries that no correction replaced, with the parameter ``:experiment``.
        """
        return {}

    # The quick way: it only ever says "certainly holds". What it does not say is examined by the methods above.

    @property
    def compared(self) -> tuple[str, ...]:
        """Paths in the body that `certain` and `fits` read, beside those of columns and identity."""
        return ()

    def certain(self, entries: Sequence[QuickEntry]) -> Mapping[str, Any]:
        """Return UUID -> any value that `fits` of a registry may need, of the entries without `own_problems`."""
        return {}

    def fits(self, entry: Fields, trade: Fields, others: Mapping[str, tuple[Fields, Any]]) -> bool:
        """Return True if an entry certainly has no `problems`.

        Args:
            entry: fields of the entry.
            trade: fields of its trade.
            others: fields of the trade's entries, and what `certain` said of them, by name.
        """
        return False


@cache
def registries() -> Mapping[str, Registry]:
    """Return the registries beside the canonical trades by name, each after those it is computed from."""
    declared: dict[str, Registry] = {}
    for module in package_modules(__name__):
        registry = getattr(module, "REGISTRY", None)
        if registry is not None:
            if getattr(module, "RECORD", None) is not registry.record:
                raise CatalogueError(f"{module.__file__}: the record of REGISTRY must be the RECORD of the module")
            declared[registry.name] = registry
    return {name: declared[name] for name in catalogue().registries if name in declared}


@cache
def linked_names() -> tuple[str, ...]:
    """Return the names of `registries` in the order in which a trade lists them."""
    return tuple(sorted(registries()))


@cache
def places(table: str) -> Mapping[str, int]:
    """Return path in a body of a registry -> its place in `Fields`."""
    kind = catalogue().records[table]
    parent = () if kind.parent is None else (f"{kind.parent}.uuid",)
    if table == TRADES:
        more = import_module(f"{__name__}.{TRADES}").COMPARED
        more = (*more, *(f"specialized_hashes.{name}" for name in registries()))
    else:
        more = (registries()[table].identity, *registries()[table].compared)
    paths = ("experiment", "partition", kind.event_time, *parent, *kind.natural_key, *kind.paths.values(), *more)
    return {path: place for place, path in enumerate(dict.fromkeys(paths))}
