"""From the core's rows to named columns and carried positions.

Belongs here: what a fill, a trade and an open position say, elementwise from the core's integer and float rows. Does not
belong here: rules. Column names and meanings are documented in `engine.simulate`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from throughline.trading import kernel
from throughline.trading.types import F64, I64, REASONS, Position, flag_names

Columns = Mapping[str, NDArray[np.generic]]
Objects = NDArray[np.object_]


def fill_columns(ints: I64, floats: F64, keys: Objects, instruments: Objects) -> Columns:
    """Columns of the entry fills in the given rows, in their order."""
    i, f = ints.T.copy(), floats.T.copy()
    return {
        "entry": i[kernel.ENTRY],
        "key": keys,
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
        "partial": i[kernel.FLAG_BITS] & (kernel.PARTIAL_ENTRY | kernel.CASH_CUT) != 0,
    }


def trade_columns(ints: I64, floats: F64, keys: Objects, instruments: Objects) -> Columns:
    """Columns of the closed positions among the rows, by exit bar, then in order of entry."""
    exit_bar = ints[:, kernel.EXIT_BAR]
    closed = np.flatnonzero(exit_bar != kernel.NEVER)
    closed = closed[np.argsort(exit_bar[closed], kind="stable")]
    i, f = ints[closed].T.copy(), floats[closed].T.copy()
    gross = f[kernel.SOLD_VALUE] - f[kernel.BOUGHT] * f[kernel.RAW_PRICE]
    fees = f[kernel.FEE] + f[kernel.EXIT_FEES]
    costs = f[kernel.ENTRY_COSTS] + (f[kernel.SOLD_VALUE] - f[kernel.EXIT_VALUE])
    net = gross - fees - costs - f[kernel.ATTRITION]
    other = net + f[kernel.OTHER_GAIN]
    return {
        "entry": i[kernel.ENTRY],
        "key": keys[closed],
        "instrument": instruments[i[kernel.INSTRUMENT]],
        "segment": i[kernel.SEGMENT],
        "entry_time": i[kernel.ENTRY_TIME],
        "entry_bar_open": i[kernel.ENTRY_BAR],
        "exit_time": i[kernel.EXIT_TIME],
        "exit_bar_open": i[kernel.EXIT_BAR],
        "entry_price": f[kernel.PRICE],
        "exit_price": f[kernel.EXIT_VALUE] / f[kernel.BOUGHT],
        "raw_entry_price": f[kernel.RAW_PRICE],
        "raw_exit_price": f[kernel.SOLD_VALUE] / f[kernel.BOUGHT],
        "quantity": f[kernel.BOUGHT],
        "notional": f[kernel.NOTIONAL],
        "reason": i[kernel.REASON].astype(np.int8),
        "gross_pnl": gross,
        "fees": fees,
        "costs": costs,
        "attrition": f[kernel.ATTRITION],
        "net_pnl": net,
        "return_percent": 100.0 * net / f[kernel.NOTIONAL],
        "ambiguous": i[kernel.AMBIGUOUS] != 0,
        "pnl_low": np.minimum(net, other),
        "pnl_high": np.maximum(net, other),
        "hold_ms": i[kernel.EXIT_TIME] - i[kernel.ENTRY_TIME],
        "flags": i[kernel.FLAG_BITS],
    }


def open_positions(ints: I64, floats: F64, keys: Objects, instruments: Objects) -> tuple[Position, ...]:
    """The positions that are still open, in order of entry."""
    return tuple(
        _position(ints[r], floats[r], str(keys[r]), str(instruments[ints[r, kernel.INSTRUMENT]]))
        for r in np.flatnonzero(ints[:, kernel.EXIT_BAR] == kernel.NEVER).tolist()
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
