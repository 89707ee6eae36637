"""What every stage of the flow is handed, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Engine

from throughline.clock import Clock
from throughline.experiment.identity import Experiment
from throughline.market.panel import MarketDataProvider
from throughline.quality.verdict import GateRunner, Verdict
from throughline.storage.artifacts import ArtifactStore


@dataclass(frozen=True)
class FlowContext:
    """One experiment, its market data, its storage and its gates. engine: connects with the writer role."""

    experiment: Experiment
    provider: MarketDataProvider
    engine: Engine
    artifacts: ArtifactStore
    gates: GateRunner
    clock: Clock
    run_id: str | None = None


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
