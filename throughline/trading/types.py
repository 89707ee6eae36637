"""What goes into the simulation engine and what it gives back. Plain data; the arithmetic is in the other modules.

All arrays are one-dimensional and parallel. Times are Unix milliseconds UTC (int64). Prices, volumes and amounts are
USD (float64); NaN = unknown. Bars and entries are checked when they are created, so that `simulate` need not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from throughline.errors import ThroughlineError
from throughline.exits.registry import all_rules, reason_names, rule_of
from throughline.exits.rule import ExitRule, RuleSettings
from throughline.market.jumps import SMALLEST_JUMP, default_jump

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
I8 = NDArray[np.int8]

PATHS = ("pessimistic", "base", "optimistic")

REASONS = reason_names()
"""Termination reasons, in code order: those of the exit rules. `end_of_data` is given only by
``simulate(end='close')``."""

DISPOSITIONS = (
    "taken",
    "no_slot",
    "already_held",
    "expired",
    "gate_closed",
    "canary_cap",
    "no_cash",
    "waiting",
    "below_minimum",
)
"""What became of an entry, in code order. `waiting`: its fill bar is not in the data yet (hand it to the next call);
`below_minimum`: scaling or the volume limit left less than the smallest position; `no_cash`: the cash did."""

FLAGS = (
    "blocked_day",
    "partial_entry",
    "partial_exit",
    "no_volume",
    "remainder_halted",
    "remainder_lost",
    "cash_cut",
    "gap",
    "doubtful_jump",
)
"""What else happened to a position; bit i of the `flags` column is FLAGS[i]. blocked_day: held through a blocked day;
partial_entry: the order exceeded the participation limit; cash_cut: the order exceeded the cash; partial_exit: the exit
took several fills; no_volume: an exit waited for a bar with volume; remainder_halted, remainder_lost: what was left of
a partial exit ended with a halt, or in a drained pool; gap: it was sold at the first price after a time in which nobody
could trade, and that price had moved; doubtful_jump: it ended at a price out of proportion to the one right before it,
or at the first one of another segment (a re-denomination, a split, a bad print, or a real move)."""


class SimulationInputError(ThroughlineError, ValueError):
    """The engine cannot use its bars, entries, rules or state; the message names the value."""


def flag_names(bits: int) -> tuple[str, ...]:
    """Return the names of the flags that are set in a `flags` value."""
    return tuple(name for i, name in enumerate(FLAGS) if bits >> i & 1)


def _same_length(owner: str, length: int, columns: Mapping[str, NDArray[np.generic] | None]) -> None:
    for name, values in columns.items():
        if values is not None and values.shape != (length,):
            raise SimulationInputError(f"{owner}.{name} has shape {values.shape}; expected ({length},)")


@dataclass(frozen=True)
class Bars:
    """Bars by instrument: those of instrument k are the rows ``starts[k]:starts[k+1]``, in time order.

    Args:
        instruments: Names, each once.
        starts: int64 [instruments + 1], the first row of each instrument, then the number of rows.
        open_time: When each bar opens.
        open: First price of the bar.
        high: Highest price.
        low: Lowest price.
        close: Last price. With `close_only` all four are equal.
        interval_ms: Length of a bar in ms.
        volume: Quote volume of the bar, USD.
        liquidity: Trailing 24 h quote volume known at the bar's open, USD.
        volatility: Daily standard deviation of returns known at the bar's open.
        reserve: Quote-side pool reserve at the bar's open, USD; 0 = drained, or selling is locked.
        rug: int8, 1 where evidence of a rug pull was known at the bar's open.
        segment: int64, changes where a new instrument segment begins; None switches segments off.
        close_only: True if the source has closes only. Every fill is then at a close.

    An optional column is None where the source has none; a single NaN is unknown.

    Raises:
        SimulationInputError: Wrong lengths, times less than one interval apart, or prices that are not positive and
            finite or contradict each other (low <= open, close <= high). It names column and row.

    Example:
        README.md, section "From Python".
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

    def __post_init__(self) -> None:
        rows = len(self.open_time)
        names = ("open", "high", "low", "close", "volume", "liquidity", "volatility", "reserve", "rug", "segment")
        _same_length("Bars", rows, {name: getattr(self, name) for name in names})
        starts = self.starts
        if len(starts) != len(self.instruments) + 1 or starts[0] != 0 or starts[-1] != rows:
            raise SimulationInputError(
                f"Bars.starts must run from 0 to {rows} with one more value than instruments ({len(self.instruments)})"
            )
        if np.any(starts[1:] < starts[:-1]):
            raise SimulationInputError("Bars.starts must not decrease")
        if len(set(self.instruments)) != len(self.instruments):
            raise SimulationInputError("Bars.instruments names an instrument twice")
        if self.interval_ms <= 0:
            raise SimulationInputError(f"Bars.interval_ms is {self.interval_ms}; it must be positive")
        self._check_rows()

    def _check_rows(self) -> None:
        if len(self.open_time) == 0:
            return
        backwards = np.flatnonzero(self.open_time[1:] - self.open_time[:-1] < self.interval_ms) + 1
        wrong = backwards[~np.isin(backwards, self.starts)] if len(backwards) else backwards
        if len(wrong):
            self._refuse("open_time", int(wrong[0]), "less than one interval after the row before")
        for name in ("open", "high", "low", "close"):
            values: F64 = getattr(self, name)
            low, high = float(values.min()), float(values.max())
            if not (low > 0.0 and high < np.inf):
                row = int(np.flatnonzero(~((values > 0.0) & (values < np.inf)))[0])
                self._refuse(name, row, "not a positive finite price")
        for name in ("open", "close"):
            values = getattr(self, name)
            outside = (values < self.low) | (values > self.high)
            if outside.any():
                self._refuse(name, int(np.flatnonzero(outside)[0]), "outside low..high")
        for name in ("volume", "liquidity", "volatility", "reserve"):
            amounts: F64 | None = getattr(self, name)
            if amounts is not None and (amounts < 0.0).any():
                self._refuse(name, int(np.flatnonzero(amounts < 0.0)[0]), "negative")

    def _refuse(self, column: str, row: int, what: str) -> None:
        name = self.instruments[int(np.searchsorted(self.starts, row, side="right")) - 1]
        raise SimulationInputError(
            f"Bars.{column} of {name}, row {row} (open time {int(self.open_time[row])}), is "
            f"{getattr(self, column)[row]}: {what}; clean the bars before simulating"
        )


@dataclass(frozen=True)
class Entries:
    """Entries to make. The position in these arrays is the entry's number everywhere in the result.

    Args:
        instrument: int32, index into ``Bars.instruments``.
        decision_time: The instant of the decision, the close of a bar.
        score: Competing entries of one instant are served by highest score, then instrument name.
        notional: USD to be paid at the execution price: spread and impact are inside, the fee is not.
        segment: int64, the instrument segment decided on. An entry whose fill bar lies in another one expires. None =
            not checked.

    Raises:
        SimulationInputError: Wrong lengths, a score that is not finite, a notional that is not positive.

    Example:
        README.md, section "From Python".
    """

    instrument: I32
    decision_time: I64
    score: F64
    notional: F64
    segment: I64 | None = None

    def __post_init__(self) -> None:
        names = ("instrument", "score", "notional", "segment")
        _same_length("Entries", len(self.decision_time), {name: getattr(self, name) for name in names})
        if not np.isfinite(self.score).all():
            row = int(np.flatnonzero(~np.isfinite(self.score))[0])
            raise SimulationInputError(f"Entries.score, row {row}, is {self.score[row]}: a score must be finite")
        if not ((self.notional > 0.0) & (self.notional < np.inf)).all():
            row = int(np.flatnonzero(~((self.notional > 0.0) & (self.notional < np.inf)))[0])
            raise SimulationInputError(f"Entries.notional, row {row}, is {self.notional[row]}: it must be positive USD")


@dataclass(frozen=True)
class ExitRules:
    """When positions end.

    Args:
        stop_loss: Fraction of the entry's market price (0.15 = 15 % below it).
        take_profit: Fraction of the entry's market price.
        max_hold_ms: A position is sold at the first price so long after its entry.
        halt_ms: No bar for so long ends a position as halted.
        max_participation: Largest share of a bar's quote volume that one fill may take. None = no limit.
        contiguous: An entry must fill on the bar that opens at the decision instant, else it expires. False: on the
            next bar there is, and gaps and jumps are not looked at (raw rows of benchmarks).
        doubtful_jump: A position ends where the first price of a bar is so many times the close before it or more, or
            one part in as many or less, since the bars may count another unit from there on. None = the default of the
            kind of bars (`throughline.market.jumps`), math.inf = never.
        others: Settings of the optional rules that apply too (`throughline.exits.rules`).

    Raises:
        SimulationInputError: A value outside of its range.

    Example:
        >>> ExitRules(stop_loss=0.1, others=(trailing_stop.Settings(percent=0.05),))  # doctest: +SKIP
    """

    stop_loss: float = 0.15
    take_profit: float = 0.30
    max_hold_ms: int = 48 * 3_600_000
    halt_ms: int = 24 * 3_600_000
    max_participation: float | None = 0.05
    contiguous: bool = True
    doubtful_jump: float | None = None
    others: tuple[RuleSettings, ...] = ()

    def __post_init__(self) -> None:
        if not (0.0 < self.stop_loss < 1.0 and 0.0 < self.take_profit < np.inf):
            raise SimulationInputError(
                f"ExitRules: stop_loss {self.stop_loss} must be in (0, 1) and take_profit {self.take_profit} positive"
            )
        for name in ("max_hold_ms", "halt_ms"):
            if not 0 < getattr(self, name) <= 2**60:
                raise SimulationInputError(f"ExitRules.{name} is {getattr(self, name)}; it must be in 1..2^60")
        if self.doubtful_jump is not None and not self.doubtful_jump >= SMALLEST_JUMP:
            raise SimulationInputError(
                f"ExitRules.doubtful_jump is {self.doubtful_jump}; it must be {SMALLEST_JUMP} or more, or None"
            )
        if self.max_participation is not None and not 0.0 < self.max_participation <= 1.0:
            raise SimulationInputError(f"ExitRules.max_participation is {self.max_participation}; it must be in (0, 1]")

    @cached_property
    def numbers(self) -> tuple[tuple[ExitRule, tuple[float, ...]], ...]:
        """The rules in order of precedence, each with the numbers that its hooks are given."""
        given = {"barriers": (self.stop_loss, self.take_profit), "time_limit": (float(self.max_hold_ms),)}
        for settings in self.others:
            rule = rule_of(settings)
            given[rule.name] = rule.numbers(settings)
        return tuple((rule, given.get(name, ())) for name, rule in all_rules().items() if rule.always or name in given)

    @cached_property
    def slots(self) -> tuple[str, ...]:
        """The names of the numbers that a position carries, as ``rule.slot``."""
        return tuple(f"{rule.name}.{slot}" for rule, _ in self.numbers for slot in rule.slots)

    def believed_jump(self, close_only: bool) -> float:
        """Return the factor from which on a step between two bars is doubtful, for bars with closes only or not."""
        return default_jump(close_only) if self.doubtful_jump is None else float(self.doubtful_jump)


@dataclass(frozen=True)
class Costs:
    """Costs of a fill, as fractions a side.

    The impact of a fill is `impact_coefficient` x daily volatility x sqrt(notional / 24 h volume), the square-root law
    (Toth et al. 2011, arXiv:1105.1694). A known pool reserve x replaces it by the constant-product price, notional / x.

    Args:
        fee: Of the value.
        half_spread: Of the price.
        impact_coefficient: Of the law above.
        impact_floor: The least impact, which also stands where volume or volatility is unknown.
        attrition_48h: Expected total loss per 48 h held, on universes of survivors and not on the optimistic path.
        halted_recovery: What the base path gets of the last close when an instrument halts.

    Raises:
        SimulationInputError: A value outside of its range.

    Example:
        >>> Costs(fee=0.002).half_spread
        0.001
    """

    fee: float = 0.001
    half_spread: float = 0.001
    impact_coefficient: float = 1.0
    impact_floor: float = 0.001
    attrition_48h: float = 0.0
    halted_recovery: float = 0.5

    def __post_init__(self) -> None:
        for name in ("fee", "half_spread", "impact_floor", "attrition_48h", "halted_recovery"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise SimulationInputError(f"Costs.{name} is {getattr(self, name)}; it must be a fraction in [0, 1]")
        if not 0.0 <= self.impact_coefficient < np.inf:
            raise SimulationInputError(f"Costs.impact_coefficient is {self.impact_coefficient}; it must be >= 0")


@dataclass(frozen=True)
class Position:
    """An open position: everything that the engine needs to go on with it, and nothing else.

    Every float is a multiple of 1e-18 or wide enough to be exact at 18 decimals: writing it with 18 decimals and
    reading it back gives the same double (`throughline.trading.state`). Amounts are USD.

    Args:
        key: The caller's name of the entry (the candidate's UUID).
        instrument: Its name.
        segment: The instrument segment that it was entered in.
        entry_time: When it was filled.
        entry_bar: Open of the bar that it was filled in.
        last_bar_close: Close (time) of the last bar seen.
        entry_price: Execution price.
        raw_entry_price: Market price of the fill.
        quantity: Still to be sold.
        initial_quantity: Bought.
        notional: Paid for it, without the fee.
        entry_fee: Fee of the entry.
        entry_costs: Spread and impact, inside the notional.
        last_price: Close of the last bar seen, without quotes of bars without volume that lie a doubtful jump above
            `traded_price`.
        traded_close: Close (time) of the last bar in which somebody could trade.
        traded_price: Close (price) of that bar.
        low_quantity: What the least favourable reading of doubtful prices would still hold.
        high_quantity: What the most favourable one would.
        resume_time: End of the last blocked day held through (0 = none); a halt is not booked before it.
        exit_reason: Set where an exit has been triggered but is not complete.
        sold_value: Of what was sold, at market prices.
        exit_value: The same at execution prices.
        exit_fees: Fees of what was sold.
        attrition: Attrition of what was sold.
        ambiguous: A bar met a stop and a target.
        low_gain: What the least favourable reading would have added to the profit so far.
        high_gain: What the most favourable one would.
        flags: Names of FLAGS.
        slots: What the exit rules carry, by ``rule.slot``.
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
    entry_costs: float
    last_price: float
    traded_close: int
    traded_price: float
    low_quantity: float
    high_quantity: float
    resume_time: int = 0
    exit_reason: str | None = None
    sold_value: float = 0.0
    exit_value: float = 0.0
    exit_fees: float = 0.0
    attrition: float = 0.0
    ambiguous: bool = False
    low_gain: float = 0.0
    high_gain: float = 0.0
    flags: tuple[str, ...] = ()
    slots: Mapping[str, float] = field(default_factory=dict)

    @property
    def proceeds(self) -> float:
        """USD already received for the part that was sold; it becomes cash when the position closes."""
        return self.exit_value - self.exit_fees - self.attrition


@dataclass(frozen=True)
class PathState:
    """What one path carries from one call to the next.

    Args:
        cash: USD, inf = unlimited. Proceeds of a position that is still being sold are in the position.
        positions: Open positions in order of entry.
    """

    cash: float
    positions: tuple[Position, ...] = ()


@dataclass(frozen=True)
class PathResult:
    """What happened on one path.

    Args:
        disposition: int8 per entry of this call, code into DISPOSITIONS.
        fills: Columns by name, one row per entry fill (see `simulate`).
        trades: Columns by name, one row per closed position (see `simulate`).
        state: What the next call starts from.
    """

    disposition: I8
    fills: Mapping[str, NDArray[np.generic]]
    trades: Mapping[str, NDArray[np.generic]]
    state: PathState


@dataclass(frozen=True)
class Simulation:
    """The result of `simulate`: one `PathResult` per requested path."""

    paths: Mapping[str, PathResult] = field(default_factory=dict)
