"""One series of bars under two names: copies, links, and one coin that is listed twice.

Belongs here: finding them, for a warning. Two coins never share price for price and volume for volume; where they do,
every position in one would be a second position in the other, and a baseline would count the coin twice. Does not
belong here: two files that give one name (`pieces`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from throughline.errors import shown
from throughline.market.columns import F64
from throughline.market.pieces import bar_words
from throughline.market.tables import Table

LEAST_SHARED = 24
"""Fewer equal bars than these may be chance."""
LEAST_CLOSES = 12
"""The shared bars must have this many different closes: two coins that have died stand at one price each."""
SHARE, SHARE_OF_CLOSES = 0.5, 0.95
"""Two names are one series if they share this much of the bars of the shorter one that say something. With closes only
more is asked for: two stable coins are often at the same price."""
_ODD = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)


def equal_series(table: Table, columns: Sequence[F64]) -> tuple[str, ...]:
    """Return a sentence for each two instruments that are one series of bars.

    Args:
        table: the bars.
        columns: their prices and volumes. Bars in which all prices are equal say too little and are not compared.

    Returns:
        Sentences that name both, how many bars they share, and the first of them.
    """
    if len(table.names) < 2:
        return ()
    rows = np.flatnonzero(_informative(columns))
    if len(rows) < 2 * LEAST_SHARED:
        return ()
    key = _row_keys(table.stamp[rows], [column[rows] for column in columns])
    code = table.code[rows]
    order = np.lexsort((code, key))
    equal = key[order[1:]] == key[order[:-1]]
    left, right = code[order[:-1]], code[order[1:]]
    pairs = np.flatnonzero(equal & (left != right))
    if len(pairs) < LEAST_SHARED:
        return ()
    sentences = []
    size = len(table.names)
    both, counts = np.unique(left[pairs].astype(np.int64) * size + right[pairs], return_counts=True)
    bars = np.bincount(code, minlength=size)
    share = SHARE if len(columns) > 2 else SHARE_OF_CLOSES
    for pair, count in zip(both.tolist(), counts.tolist(), strict=True):
        one, other = divmod(pair, size)
        if count >= LEAST_SHARED and count >= share * min(bars[one], bars[other]):
            places = pairs[(left[pairs] == one) & (right[pairs] == other)]
            if len(np.unique(columns[0][rows[order[places]]])) < LEAST_CLOSES:
                continue
            place = int(places[np.argmin(table.stamp[rows[order[places]]])])
            first, second = (table.place(int(rows[order[at]])) for at in (place, place + 1))
            sentences.append(
                f"{shown(table.names[one])} and {shown(table.names[other])} look like one coin under two names: "
                f"{bar_words(count)} of theirs are equal in every price and volume, first {first} and {second}; leave "
                "one of the two out, with bars.only or by removing its rows."
            )
    return tuple(sentences)


def _informative(columns: Sequence[F64]) -> NDArray[np.bool_]:
    """Say which rows have all their values above zero and, with open, high and low, prices that are not all equal."""
    whole = np.logical_and.reduce([np.isfinite(column) & (column > 0) for column in columns])
    if len(columns) > 2:
        whole = whole & np.logical_or.reduce([column != columns[0] for column in columns[1:4]])
    return np.asarray(whole)


def _row_keys(stamp: NDArray[np.int64], columns: Sequence[F64]) -> NDArray[np.uint64]:
    """Return a number per row that is equal for equal rows, and hardly ever for others."""
    key = stamp.astype(np.uint64)
    for column in columns:
        key = (key ^ column.view(np.uint64)) * np.uint64(_ODD[0])
        key ^= key >> np.uint64(29)
        key *= np.uint64(_ODD[1])
    return key
