"""Every experiment of a home on one line: days, trades, return, and what differs from the one it is compared with.

Belongs here: four queries over all experiments, whatever their number, and the differences of their bodies. Does not
belong here: which experiment is worked on (experiment.choice), how it is printed (cli) or shown (assets).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, func, select, text

from throughline.experiment.mode import mode_names
from throughline.storage.queries import get_active, read_experiments, read_inputs
from throughline.storage.records import StoredExperiment
from throughline.storage.tables import partition_seals

_TRADES = text(
    "SELECT experiment, count(*) FROM outcomes AS o "
    "WHERE NOT EXISTS (SELECT 1 FROM outcomes AS later WHERE later.supersedes = o.uuid) GROUP BY experiment"
)
_EQUITY = text(
    "SELECT DISTINCT ON (experiment) experiment, equity_usd FROM current_portfolio_states "
    "ORDER BY experiment, partition DESC"
)
_NAMES = {"code_hash": "code", "lock_hash": "lock"}
"""Keys of an experiment's body under the names that people know; the others keep theirs."""
_APART = ("schema_version", "parent", "mode", "name")
"""Keys of a body that are no setting."""


@dataclass(frozen=True)
class Difference:
    """A setting that differs. name: dotted key; before, after: its values as JSON, None where it is not there."""

    name: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.name}: {_short(self.before)} -> {_short(self.after)}"


@dataclass(frozen=True)
class Overview:
    """An experiment on one line.

    id: whole ID; epoch: None for records written by hand; first_day, last_day: sealed days, days: how many; trades:
    closed ones; total_return: fraction of the starting cash on the base path at the end of the last day, None before a
    day is sealed; active: the active one of its mode; compared_with: ID of its parent, else of the experiment of the
    mode that was recorded before it, None for the first; differences: against that one; inputs: what it is run from,
    None where this home does not know.
    """

    id: str
    mode: str
    epoch: date | None
    first_day: date | None
    last_day: date | None
    days: int
    trades: int
    total_return: float | None
    active: bool
    parent: str | None
    data_revision: str | None
    compared_with: str | None
    differences: tuple[Difference, ...]
    inputs: Mapping[str, Any] | None
    body: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``experiments --json`` prints for it."""
        return {
            "id": self.id,
            "mode": self.mode,
            "epoch": _text(self.epoch),
            "first_sealed_day": _text(self.first_day),
            "last_sealed_day": _text(self.last_day),
            "days": self.days,
            "trades": self.trades,
            "return": self.total_return,
            "source": self.body.get("source"),
            "seed": self.body.get("seed"),
            "parent": self.parent,
            "data_revision": self.data_revision,
            "code": self.body.get("code_hash"),
            "active": self.active,
            "inputs": None if self.inputs is None else dict(self.inputs),
            "compared_with": self.compared_with,
            "differences": [
                {"setting": item.name, "before": item.before, "after": item.after} for item in self.differences
            ],
        }


def overviews(connection: Connection, mode: str | None = None) -> list[Overview]:
    """Return all experiments of a home, or of one mode, in the order they were first recorded."""
    stored = [item for item in read_experiments(connection) if mode is None or item.mode == mode]
    c = partition_seals.c
    sealed = {
        name: (first, last, count)
        for name, first, last, count in connection.execute(
            select(c.experiment, func.min(c.partition), func.max(c.partition), func.count())
            .where(c.asset == "portfolio_state")
            .group_by(c.experiment)
        )
    }
    trades: dict[str, int] = {row[0]: row[1] for row in connection.execute(_TRADES)}
    equity: dict[str, Decimal] = {row[0]: row[1] for row in connection.execute(_EQUITY)}
    inputs = read_inputs(connection)
    active = {choice.experiment for name in mode_names() if (choice := get_active(connection, name)) is not None}
    bodies = {item.id: json.loads(item.body) for item in stored}
    result: list[Overview] = []
    before: dict[str, str] = {}
    for item in stored:
        body = bodies[item.id]
        other = item.parent if item.parent in bodies else before.get(item.mode)
        before[item.mode] = item.id
        first, last, days = sealed.get(item.id, (None, None, 0))
        result.append(
            Overview(
                id=item.id,
                mode=item.mode,
                epoch=_day(body.get("epoch")),
                first_day=first,
                last_day=last,
                days=days,
                trades=trades.get(item.id, 0),
                total_return=_total_return(item, body, equity),
                active=item.id in active,
                parent=item.parent,
                data_revision=item.data_revision,
                compared_with=other,
                differences=() if other is None else differences(bodies[other], body),
                inputs=inputs.get(item.id),
                body=body,
            )
        )
    return result


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return what differs between the bodies of two experiments, by dotted key (without `configuration.`)."""
    old, new = _flat(before), _flat(after)
    names = sorted(old.keys() | new.keys(), key=lambda name: (name in _NAMES.values(), name))
    return tuple(Difference(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name))


def _flat(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an experiment's body by dotted key."""
    result: dict[str, Any] = {}
    for key, value in body.items():
        if key == "configuration":
            result |= _dotted(value, "")
        elif key not in _APART:
            result[_NAMES.get(key, key)] = value
    return result


def _dotted(settings: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in settings.items():
        result |= _dotted(value, f"{prefix}{key}.") if isinstance(value, Mapping) and value else {prefix + key: value}
    return result


def _total_return(item: StoredExperiment, body: Mapping[str, Any], equity: Mapping[str, Decimal]) -> float | None:
    start = body.get("configuration", {}).get("sizing", {}).get("small_fund_usd")
    if item.id not in equity or start is None:
        return None
    return float(equity[item.id] / Decimal(str(start)) - 1)


def _short(value: Any) -> str:
    """Return a value for people: hashes by their first 12 digits, nothing as a dash."""
    if value is None:
        return "-"
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shown[:12] if len(shown) == 64 and set(shown) <= set("0123456789abcdef") else shown


def _day(value: str | None) -> date | None:
    return None if value is None else date.fromisoformat(value)


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
