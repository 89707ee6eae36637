"""Where the time of a command goes: laps that add up to all of it. Does not belong here: how they are printed."""

from __future__ import annotations

import time
from collections.abc import Mapping


class Stopwatch:
    """Measures a command from its start, lap by lap, so that nothing between two laps is left out.

    Args:
        started: `time.perf_counter()` at the start of the process; None is now.

    Example:
        >>> watch = Stopwatch()
        >>> watch.lap("market_data")
        >>> list(watch.seconds)
        ['market_data']
    """

    def __init__(self, started: float | None = None) -> None:
        self._last = time.perf_counter() if started is None else started
        self.seconds: dict[str, float] = {}

    def lap(self, name: str, within: Mapping[str, float] | None = None) -> None:
        """Count the time since the last lap under a name.

        Args:
            name: of what was done since.
            within: name -> seconds of parts of it, which are counted under their own names.
        """
        now = time.perf_counter()
        parts = within or {}
        self.seconds |= parts
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last - sum(parts.values())
        self._last = now
