"""The compiled core of the engine: one pass over the entries of one path. Imports numba; load it lazily.

Belongs here: every rule of DESIGN section 7 that touches a price. Does not belong here: names, keys, result columns
(engine). All compiled functions live in this one file, because numba's disk cache notices changes of the file of the
outermost function only.

How it works: what happens to a position after its entry does not depend on the other positions. So each entry that is
taken is walked to its end at once, and slots and cash only need the open positions in order of their exit (a heap).
Entries are served in the order of their fill bars, which is the order of time. The cost is the entries plus the bars held,
not all bars.

Arithmetic: only + - * / sqrt and round-to-integer on IEEE doubles, in fixed order, no fast-math and no contraction into
fused operations (a test disassembles the code), so the results have the same bits on every processor. Every float
that a state carries goes through `_q18`, which puts it on the 18-decimal grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np

from throughline.trading.types import F64, I8, I64

F = TypeVar("F", bound=Callable[..., Any])

# columns of a position's integer row
(ENTRY, INSTRUMENT, SEGMENT, ENTRY_TIME, ENTRY_BAR, LAST_CLOSE, RESUME, REASON, AMBIGUOUS, FLAGBITS, EXIT_TIME) = range(11)
EXIT_BAR, NEXT_BAR, INT_COLUMNS = 11, 12, 13
# columns of a position's float row
(PRICE, RAW_PRICE, QUANTITY, BOUGHT, NOTIONAL, FEE, ENTRY_COSTS, LAST_PRICE, SOLD_VALUE, EXIT_VALUE, EXIT_FEES) = range(11)
ATTRITION, OTHER_GAIN, SPREAD, IMPACT, PARTICIPATION, FLOAT_COLUMNS = 11, 12, 13, 14, 15, 16

PROFIT_TARGET, STOP_LOSS, TIME_LIMIT, EMERGENCY_EXIT, HALTED, RUG_PULL, END_OF_DATA = range(7)
TAKEN, NO_SLOT, ALREADY_HELD, EXPIRED, GATE_CLOSED, CANARY_CAP, NO_CASH, WAITING = range(8)
BLOCKED_DAY, PARTIAL_ENTRY, PARTIAL_EXIT, NO_VOLUME, REMAINDER_HALTED, REMAINDER_LOST, CASH_CUT = (
    1 << bit for bit in range(7)
)

NEVER = 2**62
LONG_AGO = -(2**62)
MINIMUM_CASH_NOTIONAL = 1.0
"""USD; an entry that the cash would cut below this is not made (`no_cash`)."""


class BarArrays(NamedTuple):
    """Bars as the core sees them; absent columns have length 0. stops[k] is the first row of instrument k not to touch."""

    starts: I64
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


class EntryArrays(NamedTuple):
    """Wished entries; check_segment[i] is 0 where the segment is not to be compared."""

    instrument: I64
    decision_time: I64
    score: F64
    notional: F64
    segment: I64
    check_segment: I8


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
    contiguous: bool
    close_only: bool
    close_at_end: bool
    blocked: bool
    overlap: bool
    max_positions: int


def _compiled(function: F) -> F:
    """Compile with an on-disk cache; without one where no folder for it can be written."""
    try:
        return cast(F, numba.njit(cache=True, error_model="numpy")(function))
    except RuntimeError:  # "no locator available": neither the package folder nor a user cache folder is writable
        return cast(F, numba.njit(error_model="numpy")(function))


@_compiled
def _q18(value: float) -> float:
    """`state.round18` for finite values."""
    if value >= 0.0078125 or value <= -0.0078125:
        return value
    return np.rint(value * 1e18) / 1e18  # type: ignore[no-any-return]


@_compiled
def _first_at_or_after(times: I64, low: int, high: int, instant: int, interval: int) -> int:
    """First row in [low, high) with times[row] >= instant, else high. On a regular grid the guess is exact."""
    if low >= high or times[low] >= instant:
        return low
    guess = low + (instant - times[low] + interval - 1) // interval
    if guess < high:
        if times[guess] == instant:
            return guess
        high = guess  # rows are at least one interval apart, so times[guess] >= instant
    while low < high:
        middle = (low + high) >> 1
        if times[middle] < instant:
            low = middle + 1
        else:
            high = middle
    return low


@_compiled
def find_stops(starts: I64, open_time: I64, until: int, interval: int, stops: I64) -> None:
    """Fill stops[k] with the first row of instrument k that opens at or after `until`."""
    for k in range(len(stops)):
        stops[k] = _first_at_or_after(open_time, starts[k], starts[k + 1], until, interval)


@_compiled
def _before(fill_time: I64, score: F64, instrument: I64, rank: I64, a: int, b: int) -> bool:
    if fill_time[a] != fill_time[b]:
        return fill_time[a] < fill_time[b]
    if score[a] != score[b]:
        return score[a] > score[b]
    if rank[instrument[a]] != rank[instrument[b]]:
        return rank[instrument[a]] < rank[instrument[b]]
    return a < b


@_compiled
def _merge_sort(order: I64, spare: I64, lo: int, hi: int, time: I64, score: F64, instrument: I64, rank: I64) -> None:
    """Sort order[lo:hi] by `_before`: insertion sort of runs of 16, then bottom-up merges."""
    for start in range(lo, hi, 16):
        for i in range(start + 1, min(start + 16, hi)):
            item = order[i]
            j = i - 1
            while j >= start and _before(time, score, instrument, rank, item, order[j]):
                order[j + 1] = order[j]
                j -= 1
            order[j + 1] = item
    width = 16
    while width < hi - lo:
        for left in range(lo, hi, 2 * width):
            middle, right = min(left + width, hi), min(left + 2 * width, hi)
            a, b = left, middle
            for k in range(left, right):
                if b >= right or (a < middle and _before(time, score, instrument, rank, order[a], order[b])):
                    spare[k] = order[a]
                    a += 1
                else:
                    spare[k] = order[b]
                    b += 1
            order[left:right] = spare[left:right]
        width *= 2


@_compiled
def prepare(
    bars: BarArrays, entries: EntryArrays, rank: I64, terms: Terms, fill_bar: I64, disposition: I8, order: I64
) -> int:
    """Find the fill bar of every entry and the order in which they are served; the same for every path.

    Writes fill_bar[i] (-1: none), disposition[i] (`taken` where there is a fill bar, else expired, waiting or
    gate_closed) and the first n of order, n being returned: entries with a fill bar by time of that bar, then score
    (highest first), then rank of the instrument's name, then number.
    """
    count = len(fill_bar)
    fill_time = np.empty(count, np.int64)
    n = 0
    first, last = NEVER, LONG_AGO
    for i in range(count):
        k, instant = entries.instrument[i], entries.decision_time[i]
        fill_bar[i] = -1
        disposition[i] = EXPIRED
        if instant >= terms.until:
            disposition[i] = WAITING
            continue
        if terms.blocked:
            disposition[i] = GATE_CLOSED
            continue
        row = _first_at_or_after(bars.open_time, bars.starts[k], bars.stops[k], instant, terms.interval)
        if row == bars.stops[k]:
            if not terms.contiguous:
                disposition[i] = WAITING
            continue
        if terms.contiguous and bars.open_time[row] != instant:
            continue
        if bars.volume.size > 0 and bars.volume[row] == 0.0:
            continue
        if bars.reserve.size > 0 and bars.reserve[row] == 0.0:
            continue
        if bars.segment.size > 0 and entries.check_segment[i] and bars.segment[row] != entries.segment[i]:
            continue
        fill_bar[i] = row
        disposition[i] = TAKEN
        fill_time[i] = bars.open_time[row]
        first, last = min(first, fill_time[i]), max(last, fill_time[i])
        order[n] = i
        n += 1
    if n == 0:
        return 0
    spare = np.empty(n, np.int64)
    buckets = (last - first) // terms.interval + 1
    if buckets > 4 * n + 65536:
        _merge_sort(order, spare, 0, n, fill_time, entries.score, entries.instrument, rank)
        return n
    place = np.zeros(buckets + 1, np.int64)
    for m in range(n):
        place[(fill_time[order[m]] - first) // terms.interval + 1] += 1
    for bucket in range(buckets):
        place[bucket + 1] += place[bucket]
    unsorted = order[:n].copy()
    for m in range(n):
        bucket = (fill_time[unsorted[m]] - first) // terms.interval
        order[place[bucket]] = unsorted[m]
        place[bucket] += 1
    start = 0
    for bucket in range(buckets):
        if place[bucket] - start > 1:
            _merge_sort(order, spare, start, place[bucket], fill_time, entries.score, entries.instrument, rank)
        start = place[bucket]
    return n


@_compiled
def _impact(bars: BarArrays, terms: Terms, row: int, value: float, selling: bool) -> float:
    """Fraction of the price that a fill of `value` USD moves, before the path's multiplier; row -1: nothing is known."""
    if row < 0:
        return terms.floor
    if bars.reserve.size > 0:
        reserve = bars.reserve[row]
        if reserve > 0.0:
            return value / (reserve + value) if selling else value / reserve
    if terms.close_only or bars.liquidity.size == 0 or bars.volatility.size == 0:
        return terms.floor
    traded, volatility = bars.liquidity[row], bars.volatility[row]
    if traded == 0.0 and bars.volume.size > 0:
        traded = bars.volume[row]
    if not (traded > 0.0 and volatility >= 0.0):
        return terms.floor
    return max(terms.floor, terms.coefficient * volatility * math.sqrt(value / traded))


@_compiled
def _sale(
    bars: BarArrays, terms: Terms, row: int, quantity: float, raw: float, held_ms: int
) -> tuple[float, float, float]:
    """Execution value, fee and attrition of selling `quantity` at the raw price `raw`."""
    value = quantity * raw
    share = terms.multiplier * (terms.half_spread + _impact(bars, terms, row, value, True))
    exit_value = quantity * (raw * (1.0 - min(1.0, share)))
    fee = exit_value * terms.fee
    lost = min(1.0, terms.attrition * (held_ms / 3_600_000.0) / 48.0)
    return exit_value, fee, (exit_value - fee) * lost


@_compiled
def _book(ints: I64, floats: F64, quantity: float, raw: float, exit_value: float, fee: float, attrition: float) -> None:
    floats[SOLD_VALUE] = _q18(floats[SOLD_VALUE] + quantity * raw)
    floats[EXIT_VALUE] = _q18(floats[EXIT_VALUE] + exit_value)
    floats[EXIT_FEES] = _q18(floats[EXIT_FEES] + fee)
    floats[ATTRITION] = _q18(floats[ATTRITION] + attrition)
    floats[QUANTITY] = _q18(floats[QUANTITY] - quantity)


@_compiled
def _sell(
    bars: BarArrays, terms: Terms, ints: I64, floats: F64, row: int, raw: float, when: int, other: float
) -> bool:
    """Sell what the bar takes; True when the position is closed by it. other: the other barrier's price where the bar
    touches both, else 0."""
    ints[EXIT_TIME], ints[EXIT_BAR] = when, bars.open_time[row]
    if other > 0.0:
        ints[AMBIGUOUS] = 1
    if bars.reserve.size > 0 and bars.reserve[row] == 0.0:
        if floats[QUANTITY] == floats[BOUGHT]:
            ints[REASON] = RUG_PULL
        else:
            ints[FLAGBITS] |= REMAINDER_LOST
        floats[QUANTITY] = 0.0
        return True
    quantity = floats[QUANTITY]
    if bars.volume.size > 0:
        volume = bars.volume[row]
        if volume == 0.0:
            ints[FLAGBITS] |= NO_VOLUME
            return False
        limit = terms.max_participation * volume
        if quantity * raw > limit:
            quantity = min(quantity, _q18(limit / raw))
    if quantity == 0.0:
        return False
    held = when - ints[ENTRY_TIME]
    exit_value, fee, attrition = _sale(bars, terms, row, quantity, raw, held)
    if other > 0.0:
        there_value, there_fee, there_attrition = _sale(bars, terms, row, quantity, other, held)
        gain = (there_value - there_fee - there_attrition) - (exit_value - fee - attrition)
        floats[OTHER_GAIN] = _q18(floats[OTHER_GAIN] + gain)
    _book(ints, floats, quantity, raw, exit_value, fee, attrition)
    if floats[QUANTITY] > 0.0:
        ints[FLAGBITS] |= PARTIAL_EXIT
        return False
    return True


@_compiled
def _halt(terms: Terms, ints: I64, floats: F64, instant: int) -> None:
    """Close at the share of the last price that the path grants; fee, no spread and no impact on that assumed price."""
    quantity = floats[QUANTITY]
    exit_value = quantity * (floats[LAST_PRICE] * terms.halted_share)
    fee = exit_value * terms.fee
    lost = min(1.0, terms.attrition * ((instant - ints[ENTRY_TIME]) / 3_600_000.0) / 48.0)
    if quantity == floats[BOUGHT]:
        ints[REASON] = HALTED
    else:
        ints[FLAGBITS] |= REMAINDER_HALTED
    raw = floats[LAST_PRICE] * terms.halted_share
    _book(ints, floats, quantity, raw, exit_value, fee, (exit_value - fee) * lost)
    ints[EXIT_TIME], ints[EXIT_BAR] = instant, instant


@_compiled
def _walk(bars: BarArrays, terms: Terms, ints: I64, floats: F64, fresh: bool) -> None:
    """Follow a position from row ints[NEXT_BAR] until it is closed or the bars end. fresh: that row is its entry bar."""
    stop_price = floats[RAW_PRICE] * (1.0 - terms.stop_loss)
    target_price = floats[RAW_PRICE] * (1.0 + terms.take_profit)
    deadline = ints[ENTRY_TIME] + terms.max_hold
    has_segment, has_rug = bars.segment.size > 0, bars.rug.size > 0
    segment, reason, last_close = ints[SEGMENT], ints[REASON], ints[LAST_CLOSE]
    begin, end = ints[NEXT_BAR], bars.stops[ints[INSTRUMENT]]
    row = begin
    closed = False
    while row < end:
        opens = bars.open_time[row]
        if not fresh and (opens - last_close >= terms.halt or (has_segment and bars.segment[row] != segment)):
            instant = max(min(last_close + terms.halt, opens), ints[RESUME])
            if row > begin:
                floats[LAST_PRICE] = _q18(bars.close[row - 1])
            ints[LAST_CLOSE] = last_close
            if not terms.blocked:
                _halt(terms, ints, floats, instant)
                return
            break
        last_close = opens + terms.interval
        if terms.blocked:
            row += 1
            continue
        triggered = True
        raw, other, when = bars.open[row], 0.0, opens
        if terms.close_only:
            raw, when = bars.close[row], last_close
            if reason < 0:
                if when >= deadline:
                    reason = TIME_LIMIT
                elif has_rug and bars.rug[row] != 0:
                    reason = EMERGENCY_EXIT
                elif raw <= stop_price:
                    reason = STOP_LOSS
                elif raw >= target_price:
                    reason = PROFIT_TARGET
                else:
                    triggered = False
        elif reason < 0:
            if not fresh and opens >= deadline:
                reason = TIME_LIMIT
            elif not fresh and has_rug and bars.rug[row] != 0:
                reason = EMERGENCY_EXIT
            elif not fresh and raw <= stop_price:
                reason = STOP_LOSS
            elif not fresh and raw >= target_price:
                reason = PROFIT_TARGET
                if terms.gap_at_target:
                    raw = target_price
            else:
                at_stop, at_target = bars.low[row] <= stop_price, bars.high[row] >= target_price
                when = last_close
                if at_stop and not (at_target and terms.target_first):
                    reason, raw = STOP_LOSS, stop_price
                    if at_target:
                        other = target_price
                elif at_target:
                    reason, raw = PROFIT_TARGET, target_price
                    if at_stop:
                        other = stop_price
                else:
                    triggered = False
        fresh = False
        if triggered:
            ints[REASON] = reason
            closed = _sell(bars, terms, ints, floats, row, raw, when, other)
            if closed:
                row += 1
                break
        row += 1
    if row > begin:
        ints[LAST_CLOSE] = bars.open_time[row - 1] + terms.interval
        floats[LAST_PRICE] = _q18(bars.close[row - 1])
    if closed:
        return
    if terms.blocked:
        ints[FLAGBITS] |= BLOCKED_DAY
        ints[RESUME] = terms.until
        ints[EXIT_BAR] = NEVER
        return
    instant = max(ints[LAST_CLOSE] + terms.halt, ints[RESUME])
    if row == end and instant < terms.until:
        _halt(terms, ints, floats, instant)
    elif terms.close_at_end:
        if ints[REASON] < 0:
            ints[REASON] = END_OF_DATA
        quantity, raw = floats[QUANTITY], floats[LAST_PRICE]
        held = ints[LAST_CLOSE] - ints[ENTRY_TIME]
        exit_value, fee, attrition = _sale(bars, terms, row - 1 if row > begin else -1, quantity, raw, held)
        _book(ints, floats, quantity, raw, exit_value, fee, attrition)
        ints[EXIT_TIME], ints[EXIT_BAR] = ints[LAST_CLOSE], ints[LAST_CLOSE] - terms.interval
    else:
        ints[EXIT_BAR] = NEVER


@_compiled
def _enter(
    bars: BarArrays, entries: EntryArrays, terms: Terms, i: int, row: int, cash: float, ints: I64, floats: F64
) -> bool:
    """Fill entry i on bar `row` into an empty position row; False if the cash is short of the smallest notional."""
    notional = _q18(entries.notional[i])
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
    opens = bars.open_time[row]
    raw = _q18(bars.close[row] if terms.close_only else bars.open[row])
    spread = terms.multiplier * terms.half_spread
    impact = terms.multiplier * _impact(bars, terms, row, notional, False)
    price = _q18(raw * (1.0 + (spread + impact)))
    quantity = _q18(notional / price)
    ints[ENTRY], ints[INSTRUMENT], ints[REASON], ints[FLAGBITS] = i, entries.instrument[i], -1, flags
    ints[SEGMENT] = bars.segment[row] if bars.segment.size > 0 else 0
    ints[ENTRY_TIME] = opens + terms.interval if terms.close_only else opens
    ints[ENTRY_BAR], ints[LAST_CLOSE], ints[EXIT_BAR] = opens, opens + terms.interval, NEVER
    ints[NEXT_BAR] = row + 1 if terms.close_only else row
    ints[RESUME], ints[AMBIGUOUS], ints[EXIT_TIME] = 0, 0, 0
    floats[PRICE], floats[RAW_PRICE], floats[QUANTITY], floats[BOUGHT] = price, raw, quantity, quantity
    floats[NOTIONAL], floats[FEE], floats[LAST_PRICE] = notional, _q18(notional * terms.fee), _q18(bars.close[row])
    floats[SPREAD], floats[IMPACT] = quantity * raw * spread, quantity * raw * impact
    floats[ENTRY_COSTS] = _q18(floats[SPREAD] + floats[IMPACT])
    floats[PARTICIPATION] = notional / volume
    floats[SOLD_VALUE] = floats[EXIT_VALUE] = floats[EXIT_FEES] = floats[ATTRITION] = floats[OTHER_GAIN] = 0.0
    return True


@_compiled
def _earlier(ints: I64, rank: I64, a: int, b: int) -> bool:
    if ints[a, EXIT_BAR] != ints[b, EXIT_BAR]:
        return ints[a, EXIT_BAR] < ints[b, EXIT_BAR]
    return rank[ints[a, INSTRUMENT]] < rank[ints[b, INSTRUMENT]]


@_compiled
def _push(heap: I64, size: int, item: int, ints: I64, rank: I64) -> None:
    while size > 0:
        parent = (size - 1) >> 1
        if not _earlier(ints, rank, item, heap[parent]):
            break
        heap[size] = heap[parent]
        size = parent
    heap[size] = item


@_compiled
def _pop(heap: I64, size: int, ints: I64, rank: I64) -> None:
    """Remove heap[0] of a heap of `size`."""
    item = heap[size - 1]
    size -= 1
    hole = 0
    while True:
        child = 2 * hole + 1
        if child >= size:
            break
        if child + 1 < size and _earlier(ints, rank, heap[child + 1], heap[child]):
            child += 1
        if not _earlier(ints, rank, heap[child], item):
            break
        heap[hole] = heap[child]
        hole = child
    heap[hole] = item


@_compiled
def run_path(
    bars: BarArrays,
    entries: EntryArrays,
    rank: I64,
    terms: Terms,
    fill_bar: I64,
    order: I64,
    served: int,
    disposition: I8,
    carried: int,
    ints: I64,
    floats: F64,
    cash: float,
) -> tuple[int, float]:
    """Serve the entries order[:served] and walk every position.

    ints, floats: [positions, columns]; the first `carried` rows are the open positions of the state, new ones follow in
    the order of service. A row whose EXIT_BAR is NEVER is still open. Returns (rows used, cash after everything).
    """
    rows = carried
    size = 0
    managed = not terms.overlap
    limited = terms.max_positions >= 0
    keep_heap = managed and (limited or cash < np.inf)
    heap = np.empty(len(ints) if keep_heap else 0, np.int64)
    busy = np.full(len(rank), LONG_AGO, np.int64)
    for r in range(carried):
        k = ints[r, INSTRUMENT]
        ints[r, EXIT_BAR] = NEVER
        ints[r, NEXT_BAR] = _first_at_or_after(
            bars.open_time, bars.starts[k], bars.stops[k], ints[r, LAST_CLOSE], terms.interval
        )
        _walk(bars, terms, ints[r], floats[r], False)
        busy[k] = max(busy[k], ints[r, EXIT_BAR])
        if keep_heap:
            _push(heap, size, r, ints, rank)
            size += 1
    for m in range(served):
        i = order[m]
        row = fill_bar[i]
        opens = bars.open_time[row]
        k = entries.instrument[i]
        if managed and busy[k] >= opens:
            disposition[i] = ALREADY_HELD
            continue
        while size > 0 and ints[heap[0], EXIT_BAR] < opens:
            f = floats[heap[0]]
            cash = _q18(cash + (f[EXIT_VALUE] - f[EXIT_FEES] - f[ATTRITION]))
            _pop(heap, size, ints, rank)
            size -= 1
        if managed and limited and size >= terms.max_positions:
            disposition[i] = NO_SLOT
            continue
        if not _enter(bars, entries, terms, i, row, cash, ints[rows], floats[rows]):
            disposition[i] = NO_CASH
            continue
        disposition[i] = TAKEN
        cash = _q18(max(0.0, cash - (floats[rows, NOTIONAL] + floats[rows, FEE])))
        _walk(bars, terms, ints[rows], floats[rows], not terms.close_only)
        busy[k] = ints[rows, EXIT_BAR]
        if keep_heap:
            _push(heap, size, rows, ints, rank)
            size += 1
        rows += 1
    while size > 0 and ints[heap[0], EXIT_BAR] < NEVER:
        f = floats[heap[0]]
        cash = _q18(cash + (f[EXIT_VALUE] - f[EXIT_FEES] - f[ATTRITION]))
        _pop(heap, size, ints, rank)
        size -= 1
    return rows, cash
