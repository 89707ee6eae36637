"""What the core is given and what it keeps: rows of the positions, codes, bars, orders, terms and rules."""

from __future__ import annotations

from typing import NamedTuple

from throughline.exits.registry import reason_names
from throughline.trading.types import F64, I8, I64

# rows of the integers of the positions: columns of a fill, further columns of a trade, the rest
ENTRY, INSTRUMENT, SEGMENT, ENTRY_TIME, ENTRY_BAR, FLAG_BITS = 0, 1, 2, 3, 4, 5
EXIT_TIME, EXIT_BAR, REASON, AMBIGUOUS = 6, 7, 8, 9
LAST_CLOSE, RESUME, NEXT_ROW, TRADED_CLOSE, INT_COLUMNS = 10, 11, 12, 13, 14
# rows of the floats of the positions, likewise
SPREAD, IMPACT, PARTICIPATION, RAW_PRICE, PRICE, BOUGHT, NOTIONAL, FEE = 0, 1, 2, 3, 4, 5, 6, 7
ENTRY_COSTS, SOLD_VALUE, EXIT_VALUE, EXIT_FEES, ATTRITION, LOW_GAIN, HIGH_GAIN = 8, 9, 10, 11, 12, 13, 14
QUANTITY, LOW_QUANTITY, HIGH_QUANTITY, LAST_PRICE, TRADED_PRICE, FLOAT_COLUMNS = 15, 16, 17, 18, 19, 20

HALTED, RUG_PULL, END_OF_DATA = (reason_names().index(name) for name in ("halted", "rug_pull", "end_of_data"))
TAKEN, NO_SLOT, ALREADY_HELD, NO_CASH, BELOW_MINIMUM = 0, 1, 2, 6, 8
BLOCKED_DAY, PARTIAL_ENTRY, PARTIAL_EXIT, NO_VOLUME, REMAINDER_HALTED, REMAINDER_LOST = 1, 2, 4, 8, 16, 32
CASH_CUT, GAP, DOUBTFUL_JUMP = 64, 128, 256

NEVER = 2**62
LONG_AGO = -(2**62)
NOTHING = -1
"""No exit is triggered."""
MINIMUM_CASH_NOTIONAL = 1.0
"""USD; an entry that the cash would cut below this is refused (`no_cash`), however small the smallest position is."""


class BarArrays(NamedTuple):
    """Bars as the core sees them; absent columns have length 0. Instrument k has the rows up to stops[k]."""

    stops: I64
    open_time: I64
    open: F64
    high: F64
    low: F64
    close: F64
    volume: F64
    liquidity: F64
    volatility: F64
    reserve: F64
    rug: I8
    segment: I64


class OrderQueue(NamedTuple):
    """Orders in the order of service: entry, row (-1: none) and open time of the fill bar, instrument, USD ordered."""

    entry: I64
    row: I64
    time: I64
    instrument: I64
    notional: F64


class Terms(NamedTuple):
    """Costs, limits and path of one pass.

    Args:
        halt, until, interval: In ms.
        jump: Factor from which on a price is doubtful beside the last one (inf: never).
        believed: Factor up to which a doubtful rise counts.
        minimum: USD, the smallest position.
        halted_share: What a halt gives of the last close.
        multiplier: Scales spread and impact.
        target_first: The target of an ambiguous bar is booked.
        at_target: No first price is sold above the target.
        jump_gains: False on the path that gains nothing over a doubtful jump.
        contiguous: Gaps and jumps are looked at.
        moving: Levels of some rule move, so each bar is looked at.
        max_positions: -1 = unlimited.
    """

    interval: int
    until: int
    halt: int
    max_participation: float
    jump: float
    believed: float
    minimum: float
    fee: float
    half_spread: float
    coefficient: float
    floor: float
    attrition: float
    halted_share: float
    multiplier: float
    target_first: bool
    at_target: bool
    jump_gains: bool
    contiguous: bool
    close_only: bool
    close_at_end: bool
    moving: bool
    blocked: bool
    overlap: bool
    max_positions: int


class Rules(NamedTuple):
    """The exit rules of one pass in order of precedence, a row each.

    levels, carry: addresses of the compiled hooks (carry 0: none); numbers: of all rules, those of rule r begin at
    first_number[r]; slots of a position likewise; *_reason: codes (-1: the rule has no such level).
    """

    levels: I64
    carry: I64
    numbers: F64
    first_number: I64
    first_slot: I64
    stop_reason: I64
    target_reason: I64
    leave_reason: I64


class Levels(NamedTuple):
    """The levels of all rules in a bar: the highest stop, the lowest target, the earliest instant of leaving."""

    stop: float
    stop_reason: int
    target: float
    target_reason: int
    leave: int
    leave_reason: int
