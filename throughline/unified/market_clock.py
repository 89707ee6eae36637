"""The simulated clock of the pipeline: it stands between two bars of a market and goes on bar by bar. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from throughline.errors import SettingsError

DAY = timedelta(days=1)


@dataclass(frozen=True)
class MarketClock:
    """A market's time. first, last: the days it has (UTC); interval: of a bar, a whole part of a day; bars: how many
    have closed since `first` began."""

    first: date
    last: date
    interval: timedelta
    bars: int = 0

    def __post_init__(self) -> None:
        if self.interval <= timedelta() or DAY % self.interval:
            raise SettingsError(f"bars of {self.interval} do not fill a day: the pipeline needs whole ones")

    @property
    def now(self) -> datetime:
        """The instant at which the newest bar has closed."""
        return datetime(self.first.year, self.first.month, self.first.day, tzinfo=UTC) + self.bars * self.interval

    @property
    def today(self) -> date:
        """The day of the next bar."""
        return self.now.date()

    @property
    def left(self) -> int:
        """How many bars the market still has."""
        return ((self.last - self.first).days + 1) * (DAY // self.interval) - self.bars

    def advanced(self, bars: int) -> tuple[MarketClock, list[date]]:
        """Return the clock `bars` later, and the days whose last bar closed on the way.

        Raises SettingsError where the market has not so many.
        """
        if bars > self.left:
            raise SettingsError(f"the market ends on {self.last}: {self.left} bars are left, {bars} were asked for")
        later = MarketClock(self.first, self.last, self.interval, self.bars + bars)
        return later, [self.today + k * DAY for k in range((later.today - self.today).days)]
