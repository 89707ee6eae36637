"""What a person writes to the chain by hand: candidate, research document, execution, outcome.

These are the record types of the seed document. `uuid` is the candidate's, which every record of a chain carries; the
stage's own UUID is derived when it is stored. Fractions are fractions (slippage 0.002 = 0.2 %), percents are percents.
"""

from __future__ import annotations

import uuid as uuid_module
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from throughline.exits.registry import reasons

TerminationReason = StrEnum(  # type: ignore[misc] # the members are those that the exit rules declare
    "TerminationReason", {reason.name.upper(): reason.name for reason in reasons() if reason.recorded}
)
"""Why a position ended."""


@dataclass(frozen=True)
class TradeCandidate:
    """A trade opportunity at one instant: the head of a chain. confidence in [0, 1]; decision_time aware UTC."""

    uuid: uuid_module.UUID
    content_hash: str
    instrument: str
    segment: str
    decision_time: datetime
    strategy: str
    side: str
    model_version: str
    confidence: float
    params_ptr: str
    created_by: str


@dataclass(frozen=True)
class ResearchDocument:
    """What was known about a candidate when it was decided. Caps and volumes in USD, scores in [0, 1].

    inputs: one mapping per input with name, value (number or text), source, event_time and available_at (aware), and
    artifact (hash) where there is one. missing: names of what was not known.
    """

    uuid: uuid_module.UUID
    contract_address: str | None = None
    initial_market_cap: float | None = None
    volume_24h: float | None = None
    rugpull_heuristic_scores: Mapping[str, float] = field(default_factory=dict)
    social_sentiment_scores: Mapping[str, float] = field(default_factory=dict)
    trade_rationale: str = ""
    inputs: Sequence[Mapping[str, Any]] = ()
    missing: Sequence[str] = ()


@dataclass(frozen=True)
class ExecutionRecord:
    """An entry that was really taken. entry_price USD, size in base units, slippage a fraction of the price, fee USD.

    latency_metrics: milliseconds by name. fill_time: None = the tracking system's clock.
    """

    uuid: uuid_module.UUID
    order_id: str
    entry_price: float
    size: float
    slippage: float = 0.0
    latency_metrics: Mapping[str, float] = field(default_factory=dict)
    fee_usd: float = 0.0
    fill_time: datetime | None = None


@dataclass(frozen=True)
class TradeOutcome:
    """How it ended. realized_pnl_percent: net, of the notional. exit_price: None = derived from the return.

    The exit instant is the fill plus `time_in_market_seconds`.
    """

    uuid: uuid_module.UUID
    realized_pnl_percent: float
    time_in_market_seconds: int
    termination_reason: TerminationReason
    exit_price: float | None = None
    fees_usd: float = 0.0
