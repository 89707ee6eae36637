"""Trades that looked like this one when it was decided, and how they ended.

Belongs here: asking the registry as of the decision instant, so that nothing later enters, and a sentence where there
is no answer. Does not belong here: what likeness is (registry.patterns).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from throughline.dossier.soulprint import SoulprintView
from throughline.identity import parse_time, time_text

if TYPE_CHECKING:
    from throughline.registry.buckets import BucketStatistics
    from throughline.registry.index_loading import LoadedIndex
    from throughline.registry.patterns import Similar
    from throughline.registry.winrate import WinRate


@dataclass(frozen=True)
class SimilarTrade:
    """One trade that looked alike. similarity: cosine of the standardised vectors, in [-1, 1]; times: UTC text."""

    trade_hash: str
    uuid: str
    symbol: str
    similarity: float
    opened_at: str
    closed_at: str
    profit_percentage: float
    profit_usd: float
    termination_reason: str


@dataclass(frozen=True)
class Rate:
    """A win rate shrunken towards a base rate. [low, high]: the credible interval of `level`; prior: where the base
    rate comes from."""

    wins: int
    trades: int
    rate: float
    low: float
    high: float
    level: float
    prior: str


@dataclass(frozen=True)
class Bucket:
    """A cell of the similarity key that the vector lies in, with all trades known in it at the decision."""

    key: str
    trades: int
    win_rate: Rate | None
    mean_percent: float | None
    note: str


@dataclass(frozen=True)
class SimilarTrades:
    """The answer as of the decision. searched: among how many trades; quantiles: (share, net return in percent) of the
    matches; note: how many trades stand behind it; why: a sentence where there is none."""

    as_of: str | None
    matches: tuple[SimilarTrade, ...]
    searched: int
    win_rate: Rate | None
    mean_percent: float | None
    quantiles: tuple[tuple[float, float], ...]
    buckets: tuple[Bucket, ...]
    usable: bool
    note: str | None
    why: str | None


def nothing_similar(why: str, as_of: str | None = None) -> SimilarTrades:
    """Return an empty answer with the reason."""
    return SimilarTrades(as_of, (), 0, None, None, (), (), False, None, why)


def similar_trades(
    connection: Connection,
    experiment: str,
    decided_at: str | None,
    soulprint: SoulprintView,
    loaded: LoadedIndex | None = None,
) -> SimilarTrades:
    """Return the trades of the experiment that looked alike, among those closed before this one was decided.

    Strictly before: an exit at a bar's open carries the instant of the decision at the close before it, which could not
    know it. decided_at: UTC text; loaded: the experiment's index, where the caller asks more than once.
    """
    from throughline.registry.patterns import find_similar
    from throughline.signals.simhash import simhash
    from throughline.signals.vector import SOULPRINT_SCHEMA, vector_from_text

    if decided_at is None:
        return nothing_similar("the record has no decision instant, so it is not known what was known by then")
    if soulprint.why is not None:
        return nothing_similar(f"there is no soulprint to compare: {soulprint.why}", decided_at)
    if soulprint.schema != SOULPRINT_SCHEMA:
        why = f"its soulprint is of schema {soulprint.schema}, which this version ({SOULPRINT_SCHEMA}) does not compare"
        return nothing_similar(why, decided_at)
    vector = vector_from_text({item.name: item.value for item in soulprint.components})
    if simhash(vector) is None:
        return nothing_similar("fewer than half of its soulprint is known, so nothing is alike to it", decided_at)
    before = parse_time(decided_at) - timedelta(microseconds=1)
    return _answer(find_similar(connection, experiment, vector, before, loaded=loaded), decided_at)


def _answer(similar: Similar, decided_at: str) -> SimilarTrades:
    from throughline.registry.buckets import SHARES

    if not similar.searched:
        return nothing_similar("no trade of this experiment had been closed when it was decided", decided_at)
    why = None if similar.matches else f"none of the {similar.searched} trades closed by then looked alike"
    return SimilarTrades(
        as_of=decided_at,
        matches=tuple(
            SimilarTrade(
                trade_hash=item.trade_hash,
                uuid=item.uuid,
                symbol=item.symbol,
                similarity=item.similarity,
                opened_at=time_text(item.opened_at),
                closed_at=time_text(item.closed_at),
                profit_percentage=item.profit_percentage,
                profit_usd=item.profit_usd,
                termination_reason=item.termination_reason,
            )
            for item in similar.matches
        ),
        searched=similar.searched,
        win_rate=_rate(similar.win_rate),
        mean_percent=similar.mean_percent,
        quantiles=tuple(zip(SHARES, similar.return_percent, strict=True)) if similar.return_percent else (),
        buckets=_buckets(similar.buckets),
        usable=similar.usable,
        note=similar.note,
        why=why,
    )


def _rate(rate: WinRate | None) -> Rate | None:
    if rate is None:
        return None
    return Rate(rate.wins, rate.n, rate.rate, rate.low, rate.high, rate.level, rate.prior.source)


def _buckets(buckets: Sequence[BucketStatistics]) -> tuple[Bucket, ...]:
    return tuple(Bucket(item.key, item.n, _rate(item.win_rate), item.mean_percent, item.note) for item in buckets)
