"""What a path is worth at an instant, of positions that the core has followed to their end already."""

from __future__ import annotations

import numpy as np

from throughline.trading.compiling import compiled_without_arrays
from throughline.trading.kernel.heap import earlier
from throughline.trading.kernel.layout import (
    ATTRITION,
    BOUGHT,
    EXIT_BAR,
    EXIT_FEES,
    EXIT_VALUE,
    FLAG_BITS,
    INSTRUMENT,
    LAST_PRICE,
    PARTIAL_EXIT,
    BarArrays,
)
from throughline.trading.kernel.sales import q18
from throughline.trading.types import F64, I64


@compiled_without_arrays
def worth_at(
    bars: BarArrays,
    starts: I64,
    rank: I64,
    ints: I64,
    floats: F64,
    loaded: F64,
    waiting: I64,
    size: int,
    cash: float,
    instant: int,
    values: F64,
) -> tuple[float, int]:
    """Free what ended before `instant`, and value the other positions at their last close.

    loaded: the floats of carried positions as they were loaded. waiting: [room], the `size` positions that the path has
    not freed yet, in any order; the call sorts it. values: [room]. Returns (cash, count): `values[:count]` are the
    worths of the open positions `waiting[:count]` in their order of entry, NaN where a position is sold in parts, or
    its last bar is a quote at which nobody could trade, so that only following it once more tells.
    """
    for i in range(1, size):  # in the order in which the core frees slots: sums of floats then have the same bits
        item, at = waiting[i], i
        while at > 0 and earlier(ints, rank, item, waiting[at - 1]):
            waiting[at] = waiting[at - 1]
            at -= 1
        waiting[at] = item
    ended = 0
    while ended < size and ints[EXIT_BAR, waiting[ended]] < instant:
        p = waiting[ended]
        cash = q18(cash + (floats[EXIT_VALUE, p] - floats[EXIT_FEES, p] - floats[ATTRITION, p]))
        ended += 1
    count = size - ended
    for i in range(count):
        item, at = waiting[ended + i], i
        while at > 0 and item < waiting[at - 1]:
            waiting[at] = waiting[at - 1]
            at -= 1
        waiting[at] = item
    for i in range(count):
        p = waiting[i]
        k = ints[INSTRUMENT, p]
        low, high = starts[k], bars.stops[k]
        while low < high:  # the first bar that opens at the instant or later
            middle = (low + high) >> 1
            if bars.open_time[middle] < instant:
                low = middle + 1
            else:
                high = middle
        seen = low > starts[k]
        quoted = seen and len(bars.volume) > 0 and bars.volume[low - 1] == 0.0
        if quoted or ints[FLAG_BITS, p] & PARTIAL_EXIT != 0:
            values[i] = np.nan
        elif seen:
            values[i] = floats[BOUGHT, p] * q18(bars.close[low - 1])
        else:
            values[i] = floats[BOUGHT, p] * loaded[LAST_PRICE, p]
    return cash, count
