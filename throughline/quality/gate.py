"""The gate: what a consumer asks before it reads a day of a gated asset. Fails closed.

Belongs here: reading the verdicts of our table and deciding whether a day may be read. Does not belong here: making
verdicts (`runner`) and writing them (`flow`, in the transaction of the rows that they are about).

A Dagster check that blocks stops only later steps of its own run, so checks show and this table enforces: a day is
open only if the verdict of the *current* suite on the *current* seal is passed. Missing, failed and stale are closed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlalchemy import Connection, select

from throughline.errors import GateClosed
from throughline.quality.suite import count_words, load_suite
from throughline.quality.verdict import Failure
from throughline.storage.tables import gate_verdicts

Standing = Literal["open", "failed", "missing", "stale_seal", "stale_suite"]


@dataclass(frozen=True)
class GateState:
    """The state of the gate of one day.

    Args:
        asset: whose gate.
        day: of the asset.
        standing: 'open', or why it is closed.
        failures: of the verdict, where `standing` is 'failed'.
    """

    asset: str
    day: date
    standing: Standing
    failures: tuple[Failure, ...] = ()

    @property
    def open(self) -> bool:
        """True if the day may be read."""
        return self.standing == "open"

    @property
    def sentence(self) -> str:
        """Why the gate is closed, naming asset, day, rule and rows, and what to do about it."""
        head = f"{self.asset} of {self.day}"
        if self.standing == "open":
            return f"{head} passed its gate"
        if self.standing == "failed":
            rules = "; ".join(
                f"rule {failure.rule} is broken by {count_words(self.asset, failure.rule, failure.rows)}"
                + (f" (such as {', '.join(failure.sample)})" if failure.sample else "")
                for failure in self.failures
            )
            return f"{head} failed its gate: {rules}"
        again = f"materialize {self.asset} of {self.day} again"
        if self.standing == "missing":
            return f"{head} has no gate verdict: {again}"
        if self.standing == "stale_seal":
            return f"{head} has only a verdict on rows other than those now sealed: {again}"
        return f"{head} has only a verdict of an older suite: {again}"


def gate_standings(
    connection: Connection,
    experiment: str,
    asset: str,
    days: Sequence[date],
    seals: Mapping[date, str],
    suite_hash: str | None = None,
) -> dict[date, GateState]:
    """Return the state of the gate of each day, with one query.

    Args:
        connection: may read.
        experiment: its ID.
        asset: whose gate.
        days: which days.
        seals: the current seal of each day; a day without one is 'missing'.
        suite_hash: the suite that the verdict must be of; None is the one shipped with this code.
    """
    required = suite_hash if suite_hash is not None else load_suite(asset).hash
    if not days:
        return {}
    columns = gate_verdicts.c
    rows = connection.execute(
        select(columns.partition, columns.seal, columns.suite_hash, columns.passed, columns.failures)
        .where(columns.experiment == experiment, columns.asset == asset)
        .where(columns.partition.between(min(days), max(days)))
    ).all()
    verdicts: dict[date, list[tuple[str, str, bool, str]]] = {}
    for day, seal, suite, passed, failures in rows:
        verdicts.setdefault(day, []).append((seal.strip(), suite.strip(), passed, failures))
    return {day: _state(asset, day, verdicts.get(day, []), seals.get(day), required) for day in days}


def _state(
    asset: str, day: date, verdicts: Sequence[tuple[str, str, bool, str]], seal: str | None, suite_hash: str
) -> GateState:
    if seal is None or not verdicts:
        return GateState(asset, day, "missing")
    on_seal = [verdict for verdict in verdicts if verdict[0] == seal]
    if not on_seal:
        return GateState(asset, day, "stale_seal")
    for _, suite, passed, failures in on_seal:
        if suite == suite_hash:
            return GateState(asset, day, "open") if passed else GateState(asset, day, "failed", failures_of(failures))
    return GateState(asset, day, "stale_suite")


def failures_of(text: str) -> tuple[Failure, ...]:
    """Return the failures from the JSON text of a stored verdict."""
    return tuple(Failure(item["rule"], int(item["rows"]), tuple(item.get("sample", ()))) for item in json.loads(text))


def gate_states(
    connection: Connection,
    experiment: str,
    asset: str,
    days: Sequence[date],
    seals: Mapping[date, str],
    suite_hash: str | None = None,
) -> dict[date, tuple[Failure, ...]]:
    """Return the failures of the gate of each day; none means that the day may be read. Arguments as `gate_standings`.

    A failed verdict is data that blocks its day.

    Raises:
        GateClosed: a verdict is missing or stale; the error names the first such day.
    """
    standings = gate_standings(connection, experiment, asset, days, seals, suite_hash)
    for state in standings.values():
        if state.standing not in ("open", "failed"):
            raise GateClosed(state.sentence)
    return {day: state.failures for day, state in standings.items()}


def require_gate(
    connection: Connection,
    experiment: str,
    asset: str,
    seals: Mapping[date, str | None],
    suite_hash: str | None = None,
) -> None:
    """Return if every day passed its gate: for consumers that cannot leave a day out, which read the ledger itself.

    Args:
        connection: may read.
        experiment: its ID.
        asset: whose gate.
        seals: day -> seal of the rows that are read (None = not sealed).
        suite_hash: as in `gate_standings`.

    Raises:
        GateClosed: the error names asset, day, rule and rows of the first day that did not pass.
    """
    known = {day: seal for day, seal in seals.items() if seal is not None}
    for state in gate_standings(connection, experiment, asset, sorted(seals), known, suite_hash).values():
        if not state.open:
            raise GateClosed(state.sentence)
