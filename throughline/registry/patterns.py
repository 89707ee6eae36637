"""Pattern matching: the outcomes of the trades that looked like this one, and how many of them support the answer.

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
from throughline.registry.similarity import Nearest
from throughline.registry.winrate import WinRate, base_prior, win_rate
from throughline.signals.simhash import COMPARED, band_keys, simhash
from throughline.signals.vector import require_vector, with_phase_coordinates
from throughline.storage.tables import canonical_trades

LEAST_SIMILARITY = 0.5
"""Cosine below which a trade is not called alike: 60 degrees."""
NEAREST = 20


@dataclass(frozen=True)
class Match:
    """A trade that looked alike, and how it ended. similarity: cosine over the components that were compared; hamming:
    bits of the SimHash apart, None where too few components were given for one."""

    trade_hash: str
    uuid: str
    similarity: float
    hamming: int | None
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

    experiment: whose trades they are. compared: which of `throughline.signals.simhash.COMPARED` were given; by_chance:
    share of unrelated vectors that are as near on so many components.
    matches: nearest first; trades_behind: how many there are; searched: among how many trades they were looked for.
    win_rate: of the matches, shrunken towards that of all trades searched, with its interval; None without a match.
    return_percent: quantiles (`throughline.registry.buckets.SHARES`) of their net returns. buckets: the cells in which
    the vector lies, in the strategies of the matches (where they were asked; none where it is known by less than half).
    usable: whether at least half of the components were compared and enough trades stand behind the answer; note: says
    so in words.
    """

    experiment: str
    compared: tuple[str, ...]
    by_chance: float
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
    """Return the outcomes of the `k` trades of an experiment most alike to `vector`, of those known as of an instant.

    Args:
        connection: may read the registries.
        experiment: whole ID.
        vector: components of the soulprint by name. Some may be missing or None; where fewer than half are given, the
            given ones are compared by themselves, which finds look-alikes and proves little.
        as_of: trades that closed up to that aware instant, it included; None = all that is recorded. Who asks for a
            decision asks a microsecond before it, since an exit at the next bar's open carries the decision's instant.
        k: how many trades at most.
        loaded: an index of the experiment, kept and refreshed by the caller (who asks more than once should); None
            reads it anew.
        with_buckets: whether the cells are asked as well, whose cost follows the trades in them (the look-alikes take
            milliseconds).
        minimum: trades that must stand behind an answer for it to be usable.
        least_similarity: cosine below which a trade is not called alike, 0 or more.

    Returns:
        The look-alikes and their outcomes, with a note that says how much the answer is worth.

    Raises:
        ValueError: for a component that does not exist, a vector without any, k below one or a naive instant.
    """
    values = require_vector(vector)
    index = loaded or load_index(connection, experiment)
    if index.experiment != experiment:
        raise ValueError(f"the index is of experiment {index.experiment}, the question is about {experiment}")
    nearest = index.index.search(values, as_of, k, least_similarity)
    matches = _matches(connection, nearest)
    n, wins = len(matches), sum(match.profit_usd > 0 for match in matches)
    returns = np.array([match.profit_percentage for match in matches])
    prior = base_prior(nearest.searched_wins, nearest.searched, "all trades searched")
    mark = simhash(with_phase_coordinates(values))
    chance = share_by_chance(len(nearest.compared), least_similarity)
    strategies = sorted({match.strategy_id for match in matches}) if with_buckets and mark is not None else []
    buckets: list[BucketStatistics] = []
    for name in strategies:
        rate = base_rate(connection, experiment, name, as_of)
        keys = band_keys(mark, name)
        buckets += [bucket_statistics(connection, experiment, key, as_of, minimum, rate) for key in keys]
    return Similar(
        experiment=experiment,
        compared=nearest.compared,
        by_chance=chance,
        as_of=as_of,
        matches=matches,
        trades_behind=n,
        searched=nearest.searched,
        win_rate=win_rate(wins, n, prior) if n else None,
        mean_percent=float(returns.mean()) if n else None,
        return_percent=tuple(float(value) for value in np.quantile(returns, SHARES)) if n else None,
        buckets=tuple(buckets),
        minimum=minimum,
        usable=n >= minimum and mark is not None,
        note=_note(mark is None, n, nearest, minimum, chance),
    )


def share_by_chance(components: int, cosine: float) -> float:
    """Return the share of unrelated vectors whose cosine with a given one is at least `cosine` (0 or more).

    Of directions that are uniform in k dimensions the share within the angle theta is I(sin^2 theta; (k-1)/2, 1/2) / 2,
    the regularised incomplete beta function (Li 2011, Asian J. Math. Stat. 4:66). 0.5 for one component: its sign.
    """
    from scipy.special import betainc

    if components == 1:
        return 0.5
    return float(betainc((components - 1) / 2.0, 0.5, 1.0 - cosine * cosine)) / 2.0


def _note(few: bool, n: int, nearest: Nearest, minimum: int, chance: float) -> str:
    compared = f"compared on {len(nearest.compared)} of {len(COMPARED)} components; looked for among {nearest.searched}"
    if few:
        return (
            f"trades behind this: {n}, {compared}; fewer than half of the components were given, and on so few "
            f"{chance:.0%} of unrelated trades are as near, so it is not to be used"
        )
    return f"{standing(n, minimum)}; {compared}"


def _matches(connection: Connection, nearest: Nearest) -> tuple[Match, ...]:
    c = canonical_trades.c
    statement = select(canonical_trades).where(c.uuid.in_([hit.uuid for hit in nearest.hits]))
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
        for hit in nearest.hits
    )
