"""Small slices of the three real archives, and the flow over them without an orchestrator. For tests only.

A slice is cut into a folder laid out like the real one, so that the shipped descriptions read it unchanged and the
source's identity is the same: what differs between two cuts is data, never the experiment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from throughline.clock import FixedClock
from throughline.configuration import load_configuration
from throughline.experiment.identity import Experiment, make_experiment
from throughline.experiment.registry import register
from throughline.flow import FlowContext, make_context, run_range
from throughline.flow.context import DayResult
from throughline.market.archive import open_archive
from throughline.market.panel import MarketDataProvider
from throughline.market.simulated import SimulatedProvider
from throughline.proof.settings import open_proof
from throughline.quality.verdict import Failure, GateRunner
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database
from throughline.storage.ledger import read_all_seals

CLOCK = FixedClock(datetime(2030, 1, 1, tzinfo=UTC))
LOCK, CODE = "1" * 64, "2" * 64  # of no matter here: a law that an edit in between would break is hard to work on
Seals = dict[str, dict[str, list[str]]]
Edit = Callable[[pd.DataFrame], pd.DataFrame]

_HOURLY = """
[strategy]
momentum_minimum = 0.08
volatility = { minimum = 0.01 }
market_cap = { minimum = 100000.0, maximum = 2000000000.0, on_missing = "admit_flagged" }
[sizing]
max_positions = 3
"""
_CLOSES = """
[strategy]
momentum_minimum = 0.06
market_cap = { enabled = false }
volume_24h = { enabled = false }
[sizing]
max_positions = 3
"""


@dataclass(frozen=True)
class Slice:
    """A part of a source: which instruments and days are kept, and which days and settings the flow is run with."""

    name: str
    start: date
    end: date
    settings: str = ""
    archive: str | None = None
    bars: str = ""
    instrument: str = ""
    time: str = ""
    instruments: tuple[str, ...] = ()
    first: date = date(1970, 1, 1)
    last: date = date(2099, 1, 1)

    def days(self, frame: pd.DataFrame) -> pd.Series:
        """Return the UTC day of each row of the bars."""
        if self.time == "date":
            return pd.to_datetime(frame["date"]).dt.date
        return pd.to_datetime(frame[self.time], unit="ms").dt.date


HOURLY = Slice(
    name="hourly",
    start=date(2021, 2, 2),
    end=date(2021, 2, 10),
    settings=_HOURLY,
    archive="binance-hourly-2021.toml",
    bars="binance_spot_ohlcv_2020_2021/ohlcv_1h.parquet",
    instrument="pair",
    time="open_time_ms",
    instruments=tuple(
        f"{name}/USDT"
        for name in ("BTC", "BTCST", "CELR", "COCOS", "CTSI", "DOCK", "NKN", "PNT", "REEF", "SXP", "TWT", "WING")
    ),
    first=date(2021, 1, 24),
    last=date(2021, 2, 10),
)
DAILY = Slice(
    name="daily",
    start=date(2018, 1, 20),
    end=date(2018, 2, 2),
    archive="coinmarketcap-2018.toml",
    bars="coinmarketcap_daily_2018h1/ohlcv.parquet",
    instrument="coin_slug",
    time="date",
    first=date(2018, 1, 10),
    last=date(2018, 2, 2),
)
CLOSES = Slice(
    name="closes",
    start=date(2022, 5, 6),
    end=date(2022, 5, 15),
    settings=_CLOSES,
    archive="binance-closes-2022.toml",
    bars="binance_spot_1h_close_2022_2025/close_1h.parquet",
    instrument="symbol",
    time="open_time_ms",
    instruments=tuple(
        f"{name}USDT"
        for name in (
            "BTC",
            "LUNA",
            "FTT",
            "FORTH",
            "TRB",
            "KDA",
            "MDT",
            "CITY",
            "CHR",
            "IDEX",
            "POND",
            "TWT",
            "REI",
            "OM",
        )
    ),
    first=date(2022, 4, 28),
    last=date(2022, 5, 15),
)
SIMULATED = Slice(name="simulated", start=date(2021, 3, 1), end=date(2021, 3, 8))
SLICES: Mapping[str, Slice] = {item.name: item for item in (HOURLY, DAILY, CLOSES, SIMULATED)}


def cut(piece: Slice, shared: Path, folder: Path, last: date | None = None, edit: Edit | None = None) -> Path:
    """Write the slice below `folder` and return it. last: the last day kept; edit: changes the bars before writing."""
    if piece.archive is None:
        return folder
    frame = _read(shared / piece.bars, piece.instrument, piece.instruments)
    if not piece.instruments:  # every twentieth coin, whatever the coins are called
        names = [*sorted(frame[piece.instrument].unique())[::20], "bitcoin"]
        frame = frame[frame[piece.instrument].isin(names)]
    days = piece.days(frame)
    frame = frame[(days >= piece.first) & (days <= (last or piece.last))].reset_index(drop=True)
    if edit is not None:
        frame = edit(frame)
    _write(frame, folder / piece.bars)
    if piece.name.startswith("hourly"):
        mapping = Path(piece.bars).parent / "pair_to_coingecko.csv"
        (folder / mapping).write_bytes((shared / mapping).read_bytes())
        coins = pd.read_csv(shared / mapping)
        wanted = coins[coins["pair"].isin(frame["pair"])]["coingecko_id"].dropna().tolist()
        prices = "coingecko_daily_2021/prices.parquet"
        caps = _read(shared / prices, "coin_id", tuple(wanted))
        known = pd.to_datetime(caps["timestamp_ms"], unit="ms").dt.date
        _write(caps[(known >= piece.first) & (known <= (last or piece.last))].reset_index(drop=True), folder / prices)
    return folder


@cache
def _read(path: Path, column: str, kept: tuple[str, ...]) -> pd.DataFrame:
    """Return the rows of a file whose `column` is in `kept` (empty = all); not to be changed."""
    return pd.read_parquet(path, filters=[(column, "in", list(kept))] if kept else None)


def _write(frame: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, index=False)


def provider_of(piece: Slice, folder: Path, repo: Path) -> MarketDataProvider:
    """Return the provider of a slice that was cut into `folder`."""
    if piece.archive is None:
        return SimulatedProvider(7)
    return open_archive(repo / "examples" / "archives" / piece.archive, folder)


def experiment_of(piece: Slice, provider: MarketDataProvider, scratch: Path, **changes: Any) -> Experiment:
    """Return the slice's experiment. changes: seed, epoch, settings (TOML text)."""
    path = scratch / f"{piece.name}-settings.toml"
    path.write_text(changes.pop("settings", piece.settings), encoding="utf-8")
    told = {"seed": 0, "epoch": piece.start} | changes
    mode = "demo" if piece.archive is None else "backtest"
    source = provider.description.source_hash
    return make_experiment(mode, told["epoch"], load_configuration(path), source, told["seed"], lock=LOCK, code=CODE)


class Gates:
    """A gate runner that fails the days it is told to, without Great Expectations."""

    def __init__(self, failing: Mapping[tuple[str, date], str] | None = None) -> None:
        """failing: (asset, day) -> the rule that breaks."""
        self.failing = dict(failing or {})

    def suite(self, asset: str) -> tuple[str, str]:
        """Return a suite that names the asset."""
        return f"{asset}-test", hashlib.sha256(asset.encode()).hexdigest()

    def evaluate(
        self, asset: str, rows: pd.DataFrame, days: pd.DataFrame, wanted: Sequence[date]
    ) -> Mapping[date, tuple[Failure, ...]]:
        """Return the failures that were asked for."""
        broken = {day: self.failing.get((asset, day)) for day in wanted}
        return {day: (Failure(rule, 3, ("a", "b")),) if rule else () for day, rule in broken.items()}


def context(
    experiment: Experiment,
    provider: MarketDataProvider,
    database: Database,
    store: ArtifactStore,
    gates: GateRunner | None = None,
) -> FlowContext:
    """Register the experiment and return its context with a fresh view."""
    engine = database.engine("writer")
    register(engine, experiment)
    proof = open_proof(database.home, database.embedded, clock=CLOCK)
    return make_context(experiment, provider, engine, store, gates or Gates(), CLOCK, "test-run", proof)


@dataclass(frozen=True)
class Bench:
    """Where a test runs flows: the session's database and a store of its own."""

    database: Database
    store: ArtifactStore
    scratch: Path
    repo: Path

    @property
    def engine(self) -> Engine:
        """The writer's engine."""
        return self.database.engine("writer")

    def run(
        self,
        experiment: Experiment,
        provider: MarketDataProvider,
        start: date,
        end: date,
        chunk_days: int = 60,
        gates: GateRunner | None = None,
    ) -> list[DayResult]:
        """Run every stage over [start, end] with a fresh view of the data, as a new process would have."""
        return run_range(context(experiment, provider, self.database, self.store, gates), start, end, chunk_days)

    def seals(self, experiment: Experiment, last: date | None = None) -> Seals:
        """Return {asset: {day: [root, status]}} of an experiment."""
        return seals_of(self.engine, experiment.id, last)

    def rows(self, experiment: Experiment, table: str) -> list[Any]:
        """Return the records of a table."""
        from throughline.storage.ledger import read_rows

        with self.engine.connect() as connection:
            return read_rows(connection, table, experiment.id)


def seals_of(engine: Engine, experiment: str, last: date | None = None) -> Seals:
    """Return {asset: {day: [root, status]}}."""
    told: Seals = {}
    with engine.connect() as connection:
        for seal in read_all_seals(connection, experiment, None, last):
            told.setdefault(seal.asset, {})[seal.partition.isoformat()] = [seal.root, seal.status]
    return told
