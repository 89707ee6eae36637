"""What a refused row said, in words that do not depend on where in a file it stood; and the last step of belief:
values that records can hold exactly.

A detail must not name files or row numbers: it is part of a day's seal, and a coin added to a file would move rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from throughline.identity import decimal_text

F64 = NDArray[np.float64]


def value_text(value: float) -> str:
    """Return a value as it was read (shortest exact text)."""
    if value != value:
        return "missing"
    text = repr(value)
    return text[:-2] if text.endswith(".0") else text


def believed_to_eighteen_places(values: F64) -> F64:
    """Return values rounded half-even to the 18 decimals that seals record, NaN kept, minus zero as zero.

    So two panels with one seal are equal to the last bit. Values that are a number of 12 decimals already (nearly all
    prices) are recognised by two elementwise operations; only the others are rounded one by one, as text.
    """
    values = values + 0.0  # -0.0 + 0.0 is 0.0, and a seal writes both as 0
    with np.errstate(invalid="ignore", over="ignore"):
        exact = (np.rint(values * 1e12) / 1e12 == values) & (np.abs(values) < 4503.0)
        # 17 significant digits never reach past the 18th decimal from 0.1 on.
        rows = np.flatnonzero(~exact & (np.abs(values) < 0.1))
    if len(rows) == 0:
        return values
    result = values.copy()
    result[rows] = [_rounded(value) for value in values[rows].tolist()]
    return result


def _rounded(value: float) -> float:
    text = repr(value)
    if "e" not in text and len(text) <= 20:
        return value
    return float(decimal_text(value))
