"""SimHash: which soulprints are alike, by 64 bits whose Hamming distance estimates the angle between vectors.

Belongs here: standardised vectors, the hyperplanes, the bits, the estimated cosine and the keys of similarity bands.
Does not belong here: identity (`soulprint_hash`). The distance of two SHA-256 digests does not measure likeness:
unrelated inputs score 0.5, so that is never used as a similarity.

Bit b is the side of hyperplane b on which the standardised vector lies; P[bit equal] = 1 - theta / pi (Charikar 2002).
The planes are Gaussian, from SHA-256 digests of a recorded seed, so they are the same under every numpy.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from throughline.signals.vector import COMPONENTS, SOULPRINT_SCHEMA, require_vector
from throughline.signals.window import F64

U64 = NDArray[np.uint64]

SEED = "simhash/1"
"""Recorded seed of the hyperplanes: another one makes every stored SimHash unlike."""
BITS = 64
BANDS = 4
BAND_BITS = 5
CLIP = 4.0
"""Standard scores are cut to [-4, 4]: one wild component must not decide every bit."""

COMPARED = tuple(component for component in COMPONENTS if math.isfinite(component.scale))
_ROWS_AT_ONCE = 4096  # 2 MB of sums: stays in the cache


@cache
def _planes() -> F64:
    """Read-only normals [component, bit]: standard normal quantiles of digests of the seed, the bit and the name."""
    normal = NormalDist()
    planes = np.empty((len(COMPARED), BITS))
    for row, component in enumerate(COMPARED):
        for bit in range(BITS):
            digest = hashlib.sha256(f"{SEED}|{bit}|{component.name}".encode("ascii")).digest()
            planes[row, bit] = normal.inv_cdf(((int.from_bytes(digest[:8], "big") >> 11) + 0.5) / 2**53)
    planes.flags.writeable = False
    return planes


def known_components(values: Mapping[str, float | None]) -> tuple[int, ...]:
    """Return the places in `COMPARED` of the components that a vector has."""
    return tuple(place for place, component in enumerate(COMPARED) if values.get(component.name) is not None)


def standardised(values: Mapping[str, float | None]) -> F64:
    """Return the standard scores (value - center) / scale in [-4, 4] of the compared components; 0 where unknown.

    Order: `COMPARED`, the components with a finite scale, by name. Raises ValueError as `require_vector` does.
    """
    whole = require_vector(values)
    scores = np.zeros(len(COMPARED))
    for place, component in enumerate(COMPARED):
        value = whole[component.name]
        if value is not None:
            scores[place] = min(CLIP, max(-CLIP, (value - component.center) / component.scale))
    return scores


def simhash_many(scores: F64) -> U64:
    """Return the SimHash of each row of standard scores [n, k]; bit b of the number is plane b.

    Sums run over the components in order, elementwise, so a row gives the same bits alone and among others. Raises
    ValueError for another k and for NaN (unknown components are 0).
    """
    planes = _planes()
    if scores.ndim != 2 or scores.shape[1] != len(planes) or np.isnan(scores).any():
        raise ValueError(f"scores of shape {scores.shape}: give [n, {len(planes)}] numbers as `standardised` does")
    result = np.zeros(len(scores), dtype=np.uint64)
    weights = np.uint64(1) << np.arange(BITS, dtype=np.uint64)
    for start in range(0, len(scores), _ROWS_AT_ONCE):
        part = scores[start : start + _ROWS_AT_ONCE]
        sums = np.zeros((len(part), BITS))
        for place in range(len(planes)):
            sums += part[:, place, None] * planes[place]
        result[start : start + _ROWS_AT_ONCE] = np.where(sums >= 0.0, weights, np.uint64(0)).sum(
            axis=1, dtype=np.uint64
        )
    return result


def simhash(values: Mapping[str, float | None]) -> int | None:
    """Return the 64-bit SimHash of a vector, 0 <= h < 2^64; unknown components count as their center.

    None where fewer than half of the compared components are known: such vectors are alike only in their gaps.
    """
    if 2 * len(known_components(values)) < len(COMPARED):
        return None
    return int(simhash_many(standardised(values)[None, :])[0])


def hamming(a: int, b: int) -> int:
    """Return the number of bits in which two SimHashes differ."""
    return (a ^ b).bit_count()


def similarity(a: int, b: int) -> float:
    """Return the estimated cosine of the angle between two vectors, cos(pi hamming / 64), in [-1, 1]."""
    return math.cos(math.pi * hamming(a, b) / BITS)


def band_keys(value: int | None, scope: str) -> tuple[str, ...]:
    """Return the keys of a SimHash's bands, for example ``soulprint/1|<scope>|b0|01101`` (lowest bit first).

    Four bands of five bits: vectors at angle theta share a given band with probability (1 - theta / pi)^5. `scope`
    names within what likeness is asked (a strategy, a side). Without a SimHash the one key ends in ``unknown``.
    """
    if value is None:
        return (f"{SOULPRINT_SCHEMA}|{scope}|unknown",)
    bits = "".join(str((value >> bit) & 1) for bit in range(BANDS * BAND_BITS))
    return tuple(
        f"{SOULPRINT_SCHEMA}|{scope}|b{band}|{bits[band * BAND_BITS : (band + 1) * BAND_BITS]}" for band in range(BANDS)
    )
