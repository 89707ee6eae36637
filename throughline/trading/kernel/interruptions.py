"""What a gap and a doubtful jump are, and what a position gets at the first price after one.

L is the last price before one (the close of the last bar in which somebody could trade), R the first
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
"""

from __future__ import annotations

import numpy as np

from throughline.trading.compiling import inlined
from throughline.trading.kernel.layout import (
    LAST_PRICE,
    SEGMENT,
    TRADED_CLOSE,
    TRADED_PRICE,
    BarArrays,
    Terms,
)
from throughline.trading.kernel.sales import q18
from throughline.trading.types import F64, I64


@inlined
def jumped(before: float, price: float, factor: float) -> bool:
    """Say whether `price` is out of proportion to the close right before it."""
    return bool(price >= before * factor or price * factor <= before)


@inlined
def last_traded(
    bars: BarArrays, terms: Terms, ints: I64, floats: F64, p: int, begin: int, row: int
) -> tuple[int, float]:
    """Close (time, price) of the last bar before `row` in which somebody could trade; rows before `begin` are those of
    earlier calls."""
    while row > begin:
        row -= 1
        if bars.volume.size == 0 or bars.volume[row] != 0.0:
            return bars.open_time[row] + terms.interval, q18(bars.close[row])
    return ints[TRADED_CLOSE, p], floats[TRADED_PRICE, p]


@inlined
def last_believed(bars: BarArrays, terms: Terms, ints: I64, floats: F64, p: int, begin: int, row: int) -> float:
    """What a coin is worth before `row`: the close of the last bar. A quote of a bar without volume that is a doubtful
    jump above the last price at which somebody could trade does not count: it may be in other units."""
    traded_price = last_traded(bars, terms, ints, floats, p, begin, row)[1]
    while row > begin:
        row -= 1
        close = q18(bars.close[row])
        if bars.volume.size == 0 or bars.volume[row] != 0.0 or not terms.contiguous:
            return close
        other_segment = bars.segment.size > 0 and bars.segment[row] != ints[SEGMENT, p]
        if close <= traded_price or not (other_segment or jumped(traded_price, close, terms.jump)):
            return close
    return float(floats[LAST_PRICE, p])


@inlined
def interruption(
    bars: BarArrays, terms: Terms, ints: I64, floats: F64, p: int, begin: int, row: int, price: float
) -> tuple[bool, bool, float]:
    """(There is a gap before `row`, its first price is doubtful, last price before in which somebody could trade)."""
    other_segment = bars.segment.size > 0 and bars.segment[row] != ints[SEGMENT, p]
    if not (terms.contiguous or other_segment):
        return False, False, price
    traded_close, traded_price = last_traded(bars, terms, ints, floats, p, begin, row)
    gap = bars.open_time[row] > traded_close
    untraded = bars.volume.size > 0 and bars.volume[row] == 0.0  # nothing ends at a price at which nobody could trade
    return gap, not untraded and (other_segment or jumped(traded_price, price, terms.jump)), traded_price


@inlined
def after_interruption(
    terms: Terms, doubtful: bool, price: float, traded_price: float, target: float
) -> tuple[float, float, float]:
    """(Booked raw price, that of the least and of the most favourable reading) of a sale after an interruption."""
    if not doubtful:
        raw = min(price, target)
        return raw, min(raw, traded_price), price
    raw = min(price, target, traded_price * (terms.believed if terms.jump_gains else 1.0))
    return raw, min(raw, traded_price), max(price, traded_price)


@inlined
def known_price(bars: BarArrays, terms: Terms, row: int, end: int, instant: int) -> float:
    """The price of the next bar where it is known at `instant`, else inf."""
    if row < end and bars.open_time[row] + (terms.interval if terms.close_only else 0) <= instant:
        return float(bars.close[row] if terms.close_only else bars.open[row])
    return np.inf
