"""What a sale brings: impact, costs, the volume limit, the readings of a doubtful price, a halt, a drained pool.

Every float that a state carries goes through `q18`, which puts it on the 18-decimal grid.
"""

from __future__ import annotations

import math

import numpy as np

from throughline.trading.compiling import inlined
from throughline.trading.kernel.layout import (
    ATTRITION,
    BOUGHT,
    END_OF_DATA,
    ENTRY_TIME,
    EXIT_BAR,
    EXIT_FEES,
    EXIT_TIME,
    EXIT_VALUE,
    FLAG_BITS,
    HALTED,
    HIGH_GAIN,
    HIGH_QUANTITY,
    LAST_CLOSE,
    LAST_PRICE,
    LOW_GAIN,
    LOW_QUANTITY,
    NO_VOLUME,
    NOTHING,
    PARTIAL_EXIT,
    QUANTITY,
    REASON,
    REMAINDER_HALTED,
    REMAINDER_LOST,
    RUG_PULL,
    SOLD_VALUE,
    TRADED_PRICE,
    BarArrays,
    Terms,
)
from throughline.trading.types import F64, I64


@inlined
def q18(value: float) -> float:
    """`state.round18` for numbers."""
    if value >= 0.0078125 or value <= -0.0078125:
        return value
    return float(np.rint(value * 1e18) / 1e18)


@inlined
def impact_share(bars: BarArrays, terms: Terms, row: int, value: float, selling: bool) -> float:
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


@inlined
def lost_share(terms: Terms, age_ms: int) -> float:
    """Attrition of what a sale brings, as a fraction of it."""
    return float(min(1.0, terms.attrition * (age_ms / 3_600_000.0) / 48.0))


@inlined
def sale(
    bars: BarArrays, terms: Terms, row: int, quantity: float, raw: float, age_ms: int, market: bool
) -> tuple[float, float, float]:
    """Execution value, fee and attrition of selling `quantity` at the raw price `raw`; market: spread and impact."""
    share = 0.0
    if market:
        share = terms.multiplier * (terms.half_spread + impact_share(bars, terms, row, quantity * raw, True))
    value = quantity * (raw * (1.0 - min(1.0, share)))
    fee = value * terms.fee
    return value, fee, (value - fee) * lost_share(terms, age_ms)


@inlined
def within(quantity: float, raw: float, limit: float) -> float:
    """What of `quantity` may be sold for `limit` USD at the raw price."""
    if quantity * raw > limit:
        return min(quantity, q18(limit / raw))
    return quantity


@inlined
def book_reading(
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
    age_ms: int,
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
    quantity = within(mine, raw, limit)
    value, fee, attrition = sale(bars, terms, row, quantity, raw, age_ms, market)
    worth = value - fee - attrition
    left = q18(mine - quantity)
    if closes and left > 0.0:
        value, fee, attrition = sale(bars, terms, row, left, mark, age_ms, market)
        worth += value - fee - attrition
        left = 0.0
    floats[gain, p] = q18(floats[gain, p] + (worth - net))
    floats[rest, p] = left


@inlined
def book(
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
    age_ms = when - ints[ENTRY_TIME, p]
    quantity = within(left, raw, limit)
    value, fee, attrition = sale(bars, terms, row, quantity, raw, age_ms, market)
    remains = q18(left - quantity)
    if low == raw and high == raw and floats[LOW_QUANTITY, p] == left and floats[HIGH_QUANTITY, p] == left:
        floats[LOW_QUANTITY, p], floats[HIGH_QUANTITY, p] = remains, remains
    else:
        net, closes = value - fee - attrition, remains <= 0.0
        for gain, rest, price in ((LOW_GAIN, LOW_QUANTITY, low), (HIGH_GAIN, HIGH_QUANTITY, high)):
            book_reading(
                bars, terms, floats, p, gain, rest, row, price, mark, limit, age_ms, market, quantity, net, closes
            )
    floats[SOLD_VALUE, p] = q18(floats[SOLD_VALUE, p] + quantity * raw)
    floats[EXIT_VALUE, p] = q18(floats[EXIT_VALUE, p] + value)
    floats[EXIT_FEES, p] = q18(floats[EXIT_FEES, p] + fee)
    floats[ATTRITION, p] = q18(floats[ATTRITION, p] + attrition)
    floats[QUANTITY, p] = remains
    return bool(remains <= 0.0)


@inlined
def lose(ints: I64, floats: F64, p: int) -> None:
    """What is left is worth nothing: the pool is drained or selling is locked."""
    if floats[QUANTITY, p] == floats[BOUGHT, p]:
        ints[REASON, p] = RUG_PULL
    else:
        ints[FLAG_BITS, p] |= REMAINDER_LOST
    floats[QUANTITY, p] = 0.0


@inlined
def sell(
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
    """Sell what the bar takes (whole: everything); True if that closes the position. Prices as in `book`."""
    ints[EXIT_TIME, p], ints[EXIT_BAR, p] = when, bars.open_time[row]
    if bars.reserve.size > 0 and bars.reserve[row] == 0.0:
        lose(ints, floats, p)
        return True
    limit = np.inf
    if bars.volume.size > 0 and not whole:
        if bars.volume[row] == 0.0:
            ints[FLAG_BITS, p] |= NO_VOLUME
            return False
        limit = terms.max_participation * bars.volume[row]
    if book(bars, terms, ints, floats, p, row, raw, low, high, mark, limit, when, True):
        return True
    ints[FLAG_BITS, p] |= PARTIAL_EXIT
    return False


@inlined
def halt(bars: BarArrays, terms: Terms, ints: I64, floats: F64, p: int, instant: int, known: float) -> None:
    """Close at the share of the last close that the path grants, at most at the price `known` by then (inf: none).

    The last close is that of a bar in which somebody could trade, or a lower one of a bar without volume. The fee is
    charged, but neither spread nor impact on a price that is assumed."""
    raw = min(min(floats[LAST_PRICE, p], floats[TRADED_PRICE, p]) * terms.halted_share, known)
    if floats[QUANTITY, p] == floats[BOUGHT, p]:
        ints[REASON, p] = HALTED
    else:
        ints[FLAG_BITS, p] |= REMAINDER_HALTED
    book(bars, terms, ints, floats, p, -1, raw, raw, raw, raw, np.inf, instant, False)
    ints[EXIT_TIME, p], ints[EXIT_BAR, p] = instant, instant


@inlined
def close_at_end(bars: BarArrays, terms: Terms, ints: I64, floats: F64, p: int, row: int) -> None:
    """Sell everything at the last close; row: the last bar, -1 if this call has none."""
    if ints[REASON, p] == NOTHING:
        ints[REASON, p] = END_OF_DATA
    ints[EXIT_TIME, p], ints[EXIT_BAR, p] = ints[LAST_CLOSE, p], ints[LAST_CLOSE, p] - terms.interval
    if row >= 0 and bars.reserve.size > 0 and bars.reserve[row] == 0.0:
        lose(ints, floats, p)
        return
    raw = floats[LAST_PRICE, p]
    book(bars, terms, ints, floats, p, row, raw, raw, raw, raw, np.inf, ints[LAST_CLOSE, p], True)
