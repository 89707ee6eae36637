"""What the soulprint vectors say of profit: correlations, patterns over time, the direction of profit.

Belongs here: figures over vectors and net returns. Does not belong here: the vectors themselves (signals) and
predictions compared with outcomes (evidence). The correlations describe all trades at once; the patterns are
fitted on the earlier part and tested on the later one, and the tracks split at the median of earlier decisions.
"""

from __future__ import annotations

import bisect
import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from throughline.analytics.trade_registry.entries import Trade
from throughline.analytics.trade_registry.groups import exact_sum
from throughline.analytics.trade_registry.intervals import adjusted, rank_correlation
from throughline.analytics.trade_registry.model import (
    MINIMUM_BEHIND,
    MINIMUM_GROUP,
    MINIMUM_JUDGED,
    Correlation,
    Modes,
    ProfitTrack,
    ProfitVector,
    SoulprintFigures,
)
from throughline.signals.simhash import COMPARED, standardised
from throughline.signals.tensor import fit_modes, project

NAMES = tuple(component.name for component in COMPARED)
"""Components that are compared; the phase is compared by its sine and cosine."""
SCALES = (1, 4, 16)
"""Trades over which a component is averaged, ending with the trade itself."""
FITTED_SHARE = 0.6
"""Share of the trades, the earlier ones, that patterns are fitted on."""
KEPT = 3
"""How many component patterns are kept."""


def soulprint_figures(trades: Sequence[Trade]) -> SoulprintFigures:
    """Return everything about the vectors of `trades` (in order of closing); those without a soulprint are left out."""
    known = [trade for trade in trades if trade.values is not None]
    correlations = [component_correlation(name, known) for name in NAMES]
    return SoulprintFigures(
        components=NAMES,
        correlations=adjusted(correlations),
        matrix=correlation_matrix(known),
        modes=mode_figures(known),
        vectors=profit_vectors(known),
        tracks=[track for name in NAMES if (track := profit_track(name, known)) is not None],
    )


def canonical_correlations(trades: Sequence[Trade]) -> list[Correlation]:
    """Return the rank correlation with net return of what the canonical entries recorded at the decision."""
    correlations = []
    for name in ("signal_strength", "confidence"):
        pairs = [(value, trade.net_return) for trade in trades if (value := getattr(trade, name)) is not None]
        correlations.append(rank_correlation(name, [x for x, _ in pairs], [y for _, y in pairs]))
    return adjusted(correlations)


def component_correlation(name: str, trades: Sequence[Trade]) -> Correlation:
    """Return the rank correlation of one component with net return, over the trades that have it."""
    pairs = [(value, trade.net_return) for trade in trades if (value := (trade.values or {}).get(name)) is not None]
    return rank_correlation(name, [x for x, _ in pairs], [y for _, y in pairs])


def correlation_matrix(trades: Sequence[Trade]) -> list[list[float | None]]:
    """Return Spearman's rho of each pair of components, over the trades that have both."""
    columns = [[(trade.values or {}).get(name) for trade in trades] for name in NAMES]
    matrix: list[list[float | None]] = [[None] * len(NAMES) for _ in NAMES]
    for i, first in enumerate(columns):
        for j, second in enumerate(columns[: i + 1]):
            pairs = [(x, y) for x, y in zip(first, second, strict=True) if x is not None and y is not None]
            rho = rank_correlation("", [x for x, _ in pairs], [y for _, y in pairs]).rho
            matrix[i][j] = matrix[j][i] = rho
    return matrix


def trade_tensor(trades: Sequence[Trade]) -> NDArray[np.float64]:
    """Return [trade, component, scale] in order of decision: standardised components averaged over the last 1, 4 and
    16 decisions, unknown ones at their center as in the SimHash. The first 15 trades have no whole average."""
    ordered = sorted(trades, key=lambda trade: (trade.decided_at, trade.uuid))
    longest = max(SCALES)
    if len(ordered) < longest:
        return np.empty((0, len(NAMES), len(SCALES)))
    scores = np.array([standardised(trade.values or {}) for trade in ordered])
    means = [sliding_window_view(scores, scale, axis=0).mean(axis=-1)[longest - scale :] for scale in SCALES]
    return np.stack(means, axis=2)


def mode_figures(trades: Sequence[Trade]) -> Modes:
    """Return the mode energies of the earlier trades, and how much of the later ones their patterns hold.

    The later part is centred and scaled by the earlier one's moments, so that a shift counts as variation.
    """
    tensor = trade_tensor(trades)
    cut = int(len(tensor) * FITTED_SHARE)
    past, later = tensor[:cut], tensor[cut:]
    note = None
    if len(tensor) < MINIMUM_JUDGED:
        note = f"{len(tensor)} trades have {max(SCALES)} decisions up to them: below {MINIMUM_JUDGED} none is fitted"
    elif not np.ptp(past, axis=0).any():
        note = "the vectors of the earlier trades do not vary"
    if note:
        return Modes(len(past), len(later), note=note)
    modes = fit_modes(past, KEPT, len(SCALES))

    def explained(part: NDArray[np.float64]) -> float | None:
        standard = (part - modes.center) / modes.spread
        whole = math.fsum((standard * standard).ravel())
        inside = project(modes, part)
        return math.fsum((inside * inside).ravel()) / whole if whole > 0.0 else None

    energies = {name: [float(x) for x in getattr(modes.energies, name)] for name in ("time", "feature", "scale")}
    energies["time"] = energies["time"][: len(NAMES)]
    return Modes(
        fitted=len(past),
        held=len(later),
        scales=SCALES,
        energies=energies,
        kept=KEPT,
        explained_fitted=explained(past),
        explained_held=explained(later),
    )


def profit_vectors(trades: Sequence[Trade]) -> list[ProfitVector]:
    """Return the direction of profit by UTC month of closing, for months with `MINIMUM_GROUP` trades or more."""
    months: defaultdict[str, list[Trade]] = defaultdict(list)
    for trade in trades:
        months[f"{trade.closed_at:%Y-%m}"].append(trade)
    vectors: list[tuple[str, int, list[float]]] = []
    for month, members in sorted(months.items()):
        if len(members) >= MINIMUM_GROUP:
            scores = [standardised(trade.values or {}) * trade.net_return for trade in members]
            vectors.append(
                (month, len(members), [math.fsum(column) / len(members) for column in zip(*scores, strict=True)])
            )
    cosines = [None, *(_cosine(a[2], b[2]) for a, b in pairwise(vectors))]
    return [
        ProfitVector(month, n, dict(zip(NAMES, vector, strict=True)), cosine)
        for (month, n, vector), cosine in zip(vectors, cosines, strict=False)
    ]


def _cosine(a: Sequence[float], b: Sequence[float]) -> float | None:
    lengths = math.hypot(*a) * math.hypot(*b)
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths > 0.0 else None


def profit_track(name: str, trades: Sequence[Trade]) -> ProfitTrack | None:
    """Return the profits above and below the running median of a component; None with no trade to split.

    The median is of earlier decisions only, `MINIMUM_BEHIND` at least, so the split could have been made at the time.
    """
    past: list[float] = []
    above: dict[str, bool] = {}
    for trade in sorted(trades, key=lambda trade: (trade.decided_at, trade.uuid)):
        value = (trade.values or {}).get(name)
        if value is None:
            continue
        if len(past) >= MINIMUM_BEHIND:
            above[trade.uuid] = value > (past[(len(past) - 1) // 2] + past[len(past) // 2]) / 2.0
        bisect.insort(past, value)
    split = [trade for trade in trades if trade.uuid in above]
    if not split:
        return None
    sums = {True: Decimal(0), False: Decimal(0)}
    times: list[datetime] = []
    curves: dict[bool, list[float]] = {True: [], False: []}
    for trade in split:
        side = above[trade.uuid]
        sums[side] = exact_sum((sums[side], trade.profit_usd))
        times.append(trade.closed_at)
        for key, curve in curves.items():
            curve.append(float(sums[key]))
    count = sum(above.values())
    return ProfitTrack(name, times, curves[True], curves[False], count, len(split) - count)
