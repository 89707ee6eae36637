"""The 24 h volumes of a decision: which figure is which, when it is of, and what it was used for.

Belongs here: reading them from the research body, and their words. Does not belong here: how the strategy computes its
own (`throughline.strategy.features`) and how a dossier looks.

A research snapshot may hold two. The strategy adds up the volume of the bars of the last 24 h; an archive may have a
reference `volume_24h` beside them, such as CoinGecko's daily figure over all exchanges. The strategy uses the reference
only where a bar of the 24 h has no volume.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from throughline.identity import sig10

REFERENCE = "volume_24h"
"""Name of the input that a source reports; features of a scan have the strategy's own figure under the same name."""
MEANINGS: Mapping[str, str] = {REFERENCE: "24 h volume as reported", "bar_volume": "volume of the deciding bar"}
"""Inputs whose names alone do not say which volume they are."""
_USED = "filter, score, position size, features of models"
_UNUSED = "nothing: recorded beside the other"


@dataclass(frozen=True)
class DayVolume:
    """A 24 h volume. what: how it comes about; usd: decimal text; event_time: the instant that it is of (the end of the
    24 h), available_at: when it was known; source: where it comes from; use: what the strategy did with it."""

    what: str
    usd: str
    event_time: str | None
    available_at: str | None
    source: str | None
    use: str


def day_volumes(research: Mapping[str, Any]) -> tuple[DayVolume, ...]:
    """Return the 24 h volumes that a research body (parsed) holds, the one that the strategy used first."""
    used = research.get(REFERENCE)
    inputs = {str(item.get("name")): item for item in research.get("inputs", ())}
    reported = inputs.get(REFERENCE)
    by_reference = used is not None and reported is not None and sig10(float(reported["value"])) == float(used)
    volumes = []
    if used is not None and not by_reference:
        decided, bar = research.get("decision_time"), inputs.get("bar_volume", {})
        volumes.append(
            DayVolume("sum over the bars of the last 24 h", str(used), decided, decided, bar.get("source"), _USED)
        )
    if reported is not None:
        times = (reported.get("event_time"), reported.get("available_at"), reported.get("source"))
        use = f"{_USED} (a bar of the 24 h has no volume)" if by_reference else _UNUSED
        volumes.append(DayVolume("as reported by a source", str(reported["value"]), *times, use))
    return tuple(volumes)


def input_name(name: str) -> str:
    """Return the name of an input for people."""
    return MEANINGS.get(name, name.replace("_", " "))
