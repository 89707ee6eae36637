"""From the core's rows to named columns and carried positions.

Belongs here: what a fill, a trade and an open position say, elementwise from the core's rows. Does not belong here:
rules. Column names and meanings are documented in `engine.simulate`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from throughline.trading import kernel, ordering
from throughline.trading.types import F64, I64, REASONS, Position, flag_names

Columns = Mapping[str, NDArray[np.generic]]
Objects = NDArray[np.object_]


_FILL_INTS = np.array(
    [kernel.ENTRY, kernel.INSTRUMENT, kernel.SEGMENT, kernel.ENTRY_TIME, kernel.ENTRY_BAR, kernel.FLAG_BITS]
)
_FILL_FLOATS = np.array(
    [
        kernel.RAW_PRICE,
        kernel.PRICE,
        kernel.BOUGHT,
        kernel.NOTIONAL,
        kernel.FEE,
        kernel.SPREAD,
        kernel.IMPACT,
        kernel.PARTICIPATION,
    ]
)
_TRADE_INTS = np.array(
    [
        kernel.ENTRY,
        kernel.INSTRUMENT,
        kernel.SEGMENT,
        kernel.ENTRY_TIME,
        kernel.ENTRY_BAR,
        kernel.EXIT_TIME,
        kernel.EXIT_BAR,
        kernel.REASON,
        kernel.AMBIGUOUS,
        kernel.FLAG_BITS,
    ]
)
_TRADE_FLOATS = np.array(
    [
        kernel.PRICE,
        kernel.RAW_PRICE,
        kernel.BOUGHT,
        kernel.NOTIONAL,
        kernel.FEE,
        kernel.ENTRY_COSTS,
        kernel.SOLD_VALUE,
        kernel.EXIT_VALUE,
        kernel.EXIT_FEES,
        kernel.ATTRITION,
        kernel.OTHER_GAIN,
    ]
)


def fill_columns(ints: I64, floats: F64, keys: Objects, instruments: Objects, rows: I64) -> Columns:
    """Columns of the entry fills of the positions `rows`, in their order."""
    entry, instrument, segment, entry_time, entry_bar, flags = ordering.int_columns(ints, rows, _FILL_INTS)
    raw_price, price, bought, notional, fee, spread, impact, participation = ordering.float_columns(
        floats, rows, _FILL_FLOATS
    )
    return {
        "entry": entry,
        "key": keys[rows],
        "instrument": instruments[instrument],
        "segment": segment,
        "entry_time": entry_time,
        "bar_open_time": entry_bar,
        "raw_price": raw_price,
        "price": price,
        "quantity": bought,
        "notional": notional,
        "fee": fee,
        "spread_cost": spread,
        "impact_cost": impact,
        "participation": participation,
        "partial": flags & (kernel.PARTIAL_ENTRY | kernel.CASH_CUT) != 0,
    }


def trade_columns(ints: I64, floats: F64, keys: Objects, instruments: Objects, order: I64) -> Columns:
    """Columns of the closed positions, by exit bar, then in `order`."""
    exit_bar = ints[order, kernel.EXIT_BAR]
    rows = order[np.argsort(exit_bar, kind="stable")]
    rows = rows[: int(np.count_nonzero(exit_bar != kernel.NEVER))]  # NEVER sorts behind every time
    entry, instrument, segment, entry_time, entry_bar, exit_time, exit_bar, reason, ambiguous, flags = (
        ordering.int_columns(ints, rows, _TRADE_INTS)
    )
    price, raw_price, bought, notional, entry_fee, entry_costs, sold_value, exit_value, exit_fees, attrition, gain = (
        ordering.float_columns(floats, rows, _TRADE_FLOATS)
    )
    gross = sold_value - bought * raw_price
    fees = entry_fee + exit_fees
    costs = entry_costs + (sold_value - exit_value)
    net = gross - fees - costs - attrition
    other = net + gain
    return {
        "entry": entry,
        "key": keys[rows],
        "instrument": instruments[instrument],
        "segment": segment,
        "entry_time": entry_time,
        "entry_bar_open": entry_bar,
        "exit_time": exit_time,
        "exit_bar_open": exit_bar,
        "entry_price": price,
        "exit_price": exit_value / bought,
        "raw_entry_price": raw_price,
        "raw_exit_price": sold_value / bought,
        "quantity": bought,
        "notional": notional,
        "reason": reason.astype(np.int8),
        "gross_pnl": gross,
        "fees": fees,
        "costs": costs,
        "attrition": attrition,
        "net_pnl": net,
        "return_percent": 100.0 * net / notional,
        "ambiguous": ambiguous != 0,
        "pnl_low": np.minimum(net, other),
        "pnl_high": np.maximum(net, other),
        "hold_ms": exit_time - entry_time,
        "flags": flags,
    }


def open_positions(ints: I64, floats: F64, keys: Objects, instruments: Objects, order: I64) -> tuple[Position, ...]:
    """The positions that are still open, in `order`."""
    return tuple(
        _position(ints[p], floats[p], str(keys[p]), str(instruments[ints[p, kernel.INSTRUMENT]]))
        for p in order[ints[order, kernel.EXIT_BAR] == kernel.NEVER].tolist()
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
