"""Provider `simulated`: an invented market that a seed generates (`throughline.market.simulated`)."""

from __future__ import annotations

from pydantic import Field

from throughline.clock import Clock
from throughline.experiment.provider import ProviderOptions, ProviderSpec
from throughline.market.panel import MarketDataProvider


class SimulatedOptions(ProviderOptions):
    """Which invented market."""

    seed: int = Field(description="Seed of the invented market.")


def open_provider(options: SimulatedOptions, clock: Clock) -> MarketDataProvider:
    """Return the market of the seed. The clock is not read: the market has an end of its own."""
    from throughline.market.simulated import SimulatedProvider

    return SimulatedProvider(options.seed)


PROVIDER = ProviderSpec(
    name="simulated",
    market="invented",
    description="A market that a seed generates: regimes, jumps, rug pulls, delistings, gaps and bad prints.",
    options=SimulatedOptions,
    open=open_provider,
)
