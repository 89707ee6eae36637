"""Rows that are no bar: those without any value, and candles in which nobody traded.

Belongs here: recognising them. A gap is a time in which nobody could trade, however it is written: as missing rows, as
rows of nothing (Bitstamp's history), as rows of zeros, or as flat candles that an exporter filled in. All of them count
as missing rows, so they give the same bars, segments and trades. Does not belong here: what a gap means for a segment
(`segments`).

Candles of zero volume whose prices differ are believed: the prices are quotes or averages of somebody.
"""

from __future__ import annotations

import numpy as np

from throughline.market.rows import Mask, RawBars


def absent_rows(raw: RawBars) -> Mask:
    """Say which rows have no price at all, and no volume or a volume of zero."""
    absent = np.isnan(raw.close)
    if not raw.close_only:
        absent = absent & np.isnan(raw.open) & np.isnan(raw.high) & np.isnan(raw.low)
    return np.asarray(absent & ~(np.abs(raw.volume) > 0))


def rows_of_zeros(raw: RawBars) -> Mask:
    """Say which rows hold zeros alone: every price is zero, and the volume is zero.

    With open, high, low and close the volume may also be unknown, since four zeros agree with each other. A single
    close of zero without a known volume may be a bad print, and a zero beside a price that is not zero always is one.
    """
    zeros = raw.close == 0
    if raw.close_only:
        return np.asarray(zeros & (raw.volume == 0))
    zeros = zeros & (raw.open == 0) & (raw.high == 0) & (raw.low == 0)
    return np.asarray(zeros & ~(np.abs(raw.volume) > 0))


def flat_without_volume(raw: RawBars) -> Mask:
    """Say which rows have one price for open, high, low and close and a known volume of zero.

    Never a row of close-only data: four equal prices say nothing there.
    """
    if raw.close_only:
        return np.zeros(len(raw.time), np.bool_)
    flat = (raw.open == raw.close) & (raw.high == raw.close) & (raw.low == raw.close)
    return np.asarray(flat & (raw.volume == 0))


def repeats_last_close(raw: RawBars, judged: Mask, seen: Mask) -> Mask:
    """Say which of the `judged` rows are flat at the close of the row before them while no volume is known.

    With closes only a repeated close says nothing by itself: there the volume must be zero, or unknown although an
    earlier row of the instrument had one (an exporter that fills its gaps with the last close and nothing else).

    Args:
        raw: rows ordered by (code, time).
        judged: the rows in question.
        seen: rows that said a close, in whatever state; where several rows of one bar did, the lowest counts.

    Returns:
        A mask over all rows.
    """
    result = np.zeros(len(raw.time), np.bool_)
    if raw.close_only:
        quiet = (raw.volume == 0) | (np.isnan(raw.volume) & _had_volume(raw, seen))
    else:
        quiet = np.isnan(raw.volume) & (raw.high == raw.low) & (raw.open == raw.close) & (raw.high == raw.close)
    quiet &= judged
    if not quiet.any():
        return result
    rows = np.flatnonzero(seen & np.isfinite(raw.close))
    code, time, close = raw.code[rows], raw.time[rows], raw.close[rows]
    first = np.ones(len(rows), np.bool_)
    first[1:] = (code[1:] != code[:-1]) | (time[1:] != time[:-1])
    heads = np.flatnonzero(first)
    lowest = np.minimum.reduceat(close, heads)
    before = np.full(len(heads), np.nan)
    before[1:] = np.where(code[heads[1:]] == code[heads[:-1]], lowest[:-1], np.nan)
    result[rows] = close == before[np.cumsum(first) - 1]
    return np.asarray(result & quiet)


def _had_volume(raw: RawBars, seen: Mask) -> Mask:
    """Say which rows come after a `seen` row of their instrument with a volume above zero."""
    had = np.maximum.accumulate(np.where(seen & (raw.volume > 0), np.arange(len(raw.code)), -1))
    first = np.searchsorted(raw.code, raw.code)  # the first row of each row's instrument
    return np.asarray(had >= first)
