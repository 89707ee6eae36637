"""What happens to one position from its entry to its end: the quiet bars, the eventful ones, the blocked ones.

The rules give levels (`hooks`); which of them ends a position, and at which price, is decided here and nowhere else.
"""

from __future__ import annotations

from throughline.trading.compiling import inlined
from throughline.trading.kernel.hooks import carry_on, levels_at
from throughline.trading.kernel.interruptions import (
    after_interruption,
    interruption,
    jumped,
    known_price,
    last_believed,
    last_traded,
)
from throughline.trading.kernel.layout import (
    AMBIGUOUS,
    BLOCKED_DAY,
    DOUBTFUL_JUMP,
    ENTRY_TIME,
    EXIT_BAR,
    FLAG_BITS,
    GAP,
    HALTED,
    INSTRUMENT,
    LAST_CLOSE,
    LAST_PRICE,
    NEVER,
    NEXT_ROW,
    NOTHING,
    RAW_PRICE,
    REASON,
    RESUME,
    SEGMENT,
    TRADED_CLOSE,
    TRADED_PRICE,
    BarArrays,
    Levels,
    Rules,
    Terms,
)
from throughline.trading.kernel.sales import close_at_end, halt, q18, sell
from throughline.trading.types import F64, I64


@inlined
def at_first_price(price: float, when: int, levels: Levels, pending: int) -> int:
    """Reason of an exit at a bar's first price (its open; its close with closes only); -1: none."""
    if pending != NOTHING:
        return pending
    if when >= levels.leave:
        return levels.leave_reason
    if price <= levels.stop:
        return levels.stop_reason
    if price >= levels.target:
        return levels.target_reason
    return NOTHING


@inlined
def inside(low: float, high: float, levels: Levels, stop: float, target_first: bool) -> tuple[int, float, float]:
    """(Reason, raw price, the other level if both are touched, else 0) of an exit inside a bar; reason -1: none."""
    target = levels.target
    if low <= stop:
        if high < target:
            return levels.stop_reason, stop, 0.0
        if target_first:
            return levels.target_reason, target, stop
        return levels.stop_reason, stop, target
    if high >= target:
        return levels.target_reason, target, 0.0
    return NOTHING, 0.0, 0.0


@inlined
def first_eventful(
    bars: BarArrays,
    terms: Terms,
    row: int,
    end: int,
    last_close: int,
    before: float,
    segment: int,
    levels: Levels,
) -> int:
    """First row from `row` on whose bar may end a position; before it nothing happens. Only a faster way through.

    before: the last close before `row` at which somebody could trade. A jump from between the levels leaves them where
    target < stop x jump, so it need not be looked for there.
    """
    stop, target, deadline = levels.stop, levels.target, levels.leave
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
        if jumps and jumped(before, bars.open[row], jump):
            break
        last_close = opens + interval
        if bars.volume.size == 0 or bars.volume[row] != 0.0:
            before = q18(bars.close[row])
        row += 1
    return row


@inlined
def try_bar(
    bars: BarArrays,
    terms: Terms,
    ints: I64,
    floats: F64,
    p: int,
    begin: int,
    row: int,
    levels: Levels,
    entry_bar: bool,
) -> bool:
    """Do what the bar `row` does to position p: at its first price, then inside it; True if that closes it."""
    opens, pending = bars.open_time[row], ints[REASON, p]
    price = bars.close[row] if terms.close_only else bars.open[row]  # R of the table in `interruptions`
    when = opens + terms.interval if terms.close_only else opens
    gap, doubtful, traded_price = False, False, price
    reason = NOTHING
    if not entry_bar:
        reason = at_first_price(price, when, levels, pending)
        gap, doubtful, traded_price = interruption(bars, terms, ints, floats, p, begin, row, price)
    drained = bars.reserve.size > 0 and bars.reserve[row] == 0.0  # a known loss, at whatever price
    if doubtful:
        reason = HALTED if reason == NOTHING else reason
        ints[FLAG_BITS, p] |= 0 if drained else DOUBTFUL_JUMP
    raw, low, high, mark = price, price, price, price
    if reason != NOTHING:
        if terms.at_target and pending == NOTHING:
            raw = min(price, levels.target)
        low, high = raw, raw
        if gap or doubtful:
            raw, low, high = after_interruption(terms, doubtful, price, traded_price, levels.target)
        if gap and q18(price) != traded_price and not drained:
            ints[FLAG_BITS, p] |= GAP
    elif not terms.close_only:
        stop = min(levels.stop, price) if entry_bar else levels.stop  # a stop above the entry price sells at that price
        reason, raw, other = inside(bars.low[row], bars.high[row], levels, stop, terms.target_first)
        low, high, mark, when = raw, raw, bars.close[row], opens + terms.interval
        if other > 0.0:
            low, high = min(raw, other), max(raw, other)
            ints[AMBIGUOUS, p] = 1
    if reason == NOTHING:
        return False
    ints[REASON, p] = reason
    return sell(bars, terms, ints, floats, p, row, raw, low, high, mark, when, doubtful)


@inlined
def next_exit(
    bars: BarArrays, terms: Terms, rules: Rules, ints: I64, floats: F64, slots: F64, p: int, entry_bar: bool
) -> bool:
    """Follow position p from its next row to the bar that closes it, or to a halt; True when it is closed.

    entry_bar: the next row is the bar it was entered at the open of, so that nothing can happen at that open. Leaves
    NEXT_ROW behind the last bar seen, and the last closes (LAST_*, TRADED_*) as of that bar.
    """
    entered = floats[RAW_PRICE, p], ints[ENTRY_TIME, p]
    resting = levels_at(rules, slots, p, entered[0], entered[1], entered[1], 0)
    last_close = ints[LAST_CLOSE, p]
    begin, end = ints[NEXT_ROW, p], bars.stops[ints[INSTRUMENT, p]]
    halted, closed = False, False
    row = begin
    while row < end and not closed:
        if ints[REASON, p] == NOTHING and not (terms.close_only or terms.moving):
            before = last_traded(bars, terms, ints, floats, p, begin, row)[1]
            quiet = first_eventful(bars, terms, row, end, last_close, before, ints[SEGMENT, p], resting)
            if quiet > row:
                row, entry_bar = quiet, False
                last_close = bars.open_time[row - 1] + terms.interval
                continue
        if not entry_bar and bars.open_time[row] - last_close >= terms.halt:
            halted = True
            break
        closes = bars.open_time[row] + terms.interval
        evidence = bars.rug.size > 0 and bars.rug[row] != 0
        levels = resting
        if terms.moving or evidence:
            when = closes if terms.close_only else bars.open_time[row]
            levels = levels_at(rules, slots, p, entered[0], entered[1], when, 1 if evidence else 0)
        closed = try_bar(bars, terms, ints, floats, p, begin, row, levels, entry_bar)
        traded = bars.volume.size == 0 or bars.volume[row] != 0.0
        if terms.moving and traded and ints[REASON, p] == NOTHING:
            carry_on(rules, slots, p, entered[0], entered[1], closes, bars.high[row], bars.low[row], bars.close[row])
        last_close = closes
        entry_bar = False
        row += 1
    ints[NEXT_ROW, p] = row
    if row > begin:
        price = last_believed(bars, terms, ints, floats, p, begin, row)
        ints[TRADED_CLOSE, p], floats[TRADED_PRICE, p] = last_traded(bars, terms, ints, floats, p, begin, row)
        floats[LAST_PRICE, p] = price
        ints[LAST_CLOSE, p] = bars.open_time[row - 1] + terms.interval
    if closed:
        return True
    instant = max(ints[LAST_CLOSE, p] + terms.halt, ints[RESUME, p])
    if row == end:
        halted = instant < terms.until
    if halted:
        halt(bars, terms, ints, floats, p, instant, known_price(bars, terms, row, end, instant))
    return halted


@inlined
def hold_blocked(bars: BarArrays, terms: Terms, ints: I64, floats: F64, p: int) -> None:
    """Carry position p over a blocked stretch: note the last close, nothing else."""
    row, end = ints[NEXT_ROW, p], bars.stops[ints[INSTRUMENT, p]]
    while row < end:
        opens = bars.open_time[row]
        if opens - ints[LAST_CLOSE, p] >= terms.halt:
            break
        if bars.segment.size > 0 and bars.segment[row] != ints[SEGMENT, p]:
            break
        ints[LAST_CLOSE, p] = opens + terms.interval
        floats[LAST_PRICE, p] = q18(bars.close[row])
        row += 1
    ints[FLAG_BITS, p] |= BLOCKED_DAY
    ints[RESUME, p] = terms.until


@inlined
def follow(
    bars: BarArrays, terms: Terms, rules: Rules, ints: I64, floats: F64, slots: F64, p: int, entry_bar: bool
) -> None:
    """Take position p to its end, or to the end of the bars; EXIT_BAR stays NEVER while it is open."""
    if terms.blocked:
        hold_blocked(bars, terms, ints, floats, p)
    elif next_exit(bars, terms, rules, ints, floats, slots, p, entry_bar):
        return
    elif terms.close_at_end:
        k = ints[INSTRUMENT, p]
        last = ints[NEXT_ROW, p] - 1
        seen = last >= 0 and last < bars.stops[k] and bars.open_time[last] + terms.interval == ints[LAST_CLOSE, p]
        close_at_end(bars, terms, ints, floats, p, last if seen else -1)
        return
    ints[EXIT_BAR, p] = NEVER
