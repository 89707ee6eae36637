"""Doubtful jumps: which step between two prices is not believed to be a move of the market.

Belongs here: the one definition, its defaults and why they are what they are. Read by the segments, the corporate
actions and, by way of the source's description, the engine. Does not belong here: what follows from a doubtful jump
(`segments` for windows, ``throughline.trading.kernel`` for positions).

The step compared is from the close of the last bar to the first price after it (the open; with closes only the close),
whether the two bars follow each other or a gap lies between them. It is doubtful where it is `factor` or more, up or
down: from there on the price may count another unit (a split, a re-denomination), or be a bad print.

Why 1.4 for bars with an open: in continuous trading an open is the last close. Of 443,559 hourly bars of Binance that
follow another none opened at 1.2 times the close before it or at 1/1.2 of it; of 601 gaps shorter than a day one did,
at 2.1 times. Of 172,943 daily bars of CoinMarketCap, which are averages over exchanges, 316 (0.18 %) are beyond 1.4 and
227 beyond 1.5. A split of 3:2 is beyond 1.4 as long as the coin itself moves by less than 7 %; splits of 4:3 and 5:4
are not doubted, since moves of their size are ordinary: an archive names them as corporate actions.

Why 1.8 where only closes are known: a step holds an hour of trading there. Of 1,847,039 hourly closes of 2022 to July
2024, 24 are beyond 1.8 (LUNA's end, and spikes), 55 beyond 1.5 and 16 beyond 2. A split of 2:1 is beyond 1.8 as long as
the coin moves by less than 10 %; one of 3:2 cannot be distinguished from a move.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

DOUBTFUL_JUMP = 1.4
"""Factor for bars with an open."""
DOUBTFUL_CLOSE_JUMP = 1.8
"""Factor for bars that have only closes."""
TOLERANCE = 1e-3
"""A step that is smaller than the factor by this part of it counts as the factor: a split of 2:1 is printed as 0.0333
and 0.0167. Prices of four digits are exact to it."""


SMALLEST_JUMP = 1.01
"""The smallest factor that may be chosen: below it the tolerance would make every step doubtful."""


def default_jump(close_only: bool) -> float:
    """Return the default factor of bars that have closes only, or an open as well."""
    return DOUBTFUL_CLOSE_JUMP if close_only else DOUBTFUL_JUMP


def threshold(factor: float) -> float:
    """Return the smallest step that counts as `factor`."""
    return factor * (1.0 - TOLERANCE)


def is_doubtful_step(before: float, price: float, factor: float) -> bool:
    """Say whether the step from `before` to `price` is `factor` or more, up or down."""
    step = threshold(factor)
    return price >= before * step or price * step <= before


def is_doubtful(before: F64, price: F64, factor: float) -> NDArray[np.bool_]:
    """Say the same of many steps."""
    step = threshold(factor)
    return np.asarray((price >= before * step) | (price * step <= before))
