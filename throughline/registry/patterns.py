"""Pattern matching: what came of the trades that looked like this one, and how many of them stand behind the answer.

Belongs here: the question and its answer, over look-alikes (similarity) and cells (buckets). Does not belong here: the
search and the sums themselves.

An answer as of an instant uses only what was known then: trades closed by then, and no later correction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import Connection, select

from throughline.registry.buckets import (
    MINIMUM,
    SHARES,
    BucketStatistics,
    Quantiles,
    base_rate,
    bucket_statistics,
    standing,
)
from throughline.registry.index_loading import LoadedIndex, load_index
from throughline.registry.similarity import Found
from throughline.registry.winrate import WinRate, base_prior, win_rate
from throughline.signals.simhash import band_keys, simhash
from throughline.signals.vector import require_vector
from throughline.storage.tables import canonical_trades

LEAST_SIMILARITY = 0.5
"""Cosine below which a trade is not called alike: 60 degrees."""
NEAREST = 20


@dataclass(frozen=True)
class Match:
    """A trade that looked alike, and how it ended. similarity: cosine; hamming: bits of the SimHash apart."""

    trade_hash: str
    uuid: str
    similarity: float
    hamming: int
    symbol: str
    strategy_id: str
    opened_at: datetime
    closed_at: datetime
    profit_usd: float
    profit_percentage: float
    termination_reason: str


@dataclass(frozen=True)
class Similar:
    """What the look-alikes of a vector say, as of an instant (None = all that is recorded).

    matches: nearest first; trades_behind: how many there are; searched: among how many trades they were looked for.
    win_rate: of the matches, shrunken towards that of all trades searched, with its interval; None without a match.
    return_percent: quantiles (`throughline.registry.buckets.SHARES`) of their net returns. buckets: the cells in which
    the vector lies, in the strategies of the matches (where they were asked). usable: whether enough trades stand
    behind the answer; note: says so in words.
    """

    as_of: datetime | None
    matches: tuple[Match, ...]
    trades_behind: int
    searched: int
    win_rate: WinRate | None
    mean_percent: float | None
    return_percent: Quantiles | None
    buckets: tuple[BucketStatistics, ...]
    minimum: int
    usable: bool
    note: str


def find_similar(
    connection: Connection,
    experiment: str,
    vector: Mapping[str, object],
    as_of: datetime | None = None,
    k: int = NEAREST,
    *,
    loaded: LoadedIndex | None = None,
    with_buckets: bool = True,
    minimum: int = MINIMUM,
    least_similarity: float = LEAST_SIMILARITY,
) -> Similar:
    """Return what came of the `k` trades of an experiment most alike to `vector`, among those known as of an instant.

    as_of: trades that closed up to that instant, it included; who asks for a decision asks a microsecond before it,
    since an exit at the next bar's open carries the decision's own instant. vector: components of the soulprint (some
    may be missing or None). loaded: an index of the experiment, kept and refreshed by the caller (who asks more than
    once should); None reads it anew. with_buckets: whether the cells are asked as well, whose cost follows the trades
    in them (the look-alikes take milliseconds). Raises ValueError for a component that does not exist, k below one or
    a naive instant.
    """
    values = require_vector(vector)
    index = loaded or load_index(connection, experiment)
    if index.experiment != experiment:
        raise ValueError(f"the index is of experiment {index.experiment}, the question is about {experiment}")
    found = index.index.search(values, as_of, k, least_similarity)
    matches = _matches(connection, found)
    n, wins = len(matches), sum(match.profit_usd > 0 for match in matches)
    returns = np.array([match.profit_percentage for match in matches])
    prior = base_prior(found.searched_wins, found.searched, "all trades searched")
    mark = simhash(values)
    strategies = sorted({match.strategy_id for match in matches}) if with_buckets else []
    buckets: list[BucketStatistics] = []
    for name in strategies:
        rate = base_rate(connection, experiment, name, as_of)
        keys = band_keys(mark, name)
        buckets += [bucket_statistics(connection, experiment, key, as_of, minimum, rate) for key in keys]
    return Similar(
        as_of=as_of,
        matches=matches,
        trades_behind=n,
        searched=found.searched,
        win_rate=win_rate(wins, n, prior) if n else None,
        mean_percent=float(returns.mean()) if n else None,
        return_percent=tuple(float(value) for value in np.quantile(returns, SHARES)) if n else None,
        buckets=tuple(buckets),
        minimum=minimum,
        usable=n >= minimum,
        note=_note(mark is None, n, found.searched, minimum),
    )


def _note(unknown: bool, n: int, searched: int, minimum: int) -> str:
    if unknown:
        return "fewer than half of the vector's components are known, so nothing is alike to it"
    return f"{standing(n, minimum)}; looked for among {searched}"


def _matches(connection: Connection, found: Found) -> tuple[Match, ...]:
    c = canonical_trades.c
    statement = select(canonical_trades).where(c.uuid.in_([hit.uuid for hit in found.hits]))
    rows = {row.uuid: row for row in connection.execute(statement)}
    return tuple(
        Match(
            trade_hash=rows[hit.uuid].content_hash,
            uuid=str(hit.uuid),
            similarity=hit.similarity,
            hamming=hit.hamming,
            symbol=rows[hit.uuid].symbol,
            strategy_id=rows[hit.uuid].strategy_id,
            opened_at=rows[hit.uuid].opened_at,
            closed_at=rows[hit.uuid].closed_at,
            profit_usd=float(rows[hit.uuid].profit_usd),
            profit_percentage=float(rows[hit.uuid].profit_percentage),
            termination_reason=rows[hit.uuid].termination_reason,
        )
        for hit in found.hits
    )
