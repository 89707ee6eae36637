"""The fill of an entry."""

from __future__ import annotations

import numpy as np

from throughline.trading.compiling import inlined
from throughline.trading.kernel.layout import (
    AMBIGUOUS,
    BELOW_MINIMUM,
    BOUGHT,
    CASH_CUT,
    ENTRY,
    ENTRY_BAR,
    ENTRY_COSTS,
    ENTRY_TIME,
    EXIT_BAR,
    EXIT_TIME,
    FEE,
    FLAG_BITS,
    HIGH_GAIN,
    HIGH_QUANTITY,
    IMPACT,
    INSTRUMENT,
    LAST_CLOSE,
    LAST_PRICE,
    LOW_QUANTITY,
    MINIMUM_CASH_NOTIONAL,
    NEVER,
    NEXT_ROW,
    NO_CASH,
    NOTHING,
    NOTIONAL,
    PARTIAL_ENTRY,
    PARTICIPATION,
    PRICE,
    QUANTITY,
    RAW_PRICE,
    REASON,
    RESUME,
    SEGMENT,
    SOLD_VALUE,
    SPREAD,
    TAKEN,
    TRADED_CLOSE,
    TRADED_PRICE,
    BarArrays,
    OrderQueue,
    Terms,
)
from throughline.trading.kernel.sales import impact_share, q18
from throughline.trading.types import F64, I64


@inlined
def enter(bars: BarArrays, queue: OrderQueue, terms: Terms, m: int, cash: float, ints: I64, floats: F64, p: int) -> int:
    """Fill the m-th entry as position p and return TAKEN; BELOW_MINIMUM or, where the cash is the cause, NO_CASH if it
    would be smaller than the smallest position."""
    row, opens = queue.row[m], queue.time[m]
    notional = q18(queue.notional[m])
    volume = np.nan
    flags = 0
    if bars.volume.size > 0:
        volume = bars.volume[row]
        if notional > terms.max_participation * volume:
            notional = q18(terms.max_participation * volume)
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
    raw = q18(bars.close[row] if terms.close_only else bars.open[row])
    spread = terms.multiplier * terms.half_spread
    impact = terms.multiplier * impact_share(bars, terms, row, notional, False)
    price = q18(raw * (1.0 + (spread + impact)))
    quantity = q18(notional / price)
    ints[ENTRY, p], ints[INSTRUMENT, p], ints[REASON, p] = queue.entry[m], queue.instrument[m], NOTHING
    ints[SEGMENT, p] = bars.segment[row] if bars.segment.size > 0 else 0
    ints[ENTRY_TIME, p] = opens + terms.interval if terms.close_only else opens
    ints[ENTRY_BAR, p], ints[LAST_CLOSE, p] = opens, opens + terms.interval
    ints[NEXT_ROW, p] = row + 1 if terms.close_only else row
    ints[FLAG_BITS, p], ints[RESUME, p], ints[AMBIGUOUS, p], ints[EXIT_TIME, p] = flags, 0, 0, 0
    ints[EXIT_BAR, p] = NEVER
    floats[PRICE, p], floats[RAW_PRICE, p], floats[QUANTITY, p], floats[BOUGHT, p] = price, raw, quantity, quantity
    floats[NOTIONAL, p], floats[FEE, p] = notional, q18(notional * terms.fee)
    floats[SPREAD, p], floats[IMPACT, p] = quantity * raw * spread, quantity * raw * impact
    floats[ENTRY_COSTS, p] = q18(floats[SPREAD, p] + floats[IMPACT, p])
    floats[PARTICIPATION, p] = notional / volume
    floats[LOW_QUANTITY, p], floats[HIGH_QUANTITY, p] = quantity, quantity
    floats[LAST_PRICE, p] = q18(bars.close[row])
    ints[TRADED_CLOSE, p], floats[TRADED_PRICE, p] = ints[LAST_CLOSE, p], floats[LAST_PRICE, p]
    for column in range(SOLD_VALUE, HIGH_GAIN + 1):
        floats[column, p] = 0.0
    return TAKEN
