"""From the core's rows to named columns and carried positions.

Belongs here: what a fill, a trade and an open position say, elementwise from the core's rows. Does not belong here:
rules. Column names and meanings are documented in `engine.simulate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from throughline.trading import kernel
from throughline.trading.types import F64, I64, REASONS, Position, flag_names

Columns = Mapping[str, NDArray[np.generic]]
Objects = NDArray[np.object_]
Number = TypeVar("Number", bound=np.generic)


def _gathered(table: NDArray[Number], rows: I64) -> NDArray[Number]:
    """Return table[:, rows] as one block of memory: large ones come in huge pages, a column each would not."""
    block = np.empty((len(table), len(rows)), table.dtype)
    return np.take(table, rows, axis=1, out=block, mode="clip")


def fill_columns(ints: I64, floats: F64, keys: Objects, instruments: Objects, rows: I64) -> Columns:
    """Columns of the entry fills of the positions `rows`, in their order."""
    i, f = _gathered(ints[: kernel.FILL_INTS], rows), _gathered(floats[: kernel.FILL_FLOATS], rows)
    flags = i[kernel.FLAG_BITS]
    return {
        "entry": i[kernel.ENTRY],
        "key": keys[rows],
        "instrument": instruments[i[kernel.INSTRUMENT]],
        "segment": i[kernel.SEGMENT],
        "entry_time": i[kernel.ENTRY_TIME],
        "bar_open_time": i[kernel.ENTRY_BAR],
        "raw_price": f[kernel.RAW_PRICE],
        "price": f[kernel.PRICE],
        "quantity": f[kernel.BOUGHT],
        "notional": f[kernel.NOTIONAL],
        "fee": f[kernel.FEE],
        "spread_cost": f[kernel.SPREAD],
        "impact_cost": f[kernel.IMPACT],
        "participation": f[kernel.PARTICIPATION],
        "partial": flags & (kernel.PARTIAL_ENTRY | kernel.CASH_CUT) != 0,
    }


def trade_columns(ints: I64, floats: F64, keys: Objects, instruments: Objects, order: I64) -> Columns:
    """Columns of the closed positions, by exit bar, then in `order`."""
    exit_bar = ints[kernel.EXIT_BAR, order]
    rows = order[np.argsort(exit_bar, kind="stable")]
    rows = rows[: int(np.count_nonzero(exit_bar != kernel.NEVER))]  # NEVER sorts behind every time
    i, f = _gathered(ints[: kernel.TRADE_INTS], rows), _gathered(floats[: kernel.TRADE_FLOATS], rows)
    price, raw_price, bought = f[kernel.PRICE], f[kernel.RAW_PRICE], f[kernel.BOUGHT]
    sold_value, exit_value = f[kernel.SOLD_VALUE], f[kernel.EXIT_VALUE]
    notional, attrition = f[kernel.NOTIONAL], f[kernel.ATTRITION]
    entry_time, exit_time = i[kernel.ENTRY_TIME], i[kernel.EXIT_TIME]
    gross = sold_value - bought * raw_price
    fees = f[kernel.FEE] + f[kernel.EXIT_FEES]
    costs = f[kernel.ENTRY_COSTS] + (sold_value - exit_value)
    net = gross - fees - costs - attrition
    other = net + f[kernel.OTHER_GAIN]
    return {
        "entry": i[kernel.ENTRY],
        "key": keys[rows],
        "instrument": instruments[i[kernel.INSTRUMENT]],
        "segment": i[kernel.SEGMENT],
        "entry_time": entry_time,
        "entry_bar_open": i[kernel.ENTRY_BAR],
        "exit_time": exit_time,
        "exit_bar_open": i[kernel.EXIT_BAR],
        "entry_price": price,
        "exit_price": exit_value / bought,
        "raw_entry_price": raw_price,
        "raw_exit_price": sold_value / bought,
        "quantity": bought,
        "notional": notional,
        "reason": i[kernel.REASON].astype(np.int8),
        "gross_pnl": gross,
        "fees": fees,
        "costs": costs,
        "attrition": attrition,
        "net_pnl": net,
        "return_percent": 100.0 * net / notional,
        "ambiguous": i[kernel.AMBIGUOUS] != 0,
        "pnl_low": np.minimum(net, other),
        "pnl_high": np.maximum(net, other),
        "hold_ms": exit_time - entry_time,
        "flags": i[kernel.FLAG_BITS],
    }


def open_positions(ints: I64, floats: F64, keys: Objects, instruments: Objects, order: I64) -> tuple[Position, ...]:
    """The positions that are still open, in `order`."""
    return tuple(
        _position(ints[:, p], floats[:, p], str(keys[p]), str(instruments[ints[kernel.INSTRUMENT, p]]))
        for p in order[ints[kernel.EXIT_BAR, order] == kernel.NEVER].tolist()
    )


def _position(i: I64, f: F64, key: str, instrument: str) -> Position:
    reason = int(i[kernel.REASON])
    return Position(
        key=key,
        instrument=instrument,
        segment=int(i[kernel.SEGMENT]),
        entry_time=int(i[kernel.ENTRY_TIME]),
        entry_bar=int(i[kernel.ENTRY_BAR]),
        last_bar_close=int(i[kernel.LAST_CLOSE]),
        entry_price=float(f[kernel.PRICE]),
        raw_entry_price=float(f[kernel.RAW_PRICE]),
        quantity=float(f[kernel.QUANTITY]),
        initial_quantity=float(f[kernel.BOUGHT]),
        notional=float(f[kernel.NOTIONAL]),
        entry_fee=float(f[kernel.FEE]),
        entry_costs=float(f[kernel.ENTRY_COSTS]),
        last_price=float(f[kernel.LAST_PRICE]),
        resume_time=int(i[kernel.RESUME]),
        exit_reason=REASONS[reason] if reason >= 0 else None,
        sold_value=float(f[kernel.SOLD_VALUE]),
        exit_value=float(f[kernel.EXIT_VALUE]),
        exit_fees=float(f[kernel.EXIT_FEES]),
        attrition=float(f[kernel.ATTRITION]),
        ambiguous=bool(i[kernel.AMBIGUOUS]),
        alternative_gain=float(f[kernel.OTHER_GAIN]),
        flags=flag_names(int(i[kernel.FLAG_BITS])),
    )
