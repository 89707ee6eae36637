"""From the core's rows to named columns and carried positions.

Belongs here: the columns of fills, trades and open positions, elementwise from the core's rows. Does not belong here:
rules. Column names and meanings are documented in `engine.simulate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.exits.registry import reason_names
from throughline.trading.kernel import layout
from throughline.trading.types import F64, I64, Position, flag_names

Objects = NDArray[np.object_]
Make = Callable[["LazyColumns"], NDArray[Any]]


@dataclass(frozen=True)
class Table:
    """The core's rows of one path, a column per position, and the names that its numbers stand for."""

    ints: I64
    floats: F64
    slots: F64
    keys: Objects
    instruments: Objects
    slot_names: Sequence[str]


class LazyColumns(Mapping[str, NDArray[Any]]):
    """Columns by name, all in the order of `rows`; each is computed when it is first read, and kept from then on.

    85,000 trades have 18 MB of columns a path, of which a caller reads a few: computing all of them took half of the
    time of a large simulation (benchmarks/engine.py, 16 x the pairs). What was simulated is in the table either way.
    """

    def __init__(self, table: Table, rows: I64, makers: Mapping[str, Make]) -> None:
        self._table, self._rows, self._makers = table, rows, makers
        self._columns: dict[str, NDArray[Any]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._columns:
            self._columns[name] = self._makers[name](self)
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def whole(self, number: int) -> I64:
        """Return an integer column of the table."""
        return np.take(self._table.ints[number], self._rows)

    def real(self, number: int) -> F64:
        """Return a float column of the table."""
        return np.take(self._table.floats[number], self._rows)

    def keys_of_entries(self) -> Objects:
        """Return the callers' names of the entries."""
        return self._table.keys[self._rows]

    def instruments(self) -> Objects:
        """Return the instruments' names."""
        return self._table.instruments[self.whole(layout.INSTRUMENT)]


def _whole(number: int) -> Make:
    return lambda c: c.whole(number)


def _real(number: int) -> Make:
    return lambda c: c.real(number)


def _gains(c: LazyColumns) -> F64:
    """What either reading would have added [2, n]; at a crash after both barriers the first target may give less."""
    return np.stack([c.real(layout.LOW_GAIN), c.real(layout.HIGH_GAIN)])


_FILLS: Mapping[str, Make] = {
    "entry": _whole(layout.ENTRY),
    "key": LazyColumns.keys_of_entries,
    "instrument": LazyColumns.instruments,
    "segment": _whole(layout.SEGMENT),
    "entry_time": _whole(layout.ENTRY_TIME),
    "bar_open_time": _whole(layout.ENTRY_BAR),
    "raw_price": _real(layout.RAW_PRICE),
    "price": _real(layout.PRICE),
    "quantity": _real(layout.BOUGHT),
    "notional": _real(layout.NOTIONAL),
    "fee": _real(layout.FEE),
    "spread_cost": _real(layout.SPREAD),
    "impact_cost": _real(layout.IMPACT),
    "participation": _real(layout.PARTICIPATION),
    "partial": lambda c: c.whole(layout.FLAG_BITS) & (layout.PARTIAL_ENTRY | layout.CASH_CUT) != 0,
}

_TRADES: Mapping[str, Make] = {
    "entry": _whole(layout.ENTRY),
    "key": LazyColumns.keys_of_entries,
    "instrument": LazyColumns.instruments,
    "segment": _whole(layout.SEGMENT),
    "entry_time": _whole(layout.ENTRY_TIME),
    "entry_bar_open": _whole(layout.ENTRY_BAR),
    "exit_time": _whole(layout.EXIT_TIME),
    "exit_bar_open": _whole(layout.EXIT_BAR),
    "entry_price": _real(layout.PRICE),
    "exit_price": lambda c: c.real(layout.EXIT_VALUE) / c["quantity"],
    "raw_entry_price": _real(layout.RAW_PRICE),
    "raw_exit_price": lambda c: c.real(layout.SOLD_VALUE) / c["quantity"],
    "quantity": _real(layout.BOUGHT),
    "notional": _real(layout.NOTIONAL),
    "reason": lambda c: c.whole(layout.REASON).astype(np.int8),
    "gross_pnl": lambda c: c.real(layout.SOLD_VALUE) - c["quantity"] * c["raw_entry_price"],
    "fees": lambda c: c.real(layout.FEE) + c.real(layout.EXIT_FEES),
    "costs": lambda c: c.real(layout.ENTRY_COSTS) + (c.real(layout.SOLD_VALUE) - c.real(layout.EXIT_VALUE)),
    "attrition": _real(layout.ATTRITION),
    "net_pnl": lambda c: c["gross_pnl"] - c["fees"] - c["costs"] - c["attrition"],
    "return_percent": lambda c: 100.0 * c["net_pnl"] / c["notional"],
    "ambiguous": lambda c: c.whole(layout.AMBIGUOUS) != 0,
    "pnl_low": lambda c: c["net_pnl"] + np.minimum(_gains(c).min(axis=0), 0.0),
    "pnl_high": lambda c: c["net_pnl"] + np.maximum(_gains(c).max(axis=0), 0.0),
    "hold_ms": lambda c: c["exit_time"] - c["entry_time"],
    "flags": _whole(layout.FLAG_BITS),
}


def fill_columns(table: Table, rows: I64) -> LazyColumns:
    """Columns of the entry fills of the positions `rows`, in their order."""
    return LazyColumns(table, rows, _FILLS)


def trade_columns(table: Table, order: I64) -> LazyColumns:
    """Columns of the closed positions, by exit bar, then in `order`."""
    exit_bar = table.ints[layout.EXIT_BAR, order]
    rows = order[np.argsort(exit_bar, kind="stable")]
    rows = rows[: int(np.count_nonzero(exit_bar != layout.NEVER))]  # NEVER sorts behind every time
    return LazyColumns(table, rows, _TRADES)


def open_positions(table: Table, order: I64) -> tuple[Position, ...]:
    """The positions that are still open, in `order`."""
    ints, floats = table.ints, table.floats
    return tuple(
        _position(
            ints[:, p],
            floats[:, p],
            dict(zip(table.slot_names, table.slots[p].tolist(), strict=True)),
            str(table.keys[p]),
            str(table.instruments[ints[layout.INSTRUMENT, p]]),
        )
        for p in order[ints[layout.EXIT_BAR, order] == layout.NEVER].tolist()
    )


def _position(i: I64, f: F64, slots: Mapping[str, float], key: str, instrument: str) -> Position:
    reason = int(i[layout.REASON])
    return Position(
        key=key,
        instrument=instrument,
        segment=int(i[layout.SEGMENT]),
        entry_time=int(i[layout.ENTRY_TIME]),
        entry_bar=int(i[layout.ENTRY_BAR]),
        last_bar_close=int(i[layout.LAST_CLOSE]),
        entry_price=float(f[layout.PRICE]),
        raw_entry_price=float(f[layout.RAW_PRICE]),
        quantity=float(f[layout.QUANTITY]),
        initial_quantity=float(f[layout.BOUGHT]),
        notional=float(f[layout.NOTIONAL]),
        entry_fee=float(f[layout.FEE]),
        entry_costs=float(f[layout.ENTRY_COSTS]),
        last_price=float(f[layout.LAST_PRICE]),
        traded_close=int(i[layout.TRADED_CLOSE]),
        traded_price=float(f[layout.TRADED_PRICE]),
        low_quantity=float(f[layout.LOW_QUANTITY]),
        high_quantity=float(f[layout.HIGH_QUANTITY]),
        resume_time=int(i[layout.RESUME]),
        exit_reason=reason_names()[reason] if reason >= 0 else None,
        sold_value=float(f[layout.SOLD_VALUE]),
        exit_value=float(f[layout.EXIT_VALUE]),
        exit_fees=float(f[layout.EXIT_FEES]),
        attrition=float(f[layout.ATTRITION]),
        ambiguous=bool(i[layout.AMBIGUOUS]),
        low_gain=float(f[layout.LOW_GAIN]),
        high_gain=float(f[layout.HIGH_GAIN]),
        flags=flag_names(int(i[layout.FLAG_BITS])),
        slots=slots,
    )
