"""The archive provider: a described set of files as market panels.

Belongs here: loading described tables once, cleaning them, cutting windows. Does not belong here: file formats
(`columns`), rules (`cleaning`, `references`). The whole archive is read and cleaned once per provider and kept as plain
columns (about 56 bytes a bar), because cleaning looks back without limit and a window must not change a value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np

from throughline.clock import Clock
from throughline.errors import ArchiveError
from throughline.identity import time_text_ms, time_to_ms
from throughline.market.archive_loading import Loaded, load_archive
from throughline.market.days import ArchiveDays, archive_days
from throughline.market.description import (
    DAY_MS,
    ArchiveDescription,
    load_description,
)
from throughline.market.panel import DataNote, MarketPanel, Reference, SourceDescription
from throughline.market.paths import DataFolders
from throughline.market.references import pair_key
from throughline.market.rows import F64


def open_archive(
    description: Path, data_dir: Path, clock: Clock | None = None, also: Sequence[Path] = ()
) -> ArchiveProvider:
    """Return the provider of a described archive.

    Args:
        description: the TOML file.
        data_dir: the folder that its relative paths start from.
        clock: read once, when the files are read: bars that close later are left out. None takes every bar of the
            files as closed, which is right for files of the past.
        also: further folders that its files may lie in; files anywhere else are refused.

    Raises:
        SettingsError: for a wrong description.
    """
    return ArchiveProvider(load_description(description), data_dir, clock, also)


class ArchiveProvider:
    """Market data from described files (implements `MarketDataProvider`)."""

    def __init__(
        self,
        description: ArchiveDescription,
        data_dir: Path,
        clock: Clock | None = None,
        also: Sequence[Path] = (),
    ) -> None:
        self._archive = description
        self._folders = DataFolders(data_dir, tuple(also))
        self._clock = clock

    @cached_property
    def _loaded(self) -> Loaded:
        now = None if self._clock is None else time_to_ms(self._clock.now())
        return load_archive(self._archive, self._folders, now)

    @cached_property
    def _days(self) -> ArchiveDays:
        return archive_days(self._loaded.code, self._loaded.time, self._archive.bars.interval_ms)

    @property
    def archive(self) -> ArchiveDescription:
        """The parsed description."""
        return self._archive

    @property
    def bars(self) -> int:
        """Number of believed bars in the whole archive."""
        return len(self._loaded.time)

    @property
    def rows_read(self) -> int:
        """Number of bar rows in the files."""
        return self._loaded.rows_read

    @property
    def dropped(self) -> int:
        """Number of bar rows dropped because they repeat another row exactly."""
        return self._loaded.dropped

    @property
    def quarantine_counts(self) -> dict[str, int]:
        """Rows quarantined in the whole archive, by rule."""
        counts = Counter(row.rule for row in self._loaded.quarantined)
        return {rule: counts[rule] for rule in sorted(counts)}

    @property
    def notes(self) -> tuple[DataNote, ...]:
        """Notes on rows of the whole archive, in order of time."""
        return self._loaded.notes

    @property
    def strays(self) -> tuple[date, ...]:
        """Days whose rows stand far from all others; they move neither the first nor the last day."""
        return self._days.strays

    @cached_property
    def description(self) -> SourceDescription:
        """What this source is; reads the files, since first and last day are facts of the data.

        Raises ArchiveError where no day of the files is over and complete.
        """
        archive, days = self._archive, self._days
        if days.last is None:
            raise ArchiveError(f"{archive.name}: no day of its files can be run: {days.after_last}; give a longer file")
        capabilities = {reference.name for reference in archive.references}
        if not archive.close_only:
            capabilities.add("ohlc")
        if archive.bars.volume is not None:
            capabilities.add("volume")
        return SourceDescription(
            name=archive.name,
            source_hash=archive.source_hash,
            interval_ms=archive.bars.interval_ms,
            close_only=archive.close_only,
            capabilities=frozenset(capabilities),
            benchmark=archive.benchmark,
            survivors_only=archive.survivors_only,
            availability=archive.availability,
            assumptions=archive.assumptions,
            first_day=days.first,
            last_day=days.last,
            attrition_per_48h=archive.attrition_per_48h,
            doubtful_jump=archive.cleaning.doubtful_jump,
            after_last_day=days.after_last,
            left_out=self._left_out(),
            doubts=self._loaded.doubts,
            instruments=len(self._loaded.instruments),
        )

    def _left_out(self) -> tuple[str, ...]:
        """Return sentences on rows that are no part of any day that can be run."""
        sentences = []
        early = [note for note in self.notes if note.kind == "not_closed_yet"]
        if early:
            rows = sum(note.rows for note in early)
            sentences.append(
                f"{rows:,} row(s) of {self._archive.name} are left out (not_closed_yet), because their bars close "
                f"after now; the first is {early[0].instrument} at {time_text_ms(early[0].time)}."
            )
        if self.strays:
            days = ", ".join(map(str, self.strays[:5])) + (" ..." if len(self.strays) > 5 else "")
            sentences.append(
                f"{self._archive.name} has rows more than a week away from all others ({days}): they are not counted "
                "as its days; check their times."
            )
        return tuple(sentences)

    def load(self, start: datetime, end: datetime) -> MarketPanel:
        """Return the bars that open in [start, end). See `MarketDataProvider.load`.

        Raises ArchiveError for a window that is not whole UTC days or that starts after the archive's last day.
        """
        first, last = window_ms(start, end)
        loaded, interval = self._loaded, self._archive.bars.interval_ms
        if first > loaded.time[-1]:
            raise ArchiveError(
                f"{self._archive.name}: the data ends on {_day(int(loaded.time[-1]))}, so nothing can be read from "
                f"{start.date()} on; give an earlier date or a longer file"
            )
        return cut_panel(loaded, first, last, interval, self._archive.close_only)


def window_ms(start: datetime, end: datetime) -> tuple[int, int]:
    """Return the window in Unix ms. Raises ArchiveError unless both are aware, whole UTC days, in order."""
    if start.tzinfo is None or end.tzinfo is None:
        raise ArchiveError(f"window {start} to {end}: times need a time zone; pass aware UTC datetimes")
    first, last = time_to_ms(start), time_to_ms(end)
    if first % DAY_MS or last % DAY_MS or first >= last:
        raise ArchiveError(f"window {start} to {end}: must be whole UTC days, the end after the start")
    return first, last


def cut_panel(loaded: Loaded, first: int, last: int, interval: int, close_only: bool) -> MarketPanel:
    """Return the dense panel of [first, last) (Unix ms)."""
    size = len(loaded.instruments)
    open_time = np.arange(first, last, interval, dtype=np.int64)
    low, high = np.searchsorted(loaded.time, [first, last])
    row = (loaded.time[low:high] - first) // interval
    column = loaded.code[low:high]

    def grid(values: F64) -> F64:
        result = np.full((len(open_time), size), np.nan)
        result[row, column] = values[low:high]
        return result

    close = grid(loaded.prices[3])
    opened, top, bottom = (close,) * 3 if close_only else (grid(price) for price in loaded.prices[:3])
    codes = np.arange(size, dtype=np.int32)
    segment = np.full((len(open_time), size), -1, np.int64)
    segment[row, column] = loaded.segment[low:high]
    place = np.searchsorted(loaded.key, pair_key(codes, np.full(size, first - 1, np.int64)), "right") - 1
    before = np.where(place >= 0, loaded.key_segment[np.maximum(place, 0)], -1)
    before[(place < 0) | (loaded.key[np.maximum(place, 0)] < pair_key(codes, np.zeros(size, np.int64)))] = -1
    segment[0] = np.maximum(segment[0], before)
    closes = open_time + interval
    references = {}
    for name, series in loaded.series.items():
        references[name] = Reference(*series.as_of(codes, closes), series.source)
    factor = None
    if loaded.price_factor is not None:
        factor = np.ones((len(open_time), size))
        factor[row, column] = loaded.price_factor[low:high]
    notes_low, notes_high = np.searchsorted(loaded.notes_time, [first, last])
    quarantined_low, quarantined_high = np.searchsorted(loaded.quarantined_time, [first, last])
    return MarketPanel(
        interval_ms=interval,
        open_time=open_time,
        instruments=loaded.instruments,
        open=opened,
        high=top,
        low=bottom,
        close=close,
        volume=grid(loaded.volume),
        segment_start=np.maximum.accumulate(segment, axis=0),
        references=references,
        quarantined=loaded.quarantined[quarantined_low:quarantined_high],
        close_only=close_only,
        price_factor=factor,
        notes=loaded.notes[notes_low:notes_high],
    )


def _day(milliseconds: int) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)).date()
