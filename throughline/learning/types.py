"""What the rooms of learning hand each other: plain frozen values, without any library but numpy.

Times are Unix milliseconds (UTC), returns are net of costs and fractions of the stake (0.05 = 5 %), missing is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from throughline.exits.registry import stopped_reasons

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

RULE = "rule"
"""The model of candidates that no model judges: it takes every candidate. The champion until one is promoted."""

CASH = "cash"
"""What a model is held against while the rule is closed: taking nothing."""

STOPPED = stopped_reasons()
"""Reasons that end a trade at its stop or worse, as the exit rules declare them."""
NOT_LABELS = frozenset({"doubtful_jump"})
"""Flags of an outcome that is no label: its price may be in another unit, so nobody knows what was gained or lost. A
halt stays a label, although the half of the last close that it books is an assumption: without halts, learning would
see survivors only."""
TOTAL_LOSS = -0.9
"""A net return of -90 % or less is a total loss: a drained pool, a halt without recovery."""

Progress = Callable[[str, float], None]
"""Called when a step of a training begins, with its name and the share of the training that is done (0 to 1). A
walk calls it with 1 at the end of each training."""


def no_progress(step: str, done: float) -> None:
    """Tell nobody."""


Status = Literal["pass", "fail", "insufficient"]


@dataclass(frozen=True)
class TrainingData:
    """n resolved labels with their features, ordered by decision, then candidate, then source.

    features: [n, k], NaN = missing; names: k. net_return: [n]. decided, t0, t1: [n] instants of decision, fill and
    exit: [t0, t1] is the label's interval. stopped: [n] ended by its stop or worse; lost: [n] total loss. weight: [n]
    in (0, 1], uniqueness. candidates: n UUIDs as text, segments: n instrument segments, executed: [n] label of a real
    execution (else of a shadow).
    """

    features: F64
    names: tuple[str, ...]
    net_return: F64
    decided: I64
    t0: I64
    t1: I64
    stopped: Mask
    lost: Mask
    weight: F64
    executed: Mask
    candidates: tuple[str, ...]
    segments: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.net_return)

    def take(self, rows: NDArray[np.int64] | Mask) -> TrainingData:
        """Return the labels at `rows` (positions in order, or a mask)."""
        at = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return TrainingData(
            features=self.features[at],
            names=self.names,
            net_return=self.net_return[at],
            decided=self.decided[at],
            t0=self.t0[at],
            t1=self.t1[at],
            stopped=self.stopped[at],
            lost=self.lost[at],
            weight=self.weight[at],
            executed=self.executed[at],
            candidates=tuple(self.candidates[k] for k in at.tolist()),
            segments=tuple(self.segments[k] for k in at.tolist()),
        )


@dataclass(frozen=True)
class GateResult:
    """What one gate says of a model. value and threshold: None where there is none; reason: one sentence."""

    gate: str
    status: Status
    value: float | None
    threshold: float | None
    reason: str


@dataclass(frozen=True)
class Trial:
    """One trial of hyper-parameters as the ledger of trials keeps it.

    hash: over what was tried on what, so that a rerun is the same trial. body: canonical JSON of parameters, data and
    what came out; its `sharpe` and `sharpe_over_rule` (texts) are what the deflated Sharpe ratio of later models reads.
    """

    hash: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Score:
    """What a model says of one candidate. probability: of a net gain; expected_return: fraction of the stake.

    take: whether it would trade. `RULE` takes everything, nothing while it is closed, and says no numbers.
    """

    model: str
    take: bool
    probability: float | None = None
    expected_return: float | None = None


@dataclass(frozen=True)
class Observation:
    """One resolved candidate that two models judged: `challenger` against `incumbent`.

    decided, resolved: instants; net_return: of the shadow trade; stopped, lost: how it ended. executed: the candidate
    was really traded in the challenger's arm, with `pnl_usd` net.
    """

    candidate: str
    decided: int
    resolved: int
    net_return: float
    stopped: bool
    lost: bool
    challenger_takes: bool
    incumbent_takes: bool
    executed: bool = False
    pnl_usd: float | None = None


@dataclass(frozen=True)
class Health:
    """How the challenger's decisions went, apart from profit. decisions: all it made; errors: that failed to score;
    incomplete: with too many missing features; latency_ms: longest decision-to-fill latency of its executions."""

    decisions: int = 0
    errors: int = 0
    incomplete: int = 0
    latency_ms: int = 0


Verdict = Literal["promote", "roll_back", "extend", "reject"]


@dataclass(frozen=True)
class Judgement:
    """What the judge says at one instant, with everything that it was decided from.

    worse, noninferior: e-values of 'the challenger is worse' and of 'it is not worse by the margin'; tail: of 'it is
    stopped out more often'; lost: of 'it loses everything more often'; spent: error spent so far (1 / largest
    worse-type e-value, capped at 1). units: decision days fed. pairs: resolved pairs. trades: executed in its arm.
    days_to_verdict: expected, None where nothing can be said. reason: in words.
    """

    verdict: Verdict
    reason: str
    as_of: datetime
    units: int
    pairs: int
    disagreements: int
    trades: int
    mean_difference: float | None
    worse: float
    noninferior: float
    tail: float
    lost: float
    spent: float
    days_to_verdict: float | None
    guards: tuple[str, ...] = field(default=())
