"""The compiled core: what happens to the positions of one path. Imports numba; load it lazily.

Belongs here: every rule of DESIGN section 7 that touches a price. Does not belong here: names, keys, result columns
(engine, results), the order of service (ordering). Shares no code with ordering, see there.

How it works: what happens to a position after its entry does not depend on the other positions. So each entry that is
taken is followed to its end at once, and slots and cash only need the open positions in order of their exit (a heap).
Entries are served in order of time. The cost is the entries plus the bars held, not all bars.

Arithmetic: only + - * / sqrt and round-to-integer on IEEE doubles, in fixed order, no fast-math and no contraction into
fused operations (a test looks into the machine code), so results have the same bits on every processor. Every float
that a state carries goes through `_q18`, which puts it on the 18-decimal grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba  # noqa: TID253 - this module is only loaded by the first simulation
import numpy as np

from throughline.trading.types import F64, I8, I64

F = TypeVar("F", bound=Callable[..., Any])

# rows of the integers of the positions: what a fill tells, what a trade tells besides, the rest
ENTRY, INSTRUMENT, SEGMENT, ENTRY_TIME, ENTRY_BAR, FLAG_BITS = 0, 1, 2, 3, 4, 5
EXIT_TIME, EXIT_BAR, REASON, AMBIGUOUS = 6, 7, 8, 9
LAST_CLOSE, RESUME, NEXT_ROW, INT_COLUMNS = 10, 11, 12, 13
# rows of the floats of the positions, likewise
SPREAD, IMPACT, PARTICIPATION, RAW_PRICE, PRICE, BOUGHT, NOTIONAL, FEE = 0, 1, 2, 3, 4, 5, 6, 7
ENTRY_COSTS, SOLD_VALUE, EXIT_VALUE, EXIT_FEES, ATTRITION, OTHER_GAIN = 8, 9, 10, 11, 12, 13
QUANTITY, LAST_PRICE, FLOAT_COLUMNS = 14, 15, 16

PROFIT_TARGET, STOP_LOSS, TIME_LIMIT, EMERGENCY_EXIT, HALTED, RUG_PULL, END_OF_DATA = range(7)
TAKEN, NO_SLOT, ALREADY_HELD, NO_CASH = 0, 1, 2, 6
BLOCKED_DAY, PARTIAL_ENTRY, PARTIAL_EXIT, NO_VOLUME, REMAINDER_HALTED, REMAINDER_LOST, CASH_CUT = (
    1,
    2,
    4,
    8,
    16,
    32,
    64,
)

NEVER = 2**62
LONG_AGO = -(2**62)
NOTHING = -1
"""No exit is triggered."""
MINIMUM_CASH_NOTIONAL = 1.0
"""USD; an entry that the cash would cut below this is not made (`no_cash`)."""


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


class Served(NamedTuple):
    """Entries in the order of service: number, row (-1: none) and open time of the fill bar, instrument, USD wished."""

    entry: I64
    row: I64
    time: I64
    instrument: I64
    notional: F64


class Terms(NamedTuple):
    """Rules, costs and path of one pass. multiplier scales spread and impact; halted_share: of the last close."""

    interval: int
    until: int
    halt: int
    max_hold: int
    stop_loss: float
    take_profit: float
    max_participation: float
    fee: float
    half_spread: float
    coefficient: float
    floor: float
    attrition: float
    halted_share: float
    multiplier: float
    target_first: bool
    gap_at_target: bool
    cap_gaps: bool
    close_only: bool
    close_at_end: bool
    blocked: bool
    overlap: bool
    max_positions: int


def compiled(function: F) -> F:
    """Compile with an on-disk cache; without one where no folder for it can be written.

    Without numba's reference counts (`_nrt`): the core makes no arrays, and counting the dozen arrays of `BarArrays`
    at each inner call took three quarters of the time.
    """
    options: dict[str, Any] = {"error_model": "numpy", "_nrt": False, "forceinline": function.__name__.startswith("_")}
    try:
        return cast(F, numba.njit(cache=True, **options)(function))
    except RuntimeError:  # "no locator available": neither the package folder nor a user cache folder is writable
        return cast(F, numba.njit(**options)(function))


@compiled
def _q18(value: float) -> float:
    """`state.round18` for numbers."""
    if value >= 0.0078125 or value <= -0.0078125:
        return value
    return float(np.rint(value * 1e18) / 1e18)


@compiled
def _impact(bars: BarArrays, terms: Terms, row: int, value: float, selling: bool) -> float:
    """Fraction of the price that a fill of `value` USD moves, before the path's multiplier; row -1: nothing known."""
    if row < 0:
        return terms.floor
    if bars.reserve.size > 0:
        reserve = bars.reserve[row]
        if reserve > 0.0:
            return float(value / (reserve + value) if selling else value / reserve)
    if terms.close_only or bars.liquidity.size == 0 or bars.volatility.size == 0:
        return terms.floor
    traded, volatility = bars.liquidity[row], bars.volatility[row]
    if traded == 0.0 and bars.volume.size > 0:
        traded = bars.volume[row]
    if not (traded > 0.0 and volatility >= 0.0):
        return terms.floor
    return float(max(terms.floor, terms.coefficient * volatility * math.sqrt(value / traded)))


@compiled
def _lost_share(terms: Terms, held_ms: int) -> float:
    return float(min(1.0, terms.attrition * (held_ms / 3_600_000.0) / 48.0))


@compiled
def _sale(
    bars: BarArrays, terms: Terms, row: int, quantity: float, raw: float, held_ms: int
) -> tuple[float, float, float]:
    """Execution value, fee and attrition of selling `quantity` at the raw price `raw`."""
    share = terms.multiplier * (terms.half_spread + _impact(bars, terms, row, quantity * raw, True))
    value = quantity * (raw * (1.0 - min(1.0, share)))
    fee = value * terms.fee
    return value, fee, (value - fee) * _lost_share(terms, held_ms)


@compiled
def _book(floats: F64, p: int, quantity: float, raw: float, value: float, fee: float, attrition: float) -> None:
    floats[SOLD_VALUE, p] = _q18(floats[SOLD_VALUE, p] + quantity * raw)
    floats[EXIT_VALUE, p] = _q18(floats[EXIT_VALUE, p] + value)
    floats[EXIT_FEES, p] = _q18(floats[EXIT_FEES, p] + fee)
    floats[ATTRITION, p] = _q18(floats[ATTRITION, p] + attrition)
    floats[QUANTITY, p] = _q18(floats[QUANTITY, p] - quantity)


@compiled
def _lose(ints: I64, floats: F64, p: int) -> None:
    """What is left is worth nothing: the pool is drained or selling is locked."""
    if floats[QUANTITY, p] == floats[BOUGHT, p]:
        ints[REASON, p] = RUG_PULL
    else:
        ints[FLAG_BITS, p] |= REMAINDER_LOST
    floats[QUANTITY, p] = 0.0


@compiled
def _sell(
    bars: BarArrays, terms: Terms, ints: I64, floats: F64, p: int, row: int, raw: float, when: int, other: float
) -> bool:
    """Sell what the bar takes; True if that closes the position. other: the other barrier touched in the bar, or 0."""
    ints[EXIT_TIME, p], ints[EXIT_BAR, p] = when, bars.open_time[row]
    if other > 0.0:
        ints[AMBIGUOUS, p] = 1
    if bars.reserve.size > 0 and bars.reserve[row] == 0.0:
        _lose(ints, floats, p)
        return True
    quantity = floats[QUANTITY, p]
    if bars.volume.size > 0:
        if bars.volume[row] == 0.0:
            ints[FLAG_BITS, p] |= NO_VOLUME
            return False
        limit = terms.max_participation * bars.volume[row]
        if quantity * raw > limit:
            quantity = min(quantity, _q18(limit / raw))
    held = when - ints[ENTRY_TIME, p]
    value, fee, attrition = _sale(bars, terms, row, quantity, raw, held)
    if other > 0.0:
        other_value, other_fee, other_attrition = _sale(bars, terms, row, quantity, other, held)
        gain = (other_value - other_fee - other_attrition) - (value - fee - attrition)
        floats[OTHER_GAIN, p] = _q18(floats[OTHER_GAIN, p] + gain)
    _book(floats, p, quantity, raw, value, fee, attrition)
    if floats[QUANTITY, p] > 0.0:
        ints[FLAG_BITS, p] |= PARTIAL_EXIT
        return False
    return True


@compiled
def _halt(terms: Terms, ints: I64, floats: F64, p: int, instant: int) -> None:
    """Close at the share of the last close that the path grants: fee, but neither spread nor impact on that price."""
    quantity, raw = floats[QUANTITY, p], floats[LAST_PRICE, p] * terms.halted_share
    if quantity == floats[BOUGHT, p]:
        ints[REASON, p] = HALTED
    else:
        ints[FLAG_BITS, p] |= REMAINDER_HALTED
    value = quantity * raw
    fee = value * terms.fee
    _book(floats, p, quantity, raw, value, fee, (value - fee) * _lost_share(terms, instant - ints[ENTRY_TIME, p]))
    ints[EXIT_TIME, p], ints[EXIT_BAR, p] = instant, instant


@compiled
def _close_at_end(bars: BarArrays, terms: Terms, ints: I64, floats: F64, p: int, row: int) -> None:
    """Sell everything at the last close; row: the last bar, -1 if this call has none."""
    if ints[REASON, p] == NOTHING:
        ints[REASON, p] = END_OF_DATA
    ints[EXIT_TIME, p], ints[EXIT_BAR, p] = ints[LAST_CLOSE, p], ints[LAST_CLOSE, p] - terms.interval
    if row >= 0 and bars.reserve.size > 0 and bars.reserve[row] == 0.0:
        _lose(ints, floats, p)
        return
    quantity, raw = floats[QUANTITY, p], floats[LAST_PRICE, p]
    value, fee, attrition = _sale(bars, terms, row, quantity, raw, ints[LAST_CLOSE, p] - ints[ENTRY_TIME, p])
    _book(floats, p, quantity, raw, value, fee, attrition)


@compiled
def _at_close(
    close: float, when: int, deadline: int, evidence: bool, stop: float, target: float, pending: int
) -> tuple[int, float]:
    """Close-only bar: (reason, raw price) of an exit at its close; reason -1: none."""
    if pending != NOTHING:
        return pending, close
    if when >= deadline:
        return TIME_LIMIT, close
    if evidence:
        return EMERGENCY_EXIT, close
    if close <= stop:
        return STOP_LOSS, close
    if close >= target:
        return PROFIT_TARGET, close
    return NOTHING, close


@compiled
def _at_open(
    open_: float,
    when: int,
    deadline: int,
    evidence: bool,
    stop: float,
    target: float,
    gap_at_target: bool,
    pending: int,
) -> tuple[int, float]:
    """(Reason, raw price) of an exit at a bar's open; reason -1: none."""
    if pending != NOTHING:
        return pending, open_
    if when >= deadline:
        return TIME_LIMIT, open_
    if evidence:
        return EMERGENCY_EXIT, open_
    if open_ <= stop:
        return STOP_LOSS, open_
    if open_ >= target:
        return PROFIT_TARGET, target if gap_at_target else open_
    return NOTHING, open_


@compiled
def _inside(low: float, high: float, stop: float, target: float, target_first: bool) -> tuple[int, float, float]:
    """(Reason, raw price, the other barrier if both are touched, else 0) of an exit inside a bar; reason -1: none."""
    if low <= stop:
        if high < target:
            return STOP_LOSS, stop, 0.0
        if target_first:
            return PROFIT_TARGET, target, stop
        return STOP_LOSS, stop, target
    if high >= target:
        return PROFIT_TARGET, target, 0.0
    return NOTHING, 0.0, 0.0


@compiled
def _first_eventful(
    bars: BarArrays,
    row: int,
    end: int,
    last_close: int,
    segment: int,
    stop: float,
    target: float,
    deadline: int,
    halt: int,
    interval: int,
) -> int:
    """First row from `row` on whose bar may end a position; before it nothing happens. Only a faster way through."""
    has_segment, has_rug = bars.segment.size > 0, bars.rug.size > 0
    first = bars.open_time[row]
    limit = min(end, row + (deadline - first + interval - 1) // interval)
    plain = limit > row and first - last_close < halt and not has_segment and not has_rug
    if plain and bars.open_time[limit - 1] - first == (limit - 1 - row) * interval:  # no gap: only prices matter
        while row < limit and bars.low[row] > stop and bars.high[row] < target:
            row += 1
        return row
    while row < end and bars.low[row] > stop and bars.high[row] < target:
        opens = bars.open_time[row]
        if opens >= deadline or opens - last_close >= halt:
            break
        if (has_segment and bars.segment[row] != segment) or (has_rug and bars.rug[row] != 0):
            break
        last_close = opens + interval
        row += 1
    return row


@compiled
def _next_exit(bars: BarArrays, terms: Terms, ints: I64, floats: F64, p: int, entry_bar: bool) -> bool:
    """Follow position p from its next row to the first bar that fills an exit, or to a halt; True when it is closed.

    entry_bar: the next row is the bar it was entered at the open of, so that nothing can happen at that open. Leaves
    NEXT_ROW behind the last bar seen and LAST_CLOSE and LAST_PRICE those of that bar.
    """
    stop = floats[RAW_PRICE, p] * (1.0 - terms.stop_loss)
    target = floats[RAW_PRICE, p] * (1.0 + terms.take_profit)
    deadline = ints[ENTRY_TIME, p] + terms.max_hold
    segment, last_close, pending = ints[SEGMENT, p], ints[LAST_CLOSE, p], ints[REASON, p]
    begin, end = ints[NEXT_ROW, p], bars.stops[ints[INSTRUMENT, p]]
    has_segment, has_rug = bars.segment.size > 0, bars.rug.size > 0
    halted, closed = False, False
    instant = 0
    row = begin
    while row < end:
        if pending == NOTHING and not terms.close_only:
            quiet = _first_eventful(
                bars, row, end, last_close, segment, stop, target, deadline, terms.halt, terms.interval
            )
            if quiet > row:
                row, entry_bar = quiet, False
                last_close = bars.open_time[row - 1] + terms.interval
                continue
        opens = bars.open_time[row]
        if not entry_bar and (opens - last_close >= terms.halt or (has_segment and bars.segment[row] != segment)):
            halted = True
            instant = min(last_close + terms.halt, opens)
            break
        # Over missing bars a position may lose what the market lost, but never gain more than its target.
        missing = terms.cap_gaps and not entry_bar and opens > last_close
        last_close = opens + terms.interval
        when = opens
        evidence = has_rug and bars.rug[row] != 0
        reason, raw, other = NOTHING, 0.0, 0.0
        if terms.close_only:
            when = last_close
            reason, raw = _at_close(bars.close[row], when, deadline, evidence, stop, target, pending)
            raw = min(raw, target) if missing else raw
        else:
            if not entry_bar:
                reason, raw = _at_open(
                    bars.open[row], opens, deadline, evidence, stop, target, terms.gap_at_target, pending
                )
                raw = min(raw, target) if missing else raw
            if reason == NOTHING:
                when = last_close
                reason, raw, other = _inside(bars.low[row], bars.high[row], stop, target, terms.target_first)
        entry_bar = False
        row += 1
        if reason != NOTHING:
            pending = reason
            ints[REASON, p] = reason
            closed = _sell(bars, terms, ints, floats, p, row - 1, raw, when, other)
            if closed:
                break
    ints[NEXT_ROW, p] = row
    if row > begin:
        ints[LAST_CLOSE, p] = bars.open_time[row - 1] + terms.interval
        floats[LAST_PRICE, p] = _q18(bars.close[row - 1])
    if closed:
        return True
    if row == end:
        instant = ints[LAST_CLOSE, p] + terms.halt
        halted = max(instant, ints[RESUME, p]) < terms.until
    if halted:
        _halt(terms, ints, floats, p, max(instant, ints[RESUME, p]))
    return halted


@compiled
def _hold_blocked(bars: BarArrays, terms: Terms, ints: I64, floats: F64, p: int) -> None:
    """Carry position p over a blocked stretch: note the last close, nothing else."""
    row, end = ints[NEXT_ROW, p], bars.stops[ints[INSTRUMENT, p]]
    while row < end:
        opens = bars.open_time[row]
        if opens - ints[LAST_CLOSE, p] >= terms.halt:
            break
        if bars.segment.size > 0 and bars.segment[row] != ints[SEGMENT, p]:
            break
        ints[LAST_CLOSE, p] = opens + terms.interval
        floats[LAST_PRICE, p] = _q18(bars.close[row])
        row += 1
    ints[FLAG_BITS, p] |= BLOCKED_DAY
    ints[RESUME, p] = terms.until


@compiled
def _follow(bars: BarArrays, terms: Terms, ints: I64, floats: F64, p: int, entry_bar: bool) -> None:
    """Take position p to its end, or to the end of the bars; EXIT_BAR stays NEVER while it is open."""
    if terms.blocked:
        _hold_blocked(bars, terms, ints, floats, p)
    elif _next_exit(bars, terms, ints, floats, p, entry_bar):
        return
    elif terms.close_at_end:
        k = ints[INSTRUMENT, p]
        last = ints[NEXT_ROW, p] - 1
        seen = last >= 0 and last < bars.stops[k] and bars.open_time[last] + terms.interval == ints[LAST_CLOSE, p]
        _close_at_end(bars, terms, ints, floats, p, last if seen else -1)
        return
    ints[EXIT_BAR, p] = NEVER


@compiled
def _enter(bars: BarArrays, served: Served, terms: Terms, m: int, cash: float, ints: I64, floats: F64, p: int) -> bool:
    """Fill the m-th entry as position p; False if the cash is short of the smallest notional."""
    row, opens = served.row[m], served.time[m]
    notional = _q18(served.notional[m])
    volume = np.nan
    flags = 0
    if bars.volume.size > 0:
        volume = bars.volume[row]
        if notional > terms.max_participation * volume:
            notional = _q18(terms.max_participation * volume)
            flags |= PARTIAL_ENTRY
    if notional + notional * terms.fee > cash:
        affordable = cash / (1.0 + terms.fee)
        while affordable + affordable * terms.fee > cash:
            affordable -= affordable * 2.3e-16
        if affordable < MINIMUM_CASH_NOTIONAL:
            return False
        notional = affordable
        flags |= CASH_CUT
    raw = _q18(bars.close[row] if terms.close_only else bars.open[row])
    spread = terms.multiplier * terms.half_spread
    impact = terms.multiplier * _impact(bars, terms, row, notional, False)
    price = _q18(raw * (1.0 + (spread + impact)))
    quantity = _q18(notional / price)
    ints[ENTRY, p], ints[INSTRUMENT, p], ints[REASON, p] = served.entry[m], served.instrument[m], NOTHING
    ints[SEGMENT, p] = bars.segment[row] if bars.segment.size > 0 else 0
    ints[ENTRY_TIME, p] = opens + terms.interval if terms.close_only else opens
    ints[ENTRY_BAR, p], ints[LAST_CLOSE, p] = opens, opens + terms.interval
    ints[NEXT_ROW, p] = row + 1 if terms.close_only else row
    ints[FLAG_BITS, p], ints[RESUME, p], ints[AMBIGUOUS, p], ints[EXIT_TIME, p] = flags, 0, 0, 0
    ints[EXIT_BAR, p] = NEVER
    floats[PRICE, p], floats[RAW_PRICE, p], floats[QUANTITY, p], floats[BOUGHT, p] = price, raw, quantity, quantity
    floats[NOTIONAL, p], floats[FEE, p] = notional, _q18(notional * terms.fee)
    floats[SPREAD, p], floats[IMPACT, p] = quantity * raw * spread, quantity * raw * impact
    floats[ENTRY_COSTS, p] = _q18(floats[SPREAD, p] + floats[IMPACT, p])
    floats[PARTICIPATION, p] = notional / volume
    floats[LAST_PRICE, p] = _q18(bars.close[row])
    for column in range(SOLD_VALUE, OTHER_GAIN + 1):
        floats[column, p] = 0.0
    return True


@compiled
def _earlier(ints: I64, rank: I64, a: int, b: int) -> bool:
    if ints[EXIT_BAR, a] != ints[EXIT_BAR, b]:
        return bool(ints[EXIT_BAR, a] < ints[EXIT_BAR, b])
    return bool(rank[ints[INSTRUMENT, a]] < rank[ints[INSTRUMENT, b]])


@compiled
def _push(heap: I64, size: int, item: int, ints: I64, rank: I64) -> None:
    """Add a position to a heap of `size`, earliest exit on top, instruments by name within a bar."""
    while size > 0:
        parent = (size - 1) >> 1
        if not _earlier(ints, rank, item, heap[parent]):
            break
        heap[size] = heap[parent]
        size = parent
    heap[size] = item


@compiled
def _pop(heap: I64, size: int, ints: I64, rank: I64) -> None:
    """Remove heap[0] of a heap of `size`."""
    size -= 1
    item = heap[size]
    hole = 0
    while 2 * hole + 1 < size:
        child = 2 * hole + 1
        if child + 1 < size and _earlier(ints, rank, heap[child + 1], heap[child]):
            child += 1
        if not _earlier(ints, rank, heap[child], item):
            break
        heap[hole] = heap[child]
        hole = child
    heap[hole] = item


@compiled
def _release(heap: I64, size: int, before: int, cash: float, ints: I64, floats: F64, rank: I64) -> tuple[int, float]:
    """Free the slots of positions that closed in a bar opening before `before`; their proceeds become cash."""
    while size > 0 and ints[EXIT_BAR, heap[0]] < before:
        p = heap[0]
        cash = _q18(cash + (floats[EXIT_VALUE, p] - floats[EXIT_FEES, p] - floats[ATTRITION, p]))
        _pop(heap, size, ints, rank)
        size -= 1
    return size, cash


@compiled
def run_path(
    bars: BarArrays,
    served: Served,
    rank: I64,
    terms: Terms,
    disposition: I8,
    begin: int,
    stop: int,
    positions: int,
    ints: I64,
    floats: F64,
    heap: I64,
    size: int,
    busy: I64,
    cash: float,
) -> tuple[int, int, int, float]:
    """Serve the entries from `begin` to before `stop` and follow every position, while there is room for positions.

    ints, floats: [columns, room]. With begin = -1 the first `positions` are the open positions of the state, with
    NEXT_ROW set; new ones follow in the order of service. Those whose EXIT_BAR is NEVER are still open. rank: of each
    instrument by name. heap (room), its `size` and busy (instruments) are for the next call. Writes the disposition of
    every entry served. Returns (next entry, positions, size, cash); the call is to be repeated with more room while
    the next entry is before `stop`.
    """
    managed = not terms.overlap
    limited = managed and terms.max_positions >= 0
    counted = limited or (managed and cash < np.inf)
    if begin < 0:
        busy[:] = LONG_AGO
        for p in range(positions):
            _follow(bars, terms, ints, floats, p, False)
            k = ints[INSTRUMENT, p]
            busy[k] = max(busy[k], ints[EXIT_BAR, p])
            if counted:
                _push(heap, size, p, ints, rank)
                size += 1
    for m in range(max(begin, 0), stop):
        if served.row[m] < 0:
            continue
        opens, k = served.time[m], served.instrument[m]
        if managed and busy[k] >= opens:
            disposition[served.entry[m]] = ALREADY_HELD
            continue
        if size > 0 and ints[EXIT_BAR, heap[0]] < opens:
            size, cash = _release(heap, size, opens, cash, ints, floats, rank)
        if limited and size >= terms.max_positions:
            disposition[served.entry[m]] = NO_SLOT
            continue
        p = positions
        if p == ints.shape[1]:
            return m, positions, size, cash
        if not _enter(bars, served, terms, m, cash if managed else np.inf, ints, floats, p):
            disposition[served.entry[m]] = NO_CASH
            continue
        disposition[served.entry[m]] = TAKEN
        positions += 1
        _follow(bars, terms, ints, floats, p, not terms.close_only)
        busy[k] = ints[EXIT_BAR, p]
        if counted:
            cash = _q18(max(0.0, cash - (floats[NOTIONAL, p] + floats[FEE, p])))
            _push(heap, size, p, ints, rank)
            size += 1
    if stop == len(served.entry):
        size, cash = _release(heap, size, NEVER, cash, ints, floats, rank)
    return stop, positions, size, cash
