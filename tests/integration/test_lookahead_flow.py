"""No look-ahead: everything after t is changed, nothing up to t may change.

The files themselves are changed (prices, volumes, caps, rows taken away, rows and a coin added), so that reading,
cleaning, segments and references are under test as much as decisions are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.flow_slices import (
    CLOSES,
    DAILY,
    HOURLY,
    SIMULATED,
    Bench,
    Slice,
    cut,
    experiment_of,
    provider_of,
)
from tests.integration.home_copies import open_copy
from throughline.configuration import Configuration, load_configuration
from throughline.flow.market_view import MarketView, day_ms, midnight
from throughline.identity import parse_time, time_to_ms
from throughline.market.panel import MarketDataProvider, MarketPanel, SourceDescription
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database

DAY = timedelta(days=1)
PRICES = "coingecko_daily_2021/prices.parquet"


@pytest.fixture(scope="module")
def bench(database: Database, tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Bench:
    """Return a bench on the session's database."""
    scratch = tmp_path_factory.mktemp("lookahead")
    return Bench(database, ArtifactStore(scratch / "artifacts"), scratch, repo)


def _opened(piece: Slice, frame: pd.DataFrame) -> np.ndarray:
    if piece.time == "date":
        return np.array([day_ms(day) for day in piece.days(frame)])
    return frame[piece.time].to_numpy()


def _changed(piece: Slice, frame: pd.DataFrame, t: int, seed: int) -> pd.DataFrame:
    """Return the bars with every row that opens at or after t made another."""
    random = np.random.Generator(np.random.PCG64(seed))
    after = _opened(piece, frame) >= t
    future = frame[after].copy()
    factor = random.choice([0.001, 0.3, 0.8, 1.1, 1.5, 40.0], len(future))
    for column in future.columns:
        if column in (piece.instrument, piece.time):
            continue
        scale = factor if any(word in column for word in ("open", "high", "low", "close")) else random.uniform(0, 30)
        future[column] = future[column].astype("float64") * scale
    bad = random.uniform(size=len(future)) < 0.02
    closes = next(column for column in future.columns if column.startswith("close"))
    future.loc[bad, closes] = -1.0  # refused rows
    kept = future[random.uniform(size=len(future)) > 0.3]
    coin = kept[kept[piece.instrument] == kept[piece.instrument].iloc[0]].copy()
    coin[piece.instrument] = "0-NEWCOIN/USDT"
    return pd.concat([frame[~after], kept, coin], ignore_index=True)


def _perturbed(piece: Slice, shared: Path, folder: Path, t: int, seed: int, repo: Path) -> MarketDataProvider:
    cut(piece, shared, folder, edit=lambda frame: _changed(piece, frame, t, seed))
    if piece.name.startswith("hourly"):
        random = np.random.Generator(np.random.PCG64(seed + 1))
        caps = pd.read_parquet(folder / PRICES)
        after = (caps["timestamp_ms"] > t).to_numpy()  # what is stamped with t is known at t
        for column in ("market_cap_usd", "total_volume_usd"):
            caps.loc[after, column] *= random.uniform(0.0, 50.0, int(after.sum()))
        caps = caps[~after | (random.uniform(size=len(caps)) > 0.3)]
        caps.to_parquet(folder / PRICES, index=False)
    return provider_of(piece, folder, repo)


@pytest.fixture(scope="module")
def originals(shared_data: Path, tmp_path_factory: pytest.TempPathFactory, repo: Path) -> dict[str, MarketDataProvider]:
    """Return the providers of the slices as they are."""
    folder = tmp_path_factory.mktemp("originals")
    return {p.name: provider_of(p, cut(p, shared_data, folder / p.name), repo) for p in (HOURLY, DAILY, CLOSES)}


def _configuration(piece: Slice, scratch: Path) -> Configuration:
    path = scratch / f"{piece.name}.toml"
    path.write_text(piece.settings, encoding="utf-8")
    return load_configuration(path)


@pytest.mark.parametrize("piece", [HOURLY, DAILY, CLOSES], ids=lambda piece: piece.name)
@settings(max_examples=5)
@given(hours=st.integers(12, 200), seed=st.integers(0, 2**20))
def test_bars_features_and_signals_up_to_t_do_not_know_what_comes_after_t(
    originals: Mapping[str, MarketDataProvider],
    shared_data: Path,
    tmp_path_factory: pytest.TempPathFactory,
    repo: Path,
    piece: Slice,
    hours: int,
    seed: int,
) -> None:
    folder = tmp_path_factory.mktemp("changed")
    t = day_ms(piece.start) + (hours - hours % (24 if piece.time == "date" else 1)) * 3_600_000
    last = min(piece.end, (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=t)).date())
    configuration = _configuration(piece, folder)
    pair = (originals[piece.name], _perturbed(piece, shared_data, folder, t, seed, repo))
    views = [MarketView(provider, configuration) for provider in pair]
    day = piece.start
    while day_ms(day + DAY) <= t:
        assert views[0].blocks(day).lines == views[1].blocks(day).lines
        day += DAY
    one, two = (view.screened(piece.start, last, frozenset()) for view in views)
    known = int(np.searchsorted(one.panel.open_time + one.panel.interval_ms, t, side="right"))
    assert known > 0
    # a coin that is listed after t is a column without a single value up to t
    columns = [two.panel.instruments.index(name) for name in one.panel.instruments]
    added = [k for k in range(len(two.panel.instruments)) if k not in columns]
    assert not two.screen.signals[:known, added].any()
    assert np.isnan(two.panel.close[:known, added]).all()

    def same(a: np.ndarray, b: np.ndarray, what: str) -> None:
        np.testing.assert_array_equal(a[:known], b[:known, columns], err_msg=what)

    for name in ("open", "high", "low", "close", "volume", "segment_start"):
        same(getattr(one.panel, name), getattr(two.panel, name), name)
    for name, item in one.panel.references.items():
        same(item.values, two.panel.references[name].values, name)
        same(item.available_at, two.panel.references[name].available_at, name)
    for name, grid in one.features.values.items():
        same(grid, two.features.values[name], name)
    same(one.sizes, two.sizes, "sizes")
    for name in ("eligible", "triggered", "signals"):
        same(getattr(one.screen, name), getattr(two.screen, name), name)
    for name, mask in one.screen.removed.items():
        same(mask, two.screen.removed[name], name)


class Shaken:
    """A provider whose panels are another market from t on."""

    def __init__(self, inner: MarketDataProvider, t: int) -> None:
        self._inner, self._t = inner, t

    @property
    def description(self) -> SourceDescription:
        """What the source is: the same."""
        return self._inner.description

    def load(self, start: datetime, end: datetime) -> MarketPanel:
        """Return the panel with every bar and reference from t on changed, and some taken away."""
        panel = self._inner.load(start, end)
        after = (panel.open_time >= self._t)[:, None]
        index = (panel.open_time[:, None] // panel.interval_ms + np.arange(panel.close.shape[1])) % 7
        factor = np.where(index == 3, np.nan, np.where(index % 2, 1.25, 0.8))
        grids = {
            n: np.where(after, getattr(panel, n) * factor, getattr(panel, n)) for n in ("open", "high", "low", "close")
        }
        references = {
            name: replace(item, values=np.where(after, item.values * 3.0, item.values))
            for name, item in panel.references.items()
        }
        volume = np.where(after, panel.volume * 0.5 * factor, panel.volume)
        return replace(panel, volume=volume, references=references, **grids)


_WHEN = {
    "market_scans": ("decision_time", True),
    "candidates": ("decision_time", True),
    "research_docs": ("decision_time", True),
    "executions": ("fill_time", False),  # an entry decided at t fills in the bar after it
    "outcomes": ("exit_bar_open", False),
    "shadow_outcomes": ("exit_time", False),
}


def _up_to(bench: Bench, experiment: Any, t: int) -> dict[str, list[Any]]:
    told: dict[str, list[Any]] = {}
    for table, (key, included) in _WHEN.items():
        rows = [(row, json.loads(row.body)) for row in bench.rows(experiment, table)]
        told[table] = [
            (str(row.uuid), row.content_hash, body)
            for row, body in rows
            if body[key] is not None
            and (time_to_ms(parse_time(body[key])) <= t if included else time_to_ms(parse_time(body[key])) < t)
        ]
    return told


@pytest.mark.parametrize(
    ("piece", "hours"),
    [(HOURLY, 79), (HOURLY, 120), (DAILY, 8 * 24), (CLOSES, 101), (SIMULATED, 90), (SIMULATED, 96)],
    ids=lambda value: getattr(value, "name", value),
)
def test_no_record_up_to_t_knows_what_comes_after_t(
    bench: Bench,
    originals: Mapping[str, MarketDataProvider],
    shared_data: Path,
    tmp_path: Path,
    database: Database,
    piece: Slice,
    hours: int,
) -> None:
    t = day_ms(piece.start) + hours * 3_600_000
    midday: date = (midnight(piece.start) + timedelta(hours=hours)).date()
    seed = 400 + hours
    if piece.archive is None:
        provider = provider_of(piece, tmp_path, bench.repo)
        changed: MarketDataProvider = Shaken(provider, t)
    else:
        provider = originals[piece.name]
        changed = _perturbed(piece, shared_data, tmp_path, t, hours, bench.repo)
    experiment = experiment_of(piece, provider, bench.scratch, seed=seed)
    bench.run(experiment, provider, piece.start, piece.end)
    before, records = bench.seals(experiment, midday - DAY), _up_to(bench, experiment, t)
    assert records["candidates"], "nothing was decided before t: the test proves nothing"
    other = Bench(_second(bench, tmp_path), bench.store, bench.scratch, bench.repo)
    with other.database:
        other.run(experiment, changed, piece.start, midday)
        assert other.seals(experiment, midday - DAY) == before
        again = _up_to(other, experiment, t)
    for table in _WHEN:
        assert again[table] == records[table], table


def _second(bench: Bench, folder: Path) -> Database:
    return open_copy(folder / "home")
