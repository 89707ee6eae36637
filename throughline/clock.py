"""Clocks: the only way time enters below the edge.

The edge (commands, Dagster resources) makes a `SystemClock`; tests and examples pass a `FixedClock` or a
`SteppingClock`. Nothing under `throughline/` asks the operating system for the time on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Something that knows the time."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        ...


class SystemClock:
    """The operating system's clock. Made at the edge only."""

    def now(self) -> datetime:
        """Return the current instant in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True)
class FixedClock:
    """A clock that stands still at `instant` (aware, UTC)."""

    instant: datetime

    def now(self) -> datetime:
        """Return the fixed instant."""
        return self.instant


@dataclass
class SteppingClock:
    """A simulated clock: each reading is `step` later than the one before."""

    instant: datetime
    step: timedelta = timedelta(seconds=1)

    def now(self) -> datetime:
        """Return the current instant, then advance by one step."""
        instant = self.instant
        self.instant = instant + self.step
        return instant
