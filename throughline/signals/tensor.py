"""Tensor analytics: the [time x feature x scale] array of a run of windows, its mode energies, modes and hash.

Belongs here: one row of the array from one window, how the array's energy is spread over its modes (unfolding by
unfolding, the higher-order SVD of De Lathauwer et al. 2000), modes that are fitted on past rows only, and the content
hash. Figures from singular values are for reports; what is hashed is the rounded array itself.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from throughline.identity import hash_body
from throughline.signals import moments, spectrum
from throughline.signals.window import F64, SignalWindow, log_returns

TENSOR_SCHEMA = "signal_tensor/1"
SCALES = (16, 32, 64)
"""Bars: the same features over the newest 16, 32 and 64 bars of a window."""
TENSOR_FEATURES = ("momentum", "trend_t", "volatility", "spectral_entropy")

_MISSING = -(2**63)
_LARGEST = 2**53  # in millionths: beyond it a double has no 6 decimals


def tensor_row(window: SignalWindow) -> F64:
    """Return one time's [feature, scale] values, NaN where fewer bars than half of a scale are known."""
    row = np.full((len(TENSOR_FEATURES), len(SCALES)), np.nan)
    for place, bars in enumerate(SCALES):
        returns = log_returns(window.close[-bars:])
        if 2 * returns.bars < bars:
            continue
        values = (
            moments.momentum(returns),
            moments.trend_t(returns),
            moments.volatility(returns),
            spectrum.spectral_entropy(returns.values),
        )
        row[:, place] = [math.nan if value is None else value for value in values]
    return row


def _require(tensor: F64, least_rows: int) -> None:
    if tensor.ndim != 3 or 0 in tensor.shape or len(tensor) < least_rows:
        raise ValueError(
            f"an array of shape {tensor.shape}: give [time, feature, scale] with {least_rows} rows or more"
        )
    if not np.isfinite(tensor).all():
        raise ValueError("the array holds missing or infinite values: leave out the times at which one is unknown")


@dataclass(frozen=True, eq=False)
class ModeEnergies:
    """Shares of the array's squared sum per mode, each descending and adding up to 1."""

    time: F64
    feature: F64
    scale: F64


def _energies(unfolding: F64) -> F64:
    values: F64 = np.linalg.svd(unfolding, compute_uv=False).astype(np.float64)
    squares = values * values
    shares: F64 = squares / squares.sum()
    return shares


def _unfold(tensor: F64, mode: int) -> F64:
    unfolded: F64 = np.moveaxis(tensor, mode, 0).reshape(tensor.shape[mode], -1)
    return unfolded


def mode_energies(tensor: F64) -> ModeEnergies:
    """Return the mode energies of a [t, f, s] array as it is (standardise features first, or the largest unit wins).

    Squared singular values of each unfolding over their sum. Raises ValueError for missing values or all zeros.
    """
    _require(tensor, 1)
    if not tensor.any():
        raise ValueError("the array is zero everywhere: it has no energy to share out")
    scaled = tensor / np.abs(tensor).max()  # so that squares neither overflow nor vanish
    return ModeEnergies(*(_energies(_unfold(scaled, mode)) for mode in range(3)))


@dataclass(frozen=True, eq=False)
class Modes:
    """Modes fitted on past rows: center and spread [f, s], orthonormal bases [f, kf] and [s, ks], energies of the fit.

    `rows` is how many times the fit saw.
    """

    center: F64
    spread: F64
    feature_basis: F64
    scale_basis: F64
    energies: ModeEnergies
    rows: int


def _basis(unfolding: F64, count: int) -> F64:
    """The `count` leading left singular vectors, each with its largest entry positive."""
    vectors: F64 = np.linalg.svd(unfolding, full_matrices=False)[0][:, :count]
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.where(vectors[largest, np.arange(vectors.shape[1])] < 0.0, -1.0, 1.0)
    return vectors * signs


def fit_modes(past: F64, features: int, scales: int) -> Modes:
    """Return the leading `features` and `scales` modes of the rows [n, f, s], standardised by their own moments.

    Reads nothing but `past`: pass the rows whose time is before the one that is projected. Raises ValueError for fewer
    than two rows, missing values, more modes than entries, or rows that do not vary at all.
    """
    _require(past, 2)
    if not (1 <= features <= past.shape[1] and 1 <= scales <= past.shape[2]):
        raise ValueError(f"{features} feature and {scales} scale modes of {past.shape[1:]}: give between 1 and as many")
    center = past.mean(axis=0)
    spread = past.std(axis=0, ddof=1)
    still = spread <= 1e-12 * np.abs(past).max(axis=0)
    if still.all():
        raise ValueError("no feature varies over the past rows: there are no modes to fit")
    spread = np.where(still, 1.0, spread)
    standard = np.where(still, 0.0, (past - center) / spread)
    return Modes(
        center=center,
        spread=spread,
        feature_basis=_basis(_unfold(standard, 1), features),
        scale_basis=_basis(_unfold(standard, 2), scales),
        energies=mode_energies(standard),
        rows=len(past),
    )


def project(modes: Modes, tensor: F64) -> F64:
    """Return the coordinates [t, kf, ks] of rows [t, f, s] on fitted modes, each row by itself."""
    _require(tensor, 1)
    if tensor.shape[1:] != modes.center.shape:
        raise ValueError(f"rows of shape {tensor.shape[1:]}, modes of {modes.center.shape}: they must agree")
    standard = (tensor - modes.center) / modes.spread
    coordinates: F64 = np.einsum("tfs,fa,sb->tab", standard, modes.feature_basis, modes.scale_basis)
    return coordinates


def tensor_hash(tensor: F64, features: Sequence[str] = TENSOR_FEATURES, scales: Sequence[int] = SCALES) -> str:
    """Return the content hash (hex SHA-256) of an array [t, f, s] rounded half-even to 6 decimals, with its labels.

    NaN is hashed as missing, -0 as 0. Raises ValueError for infinities, numbers beyond 9e9 and labels that do not fit.
    """
    if tensor.ndim != 3 or tensor.shape[1:] != (len(features), len(scales)):
        raise ValueError(f"an array of shape {tensor.shape} with {len(features)} features and {len(scales)} scales")
    missing = np.isnan(tensor)
    millionths = np.rint(np.where(missing, 0.0, tensor) * 1e6)
    if not (np.abs(millionths) <= _LARGEST).all():
        raise ValueError("the array holds a value beyond 9e9, which has no 6 decimals: rescale it before it is hashed")
    cells = np.where(missing, _MISSING, millionths.astype(np.int64)).astype("<i8")
    body = {
        "schema": TENSOR_SCHEMA,
        "features": list(features),
        "scales": list(scales),
        "times": len(tensor),
        "sha256": hashlib.sha256(cells.tobytes()).hexdigest(),
    }
    return hash_body("signal_tensor", body)
