"""Whether several files that give one instrument fit together: monthly pieces do, two coins of one name do not.

Belongs here: comparing files. Does not belong here: single bars that stand twice and differ (`cleaning`); a running and
a complete candle at the seam of two downloads are such, and are allowed here.

Hive partitions say what distinguishes files (``exchange=binance``, ``market=spot``). Two files of one instrument may
differ in the partitions that cut a table into pieces, by the calendar or by number, and in no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from throughline.errors import ArchiveError, shown
from throughline.market.columns import F64
from throughline.market.paths import INSTRUMENT
from throughline.market.settings_table import Column
from throughline.market.tables import Table

MAX_DIFFERING = 2
MAX_DIFFERING_SHARE = 0.01
"""Two files of one instrument may differ in this many of the bars they share, or in this share of them."""
SAME_PRICE = 0.01
"""A price that differs by this part from the one an hour before goes on from it."""
LETTERS = 2
"""Letters at the beginning or the end that make two names similar."""
_STEPS_THAT_SHOW_AN_INTERVAL = 23
_CALENDAR = frozenset(
    {"year", "month", "day", "date", "dt", "hour", "week", "quarter", "period", "ym", "ymd", "event_date", "trade_date"}
)
"""Keys of Hive partitions that cut a table by time, whatever their values look like ("March")."""


def require_whole_series(table: Table, first: F64, last: F64, interval_ms: int) -> None:
    """Refuse files that give an instrument each and are one series in pieces (``AAA_old.csv``, ``AAA_new.csv``).

    A piece ends with the bar before, or the bar, with which another one of a similar name begins, at the same price.

    Args:
        table: the bars, of files that give their instruments by their names.
        first: the earliest price of each row (its open, or its close where only closes are known).
        last: the close of each row.
        interval_ms: length of a bar.

    Raises:
        ArchiveError: naming both files.
    """
    order = np.lexsort((table.stamp, table.code))
    code, stamp = table.code[order], table.stamp[order]
    heads = np.flatnonzero(np.append(True, code[1:] != code[:-1]))
    tails = np.append(heads[1:], len(code)) - 1
    begins: dict[int, list[int]] = {}
    for piece, head in enumerate(heads.tolist()):
        begins.setdefault(int(stamp[head]), []).append(piece)
    for piece, tail in enumerate(tails.tolist()):
        for follower in begins.get(int(stamp[tail]), []) + begins.get(int(stamp[tail]) + interval_ms, []):
            head = int(heads[follower])
            names = [table.names[int(code[row])] for row in (tail, head)]
            overlap = stamp[head] == stamp[tail]
            before, after = float(last[order[tail]]), float((last if overlap else first)[order[head]])
            near = before > 0 and abs(after / before - 1) <= SAME_PRICE
            if follower != piece and near and stamp[tails[follower]] > stamp[tail] and _alike(names[0], names[1]):
                one, other = (table.files[int(table.file_of(order[row : row + 1])[0])] for row in (tail, head))
                raise ArchiveError(
                    f"{other} begins where {one} ends, and at its price: they look like one instrument in pieces, but "
                    "instrument_from_file_name makes an instrument of each; say which part of the name it is, for "
                    f'example file = "{INSTRUMENT}_*.csv", or file = "{INSTRUMENT}.csv" if each is one'
                )


def _alike(one: str, other: str) -> bool:
    """Say whether two names begin or end with the same letters."""
    begin, end = one[:LETTERS] == other[:LETTERS], one[-LETTERS:] == other[-LETTERS:]
    return min(len(one), len(other)) >= LETTERS and (begin or end)


def require_pieces(table: Table, prices: Mapping[Column, F64]) -> None:
    """Refuse files that give one instrument and cannot both be of it.

    Args:
        table: the bars.
        prices: its price columns, one value per row.

    Raises:
        ArchiveError: naming two files: they have bars of different intervals or differ in the bars that both hold; or,
            where the path names the instrument, they have different columns, or lie within one another's times without
            one common bar; or lie in Hive partitions that say two different things.
    """
    if len(table.files) < 2:
        return
    _partitions(table)
    order = np.lexsort((table.origin, table.stamp, table.code))
    code, stamp, file = table.code[order], table.stamp[order], table.file_of(order)
    _intervals(table, code, stamp, file)
    _contradictions(table, prices, order, code, stamp, file)
    if table.by_path:
        _kinds(table, code, stamp, file)


def bar_words(count: int) -> str:
    """Return "1 bar" or "n bars"."""
    return "1 bar" if count == 1 else f"{count:,} bars"


def _partitions(table: Table) -> None:
    """Refuse two files of one instrument in partitions of one key whose values are neither times nor numbers."""
    if not any(table.partitions):
        return
    file = table.file_of(np.arange(len(table.origin), dtype=np.intp))
    pairs = np.unique(np.stack([table.code.astype(np.int64), file], axis=1), axis=0)
    first: dict[tuple[int, str], int] = {}
    for name, number in pairs.tolist():
        for key, value in table.partitions[number].items():
            if key.casefold() in _CALENDAR or any(char.isdigit() for char in value):
                continue
            other = first.setdefault((name, key), number)
            before = table.partitions[other][key]
            if before != value:
                raise ArchiveError(
                    f"{table.files[other]} and {table.files[number]} both give {shown(table.names[name])}, one with "
                    f"{shown(f'{key}={before}')} and one with {shown(f'{key}={value}')} in its path; are they two "
                    f"instruments? Write one of the two into file, or name them apart"
                )


def _contradictions(
    table: Table,
    prices: Mapping[Column, F64],
    order: NDArray[np.intp],
    code: NDArray[np.int32],
    stamp: NDArray[np.int64],
    file: NDArray[np.intp],
) -> None:
    again = np.flatnonzero((code[1:] == code[:-1]) & (stamp[1:] == stamp[:-1]) & (file[1:] != file[:-1]))
    if len(again) == 0:
        return
    differs = np.zeros(len(again), np.bool_)
    for column in prices.values():
        left, right = column[order[again]], column[order[again + 1]]
        with np.errstate(invalid="ignore"):
            differs |= (left != right) & ~np.isnan(left) & ~np.isnan(right)
    keys = np.stack([code[again], file[again], file[again + 1]], axis=1)
    groups, inverse = np.unique(keys, axis=0, return_inverse=True)
    shared = np.bincount(inverse.ravel(), minlength=len(groups))
    different = np.bincount(inverse.ravel(), weights=differs, minlength=len(groups))
    for group in np.flatnonzero((different > MAX_DIFFERING) & (different > MAX_DIFFERING_SHARE * shared)).tolist():
        name, one, other = groups[group].tolist()
        first = int(order[again[np.flatnonzero(differs & (inverse.ravel() == group))[0]]])
        raise ArchiveError(
            f"{table.files[one]} and {table.files[other]} both give {shown(table.names[name])} and differ in "
            f"{int(different[group]):,} of the {int(shared[group]):,} bars that both hold (first "
            f"{table.place(first)}); are they two instruments, or two sources of one? Keep one file, or name them apart"
        )


def _intervals(table: Table, code: NDArray[np.int32], stamp: NDArray[np.int64], file: NDArray[np.intp]) -> None:
    """Refuse two files of one instrument of which one has bars at least twice as far apart everywhere."""
    order = np.lexsort((stamp, code, file))
    code, stamp, file = code[order], stamp[order], file[order]
    steps = np.diff(stamp)
    inside = np.flatnonzero((file[1:] == file[:-1]) & (code[1:] == code[:-1]) & (steps > 0))
    shortest = np.full(len(table.files), np.iinfo(np.int64).max)
    np.minimum.at(shortest, file[inside], steps[inside])
    counts = np.bincount(file[inside], minlength=len(table.files))
    shown_by = np.flatnonzero(counts >= _STEPS_THAT_SHOW_AN_INTERVAL)
    by_step = shown_by[np.argsort(shortest[shown_by], kind="stable")]
    if len(by_step) == 0 or shortest[by_step[-1]] < 2 * shortest[by_step[0]]:
        return
    instruments = {number: set(np.unique(code[file == number]).tolist()) for number in by_step.tolist()}
    for place, other in enumerate(by_step.tolist()):
        for one in by_step[:place].tolist():
            both = instruments[one] & instruments[other]
            if both and shortest[other] >= 2 * shortest[one]:
                raise ArchiveError(
                    f"{table.files[one]} and {table.files[other]} both give {shown(table.names[min(both)])}, with bars "
                    f"{int(shortest[one]) // 1000:,} s and {int(shortest[other]) // 1000:,} s apart; describe each "
                    "interval as an archive of its own"
                )


@dataclass(frozen=True)
class _Piece:
    """The rows of one instrument in one file: its stamps in order."""

    file: int
    stamps: NDArray[np.int64]


def _kinds(table: Table, code: NDArray[np.int32], stamp: NDArray[np.int64], file: NDArray[np.intp]) -> None:
    bounds = np.searchsorted(code, np.arange(len(table.names) + 1))
    for name, (low, high) in enumerate(pairwise(bounds.tolist())):
        files, stamps = file[low:high], stamp[low:high]
        pieces = sorted(
            (_Piece(number, stamps[files == number]) for number in np.unique(files).tolist()),
            key=lambda piece: int(piece.stamps[0]),
        )
        for before, piece in pairwise(pieces):
            _same_columns(table, name, before.file, piece.file)
        _no_interleaving(table, name, pieces)


def _no_interleaving(table: Table, name: int, pieces: list[_Piece]) -> None:
    """Refuse a file that lies within the time of the files before it and shares no bar with them."""
    known = np.zeros(0, np.int64)
    latest: _Piece | None = None
    for piece in pieces:
        if latest is not None and piece.stamps[0] < latest.stamps[-1] and not np.isin(piece.stamps, known).any():
            raise ArchiveError(
                f"{table.files[latest.file]} and {table.files[piece.file]} both give {shown(table.names[name])}, one "
                "within the time of the other and without one common bar; are they two instruments? Name them apart"
            )
        known = np.concatenate([known, piece.stamps])
        if latest is None or piece.stamps[-1] > latest.stamps[-1]:
            latest = piece


def _same_columns(table: Table, name: int, one: int, other: int) -> None:
    left, right = set(table.present[one]), set(table.present[other])
    if left != right:
        extra = sorted(left ^ right, key=lambda text: text.encode())[0]
        raise ArchiveError(
            f"{table.files[one]} and {table.files[other]} both give {shown(table.names[name])}, but one of them alone "
            f"has the column {shown(extra)}; are they of one kind? Name them apart, or give both the same columns"
        )
