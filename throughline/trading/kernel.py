"""The compiled core: what happens to the positions of one path. Imports numba; load it lazily.

Belongs here: every rule of a fill that touches a price (docs/architecture.md). Does not belong here: names, keys,
result columns (engine, results), the order of service (ordering). Shares no code with ordering, see there.

Interruptions. L is the last price before one (the close of the last bar in which somebody could trade), R the first
price after it (an open; a close on close-only bars). A position is sold at R, whatever the reason, at:

    interruption                                     path          R below L        R above L            interval
    gap: bars are missing, had no volume, or were    all           R                min(R, target)       min(R, L) .. R
      blocked; less than `halt` ms
    doubtful jump: R is `believed` times L or more,  pessimistic   R                L                    min(R, L) ..
      or one part in as many or less, over a gap     base,         R                min(R, target,       max(R, L)
      too; or the bar begins another segment         optimistic                     believed x L)
    halt: no bar for `halt` ms; R lies in the        0, 1/2, 1     share x L        share x L            none
      future (is it known, at most R)                x L

Every price is also at most the target. ``throughline.market.jumps`` has the reasons for the factor. At a gap a
position goes on unless a rule of the open sells it; at a doubtful jump it always ends, at the first price at which
somebody could trade, since later prices may count another unit, and it is sold whole (the volume limit belongs to a
market, and a number of coins that may be ten times wrong has none). On the pessimistic path whatever is triggered at a
first price beyond the target is sold at the target, interrupted or not, with closes only as well. So a sale at a lower
R never gives a higher result on any path (one at 0.20 of L once lost less than one at 0.21), with one exception: a rise
beyond belief gives what is believed at most, and the pessimistic path nothing. The base path's default share of a halt
is 1/2.

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
LAST_CLOSE, RESUME, NEXT_ROW, TRADED_CLOSE, INT_COLUMNS = 10, 11, 12, 13, 14
# rows of the floats of the positions, likewise
SPREAD, IMPACT, PARTICIPATION, RAW_PRICE, PRICE, BOUGHT, NOTIONAL, FEE = 0, 1, 2, 3, 4, 5, 6, 7
ENTRY_COSTS, SOLD_VALUE, EXIT_VALUE, EXIT_FEES, ATTRITION, LOW_GAIN, HIGH_GAIN = 8, 9, 10, 11, 12, 13, 14
QUANTITY, LOW_QUANTITY, HIGH_QUANTITY, LAST_PRICE, TRADED_PRICE, FLOAT_COLUMNS = 15, 16, 17, 18, 19, 20

PROFIT_TARGET, STOP_LOSS, TIME_LIMIT, EMERGENCY_EXIT, HALTED, RUG_PULL, END_OF_DATA = range(7)
TAKEN, NO_SLOT, ALREADY_HELD, NO_CASH, BELOW_MINIMUM = 0, 1, 2, 6, 8
BLOCKED_DAY, PARTIAL_ENTRY, PARTIAL_EXIT, NO_VOLUME, REMAINDER_HALTED, REMAINDER_LOST = 1, 2, 4, 8, 16, 32
CASH_CUT, GAP, DOUBTFUL_JUMP = 64, 128, 256

NEVER = 2**62
LONG_AGO = -(2**62)
NOTHING = -1
"""No exit is triggered."""
MINIMUM_CASH_NOTIONAL = 1.0
"""USD; an entry that the cash would cut below this is not made (`no_cash`), however small the smallest position is."""


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
    """Rules, costs and path of one pass. multiplier scales spread and impact; halted_share: of the last close; jump:
    factor from which on a price is doubtful beside L (inf: never); believed: the factor up to which a doubtful rise
    counts; minimum: USD, the smallest position; contiguous: gaps and jumps are looked at (the benchmark's raw rows know
    none); at_target: no first price is sold above the target; jump_gains: False on the path that gains nothing over a
    doubtful jump."""

    interval: int
    until: int
    halt: int
    max_hold: int
    stop_loss: float
    take_profit: float
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
    bars: BarArrays, terms: Terms, row: int, quantity: float, raw: float, held_ms: int, market: bool
) -> tuple[float, float, float]:
    """Execution value, fee and attrition of selling `quantity` at the raw price `raw`; market: spread and impact."""
    share = 0.0
    if market:
        share = terms.multiplier * (terms.half_spread + _impact(bars, terms, row, quantity * raw, True))
    value = quantity * (raw * (1.0 - min(1.0, share)))
    fee = value * terms.fee
    return value, fee, (value - fee) * _lost_share(terms, held_ms)


@compiled
def _within(quantity: float, raw: float, limit: float) -> float:
    """What of `quantity` may be sold for `limit` USD at the raw price."""
    if quantity * raw > limit:
        return min(quantity, _q18(limit / raw))
    return quantity


@compiled
def _read(
    bars: BarArrays,
    terms: Terms,
    floats: F64,
    p: int,
    gain: int,
    rest: int,
    row: int,
    raw: float,
    mark: float,
    limit: float,
    held_ms: int,
    market: bool,
    sold: float,
    net: float,
    closes: bool,
) -> None:
    """Note what another reading of the bar gives at its price `raw`, under the same limit.

    gain, rest: rows of the floats. sold, net: the booked quantity and its proceeds. closes: the booked exit ends here;
    what the limit would leave over of this reading is then counted at `mark`, since its later prices are not known.
    """
    mine = floats[rest, p]
    quantity = _within(mine, raw, limit)
    value, fee, attrition = _sale(bars, terms, row, quantity, raw, held_ms, market)
    worth = value - fee - attrition
    left = _q18(mine - quantity)
    if closes and left > 0.0:
        value, fee, attrition = _sale(bars, terms, row, left, mark, held_ms, market)
        worth += value - fee - attrition
        left = 0.0
    floats[gain, p] = _q18(floats[gain, p] + (worth - net))
    floats[rest, p] = left


@compiled
def _book(
    bars: BarArrays,
    terms: Terms,
    ints: I64,
    floats: F64,
    p: int,
    row: int,
    raw: float,
    low: float,
    high: float,
    mark: float,
    limit: float,
    when: int,
    market: bool,
) -> bool:
    """Sell for at most `limit` USD at `raw`; True if that closes the position. low, high: the raw prices of the
    readings that bound the result; mark: what is left over of a reading at the end is counted at it."""
    left = floats[QUANTITY, p]
    held_ms = when - ints[ENTRY_TIME, p]
    quantity = _within(left, raw, limit)
    value, fee, attrition = _sale(bars, terms, row, quantity, raw, held_ms, market)
    remains = _q18(left - quantity)
    if low == raw and high == raw and floats[LOW_QUANTITY, p] == left and floats[HIGH_QUANTITY, p] == left:
        floats[LOW_QUANTITY, p], floats[HIGH_QUANTITY, p] = remains, remains
    else:
        net, closes = value - fee - attrition, remains <= 0.0
        for gain, rest, price in ((LOW_GAIN, LOW_QUANTITY, low), (HIGH_GAIN, HIGH_QUANTITY, high)):
            _read(bars, terms, floats, p, gain, rest, row, price, mark, limit, held_ms, market, quantity, net, closes)
    floats[SOLD_VALUE, p] = _q18(floats[SOLD_VALUE, p] + quantity * raw)
    floats[EXIT_VALUE, p] = _q18(floats[EXIT_VALUE, p] + value)
    floats[EXIT_FEES, p] = _q18(floats[EXIT_FEES, p] + fee)
    floats[ATTRITION, p] = _q18(floats[ATTRITION, p] + attrition)
    floats[QUANTITY, p] = remains
    return bool(remains <= 0.0)


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
    bars: BarArrays,
    terms: Terms,
    ints: I64,
    floats: F64,
    p: int,
    row: int,
    raw: float,
    low: float,
    high: float,
    mark: float,
    when: int,
    whole: bool,
) -> bool:
    """Sell what the bar takes (whole: everything); True if that closes the position. Prices as in `_book`."""
    ints[EXIT_TIME, p], ints[EXIT_BAR, p] = when, bars.open_time[row]
    if bars.reserve.size > 0 and bars.reserve[row] == 0.0:
        _lose(ints, floats, p)
        return True
    limit = np.inf
    if bars.volume.size > 0 and not whole:
        if bars.volume[row] == 0.0:
            ints[FLAG_BITS, p] |= NO_VOLUME
            return False
        limit = terms.max_participation * bars.volume[row]
    if _book(bars, terms, ints, floats, p, row, raw, low, high, mark, limit, when, True):
        return True
    ints[FLAG_BITS, p] |= PARTIAL_EXIT
    return False


@compiled
def _halt(bars: BarArrays, terms: Terms, ints: I64, floats: F64, p: int, instant: int, known: float) -> None:
    """Close at the share of the last close that the path grants, at most at the price `known` by then (inf: none).

    The last close is that of a bar in which somebody could trade, or a lower one of a bar without volume. The fee is
    charged, but neither spread nor impact on a price that is assumed."""
    raw = min(min(floats[LAST_PRICE, p], floats[TRADED_PRICE, p]) * terms.halted_share, known)
    if floats[QUANTITY, p] == floats[BOUGHT, p]:
        ints[REASON, p] = HALTED
    else:
        ints[FLAG_BITS, p] |= REMAINDER_HALTED
    _book(bars, terms, ints, floats, p, -1, raw, raw, raw, raw, np.inf, instant, False)
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
    raw = floats[LAST_PRICE, p]
    _book(bars, terms, ints, floats, p, row, raw, raw, raw, raw, np.inf, ints[LAST_CLOSE, p], True)


@compiled
def _at_first_price(
    price: float, when: int, deadline: int, evidence: bool, stop: float, target: float, pending: int
) -> int:
    """Reason of an exit at a bar's first price (its open; its close with closes only); -1: none."""
    if pending != NOTHING:
        return pending
    if when >= deadline:
        return TIME_LIMIT
    if evidence:
        return EMERGENCY_EXIT
    if price <= stop:
        return STOP_LOSS
    if price >= target:
        return PROFIT_TARGET
    return NOTHING


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
def _jumped(before: float, price: float, factor: float) -> bool:
    """Say whether `price` is out of proportion to the close right before it."""
    return bool(price >= before * factor or price * factor <= before)


@compiled
def _first_eventful(
    bars: BarArrays,
    terms: Terms,
    row: int,
    end: int,
    last_close: int,
    before: float,
    segment: int,
    stop: float,
    target: float,
    deadline: int,
) -> int:
    """First row from `row` on whose bar may end a position; before it nothing happens. Only a faster way through.

    before: the last close before `row` at which somebody could trade. A jump from between the barriers leaves them
    where target < stop x jump, so it need not be looked for there.
    """
    halt, interval, jump = terms.halt, terms.interval, terms.jump
    has_segment, has_rug = bars.segment.size > 0, bars.rug.size > 0
    jumps = target > stop * jump or before <= stop or before >= target
    first = bars.open_time[row]
    limit = min(end, row + (deadline - first + interval - 1) // interval)
    plain = limit > row and first - last_close < halt and not has_segment and not has_rug and not jumps
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
        if jumps and _jumped(before, bars.open[row], jump):
            break
        last_close = opens + interval
        if bars.volume.size == 0 or bars.volume[row] != 0.0:
            before = _q18(bars.close[row])
        row += 1
    return row


@compiled
def _last_traded(
    bars: BarArrays, terms: Terms, ints: I64, floats: F64, p: int, begin: int, row: int
) -> tuple[int, float]:
    """Close (time, price) of the last bar before `row` in which somebody could trade; rows before `begin` are those of
    earlier calls."""
    while row > begin:
        row -= 1
        if bars.volume.size == 0 or bars.volume[row] != 0.0:
            return bars.open_time[row] + terms.interval, _q18(bars.close[row])
    return ints[TRADED_CLOSE, p], floats[TRADED_PRICE, p]


@compiled
def _last_believed(bars: BarArrays, terms: Terms, ints: I64, floats: F64, p: int, begin: int, row: int) -> float:
    """What a coin is worth before `row`: the close of the last bar. A quote of a bar without volume that is a doubtful
    jump above the last price at which somebody could trade does not count: it may be in other units."""
    traded_price = _last_traded(bars, terms, ints, floats, p, begin, row)[1]
    while row > begin:
        row -= 1
        close = _q18(bars.close[row])
        if bars.volume.size == 0 or bars.volume[row] != 0.0 or not terms.contiguous:
            return close
        other_segment = bars.segment.size > 0 and bars.segment[row] != ints[SEGMENT, p]
        if close <= traded_price or not (other_segment or _jumped(traded_price, close, terms.jump)):
            return close
    return float(floats[LAST_PRICE, p])


@compiled
def _interruption(
    bars: BarArrays, terms: Terms, ints: I64, floats: F64, p: int, begin: int, row: int, price: float
) -> tuple[bool, bool, float]:
    """(There is a gap before `row`, its first price is doubtful, last price before in which somebody could trade)."""
    other_segment = bars.segment.size > 0 and bars.segment[row] != ints[SEGMENT, p]
    if not (terms.contiguous or other_segment):
        return False, False, price
    traded_close, traded_price = _last_traded(bars, terms, ints, floats, p, begin, row)
    gap = bars.open_time[row] > traded_close
    untraded = bars.volume.size > 0 and bars.volume[row] == 0.0  # nothing ends at a price at which nobody could trade
    return gap, not untraded and (other_segment or _jumped(traded_price, price, terms.jump)), traded_price


@compiled
def _after(
    terms: Terms, doubtful: bool, price: float, traded_price: float, target: float
) -> tuple[float, float, float]:
    """(Booked raw price, that of the least and of the most favourable reading) of a sale after an interruption."""
    if not doubtful:
        raw = min(price, target)
        return raw, min(raw, traded_price), price
    raw = min(price, target, traded_price * (terms.believed if terms.jump_gains else 1.0))
    return raw, min(raw, traded_price), max(price, traded_price)


@compiled
def _known(bars: BarArrays, terms: Terms, row: int, end: int, instant: int) -> float:
    """The price of the next bar where it is known at `instant`, else inf."""
    if row < end and bars.open_time[row] + (terms.interval if terms.close_only else 0) <= instant:
        return float(bars.close[row] if terms.close_only else bars.open[row])
    return np.inf


@compiled
def _try_bar(
    bars: BarArrays,
    terms: Terms,
    ints: I64,
    floats: F64,
    p: int,
    begin: int,
    row: int,
    stop: float,
    target: float,
    entry_bar: bool,
) -> bool:
    """Do what the bar `row` does to position p: at its first price, then inside it; True if that closes it."""
    opens, pending = bars.open_time[row], ints[REASON, p]
    price = bars.close[row] if terms.close_only else bars.open[row]  # R of the module's table
    when = opens + terms.interval if terms.close_only else opens
    deadline = ints[ENTRY_TIME, p] + terms.max_hold
    evidence = bars.rug.size > 0 and bars.rug[row] != 0
    gap, doubtful, traded_price = False, False, price
    reason = NOTHING
    if not entry_bar:
        reason = _at_first_price(price, when, deadline, evidence, stop, target, pending)
        gap, doubtful, traded_price = _interruption(bars, terms, ints, floats, p, begin, row, price)
    drained = bars.reserve.size > 0 and bars.reserve[row] == 0.0  # a loss that is known, whatever the price says
    if doubtful:
        reason = HALTED if reason == NOTHING else reason
        ints[FLAG_BITS, p] |= 0 if drained else DOUBTFUL_JUMP
    if reason != NOTHING:
        raw = min(price, target) if terms.at_target and pending == NOTHING else price
        low, high = raw, raw
        if gap or doubtful:
            raw, low, high = _after(terms, doubtful, price, traded_price, target)
        if gap and _q18(price) != traded_price and not drained:
            ints[FLAG_BITS, p] |= GAP
        ints[REASON, p] = reason
        return _sell(bars, terms, ints, floats, p, row, raw, low, high, price, when, doubtful)
    if terms.close_only:
        return False
    reason, raw, other = _inside(bars.low[row], bars.high[row], stop, target, terms.target_first)
    if reason == NOTHING:
        return False
    low, high = raw, raw
    if other > 0.0:
        low, high = min(raw, other), max(raw, other)
        ints[AMBIGUOUS, p] = 1
    ints[REASON, p] = reason
    when, close = opens + terms.interval, bars.close[row]
    return _sell(bars, terms, ints, floats, p, row, raw, low, high, close, when, False)


@compiled
def _next_exit(bars: BarArrays, terms: Terms, ints: I64, floats: F64, p: int, entry_bar: bool) -> bool:
    """Follow position p from its next row to the bar that closes it, or to a halt; True when it is closed.

    entry_bar: the next row is the bar it was entered at the open of, so that nothing can happen at that open. Leaves
    NEXT_ROW behind the last bar seen, and the last closes (LAST_*, TRADED_*) as of that bar.
    """
    stop = floats[RAW_PRICE, p] * (1.0 - terms.stop_loss)
    target = floats[RAW_PRICE, p] * (1.0 + terms.take_profit)
    deadline = ints[ENTRY_TIME, p] + terms.max_hold
    last_close = ints[LAST_CLOSE, p]
    begin, end = ints[NEXT_ROW, p], bars.stops[ints[INSTRUMENT, p]]
    halted, closed = False, False
    row = begin
    while row < end and not closed:
        if ints[REASON, p] == NOTHING and not terms.close_only:
            before = _last_traded(bars, terms, ints, floats, p, begin, row)[1]
            quiet = _first_eventful(bars, terms, row, end, last_close, before, ints[SEGMENT, p], stop, target, deadline)
            if quiet > row:
                row, entry_bar = quiet, False
                last_close = bars.open_time[row - 1] + terms.interval
                continue
        if not entry_bar and bars.open_time[row] - last_close >= terms.halt:
            halted = True
            break
        closed = _try_bar(bars, terms, ints, floats, p, begin, row, stop, target, entry_bar)
        last_close = bars.open_time[row] + terms.interval
        entry_bar = False
        row += 1
    ints[NEXT_ROW, p] = row
    if row > begin:
        price = _last_believed(bars, terms, ints, floats, p, begin, row)
        ints[TRADED_CLOSE, p], floats[TRADED_PRICE, p] = _last_traded(bars, terms, ints, floats, p, begin, row)
        floats[LAST_PRICE, p] = price
        ints[LAST_CLOSE, p] = bars.open_time[row - 1] + terms.interval
    if closed:
        return True
    instant = max(ints[LAST_CLOSE, p] + terms.halt, ints[RESUME, p])
    if row == end:
        halted = instant < terms.until
    if halted:
        _halt(bars, terms, ints, floats, p, instant, _known(bars, terms, row, end, instant))
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
def _enter(bars: BarArrays, served: Served, terms: Terms, m: int, cash: float, ints: I64, floats: F64, p: int) -> int:
    """Fill the m-th entry as position p and return TAKEN; BELOW_MINIMUM or, where the cash is the cause, NO_CASH if it
    would be smaller than the smallest position."""
    row, opens = served.row[m], served.time[m]
    notional = _q18(served.notional[m])
    volume = np.nan
    flags = 0
    if bars.volume.size > 0:
        volume = bars.volume[row]
        if notional > terms.max_participation * volume:
            notional = _q18(terms.max_participation * volume)
            flags |= PARTIAL_ENTRY
    if notional < terms.minimum:
        return BELOW_MINIMUM
    if notional + notional * terms.fee > cash:
        affordable = cash / (1.0 + terms.fee)
        while affordable + affordable * terms.fee > cash:
            affordable -= affordable * 2.3e-16
        if affordable < max(terms.minimum, MINIMUM_CASH_NOTIONAL):
            return NO_CASH
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
    floats[LOW_QUANTITY, p], floats[HIGH_QUANTITY, p] = quantity, quantity
    floats[LAST_PRICE, p] = _q18(bars.close[row])
    ints[TRADED_CLOSE, p], floats[TRADED_PRICE, p] = ints[LAST_CLOSE, p], floats[LAST_PRICE, p]
    for column in range(SOLD_VALUE, HIGH_GAIN + 1):
        floats[column, p] = 0.0
    return TAKEN


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
        became = _enter(bars, served, terms, m, cash if managed else np.inf, ints, floats, p)
        disposition[served.entry[m]] = became
        if became != TAKEN:
            continue
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
