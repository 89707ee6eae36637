"""Signals: what is measured of an instrument's trailing window, as pure, bounded, sourced functions.

Belongs here: chrono resonance and phase, temporal warp, drift, moments, spectra, the growth of a bet ("unified math"),
the soulprint vector with its content hash, its SimHash and tensor analytics. Does not belong here: where bars come from
(market), what is decided (strategy), what is stored (registry). Imports numpy and the standard library,
and numba where a soulprint is measured.

Time: a window ends with the newest bar that had closed by the decision; no function reads anything else. No clock,
no place and no constant stands in for market data.

`simhash` itself is imported from its module, since its name is the module's.
"""

from throughline.signals.growth import MathOptimization, unified_math
from throughline.signals.simhash import band_keys, hamming, simhash_many, similarity, standardised
from throughline.signals.vector import (
    COMPONENTS,
    SOULPRINT_SCHEMA,
    Component,
    require_vector,
    signal_days,
    soulprint_hash,
    soulprint_vector,
    vector_from_text,
    vector_text,
)
from throughline.signals.window import WINDOW_BARS, SignalWindow, window_at

__all__ = [
    "COMPONENTS",
    "SOULPRINT_SCHEMA",
    "WINDOW_BARS",
    "Component",
    "MathOptimization",
    "SignalWindow",
    "band_keys",
    "hamming",
    "require_vector",
    "signal_days",
    "simhash_many",
    "similarity",
    "soulprint_hash",
    "soulprint_vector",
    "standardised",
    "unified_math",
    "vector_from_text",
    "vector_text",
    "window_at",
]
