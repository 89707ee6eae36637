"""The panel: market data of one window on one time grid. What every reader of market data is handed.

Belongs here: the data structure and nothing else. Providers (archive, simulated) make panels; the scan, the session and
the reports read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from throughline.market.jumps import DOUBTFUL_JUMP

FloatGrid = NDArray[np.float64]
TimeGrid = NDArray[np.int64]


@dataclass(frozen=True)
class Reference:
    """A quantity beside the bars (market cap, reported volume, pool reserve ...) as known at each bar's close.

    values: float64 [T, N], NaN = not known. event_time, available_at: int64 [T, N], Unix ms, -1 where not known;
    ``available_at[i, n] <= open_time[i] + interval_ms`` always holds. `source` names the file and column it came from.
    """

    values: FloatGrid
    event_time: TimeGrid
    available_at: TimeGrid
    source: str


@dataclass(frozen=True)
class QuarantinedRow:
    """A row that was read and not believed: where it was, which rule refused it, what it said."""

    instrument: str
    event_time: int
    rule: str
    detail: str


@dataclass(frozen=True)
class DataNote:
    """A fact about rows that is no fault of theirs. kind: 'untraded', 'doubtful_jump', 'corporate_action',
    'corporate_action_not_applied' or 'not_closed_yet'. time: open of the first bar concerned (Unix ms); rows: how many
    rows it is about; detail: in words, may be empty."""

    kind: str
    instrument: str
    time: int
    rows: int
    detail: str


@dataclass(frozen=True)
class MarketPanel:
    """Cleaned bars of every instrument for a window, on a regular grid of T bars and N instruments.

    Row i holds the bars that open at ``open_time[i]`` (Unix ms UTC) and are known at ``open_time[i] + interval_ms``.
    Instruments are tickers, sorted by their UTF-8 bytes. Prices are USD; NaN where there is no believed bar. With
    `close_only` data open = high = low = close. `volume` is the quote volume of the bar in USD; NaN = unknown.
    `segment_start[i, n]` is the open (ms) of the first bar of the instrument segment that the latest bar at or before i
    belongs to, -1 before the first bar. It is a function of rows at or before i alone. Values never depend on the
    window asked for: the same bar is the same in every panel that holds it. `price_factor[i, n]` is what the prices of
    a bar were multiplied with for corporate actions, so that they are in the units in which the instrument's history
    began; None where the source has no such bar. `notes` are facts about rows of the window that no seal holds, in
    order of time.
    """

    interval_ms: int
    open_time: TimeGrid
    instruments: tuple[str, ...]
    open: FloatGrid
    high: FloatGrid
    low: FloatGrid
    close: FloatGrid
    volume: FloatGrid
    segment_start: TimeGrid
    references: Mapping[str, Reference]
    quarantined: tuple[QuarantinedRow, ...]
    close_only: bool
    price_factor: FloatGrid | None = None
    notes: tuple[DataNote, ...] = ()


@dataclass(frozen=True)
class SourceDescription:
    """What a provider's data is and is not; `source_hash` is its identity (docs/architecture.md, Words).

    capabilities: the reference names and bar columns the source can give (for example ``{"ohlc", "volume",
    "market_cap", "volume_24h", "pool_reserve", "top10_share", "lp_locked_share", "sentiment"}``).
    benchmark: ticker that stands for the market (BTC), or None. survivors_only: the universe holds only instruments
    that were alive later; attrition_per_48h: the expected total loss per 48 h held that goes with that (fraction).
    availability: "observed" or "assumed". assumptions: sentences for the report. first_day, last_day: what can be run;
    the last day is over and complete in the files. doubtful_jump: factor from which on a step between two bars is not
    believed to be a move of the market (``throughline.market.jumps``). after_last_day: a sentence on the day after it,
    where the files hold a part of it. left_out: sentences on rows that no day holds. doubts: sentences on what a reader
    of the files should look at. instruments: how many it has, from which the length of a chunk of days follows; 0 where
    that is not known.
    """

    name: str
    source_hash: str
    interval_ms: int
    close_only: bool
    capabilities: frozenset[str]
    benchmark: str | None
    survivors_only: bool
    availability: str
    assumptions: tuple[str, ...]
    first_day: date
    last_day: date
    attrition_per_48h: float = 0.0
    doubtful_jump: float = DOUBTFUL_JUMP
    after_last_day: str = ""
    left_out: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    instruments: int = 0


class MarketDataProvider(Protocol):
    """Where market data comes from, whatever the mode."""

    @property
    def description(self) -> SourceDescription:
        """What this source is."""
        ...

    def load(self, start: datetime, end: datetime) -> MarketPanel:
        """Return the bars that open in [start, end) (aware UTC, whole days). Days without data give NaN rows.

        Rows quarantined in the window are listed in the panel. Raises ArchiveError for unusable input.
        """
        ...
