"""Episodes and arms: which signals belong together, and which of them a challenger decides. Pure.

An episode is the first signal of a segment and all its signals until 48 h without one. Hourly
signals of one coin are nearly the same bet: hashing single candidates would let a 10 % canary touch half of all
coin-days, so the arm belongs to the episode.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

GAP_MS = 48 * 3_600_000
"""So long without a signal of its segment, and the next signal begins another episode."""


@dataclass(frozen=True)
class LastSignal:
    """The newest signal of a segment so far: its decision (Unix ms) and the name of its episode."""

    decided: int
    episode: str


def episode_of(segment: str, decided: int, last: LastSignal | None) -> str:
    """Return the name of the episode of a signal: its segment and the decision (Unix ms) of its first signal."""
    if last is not None and decided - last.decided <= GAP_MS:
        return last.episode
    return f"{segment}/{decided}"


def bucket_of(rollout: str, episode: str) -> float:
    """Return where an episode falls in [0, 1): SHA-256 of salt and name, its first 8 bytes over 2^64.

    rollout: the salt, the hash of the event that began the canary; two rollouts assign independently.
    """
    digest = hashlib.sha256(f"{rollout}\0{episode}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64
