"""`SoulprintIndex`: which earlier trades looked like this one, out of a million, in milliseconds. Pure arrays.

Belongs here: the arrays and the search. Does not belong here: how they are read from the registry (`index_loading`) and
what the matches say about a new trade (patterns).

The scan is exact over all SimHashes (Hamming distance, which estimates the angle: Charikar 2002); the nearest
`CANDIDATES` of it are ranked by the cosine of their vectors. With so many or fewer trades the answer is exact; with a
million it holds 99 % of the true nearest twenty (``benchmarks/similarity.py``). SHA-256 digests are never compared.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.signals.simhash import BITS, COMPARED, known_components, simhash, standardised
from throughline.signals.vector import require_vector, with_phase_coordinates

CANDIDATES = 10_000
_SAMPLE = 16
"""Every so many distances are counted to guess the radius that holds the candidates; counting all costs more."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = np.iinfo(np.int64).max

I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Hit:
    """A trade that looks alike. similarity: cosine of the standardised vectors, over the components that were compared;
    hamming: bits of the SimHash apart, None where too few components were given for one."""

    uuid: uuids.UUID
    similarity: float
    hamming: int | None
    profit_percentage: float


@dataclass(frozen=True)
class Nearest:
    """Hits, nearest first; among how many trades (with how many wins) they were looked for; on which components
    (names of `COMPARED`) they were compared."""

    hits: tuple[Hit, ...]
    searched: int
    searched_wins: int
    compared: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class SoulprintIndex:
    """The trades of one experiment as arrays of n rows, ordered by `known_from`, then uuid.

    uuid: uint8 [n, 16]; simhash: uint64; unit: float32 [n, k], the standardised vectors at length one (`COMPARED`,
    zeros for a vector at the center); known_from, known_until: microseconds since 1970 between which the trade may be
    used; profit_percentage: float32; won: bool.
    """

    uuid: U8
    simhash: NDArray[np.uint64]
    unit: NDArray[np.float32]
    known_from: I64
    known_until: I64
    profit_percentage: NDArray[np.float32]
    won: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.simhash)

    def search(
        self, vector: Mapping[str, object], as_of: datetime | None, k: int, least_similarity: float = -1.0
    ) -> Nearest:
        """Return the `k` trades most alike to `vector` among those known as of an instant (None = all).

        A vector of which at least half is known is compared as a whole, what is unknown counting as its center. With
        fewer components the cosine is that of the given components alone, exact over all trades: a question about two
        components is answered on these two. A phase is compared by its two coordinates.

        Args:
            vector: components of the soulprint by name; those that are missing or None are unknown.
            as_of: aware instant, None = all that is recorded.
            k: how many trades at most.
            least_similarity: cosine that a hit must have.

        Raises:
            ValueError: for unknown components, a vector without any that is compared, k below one or a naive instant.
        """
        if k < 1:
            raise ValueError(f"k is {k}: ask for at least one trade")
        rows, moment = self._known(as_of)
        usable = self.known_until[:rows] > moment
        searched, wins = int(np.count_nonzero(usable)), int(np.count_nonzero(usable & self.won[:rows]))
        values = with_phase_coordinates(require_vector(vector))
        mark, known = simhash(values), known_components(values)
        if not known:
            names = ", ".join(component.name for component in COMPARED)
            raise ValueError(f"the vector has no component that is compared: give at least one of {names}")
        compared = tuple(COMPARED[place].name for place in known)
        if not searched:
            return Nearest((), searched, wins, compared)
        asked = standardised(values)
        distance: U8 | None = None
        if mark is None:
            places = np.flatnonzero(usable)
            cosine = unit_rows(self.unit[places][:, list(known)]) @ unit_rows(asked[None, list(known)])[0]
        else:
            distance = np.bitwise_count(self.simhash[:rows] ^ np.uint64(mark))
            places = _nearest(distance, usable, max(CANDIDATES, k))
            cosine = self.unit[places] @ unit_rows(asked[None, :])[0]
        if len(places) > k:
            best = np.argpartition(-cosine, k - 1)[:k]
            places, cosine = places[best], cosine[best]
        apart = np.zeros(len(places), np.uint8) if distance is None else distance[places]
        order = np.lexsort((places, apart, -cosine))
        hits = [
            Hit(
                uuid=uuids.UUID(bytes=self.uuid[place].tobytes()),
                similarity=float(np.clip(value, -1.0, 1.0)),
                hamming=None if distance is None else int(distance[place]),
                profit_percentage=float(self.profit_percentage[place]),
            )
            for place, value in zip(places[order].tolist(), cosine[order].tolist(), strict=True)
            if value >= least_similarity
        ]
        return Nearest(tuple(hits), searched, wins, compared)

    def _known(self, as_of: datetime | None) -> tuple[int, int]:
        """Return how many rows are known as of the instant, and the instant in microseconds."""
        if as_of is None:
            return len(self), NEVER - 1
        moment = microseconds(as_of)
        return int(np.searchsorted(self.known_from, moment, "right")), moment


def _nearest(distance: U8, usable: NDArray[np.bool_], count: int) -> NDArray[np.intp]:
    """Return the places of at least `count` usable rows of least distance (all of them where there are fewer)."""
    if len(distance) <= count:
        return np.flatnonzero(usable)
    counts = np.bincount(distance[::_SAMPLE], minlength=BITS + 1).cumsum() * _SAMPLE
    radius = int(np.searchsorted(counts, count))
    while True:
        places = np.flatnonzero((distance <= radius) & usable)
        if len(places) >= count or radius >= BITS:
            return places
        radius += 1


def unit_rows(scores: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return rows of standard scores [n, k] at length one, as float32; a row of zeros stays."""
    length = np.sqrt((scores * scores).sum(axis=1, keepdims=True))
    return (scores / np.where(length > 0.0, length, 1.0)).astype(np.float32)


def microseconds(instant: datetime) -> int:
    """Return microseconds since 1970 of an aware instant. Raises ValueError if it is naive."""
    if instant.tzinfo is None:
        raise ValueError(f"as_of {instant} has no time zone: pass an aware datetime")
    return (instant - _EPOCH) // timedelta(microseconds=1)


def empty_index() -> SoulprintIndex:
    """Return an index of no trades."""
    return SoulprintIndex(
        uuid=np.empty((0, 16), np.uint8),
        simhash=np.empty(0, np.uint64),
        unit=np.empty((0, len(COMPARED)), np.float32),
        known_from=np.empty(0, np.int64),
        known_until=np.empty(0, np.int64),
        profit_percentage=np.empty(0, np.float32),
        won=np.empty(0, np.bool_),
    )
