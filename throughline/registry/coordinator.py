"""`RegistryCoordinator`: the registries of one home behind the method names of the seed document.

Belongs here: opening the home, transactions, and which experiment a question is about. Does not belong here: what
entries say (entry, records), how they are written (writing), sums (statistics), look-alikes (patterns), checks
(consistency).

One transaction adds a trade, its soulprint, its bucket entry and both directions of the linkage, or nothing. Trades
written by hand live in an experiment of their own; questions are about the experiment that they name, or the active one
of mode backtest, or of mode demo, or the hand-written one, and the answer says which.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine

from throughline.catalogue import catalogue
from throughline.clock import Clock, SystemClock
from throughline.errors import InvalidTrade, LedgerConflict, SettingsError
from throughline.proof.log import publish
from throughline.proof.settings import Proof, open_proof
from throughline.registries import linked_names, registries
from throughline.registry.checks import Checks
from throughline.registry.entry import TradeEntry
from throughline.registry.index_loading import LoadedIndex, load_index, refresh_index
from throughline.registry.linkages import trade_with_linkages
from throughline.registry.opening import configured_artifacts, open_configured
from throughline.registry.patterns import NEAREST, Similar, find_similar
from throughline.registry.quarantine import quarantine_all, registry_table, release
from throughline.registry.reading import (
    Chosen,
    choose_experiment,
    corrected_by,
    find_trade,
    register_hand_experiment,
)
from throughline.registry.records import TradeRows, given_facts, link_trade
from throughline.registry.statistics import performance, registry_statistics
from throughline.registry.tracked import tracked_trade
from throughline.registry.writing import write_trades
from throughline.storage.database import Database
from throughline.storage.home import Home
from throughline.storage.ids import resolve_record
from throughline.storage.row_log import lock_log
from throughline.storage.tables import outcomes
from throughline.tracking.records import reference

Trade = Mapping[str, Any] | TradeEntry
Specialised = Mapping[str, Any] | None


class RegistryCoordinator:
    """The registries of one home. Use it as a context manager or call `close`; it may be used from several threads.

    home: folder of the home; None = THROUGHLINE_HOME or the default (its database and artifacts as the environment
    names them). engine: an engine with the writer role instead of the home's own. clock: the time of corrections;
    None = the operating system's. proof: key and anchor of the seal log; None = those of the home. experiment: what
    questions are about (`throughline.registry.reading.choose_experiment`): an ID or its first 8 or more digits; None =
    the active experiment of mode backtest, else of mode demo, else the trades written by hand. Every answer names it.
    """

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        engine: Engine | None = None,
        clock: Clock | None = None,
        proof: Proof | None = None,
        experiment: str | None = None,
    ) -> None:
        if engine is not None and proof is None and home is None:
            raise SettingsError("RegistryCoordinator was given an engine but no proof: give it both, or a home")
        place = None if engine is not None and home is None else Home.locate(home)
        self._clock = clock or SystemClock()
        self._experiment = experiment
        self._lock = threading.RLock()
        self._indexes: dict[str, LoadedIndex] = {}
        self._database: Database | None = None
        if engine is None:
            assert place is not None
            self._database = open_configured(place)
            engine = self._database.engine("writer")
        self._engine = engine
        try:
            embedded = self._database is None or self._database.embedded
            self._proof = proof or open_proof(_required(place), embedded, clock=self._clock)
            self._artifacts = configured_artifacts(place) if place else None
            with self._engine.begin() as connection:
                self.hand_experiment = register_hand_experiment(connection)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> RegistryCoordinator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the home back."""
        if self._database is not None:
            self._database.close()

    # Writing

    def add_trade_with_linkages(
        self, trade_data: Trade, specialized_data: Specialised = None, *, supersedes: str | None = None
    ) -> str:
        """Register a closed trade in all registries; return its trade hash (64 hex digits).

        The same again is a no-op with the same hash.

        Args:
            trade_data: a `TradeEntry` or its fields by name.
            specialized_data: registry -> what is known of the trade there (`Registry.given`).
            supersedes: hash of the trade that this one corrects: a new entry, in the partition of the day on which it
                is recorded.

        Raises:
            InvalidTrade: where the trade cannot be registered; it names the field. Nothing is written.
            LedgerConflict: where something else is recorded under the same natural key. Nothing is written.
            UnknownRecord: for an unknown `supersedes`. Nothing is written.
        """
        entry = TradeEntry.of(trade_data)
        if supersedes is not None:
            return self._correct(entry, specialized_data, supersedes)
        return self._add([self._linked(entry, specialized_data)])[0]

    def add_trades(self, trades: Iterable[tuple[Trade, Specialised]]) -> list[str]:
        """Register many trades in one transaction; return their hashes in order. Raises as for a single one."""
        return self._add([self._linked(TradeEntry.of(trade), specialised) for trade, specialised in trades])

    def add_tracked_trade(self, outcome: UUID | str, specialized_data: Specialised = None) -> str:
        """Register the trade of a chain that `TradeTrackingSystem` recorded, by its outcome's ID; return its hash.

        It stands in the chain's experiment and names its candidate, research, execution and outcome. The same again is
        a no-op; the trade of an outcome that corrects another is a correction too. Raises as `tracked_trade` does.
        """
        with self._engine.begin() as connection:
            lock_log(connection)
            named = resolve_record(connection, outcome, "record", among=(outcomes,))
            rows = tracked_trade(connection, named, specialized_data, self._clock.now().date())
            write_trades(connection, self._proof, [rows], rows.trade.experiment)
        publish(self._engine, self._proof, rows.trade.experiment)
        return rows.trade.content_hash

    # A call that is repeated because anchoring failed writes nothing new, and anchors what the first one wrote.

    def _add(self, trades: list[TradeRows]) -> list[str]:
        with self._engine.begin() as connection:
            lock_log(connection)
            write_trades(connection, self._proof, trades, self.hand_experiment)
        publish(self._engine, self._proof, self.hand_experiment)
        return [rows.trade.content_hash for rows in trades]

    def _correct(self, entry: TradeEntry, specialised: Specialised, supersedes: str) -> str:
        with self._engine.begin() as connection:
            lock_log(connection)
            before = find_trade(connection, supersedes)
            if before.experiment != self.hand_experiment:
                raise LedgerConflict(
                    f"trade {supersedes} was registered by experiment {before.experiment[:12]}, not by hand: its "
                    "correction belongs to a run of that experiment. Nothing was written."
                )
            # Made again on a later day, a correction is still the one that is there, in the partition of its own day.
            after = corrected_by(connection, before.uuid)
            day = after.partition if after else self._clock.now().date()
            if day < before.partition:
                raise InvalidTrade(
                    f"the clock stands on {day}, before {before.partition} on which trade {supersedes} stands: a "
                    "correction is not made before what it corrects"
                )
            rows = self._linked(entry, specialised, (reference(before), day))
            if after is not None and after.content_hash != rows.trade.content_hash:
                raise LedgerConflict(
                    f"trade {supersedes} is already corrected by {after.content_hash}: correct that one. "
                    "Nothing was written."
                )
            write_trades(connection, self._proof, [rows], self.hand_experiment)
        publish(self._engine, self._proof, self.hand_experiment)
        return rows.trade.content_hash

    def _linked(
        self, entry: TradeEntry, specialised: Specialised, correction: tuple[Mapping[str, str], date] | None = None
    ) -> TradeRows:
        body = entry.body(self.hand_experiment, correction)
        rows = link_trade(body, given_facts(specialised, body))
        _require_agreement(entry, rows)
        return rows

    # Questions

    def get_trade_with_all_linkages(self, canonical_hash: str) -> dict[str, Any]:
        """Return a trade of whichever experiment with everything tied to it (`throughline.registry.linkages`).

        Raises UnknownRecord where no trade of this home has the hash.
        """
        with self._engine.connect() as connection:
            return trade_with_linkages(connection, find_trade(connection, canonical_hash))

    def get_performance_analytics(self, *, experiment: str | None = None) -> dict[str, Any]:
        """Return the results of an experiment's trades (`throughline.registry.statistics.performance`).

        mode and chosen_by say of which mode the experiment is and why the answer is about it.
        """
        with self._engine.connect() as connection:
            chosen = self._asked(connection, experiment)
            return {**_about(chosen), **performance(connection, chosen.experiment)}

    def get_registry_statistics(self, *, experiment: str | None = None) -> dict[str, Any]:
        """Return entries, roots, links and quarantine of an experiment (`registry.statistics.registry_statistics`)."""
        with self._engine.connect() as connection:
            chosen = self._asked(connection, experiment)
            return {**_about(chosen), **registry_statistics(connection, chosen.experiment)}

    def find_similar(
        self,
        vector: Mapping[str, object],
        as_of: datetime | None = None,
        k: int = NEAREST,
        *,
        experiment: str | None = None,
        with_buckets: bool = True,
    ) -> Similar:
        """Return the outcomes of the `k` trades most alike to `vector`, of those known as of an instant (None = all).

        The arrays are read on the first question and refreshed when the seal log has grown. with_buckets: whether the
        cells are asked too, whose cost follows the trades in them. Raises GateClosed where the
        newest consistency report failed, ValueError for an unknown component or a naive instant.
        """
        with self._engine.connect() as connection:
            self._checks.require_open(connection)
            name = self._asked(connection, experiment).experiment
            with self._lock:
                known = self._indexes.get(name)
                loaded = refresh_index(connection, known) if known else load_index(connection, name)
                self._indexes[name] = loaded
            return find_similar(connection, name, vector, as_of, k, loaded=loaded, with_buckets=with_buckets)

    # Checking and mending

    def validate_registry_consistency(self) -> dict[str, Any]:
        """Check every entry and link of all registries in both directions, record the report, and return it."""
        return self._checks.validate()

    def cleanup_orphaned_entries(self) -> dict[str, Any]:
        """Quarantine every registry entry that a full check finds at fault, each with its reason; nothing is deleted.

        Returns quarantined (a list of table, uuid, reason), and how many of each registry. `restore` undoes it.
        """
        findings = self._checks.findings()
        with self._engine.begin() as connection:
            taken = quarantine_all(connection, findings)
        if taken:
            publish(self._engine, self._proof, self.hand_experiment)
        counts = {name: sum(item.table == name for item in taken) for name in catalogue().registries}
        listed = [{"table": item.table, "uuid": str(item.uuid), "reason": item.reason} for item in taken]
        return {"quarantined": listed, **counts}

    def restore(self, table: str, uuid: UUID | str, reason: str) -> None:
        """Give an entry back from quarantine.

        Raises:
            LedgerConflict: where it is not in quarantine.
            UnknownRecord: where there is no such entry.
        """
        with self._engine.begin() as connection:
            named = resolve_record(connection, uuid, "record", among=(registry_table(table),))
            release(connection, table, named, reason)
        publish(self._engine, self._proof, self.hand_experiment)

    @property
    def _checks(self) -> Checks:
        database = self._database
        reader = database.engine("auditor") if database else self._engine
        roles = database.enforces_roles if database else True
        return Checks(self._engine, reader, self._proof, self._artifacts, self._clock, roles)

    def _asked(self, connection: Connection, experiment: str | None) -> Chosen:
        return choose_experiment(connection, experiment or self._experiment)


def _about(chosen: Chosen) -> dict[str, Any]:
    return {"experiment": chosen.experiment, "mode": chosen.mode, "chosen_by": chosen.rule}


def _required(home: Home | None) -> Home:
    assert home is not None
    return home


def _require_agreement(entry: TradeEntry, rows: TradeRows) -> None:
    """Raise InvalidTrade where results that the caller gave (hashes, links) are not those of the content."""
    hashes = {name: rows.entries[name].columns[registry.identity] for name, registry in registries().items()}
    names = linked_names()
    if entry.trade_hash not in (None, rows.trade.content_hash):
        raise InvalidTrade(f"trade_hash is {entry.trade_hash}, the content gives {rows.trade.content_hash}")
    if entry.linked_registries and set(entry.linked_registries) != set(names):
        given = ", ".join(sorted(entry.linked_registries))
        raise InvalidTrade(f"linked_registries is {given}; a trade is linked to {' and '.join(names)}")
    for name, given in entry.specialized_hashes.items():
        if hashes.get(name) != given:
            raise InvalidTrade(f"specialized_hashes.{name} is {given}, the content gives {hashes.get(name)}")
