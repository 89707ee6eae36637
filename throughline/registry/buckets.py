"""Profit buckets: the outcomes of *all* trades of a cell of the similarity key, as of an instant.

Belongs here: a bucket's counts, shrunken win rate, returns and exits, and its links to trades. Does not belong here:
single look-alikes (similarity) and which cells a vector lies in (`throughline.signals.simhash`).

Losing trades count as much as winning ones: a bucket that only remembers what once won says nothing. A trade lies in
several buckets, a bucket holds many trades.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from throughline.registry.quarantine import quarantined_trades
from throughline.registry.reading import USABLE, usable
from throughline.registry.winrate import Prior, WinRate, base_prior, win_rate

MINIMUM = 20
"""Trades that must stand behind an answer before it may be used."""
SHARES = (0.10, 0.25, 0.50, 0.75, 0.90)
"""Quantiles that are reported of returns and excursions."""

_QUANTILES = "percentile_cont(ARRAY[0.1, 0.25, 0.5, 0.75, 0.9]) WITHIN GROUP (ORDER BY {}::float8)"
_IN_BUCKET = (
    "FROM profit_buckets AS b JOIN canonical_trades AS t ON t.uuid = b.canonical_uuid "
    f"WHERE b.experiment = :experiment AND b.buckets @> ARRAY[CAST(:key AS text)] AND {USABLE}"
)
_SUMMARY = text(
    "SELECT t.termination_reason AS reason, count(*) AS n, count(*) FILTER (WHERE t.profit_usd > 0) AS wins, "
    "avg(t.profit_percentage) AS mean, "
    f"{_QUANTILES.format('t.profit_percentage')} AS returns, "
    f"{_QUANTILES.format('b.max_favorable_percent')} AS favorable, "
    f"{_QUANTILES.format('b.max_adverse_percent')} AS adverse "
    f"{_IN_BUCKET} GROUP BY GROUPING SETS ((), (t.termination_reason))"
)
_BASE = text(
    "SELECT count(*), count(*) FILTER (WHERE t.profit_usd > 0) FROM canonical_trades AS t "
    f"WHERE t.experiment = :experiment AND t.strategy_id = :strategy AND {USABLE}"
)
_LINKS = text(f"SELECT t.content_hash {_IN_BUCKET} ORDER BY t.closed_at, t.uuid")

Quantiles = tuple[float, ...]


@dataclass(frozen=True)
class Exit:
    """How trades of a bucket ended for one reason: net returns, and how far the price went for and against them.

    Percent of the entry price; quantiles at `SHARES`, None = unknown.
    """

    reason: str
    n: int
    mean_percent: float
    favorable_percent: Quantiles | None
    adverse_percent: Quantiles | None


@dataclass(frozen=True)
class BucketStatistics:
    """What is known of a bucket as of an instant (None = all that is recorded).

    n, wins, losses: trades known by then; a loss is every trade that did not win. win_rate: shrunken, None without a
    trade. mean_percent, return_percent: net, of the notional; quantiles at `SHARES`. exits: by mean return, best first.
    usable: whether at least `minimum` trades stand behind it; note: says so in words.
    """

    key: str
    as_of: datetime | None
    n: int
    wins: int
    losses: int
    win_rate: WinRate | None
    mean_percent: float | None
    return_percent: Quantiles | None
    exits: tuple[Exit, ...]
    minimum: int
    usable: bool
    note: str


def strategy_of(key: str) -> str:
    """Return the strategy that a bucket's key belongs to. Raises ValueError for another form of key."""
    parts = key.split("|")
    if len(parts) < 3:
        raise ValueError(f"'{key}' is no bucket: a key reads like soulprint/1|<strategy>|b0|01101")
    return "|".join(parts[1 : -1 if parts[-1] == "unknown" else -2])


def base_rate(connection: Connection, experiment: str, strategy: str, as_of: datetime | None) -> Prior:
    """Return the prior that all trades of a strategy known as of an instant give."""
    parameters = {"experiment": experiment, "strategy": strategy, **usable(as_of, quarantined_trades(connection))}
    n, wins = connection.execute(_BASE, parameters).one()
    return base_prior(wins, n, f"strategy {strategy}")


def bucket_statistics(
    connection: Connection,
    experiment: str,
    key: str,
    as_of: datetime | None = None,
    minimum: int = MINIMUM,
    prior: Prior | None = None,
) -> BucketStatistics:
    """Return what is known of the bucket `key` as of an instant; later exits and corrections do not enter.

    prior: that of `base_rate` for the bucket's strategy and the same instant, where the caller has it already.
    """
    prior = prior or base_rate(connection, experiment, strategy_of(key), as_of)
    parameters = {"experiment": experiment, "key": key, **usable(as_of, quarantined_trades(connection))}
    rows = connection.execute(_SUMMARY, parameters).all()
    whole = next(row for row in rows if row.reason is None)
    n, wins = int(whole.n), int(whole.wins)
    return BucketStatistics(
        key=key,
        as_of=as_of,
        n=n,
        wins=wins,
        losses=n - wins,
        win_rate=win_rate(wins, n, prior) if n else None,
        mean_percent=float(whole.mean) if n else None,
        return_percent=_quantiles(whole.returns),
        exits=tuple(sorted(_exits(rows), key=lambda item: (-item.mean_percent, item.reason))),
        minimum=minimum,
        usable=n >= minimum,
        note=standing(n, minimum),
    )


def standing(n: int, minimum: int) -> str:
    """Return in words how much an answer from `n` trades may be used."""
    if n >= minimum:
        return f"trades behind this: {n}"
    return f"trades behind this: {n}, fewer than {minimum}, so it is not to be used"


def bucket_links(connection: Connection, experiment: str, key: str, as_of: datetime | None = None) -> list[str]:
    """Return the hashes of the trades in a bucket, by exit."""
    parameters = {"experiment": experiment, "key": key, **usable(as_of, quarantined_trades(connection))}
    return list(connection.execute(_LINKS, parameters).scalars())


def buckets_of(connection: Connection, trade: uuids.UUID) -> list[str]:
    """Return the keys of the buckets in which a canonical trade lies."""
    statement = text("SELECT unnest(buckets) FROM profit_buckets WHERE canonical_uuid = :uuid ORDER BY 1")
    return list(connection.execute(statement, {"uuid": trade}).scalars())


def _exits(rows: Sequence[Any]) -> list[Exit]:
    return [
        Exit(row.reason, int(row.n), float(row.mean), _quantiles(row.favorable), _quantiles(row.adverse))
        for row in rows
        if row.reason is not None
    ]


def _quantiles(values: Sequence[float | None] | None) -> Quantiles | None:
    if values is None or any(value is None for value in values):
        return None
    return tuple(float(value) for value in values if value is not None)
