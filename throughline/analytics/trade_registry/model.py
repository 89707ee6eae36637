"""What the registries add up to, as plain frozen values: the shapes of `registry_analytics`.

Belongs here: names, units, minima and the JSON form. Does not belong here: how a figure is computed (groups, evidence,
soulprints, entries) or shown (page, pictures).

Returns and rates are fractions (0.1 = 10 %), money is exact decimal text in USD, times are aware UTC instants. A figure
of too few trades (or of trades that do not vary) is None; where a whole part is missing, `note` has the reason.
Intervals are 95 % and treat trades as independent; trades that were open together are not, so they are too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

MINIMUM_GROUP = 10
"""Trades below which a group's rates and means are not given."""
MINIMUM_RISK = 30
"""Trades below which a ratio of mean to spread is not given."""
MINIMUM_CORRELATION = 30
"""Pairs below which a rank correlation is not given: there |rho| < 0.36 is within chance at 5 %."""
MINIMUM_JUDGED = 60
"""Judged trades below which terciles (20 each) are not formed."""
MINIMUM_BEHIND = 10
"""Closed trades that must stand in a trade's buckets before their win rate counts as a statement."""


@dataclass(frozen=True)
class GroupFigures:
    """Trades that share something. n, wins: counts; win_*: share won with its Wilson interval; mean_*: mean net return
    with its t interval. profit_usd: exact sum. profit_factor: gains over losses, None without a loss."""

    name: str
    n: int
    wins: int
    profit_usd: str
    win_rate: float | None = None
    win_low: float | None = None
    win_high: float | None = None
    mean_return: float | None = None
    mean_low: float | None = None
    mean_high: float | None = None
    median_return: float | None = None
    profit_factor: float | None = None


@dataclass(frozen=True)
class GroupTest:
    """Whether groups differ at all in net return (Kruskal-Wallis): of `groups` groups with `n` trades together, each of
    at least `MINIMUM_GROUP`. p_value: None with fewer than two such groups. The best of many groups is no finding
    where this is not small."""

    groups: int
    n: int
    p_value: float | None


@dataclass(frozen=True)
class Risk:
    """Risk-adjusted figures of trades in order of closing. sharpe, sortino: of net returns on the position, per trade,
    not annualised; sharpe_probability: that the true Sharpe is above zero; max_drawdown, ulcer: of starting cash +
    profits so far, as fractions, one point per trade, without what was open; None without a known starting cash."""

    n: int
    sharpe: float | None = None
    sortino: float | None = None
    sharpe_probability: float | None = None
    payoff_ratio: float | None = None
    max_drawdown: float | None = None
    ulcer: float | None = None
    note: str | None = None


@dataclass(frozen=True)
class Correlation:
    """Spearman rank correlation of `name` with net return. p_value: two-sided; adjusted: by Benjamini and Hochberg
    over all given correlations of the same list."""

    name: str
    n: int
    rho: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    adjusted: float | None = None


@dataclass(frozen=True)
class Tercile:
    """A third of the judged trades, ordered by a score.

    score: its mean; expected: the share of the same trades by chance or by the base rate; rate: the actual share with
    its Wilson interval; mean_*: net return, with t interval.
    """

    name: str
    n: int
    score: float
    expected: float
    rate: float
    low: float
    high: float
    mean_return: float
    mean_low: float | None
    mean_high: float | None


@dataclass(frozen=True)
class Effectiveness:
    """Whether the past win rate of a trade's buckets predicts its outcome. Every score is as of the decision.

    judged of trades had `MINIMUM_BEHIND` closed trades in their buckets. brier: of the buckets' shrunken win rates;
    brier_base: of the win rate of all the strategy's trades that had closed; gain: brier_base - brier with its t
    interval (above zero = the buckets add something).
    """

    trades: int
    judged: int
    correlation: Correlation
    brier: float | None = None
    brier_base: float | None = None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    terciles: Sequence[Tercile] = ()
    note: str | None = None


@dataclass(frozen=True)
class Neighbours:
    """Whether near soulprints end alike: each trade beside the nearest one that had closed before its decision.

    agreement: share of pairs that both won or both lost; random: the same for a random earlier trade (exact mean, not
    drawn); difference: agreement - random with its t interval; correlation: of the neighbour's net return with the
    trade's; terciles: by similarity (cosine of standardised vectors), where `expected` is `random` of those trades.
    """

    judged: int
    correlation: Correlation
    agreement: float | None = None
    random: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    terciles: Sequence[Tercile] = ()
    note: str | None = None


@dataclass(frozen=True)
class Modes:
    """Mode energies of the tensor [trade x component x scale]: how much of the variation the first patterns hold.

    fitted, held: trades in the earlier part that the patterns were found on and in the later one they were tested
    against. energies: mode (time, feature, scale) -> shares of the energy of the fitted part, largest first, at most as
    many as there are components.
    explained_*: share of the energy that the first `kept` feature patterns of the fitted part hold.
    """

    fitted: int
    held: int
    scales: Sequence[int] = ()
    energies: Mapping[str, Sequence[float]] | None = None
    kept: int = 0
    explained_fitted: float | None = None
    explained_held: float | None = None
    note: str | None = None


@dataclass(frozen=True)
class ProfitVector:
    """The direction of profit in soulprint space over one calendar month of closing: per component the mean of
    standardised value x net return. cosine: with the month before (1 = the same direction), None for the first."""

    month: str
    n: int
    vector: Mapping[str, float]
    cosine: float | None


@dataclass(frozen=True)
class ProfitTrack:
    """Cumulative net profit (USD) of the trades whose component lay above, and at or below, the median of the trades
    decided earlier. times: of closing, both lists one value per time; trades_*: how many lie on each side."""

    component: str
    times: Sequence[datetime]
    above: Sequence[float]
    below: Sequence[float]
    trades_above: int
    trades_below: int


@dataclass(frozen=True)
class SoulprintFigures:
    """Everything about the vectors. matrix: Spearman of each pair of `components`, None where too few trades have
    both or one of them never varies."""

    components: Sequence[str]
    correlations: Sequence[Correlation]
    matrix: Sequence[Sequence[float | None]]
    modes: Modes
    vectors: Sequence[ProfitVector]
    tracks: Sequence[ProfitTrack]


@dataclass(frozen=True)
class Coverage:
    """How much of what should be known is known. Counts; `missing`: component -> trades without it."""

    outcomes: int
    outcomes_with_trade: int
    trades: int
    with_soulprint: int
    with_simhash: int
    with_known_bucket: int
    missing: Mapping[str, int]


@dataclass(frozen=True)
class Link:
    """One direction of a linkage. rows: rows of `source`; whole: whose partner in `target` is there and carries the
    hash that the row names; missing: without a partner; differing: with a partner of another hash."""

    source: str
    target: str
    rows: int
    whole: int
    missing: int
    differing: int


@dataclass(frozen=True)
class RegistryAnalytics:
    """What the registries of one experiment say as of an instant (None = now). quarantined: trades left out;
    entry_days: distinct UTC days of entry, a better count of independent evidence than the trades."""

    experiment: str
    as_of: datetime | None
    entry_days: int
    quarantined: int
    total: GroupFigures
    risk: Risk
    strategies: Sequence[GroupFigures]
    strategy_risk: Mapping[str, Risk]
    hours: Sequence[GroupFigures]
    hours_test: GroupTest
    weekdays: Sequence[GroupFigures]
    weekdays_test: GroupTest
    reasons: Sequence[GroupFigures]
    buckets: Sequence[GroupFigures]
    effectiveness: Effectiveness
    soulprints: SoulprintFigures
    canonical: Sequence[Correlation]
    neighbours: Neighbours
    coverage: Coverage
    links: Sequence[Link]

    @property
    def trades(self) -> int:
        """How many trades stand behind the figures."""
        return self.total.n

    def as_json(self) -> dict[str, Any]:
        """Return the figures as JSON values; the cumulative curves are left out (they are in the pictures)."""
        figures = asdict(self)
        figures["as_of"] = self.as_of.isoformat() if self.as_of else None
        del figures["soulprints"]["tracks"]
        return figures
