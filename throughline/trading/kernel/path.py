"""One path: entries in order, slots, cash, and every position to its end.

How it works: what happens to a position after its entry does not depend on the other positions. So each entry that is
taken is followed to its end at once, and slots and cash only need the open positions in order of their exit (a heap).
Entries are served in order of time. The cost is the entries plus the bars held, not all bars.
"""

from __future__ import annotations

import numpy as np

from throughline.trading.compiling import compiled_without_arrays
from throughline.trading.kernel.entering import enter
from throughline.trading.kernel.following import follow
from throughline.trading.kernel.heap import push, release
from throughline.trading.kernel.layout import (
    ALREADY_HELD,
    EXIT_BAR,
    FEE,
    INSTRUMENT,
    LONG_AGO,
    NEVER,
    NO_SLOT,
    NOTIONAL,
    TAKEN,
    BarArrays,
    OrderQueue,
    Rules,
    Terms,
)
from throughline.trading.kernel.sales import q18
from throughline.trading.types import F64, I8, I64


@compiled_without_arrays
def run_path(
    bars: BarArrays,
    queue: OrderQueue,
    rank: I64,
    terms: Terms,
    rules: Rules,
    disposition: I8,
    begin: int,
    stop: int,
    positions: int,
    ints: I64,
    floats: F64,
    slots: F64,
    heap: I64,
    size: int,
    busy: I64,
    cash: float,
) -> tuple[int, int, int, float]:
    """Serve the orders from `begin` to before `stop` and follow every position, while there is room for positions.

    ints, floats: [columns, room]; slots: [room, slots of the rules]. With begin = -1 the first `positions` are the open
    positions of the state, with NEXT_ROW set; new ones follow in the order of service. Those whose EXIT_BAR is NEVER
    are still open. rank: of each instrument by name. heap (room), its `size` and busy (instruments) are for the next
    call. Writes the disposition of every order served. Returns (next order, positions, size, cash); the call is to be
    repeated with more room while the next order is before `stop`.
    """
    managed = not terms.overlap
    limited = managed and terms.max_positions >= 0
    counted = limited or (managed and cash < np.inf)
    if begin < 0:
        busy[:] = LONG_AGO
    # One loop over the open positions (m < 0) and the orders: `follow` is inlined once, which compiles faster.
    for m in range(-positions if begin < 0 else begin, stop):
        if m < 0:
            p = positions + m
        else:
            if queue.row[m] < 0:
                continue
            opens, k = queue.time[m], queue.instrument[m]
            if managed and busy[k] >= opens:
                disposition[queue.entry[m]] = ALREADY_HELD
                continue
            if size > 0 and ints[EXIT_BAR, heap[0]] < opens:
                size, cash = release(heap, size, opens, cash, ints, floats, rank)
            if limited and size >= terms.max_positions:
                disposition[queue.entry[m]] = NO_SLOT
                continue
            p = positions
            if p == ints.shape[1]:
                return m, positions, size, cash
            became = enter(bars, queue, terms, m, cash if managed else np.inf, ints, floats, p)
            disposition[queue.entry[m]] = became
            if became != TAKEN:
                continue
            slots[p, :] = 0.0
            positions += 1
            if counted:
                cash = q18(max(0.0, cash - (floats[NOTIONAL, p] + floats[FEE, p])))
        follow(bars, terms, rules, ints, floats, slots, p, m >= 0 and not terms.close_only)
        k = ints[INSTRUMENT, p]
        busy[k] = max(busy[k], ints[EXIT_BAR, p])
        if counted:
            push(heap, size, p, ints, rank)
            size += 1
    if stop == len(queue.entry):
        size, cash = release(heap, size, NEVER, cash, ints, floats, rank)
    return stop, positions, size, cash
