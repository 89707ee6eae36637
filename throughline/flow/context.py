"""What every stage of the flow receives, and what it returns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from throughline.clock import Clock
from throughline.configuration import ExitSettings
from throughline.experiment.identity import Experiment
from throughline.experiment.mode import find_mode
from throughline.flow.market_view import MarketView
from throughline.market.panel import MarketDataProvider
from throughline.quality.verdict import GateRunner, Verdict
from throughline.storage.artifacts import ArtifactStore
from throughline.trading.execution import ExecutionClient, execution_client

if TYPE_CHECKING:
    from throughline.features.hot import HotStore
    from throughline.proof.settings import Proof

SHADOW_PATIENCE_DAYS = 7
"""Days beyond hold and halt limit that a shadow may wait for a bar with volume; after them it stays unresolved."""


def shadow_reach_days(exits: ExitSettings) -> int:
    """Return how many days after its decision a candidate's shadow can still resolve."""
    return math.ceil((exits.max_hold_hours + exits.halt_hours) / 24) + SHADOW_PATIENCE_DAYS


@dataclass(frozen=True)
class FlowContext:
    """One experiment with all that its stages use.

    Args:
        experiment: what decides its records.
        provider: where market data comes from.
        engine: connects with the writer role.
        artifacts: where bars are stored.
        gates: judges days by the suites.
        clock: what time it is.
        view: market data of the days that are worked on.
        run_id: of the orchestrator's run; outside all hashes.
        proof: the signing key and the anchor of the seal log; None where no stage that logs seals is run.
        hot: gets the latest vectors for online readers; None where nobody reads them.
        execution: fills the orders of the session.
    """

    experiment: Experiment
    provider: MarketDataProvider
    engine: Engine
    artifacts: ArtifactStore
    gates: GateRunner
    clock: Clock
    view: MarketView
    run_id: str | None = None
    proof: Proof | None = None
    hot: HotStore | None = None
    execution: ExecutionClient = field(default_factory=execution_client)


def make_context(
    experiment: Experiment,
    provider: MarketDataProvider,
    engine: Engine,
    artifacts: ArtifactStore,
    gates: GateRunner,
    clock: Clock,
    run_id: str | None = None,
    proof: Proof | None = None,
    hot: HotStore | None = None,
) -> FlowContext:
    """Return a context with a fresh view of the provider's data and the order destination of the experiment's mode."""
    view = MarketView(provider, experiment.configuration)
    execution = execution_client(find_mode(experiment.mode).fills)
    return FlowContext(experiment, provider, engine, artifacts, gates, clock, view, run_id, proof, hot, execution)


@dataclass(frozen=True)
class DayResult:
    """What one stage did for one day. status: 'sealed' or 'blocked'; blocked_by names asset, rule and rows."""

    asset: str
    day: date
    status: str
    rows: int
    seal: str
    verdict: Verdict | None
    blocked_by: Mapping[str, Any] | None
    details: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


Stage = Callable[[FlowContext, Sequence[date]], list[DayResult]]
