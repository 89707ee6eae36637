"""`HighVolatilityLowCapStrategy`: the strategy by hand, with the method names of the seed document.

The flow does the same for whole days with the same functions; this looks at one instant of any provider, and records a
candidate with its research document through a `TradeTrackingSystem`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from pydantic import SecretStr

from throughline.clock import Clock, SystemClock
from throughline.configuration import STRATEGY, SizingSettings, StrategySettings
from throughline.identity import time_to_ms
from throughline.market.blocks import segment_name
from throughline.market.panel import MarketDataProvider
from throughline.strategy.features import compute_features, lookback_days
from throughline.strategy.score import Score, rationale, score
from throughline.strategy.screen import RANGE_FILTERS, Verdict, screen
from throughline.strategy.sizing import position_size
from throughline.tracking.system import TradeTrackingSystem
from throughline.tracking.types import ResearchDocument, TradeCandidate


@dataclass(frozen=True)
class Opportunity:
    """A signal at one instant. features: None = missing; notional_usd: size to ask for; verdicts: word per filter."""

    instrument: str
    segment: str
    decided_at: datetime
    features: Mapping[str, float | None]
    verdicts: Mapping[str, str]
    score: Score
    notional_usd: float


class HighVolatilityLowCapStrategy:
    """High volatility, low cap, at the instant the clock shows.

    small_fund_usd: the fund that positions are cut from. provider: where market data comes from; None = the simulated
    market. tracker: where candidates are recorded; None = the configured home, opened at the first candidate. The API
    keys are kept as secrets for providers that need them; archives and the simulated market need none.
    """

    def __init__(
        self,
        small_fund_usd: float = 10_000.0,
        coinmarketcap_api_key: str | None = None,
        coingecko_api_key: str | None = None,
        *,
        provider: MarketDataProvider | None = None,
        tracker: TradeTrackingSystem | None = None,
        clock: Clock | None = None,
        settings: StrategySettings | None = None,
    ) -> None:
        keys = {"coingecko": coingecko_api_key, "coinmarketcap": coinmarketcap_api_key}
        self.api_keys = {name: SecretStr(key) for name, key in keys.items() if key}
        self.settings = settings or StrategySettings()
        self.sizing = SizingSettings(small_fund_usd=small_fund_usd)
        self._provider = provider
        self._tracker = tracker
        self._clock = clock or SystemClock()

    @property
    def provider(self) -> MarketDataProvider:
        """The market data provider in use."""
        if self._provider is None:
            from throughline.market.simulated import SimulatedProvider

            self._provider = SimulatedProvider()
        return self._provider

    async def scan_low_cap_opportunities(self) -> list[Opportunity]:
        """Return the signals of the latest bar that is closed at the clock's instant, best first.

        Empty where that bar is older than one interval: an old signal is no opportunity.
        """
        now = self._clock.now().astimezone(UTC)
        midnight = datetime(now.year, now.month, now.day, tzinfo=UTC)
        interval = self.provider.description.interval_ms
        back = timedelta(days=lookback_days(self.settings, interval))
        panel = self.provider.load(midnight - back, midnight + timedelta(days=1))
        row = int(np.searchsorted(panel.open_time + interval, time_to_ms(now), side="right")) - 1
        if row < 0 or time_to_ms(now) - int(panel.open_time[row]) >= 2 * interval:
            return []
        grids = compute_features(panel, self.settings)
        sizes = position_size(grids.values["volatility"], grids.values["volume_24h"], self.sizing)
        result = screen(grids, sizes, self.settings, interval)
        opportunities = []
        for column in np.flatnonzero(result.signals[row]):
            ticker = panel.instruments[int(column)]
            values = {name: float(grid[row, column]) for name, grid in grids.values.items()}
            features = {name: None if value != value else value for name, value in values.items()}
            opportunities.append(
                Opportunity(
                    instrument=ticker,
                    segment=segment_name(ticker, int(panel.segment_start[row, column])),
                    decided_at=datetime.fromtimestamp((int(panel.open_time[row]) + interval) / 1000, UTC),
                    features=features,
                    verdicts={name: Verdict(int(result.verdicts[name][row, column])).text for name in RANGE_FILTERS},
                    score=score(features, self.settings, self.sizing),
                    notional_usd=float(sizes[row, column]),
                )
            )
        return sorted(opportunities, key=lambda item: (-item.score.opportunity, item.instrument.encode()))

    async def create_trade_candidate(self, opportunity: Opportunity) -> TradeCandidate:
        """Record the opportunity and what was known about it; return the candidate."""
        if self._tracker is None:
            self._tracker = TradeTrackingSystem(clock=self._clock)
        candidate = self._tracker.create_candidate(
            instrument=opportunity.instrument,
            model_version="rule",
            confidence=opportunity.score.confidence,
            params_ptr="defaults",
            created_by=STRATEGY,
            segment=opportunity.segment,
            decided_at=opportunity.decided_at,
        )
        features = opportunity.features
        self._tracker.store_research_document(
            ResearchDocument(
                uuid=candidate.uuid,
                initial_market_cap=features["market_cap"],
                volume_24h=features["volume_24h"],
                rugpull_heuristic_scores=_known(features, "rug_risk", "reserve_drop"),
                social_sentiment_scores=_known(features, "sentiment"),
                trade_rationale=rationale(opportunity.instrument, features, opportunity.score, opportunity.verdicts),
                missing=opportunity.score.missing,
            )
        )
        return candidate


def _known(features: Mapping[str, float | None], *names: str) -> dict[str, float]:
    values = {name: features[name] for name in names}
    return {name: value for name, value in values.items() if value is not None}
