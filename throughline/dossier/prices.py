"""The prices around a trade, read from the sealed days of bars, and the barriers that its exit rules set.

Belongs here: finding the days' artifacts, checking them against their seals, one instrument's bars, stop, target and
time limit. Does not belong here: how they are drawn (analytics).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select

from throughline.catalogue import BARS
from throughline.configuration import ExitSettings
from throughline.errors import StorageError
from throughline.exits.rules.barriers import barrier_prices
from throughline.exits.rules.time_limit import deadline
from throughline.experiment.registry import warm_up
from throughline.identity import decimal_text, parse_time, time_text, time_text_ms, time_to_ms
from throughline.market.blocks import root_of
from throughline.storage import tables
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.queries import read_seals

_DAY = timedelta(days=1)
Body = Mapping[str, Any]


@dataclass(frozen=True)
class PriceBar:
    """One believed bar. open_time: UTC text; prices and volume (quote units) as decimal text; open, high and low are
    None where the source has closes only, volume where it is unknown."""

    open_time: str
    open: str | None
    high: str | None
    low: str | None
    close: str
    volume: str | None


@dataclass(frozen=True)
class BarsDay:
    """A sealed day of bars that was read. before_epoch: the seal stands in that of the epoch's bars; root: the seal;
    recomputed: from the lines in the artifact, None where they could not be read; problem: what is wrong; expired: the
    artifact was let go, as is recorded, with its reason."""

    day: str
    before_epoch: bool
    artifact: str | None
    root: str
    recomputed: str | None
    problem: str | None
    expired: str | None

    @property
    def ok(self) -> bool | None:
        """True if the bars give the seal, None if there is nothing left to compare it with."""
        return None if self.expired is not None else self.problem is None


@dataclass(frozen=True)
class Barriers:
    """Where the exit rules end a trade. Prices as decimal text, from the market price of the fill (`base`); deadline:
    UTC text; the shares and hours are those of the experiment's configuration."""

    base: str
    stop: str
    target: str
    deadline: str
    stop_loss: float
    take_profit: float
    max_hold_hours: int


@dataclass(frozen=True)
class PricePath:
    """The bars of one instrument between two instants. why: a sentence where there are none."""

    instrument: str
    interval_seconds: int | None
    bars: tuple[PriceBar, ...]
    days: tuple[BarsDay, ...]
    why: str | None


def barriers(execution: Body, exits: ExitSettings) -> Barriers:
    """Return the barriers of a fill: fractions of its market price, and hours from its time."""
    stop, target = barrier_prices(exits, Decimal(execution["raw_price"]))
    return Barriers(
        base=execution["raw_price"],
        stop=decimal_text(stop),
        target=decimal_text(target),
        deadline=time_text(deadline(exits, parse_time(execution["fill_time"]))),
        stop_loss=exits.stop_loss,
        take_profit=exits.take_profit,
        max_hold_hours=exits.max_hold_hours,
    )


def price_path(
    connection: Connection,
    artifacts: ArtifactStore,
    experiment: str,
    candidate: Body,
    first: datetime,
    last: datetime,
) -> PricePath:
    """Return the bars of a candidate's segment that open in [first, last], and the sealed days they were read from."""
    instrument = str(candidate["instrument"])
    sealed = _sealed(connection, experiment, first.date(), last.date())
    if not sealed:
        return PricePath(instrument, None, (), (), f"no day from {first.date()} to {last.date()} has sealed bars here")
    days: list[BarsDay] = []
    bars: list[PriceBar] = []
    interval: int | None = None
    for day, seal in sealed.items():
        read, lines = _read(connection, artifacts, day, seal)
        days.append(read)
        for body in _of_instrument(lines, instrument):
            interval = int(body["interval_seconds"])
            bars += bars_of(body, day, str(candidate["segment"]), first, last)
    why = None if bars else f"the sealed bars that could be read hold none of {candidate['segment']}"
    return PricePath(instrument, interval, tuple(bars), tuple(days), why)


@dataclass(frozen=True)
class _Seal:
    root: str
    artifact: str | None
    before_epoch: bool


def _sealed(connection: Connection, experiment: str, first: date, last: date) -> dict[date, _Seal]:
    """Return the seal of each day of [first, last] that the experiment read, those before its epoch too."""
    c = tables.partition_seals.c
    statement = select(c.partition).where(c.experiment == experiment, c.asset == BARS).order_by(c.partition).limit(1)
    epoch = connection.execute(statement).scalar()
    seals: dict[date, _Seal] = {}
    if epoch is not None and first < epoch:
        before_epoch = warm_up(read_seals(connection, experiment, BARS, epoch, epoch)[epoch])
        seals |= {day: _Seal(*seal, before_epoch=True) for day, seal in before_epoch.items() if first <= day <= last}
    for day, seal in read_seals(connection, experiment, BARS, first, last).items():
        seals[day] = _Seal(seal.root, seal.artifact, before_epoch=False)
    return dict(sorted(seals.items()))


def _read(connection: Connection, artifacts: ArtifactStore, day: date, seal: _Seal) -> tuple[BarsDay, Sequence[bytes]]:
    def result(recomputed: str | None = None, problem: str | None = None, expired: str | None = None) -> BarsDay:
        return BarsDay(day.isoformat(), seal.before_epoch, seal.artifact, seal.root, recomputed, problem, expired)

    if seal.artifact is None:
        return result(problem="its seal names no artifact"), ()
    gone = tombstone(connection, seal.artifact)
    if gone is not None:
        return result(expired=gone), ()
    try:
        lines = artifacts.get(seal.artifact).splitlines()
    except StorageError as error:
        return result(problem=str(error)), ()
    root = root_of(lines)
    return result(root, None if root == seal.root else "its bars give another seal than the sealed one"), lines


def tombstone(connection: Connection, artifact: str) -> str | None:
    """Return why and when an artifact was let go, None where it was not."""
    c = tables.artifact_tombstones.c
    expiry = connection.execute(select(c.expired_at, c.reason).where(c.hash == artifact)).one_or_none()
    return None if expiry is None else f"expired on {expiry.expired_at:%Y-%m-%d}: {expiry.reason}"


def _of_instrument(lines: Sequence[bytes], instrument: str) -> list[dict[str, Any]]:
    """Return the bodies of one instrument's lines; the others are passed over unread."""
    mark = b'"instrument":' + json.dumps(instrument, ensure_ascii=False).encode() + b","
    bodies = (json.loads(line) for line in lines if mark in line)
    return [body for body in bodies if body["instrument"] == instrument]


def bars_of(body: Body, day: date, segment: str, first: datetime, last: datetime) -> list[PriceBar]:
    """Return the bars of a sealed line (market.blocks) that open in [first, last] and belong to `segment`."""
    columns, changes = body["bars"], dict(body["segments"])
    midnight = time_to_ms(parse_time(f"{day}T00:00:00.000000Z"))
    current, bars = None, []
    for place, slot in enumerate(columns["slots"]):
        current = changes.get(slot, current)
        opened = midnight + slot * int(body["interval_seconds"]) * 1000
        if current != segment or not time_to_ms(first) <= opened <= time_to_ms(last):
            continue
        values = {name: columns[name][place] if name in columns else None for name in ("open", "high", "low", "volume")}
        bars.append(PriceBar(open_time=time_text_ms(opened), close=columns["close"][place], **values))
    return bars
