"""The simulated market: an invented exchange that exercises everything, for demo mode. None of it is real.

Belongs here: hours made from the world of `simulated_world`, put through the same cleaning as real data. About 60
tickers (all named -SIM): a benchmark, some large coins, and small ones of roughly $100K to $50M with bursts of
momentum, regimes, jumps, listings, delistings, rug pulls with and without warning, gaps of hours and of days, also
written as flat candles, redenominations, hours without volume, bad prints, bad rows and rows that stand twice.

Reading a window costs time and memory in proportion to the window: random numbers are addressed by position, and the
daily path is computed once per provider. Values do not depend on the window: each load makes some days before it as
well, more than any rule or reference looks back.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from throughline.errors import ArchiveError, SettingsError
from throughline.identity import hash_body
from throughline.market.archive import cut_panel, window_ms
from throughline.market.archive_loading import Loaded, refused_bars
from throughline.market.cleaning import clean
from throughline.market.notes import clean_notes
from throughline.market.panel import MarketPanel, QuarantinedRow, SourceDescription
from throughline.market.quarantine import value_text
from throughline.market.references import Series, build_series, pair_key
from throughline.market.rows import HOUR_MS, CleaningRules, RawBars
from throughline.market.simulated_hours import DrawnHours, draw_hours
from throughline.market.simulated_lives import BENCHMARK, TICKERS
from throughline.market.simulated_world import World, build_world

I64 = NDArray[np.int64]

FIRST_DAY = date(2020, 1, 1)
LAST_DAY = date(2029, 12, 31)
GENERATOR_VERSION = 2
_CONTEXT_DAYS = 4
_MAX_AGE_MS = 36 * HOUR_MS
_RULES = CleaningRules(stale_bars=24, doubtful_jump=5.0)
"""Coins here rise by up to 80 % a day, over gaps too, and their calendar says which jumps are no moves (see
`simulated_world`): fivefold tells the two apart."""


class SimulatedProvider:
    """The invented market of a seed (implements `MarketDataProvider`)."""

    def __init__(self, seed: int = 7) -> None:
        """Make the market of `seed` (0 to 2^53 - 1). Raises SettingsError for another seed."""
        if not 0 <= seed < 2**53:
            raise SettingsError(f"seed {seed}: the simulated market takes whole numbers from 0 to 2^53 - 1")
        self._seed = seed
        self._days = (LAST_DAY - FIRST_DAY).days + 1
        self._epoch = int(datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC).timestamp()) * 1000

    @cached_property
    def world(self) -> World:
        """The calendar behind the bars; for tests and pictures, never for decisions (it knows the future)."""
        return build_world(self._seed, self._days)

    @property
    def description(self) -> SourceDescription:
        """What this source is."""
        identity = {"schema_version": 1, "generator": "simulated", "version": GENERATOR_VERSION, "seed": self._seed}
        return SourceDescription(
            name=f"simulated (seed {self._seed})",
            source_hash=hash_body("market_source", identity),
            interval_ms=HOUR_MS,
            close_only=False,
            capabilities=frozenset(
                {
                    "ohlc",
                    "volume",
                    "market_cap",
                    "volume_24h",
                    "pool_reserve",
                    "top10_share",
                    "lp_locked_share",
                    "sentiment",
                }
            ),
            benchmark=BENCHMARK,
            survivors_only=False,
            availability="observed",
            assumptions=(
                "The market is invented: prices, coins, rug pulls and sentiment come from a seeded generator.",
                "Its returns say nothing about any real market; it is there to show and test the system.",
            ),
            first_day=FIRST_DAY,
            last_day=LAST_DAY,
            doubtful_jump=_RULES.doubtful_jump,
            instruments=len(TICKERS),
        )

    def load(self, start: datetime, end: datetime) -> MarketPanel:
        """Return the bars that open in [start, end). See `MarketDataProvider.load`.

        Raises ArchiveError for a window that is not whole UTC days or that starts after the last simulated day.
        """
        first, last = window_ms(start, end)
        day_ms = 24 * HOUR_MS
        first_day, last_day = (first - self._epoch) // day_ms, (last - self._epoch) // day_ms
        if first_day >= self._days:
            raise ArchiveError(f"the simulated market ends on {LAST_DAY}; ask for an earlier day than {start.date()}")
        low, high = max(first_day - _CONTEXT_DAYS, 0), min(max(last_day, 1), self._days)
        hours = draw_hours(self.world, self._seed, low, high)
        panel = cut_panel(self._clean(hours), first, last, HOUR_MS, False)
        carried = np.array([self._segment_before(column, low * 24) for column in range(len(TICKERS))], np.int64)
        carried[first < carried] = -1
        np.maximum(panel.segment_start, carried[None, :], out=panel.segment_start)
        return panel

    def _segment_before(self, column: int, hour: int) -> int:
        starts = self.world.segments[column]
        place = int(np.searchsorted(starts, hour, "left")) - 1
        return -1 if place < 0 else self._epoch + int(starts[place]) * HOUR_MS

    def _clean(self, hours: DrawnHours) -> Loaded:
        time = self._epoch + hours.hour * HOUR_MS
        order = np.argsort(pair_key(hours.ticker, time), kind="stable")
        o, h, low, c = (column[order] for column in (hours.open, hours.high, hours.low, hours.close))
        raw = RawBars(hours.ticker[order], time[order], o, h, low, c, hours.volume[order])
        verdict = clean(raw, HOUR_MS, _RULES)
        quarantined = refused_bars(raw, verdict, TICKERS, True)
        keep, bars = np.flatnonzero(verdict.believed), verdict.bars
        notes = sorted(clean_notes(verdict, TICKERS), key=lambda note: (note.time, note.instrument, note.kind))
        segment = np.full(len(keep), -1, np.int64)
        codes = raw.code[keep]
        for column, starts in enumerate(self.world.segments):
            rows = np.flatnonzero(codes == column)
            if len(rows):
                hour = (raw.time[keep[rows]] - self._epoch) // HOUR_MS
                segment[rows] = self._epoch + starts[np.searchsorted(starts, hour, "right") - 1] * HOUR_MS
        series, refused = self._series(hours, order, keep)
        quarantined = sorted(
            [*quarantined, *refused], key=lambda row: (row.event_time, row.instrument, row.rule, row.detail)
        )
        by_time = np.argsort(raw.time[keep], kind="stable")
        rows = keep[by_time]
        return Loaded(
            instruments=TICKERS,
            code=raw.code[rows],
            time=raw.time[rows],
            prices=(bars.open[rows], bars.high[rows], bars.low[rows], bars.close[rows]),
            volume=bars.volume[rows],
            segment=segment[by_time],
            key=pair_key(codes, raw.time[keep]),
            key_segment=segment,
            series=series,
            quarantined=tuple(quarantined),
            quarantined_time=np.array([row.event_time for row in quarantined], np.int64),
            rows_read=len(order),
            dropped=int(verdict.dropped.sum()),
            notes=tuple(notes),
            notes_time=np.array([note.time for note in notes], np.int64),
        )

    def _series(
        self, hours: DrawnHours, order: NDArray[np.intp], keep: NDArray[np.intp]
    ) -> tuple[dict[str, Series], list[QuarantinedRow]]:
        """Return what was published at the close of believed bars, and readings refused as negative."""
        result: dict[str, Series] = {}
        refused: list[QuarantinedRow] = []
        rows = order[keep]
        closes = self._epoch + (hours.hour[rows] + 1) * HOUR_MS
        for name, values in hours.published.items():
            value = values[rows]
            bad = value < 0 if name != "sentiment" else np.zeros(len(value), np.bool_)
            for row in np.flatnonzero(bad).tolist():
                detail = f"{name}={value_text(float(value[row]))}"
                ticker = TICKERS[hours.ticker[rows[row]]]
                refused.append(QuarantinedRow(ticker, int(closes[row]), f"negative_{name}", detail))
            good = np.flatnonzero(~np.isnan(value) & ~bad)
            code, time = hours.ticker[rows][good], closes[good]
            result[name], _ = build_series(
                code, value[good], time, time, _MAX_AGE_MS, f"simulated:{name}", own_row=True
            )
        day_end = self._epoch + (hours.daily_day + 1) * 24 * HOUR_MS
        result["volume_24h"], _ = build_series(
            hours.daily_ticker, hours.daily_volume, day_end, day_end, _MAX_AGE_MS, "simulated:volume_24h", own_row=True
        )
        return result, refused


def simulated_window(first: date, days: int) -> tuple[datetime, datetime]:
    """Return the aware window of `days` days from `first`, for `SimulatedProvider.load`."""
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    return start, start + timedelta(days=days)
