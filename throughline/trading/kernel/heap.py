"""Open positions by the bar of their exit, so that slots and cash are freed in order."""

from __future__ import annotations

from throughline.trading.compiling import inlined
from throughline.trading.kernel.layout import (
    ATTRITION,
    EXIT_BAR,
    EXIT_FEES,
    EXIT_VALUE,
    INSTRUMENT,
)
from throughline.trading.kernel.sales import q18
from throughline.trading.types import F64, I64


@inlined
def earlier(ints: I64, rank: I64, a: int, b: int) -> bool:
    """Say whether position a ends before b; in one bar instruments go by name."""
    if ints[EXIT_BAR, a] != ints[EXIT_BAR, b]:
        return bool(ints[EXIT_BAR, a] < ints[EXIT_BAR, b])
    return bool(rank[ints[INSTRUMENT, a]] < rank[ints[INSTRUMENT, b]])


@inlined
def push(heap: I64, size: int, item: int, ints: I64, rank: I64) -> None:
    """Add a position to a heap of `size`, earliest exit on top, instruments by name within a bar."""
    while size > 0:
        parent = (size - 1) >> 1
        if not earlier(ints, rank, item, heap[parent]):
            break
        heap[size] = heap[parent]
        size = parent
    heap[size] = item


@inlined
def pop(heap: I64, size: int, ints: I64, rank: I64) -> None:
    """Remove heap[0] of a heap of `size`."""
    size -= 1
    item = heap[size]
    hole = 0
    while 2 * hole + 1 < size:
        child = 2 * hole + 1
        if child + 1 < size and earlier(ints, rank, heap[child + 1], heap[child]):
            child += 1
        if not earlier(ints, rank, heap[child], item):
            break
        heap[hole] = heap[child]
        hole = child
    heap[hole] = item


@inlined
def release(heap: I64, size: int, before: int, cash: float, ints: I64, floats: F64, rank: I64) -> tuple[int, float]:
    """Free the slots of positions that closed in a bar opening before `before`; their proceeds become cash."""
    while size > 0 and ints[EXIT_BAR, heap[0]] < before:
        p = heap[0]
        cash = q18(cash + (floats[EXIT_VALUE, p] - floats[EXIT_FEES, p] - floats[ATTRITION, p]))
        pop(heap, size, ints, rank)
        size -= 1
    return size, cash
