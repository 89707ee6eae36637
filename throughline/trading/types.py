"""What goes into the simulation engine and what comes out. Plain data; the arithmetic is in the neighbours.

All arrays are one-dimensional and parallel. Times are Unix milliseconds UTC (int64). Prices, volumes and amounts are
USD (float64); NaN = unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
I8 = NDArray[np.int8]

PATHS = ("pessimistic", "base", "optimistic")

REASONS = ("profit_target", "stop_loss", "time_limit", "emergency_exit", "halted", "rug_pull", "end_of_data")
"""Termination reasons, in code order. `end_of_data` is given only by ``simulate(end='close')`` (benchmarks)."""

DISPOSITIONS = ("taken", "no_slot", "already_held", "expired", "gate_closed", "canary_cap", "no_cash", "waiting")
"""What became of an entry, in code order. `waiting`: its fill bar is not in the data yet (it is in the state)."""


@dataclass(frozen=True)
class Bars:
    """Bars by instrument: those of instrument k are rows ``starts[k]:starts[k+1]``, in time order.

    liquidity: trailing 24 h quote volume known at the bar's open; volatility: daily standard deviation of returns known
    at the bar's open; reserve: quote-side pool reserve at the bar's open (0 = drained); rug: 1 where rug evidence was
    known at the bar's open. Each is None where the source has none; NaN single values are unknown. segment: an int64
    per bar that changes where a new instrument segment begins; None switches segmentation off. With `close_only`
    open = high = low = close and every fill is at a close.
    """

    instruments: tuple[str, ...]
    starts: I64
    open_time: I64
    open: F64
    high: F64
    low: F64
    close: F64
    interval_ms: int
    volume: F64 | None = None
    liquidity: F64 | None = None
    volatility: F64 | None = None
    reserve: F64 | None = None
    rug: I8 | None = None
    segment: I64 | None = None
    close_only: bool = False


@dataclass(frozen=True)
class Entries:
    """Wished entries. instrument: index into ``Bars.instruments``; decision_time: the instant of decision (a bar's
    close); score: competing entries of one instant are served by highest score, then instrument name; notional: USD
    wished, before costs. The position in these arrays is the entry's number everywhere in the result."""

    instrument: I32
    decision_time: I64
    score: F64
    notional: F64


@dataclass(frozen=True)
class ExitRules:
    """stop_loss and take_profit: fractions of the entry fill price before costs (0.15 = 15 %); max_hold_ms; halt_ms:
    no bar for this long ends a position as halted; max_participation: largest share of a bar's quote volume that one
    fill may take (None = no limit); contiguous: an entry must fill on the bar that opens at the decision instant, else
    it expires (False: on the next bar there is, as the benchmark wants)."""

    stop_loss: float = 0.15
    take_profit: float = 0.30
    max_hold_ms: int = 48 * 3_600_000
    halt_ms: int = 24 * 3_600_000
    max_participation: float | None = 0.05
    contiguous: bool = True


@dataclass(frozen=True)
class Costs:
    """Costs of a fill. fee: fraction a side; half_spread: fraction a side; impact = `impact_coefficient` x daily
    volatility x sqrt(notional / 24 h volume), at least `impact_floor` where volume or volatility is unknown; a known
    pool reserve x replaces it by the constant-product price notional / x. attrition_48h: expected total loss
    per 48 h held, charged on survivors-only universes (pessimistic and base paths)."""

    fee: float = 0.001
    half_spread: float = 0.001
    impact_coefficient: float = 1.0
    impact_floor: float = 0.001
    attrition_48h: float = 0.0
    halted_recovery: float = 0.5


@dataclass(frozen=True)
class Position:
    """An open position. Everything the engine needs to go on with it, and nothing else.

    key: the caller's name for the entry (the candidate UUID); an exiting position has `exit_reason` set and
    `quantity` still to sell, `proceeds`, `exit_fees`, `exit_notional` (quantity sold x raw price) booked so far.
    """

    key: str
    instrument: str
    segment: int
    entry_time: int
    entry_bar: int
    last_bar_close: int
    entry_price: float
    raw_entry_price: float
    quantity: float
    initial_quantity: float
    notional: float
    entry_fee: float
    last_price: float
    exit_reason: str | None = None
    exit_raw_price: float = float("nan")
    proceeds: float = 0.0
    exit_fees: float = 0.0
    sold_value: float = 0.0
    ambiguous: bool = False
    alternative_price: float = float("nan")
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Waiting:
    """A decision whose fill bar was not in the data yet."""

    key: str
    instrument: str
    segment: int
    decision_time: int
    score: float
    notional: float


@dataclass(frozen=True)
class PathState:
    """What one path carries from one call to the next: cash (USD), open positions, decisions that wait."""

    cash: float
    positions: tuple[Position, ...] = ()
    waiting: tuple[Waiting, ...] = ()


@dataclass(frozen=True)
class PathResult:
    """What happened on one path.

    disposition: int8 per entry, code into DISPOSITIONS. fills and trades: columns by name, one row per entry fill and
    per closed position (see `simulate`). state: what the next call starts from.
    """

    disposition: I8
    fills: Mapping[str, NDArray[np.generic]]
    trades: Mapping[str, NDArray[np.generic]]
    state: PathState


@dataclass(frozen=True)
class Simulation:
    """The result of `simulate`: one `PathResult` per requested path."""

    paths: Mapping[str, PathResult] = field(default_factory=dict)
