"""The experiments of a home: recording, continuing, and forking on revised data.

Belongs here: comparing sealed days with the data as it reads now. Does not belong here: which experiment a command or a
run works on (`throughline.experiment.choice`), and what an experiment is (`throughline.experiment.identity`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine

from throughline.experiment.identity import Experiment, from_body, make_experiment
from throughline.identity import hash_body
from throughline.market.blocks import BlockDiff, day_blocks, diff_blocks
from throughline.market.panel import MarketDataProvider
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.queries import (
    read_experiments,
    read_seals,
    register_experiment,
    set_active,
)
from throughline.storage.records import Seal

_CHUNK = 60


@dataclass(frozen=True)
class Revision:
    """Sealed days that read differently now.

    Attributes:
        parent: the experiment that sealed them.
        days: the days, ascending.
        added: number of facts that only the new data has.
        changed: number of facts with another value.
        removed: number of facts that only the sealed data has.
        instruments: tickers concerned.
    """

    parent: str
    days: tuple[date, ...]
    added: int
    changed: int
    removed: int
    instruments: tuple[str, ...]


def register(engine: Engine, experiment: Experiment) -> bool:
    """Record an experiment; return False where it is known."""
    with engine.begin() as conn:
        return register_experiment(
            conn, experiment.id, experiment.mode, experiment.body, experiment.parent, experiment.data_revision
        )


def activate(engine: Engine, experiment: Experiment, inputs: Mapping[str, Any]) -> None:
    """Make `experiment` the active one of its mode, run from `inputs`. It must be registered."""
    with engine.begin() as conn:
        set_active(conn, experiment.mode, experiment.id, inputs)


def resolve(
    engine: Engine, base: Experiment, provider: MarketDataProvider, artifacts: ArtifactStore
) -> tuple[Experiment, Revision | None]:
    """Return the experiment that continues with this data: `base`, an earlier fork of it, or a new fork.

    An experiment continues if every day it has sealed reads the same now, and every day before its epoch that warmed up
    its signals; new days extend it (a fork without sealed days is left out). If none does, the first
    one (`base`) is forked: the child's `data_revision` is the hash of the days that read differently and their new
    seals. The revision lists what changed against the parent.
    """
    with engine.connect() as conn:
        family = _family(conn, base)
        sealed = {item.id: _sealed_roots(conn, item.id) for item in family}
    days = sorted({day for roots in sealed.values() for day in roots})
    now = _roots(provider, days)
    for member in family:
        known = sealed[member.id]
        if (known or member.id == base.id) and all(now[day] == root for day, (root, _) in known.items()):
            return member, None if member.id == base.id else _revision(engine, base, provider, artifacts, now)
    differing = [day for day, (root, _) in sealed[base.id].items() if now[day] != root]
    revision = hash_body("data_revision", {"days": [[day, now[day]] for day in differing]})
    fork = make_experiment(
        base.mode,
        base.epoch,
        base.configuration,
        base.source_hash,
        base.seed,
        lock=base.lock_hash,
        code=base.code_hash,
        parent=base.id,
        data_revision=revision,
    )
    register(engine, base)
    register(engine, fork)
    return fork, _revision(engine, base, provider, artifacts, now)


def _family(conn: Connection, base: Experiment) -> list[Experiment]:
    """Return `base` and its recorded forks, oldest first."""
    forks = [from_body(item.body) for item in read_experiments(conn) if item.parent == base.id]
    return [base, *forks]


def _sealed_roots(conn: Connection, experiment: str) -> dict[date, tuple[str, str | None]]:
    """Return (seal, artifact) of every day that the experiment read, ascending: before its epoch and from it on."""
    seals = read_seals(conn, experiment, "market_bars")
    roots: dict[date, tuple[str, str | None]] = {}
    for seal in seals.values():
        roots |= warm_up(seal)
    return dict(sorted((roots | {day: (seal.root, seal.artifact) for day, seal in seals.items()}).items()))


def warm_up(seal: Seal) -> dict[date, tuple[str, str]]:
    """Return (seal, artifact) of the days before the epoch, from the seal of the epoch's bars; nothing from others."""
    days = json.loads(seal.details).get("warm_up", {})
    return {date.fromisoformat(day): (item["root"], item["artifact"]) for day, item in days.items()}


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _roots(provider: MarketDataProvider, days: Sequence[date]) -> dict[date, str]:
    """Return the seal of each day as it reads now, loading no more than `_CHUNK` days at a time."""
    result: dict[date, str] = {}
    for first in range(0, len(days), _CHUNK):
        part = days[first : first + _CHUNK]
        panel = provider.load(_midnight(part[0]), _midnight(part[-1] + timedelta(days=1)))
        result |= {day: day_blocks(panel, day).root for day in part}
    return result


def _revision(
    engine: Engine, parent: Experiment, provider: MarketDataProvider, artifacts: ArtifactStore, now: Mapping[date, str]
) -> Revision:
    with engine.connect() as conn:
        known = _sealed_roots(conn, parent.id)
    differing = [day for day, (root, _) in known.items() if now[day] != root]
    diffs: list[BlockDiff] = []
    for day in differing:
        artifact = known[day][1]
        before = artifacts.get(artifact).splitlines() if artifact else []
        panel = provider.load(_midnight(day), _midnight(day + timedelta(days=1)))
        diffs.append(diff_blocks(before, day_blocks(panel, day).lines))
    names = sorted({name for diff in diffs for name in diff.instruments}, key=lambda name: name.encode())
    return Revision(
        parent=parent.id,
        days=tuple(differing),
        added=sum(diff.added for diff in diffs),
        changed=sum(diff.changed for diff in diffs),
        removed=sum(diff.removed for diff in diffs),
        instruments=tuple(names),
    )
