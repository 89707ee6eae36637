"""The three shipped descriptions on the real data beside the repository: dirt, gaps, disasters, and windows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from throughline.market.archive import ArchiveProvider, open_archive
from throughline.market.blocks import day_blocks, parse_blocks
from throughline.market.panel import MarketPanel

NAMES = ("coinmarketcap-2018", "binance-hourly-2021", "binance-closes-2022")


@pytest.fixture(scope="module")
def archives(shared_data: Path, repo: Path) -> dict[str, ArchiveProvider]:
    return {name: open_archive(repo / "examples" / "archives" / f"{name}.toml", shared_data) for name in NAMES}


def at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def whole(provider: ArchiveProvider) -> MarketPanel:
    source = provider.description
    return provider.load(at(source.first_day), at(source.last_day) + timedelta(days=1))


@pytest.mark.parametrize(
    ("name", "instruments", "rows", "capabilities"),
    [
        ("coinmarketcap-2018", 1386, 174_847, {"ohlc", "volume", "market_cap", "volume_24h"}),
        ("binance-hourly-2021", 115, 444_477, {"ohlc", "volume", "market_cap", "volume_24h"}),
        ("binance-closes-2022", 100, 1_847_224, set()),
    ],
)
def test_an_archive_reads_whole(
    archives: dict[str, ArchiveProvider], name: str, instruments: int, rows: int, capabilities: set[str]
) -> None:
    provider = archives[name]
    panel = whole(provider)
    # At least, since more rows and coins in the files must simply work.
    assert len(panel.instruments) >= instruments
    assert provider.rows_read >= rows
    assert provider.bars == (~np.isnan(panel.close)).sum()
    untraded = sum(note.rows for note in panel.notes if note.kind == "untraded")
    assert provider.bars + provider.dropped + untraded + len(panel.quarantined) >= provider.rows_read
    assert provider.description.capabilities == capabilities
    assert provider.description.benchmark in panel.instruments
    assert provider.description.survivors_only
    assert provider.description.attrition_per_48h == (0.00032 if name == "coinmarketcap-2018" else 0.0)
    assert list(panel.instruments) == sorted(panel.instruments, key=lambda text: text.encode())


@pytest.mark.parametrize("name", NAMES)
def test_a_day_seals_the_same_alone_and_in_the_range(archives: dict[str, ArchiveProvider], name: str) -> None:
    provider = archives[name]
    panel = whole(provider)
    first = provider.description.first_day
    count = (provider.description.last_day - first).days + 1
    for offset in {0, 1, count // 3, count // 2, count - 2, count - 1}:
        day = first + timedelta(days=offset)
        alone = day_blocks(provider.load(at(day), at(day) + timedelta(days=1)), day)
        assert alone == day_blocks(panel, day)
        parse_blocks(alone.lines)


@pytest.mark.parametrize("name", NAMES)
def test_prices_are_positive_volumes_not_negative_and_references_known_in_time(
    archives: dict[str, ArchiveProvider], name: str
) -> None:
    panel = whole(archives[name])
    there = ~np.isnan(panel.close)
    assert (panel.low[there] > 0).all()
    assert (panel.high[there] >= panel.low[there]).all()
    assert not (panel.volume < 0).any()
    for reference in panel.references.values():
        known = ~np.isnan(reference.values)
        closes = np.broadcast_to(panel.open_time[:, None] + panel.interval_ms, known.shape)
        assert known.any()
        assert (reference.values[known] >= 0).all()
        assert (reference.available_at[known] <= closes[known]).all()
        assert (closes[known] - reference.event_time[known] <= 36 * 3_600_000).all()
    cap = panel.references.get("market_cap")
    assert cap is None or not (cap.values == 0).any()


def across_gap(panel: MarketPanel, ticker: str, before: float, after: float) -> tuple[int, int, int]:
    """Return (last row at `before`, first row at `after`, column) of a known break."""
    column = panel.instruments.index(ticker)
    close = panel.close[:, column]
    there = np.flatnonzero(~np.isnan(close))
    for left, right in pairwise(there.tolist()):
        if (
            right - left > 1
            and np.isclose(close[left], before, rtol=0.02)
            and np.isclose(panel.open[right, column], after, rtol=0.1)
        ):
            return int(left), int(right), column
    raise AssertionError(f"{ticker} has no gap from {before} to {after}")


@pytest.mark.parametrize(("ticker", "before", "after"), [("COCOS/USDT", 0.000695, 0.695), ("BTCST/USDT", 375, 37.5)])
def test_a_redenomination_behind_a_gap_is_another_segment(
    archives: dict[str, ArchiveProvider], ticker: str, before: float, after: float
) -> None:
    panel = whole(archives["binance-hourly-2021"])
    left, right, column = across_gap(panel, ticker, before, after)
    start = panel.segment_start[:, column]
    assert start[left] < start[right] == panel.open_time[right]
    assert (start[left:right] == start[left]).all()


def test_no_bar_to_bar_gain_within_a_segment_is_bought_by_a_gap(archives: dict[str, ArchiveProvider]) -> None:
    for provider in archives.values():
        panel = whole(provider)
        for column in range(len(panel.instruments)):
            rows = np.flatnonzero(~np.isnan(panel.close[:, column]))
            start = panel.segment_start[rows, column]
            same, gap = start[1:] == start[:-1], np.diff(rows) - 1
            gain = (
                np.maximum(panel.open[rows[1:], column], panel.close[rows[1:], column]) / panel.close[rows[:-1], column]
            )
            assert (gain[same] < 10).all()
            step = panel.open[rows[1:], column] / panel.close[rows[:-1], column]
            limit = provider.description.doubtful_jump
            assert ((1 / limit < step) & (step < limit))[same].all()
            assert ((gap * panel.interval_ms)[same] < 24 * 3_600_000).all()


def test_luna_falls_to_nothing_bar_by_bar_and_restarts_as_another(archives: dict[str, ArchiveProvider]) -> None:
    panel = whole(archives["binance-closes-2022"])
    column = panel.instruments.index("LUNAUSDT")
    close, start = panel.close[:, column], panel.segment_start[:, column]
    there = np.flatnonzero(~np.isnan(close))
    left = next(i for i, (a, b) in enumerate(pairwise(there.tolist())) if b - a == 438)
    last, first = there[left], there[left + 1]
    assert close[last] < 0.001
    assert close[first] > 5
    assert start[first] == panel.open_time[first] > start[last]
    fall = slice(last - 24 * 5, last + 1)
    assert (~np.isnan(close[fall])).all()  # the collapse is believed, bar by bar
    # Ten of its last hours moved by more than 1.8 times: with closes alone nobody can tell that from a split.
    assert len(np.unique(start[fall])) == 11
    falls = [note for note in archives["binance-closes-2022"].notes if note.instrument == "LUNAUSDT"]
    assert [note.detail[:15] for note in falls[:3]] == ["opens at 0.4592", "opens at 3.8342", "opens at 0.5098"]


def test_doubtful_jumps_of_the_shipped_archives_are_few(archives: dict[str, ArchiveProvider]) -> None:
    counted = {name: sum(note.kind == "doubtful_jump" for note in archives[name].notes) for name in NAMES}
    untraded = {name: sum(note.rows for note in archives[name].notes if note.kind == "untraded") for name in NAMES}
    assert counted == {"coinmarketcap-2018": 316, "binance-hourly-2021": 1, "binance-closes-2022": 24}
    assert untraded == {"coinmarketcap-2018": 0, "binance-hourly-2021": 199, "binance-closes-2022": 0}


def test_ftt_stops_for_most_of_a_year_and_comes_back_as_another(archives: dict[str, ArchiveProvider]) -> None:
    panel = whole(archives["binance-closes-2022"])
    column = panel.instruments.index("FTTUSDT")
    there = np.flatnonzero(~np.isnan(panel.close[:, column]))
    gaps = np.diff(there) - 1
    place = int(np.argmax(gaps))
    assert gaps[place] > 7000
    start = panel.segment_start[:, column]
    assert start[there[place + 1]] == panel.open_time[there[place + 1]]
    assert start[there[place]] != start[there[place + 1]]


def test_caps_of_binance_begin_in_2021_and_stand_at_midnight(archives: dict[str, ArchiveProvider]) -> None:
    panel = whole(archives["binance-hourly-2021"])
    cap = panel.references["market_cap"]
    january = int(np.searchsorted(panel.open_time, 1_609_459_200_000))
    # The bar that closes at midnight belongs to 31 December; the value stamped then belongs to 1 January.
    assert np.isnan(cap.values[:january]).all()
    assert not np.isnan(cap.values[january]).all()
    known = ~np.isnan(cap.values)
    assert (cap.event_time[known] % 86_400_000 == 0).all()
    assert (cap.available_at[known] == cap.event_time[known]).all()
    fixed = cap.values[january + 5, panel.instruments.index("BTC/USDT")]
    assert 4e11 < fixed < 7e11


def test_negative_provider_errors_never_reach_a_panel(shared_data: Path, tmp_path: Path) -> None:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(shared_data / "coingecko_daily_2021" / "prices.parquet")
    coins = table.filter(pc.field("coin_id").isin(["x8-project", "hybrix", "bitcoin"]))
    frame = coins.to_pydict()
    # The README counts 18 negative rows of the whole source; some may be withheld, so two are written here.
    spoiled = [i for i, coin in enumerate(frame["coin_id"]) if coin in ("x8-project", "hybrix")]
    for row in spoiled[3:5]:
        frame["price_usd"][row] *= -1
    for row in spoiled[7:9]:
        frame["market_cap_usd"][row] = -1.0
    import pyarrow as pa

    pq.write_table(pa.table(frame), tmp_path / "prices.parquet")
    (tmp_path / "coins.toml").write_text(
        'name = "coingecko"\n[bars]\nfile = "prices.parquet"\ninstrument = "coin_id"\ntime = "timestamp_ms"\n'
        'time_unit = "ms"\nstamp = "close"\ninterval = "1d"\nclose = "price_usd"\n'
        '[references.market_cap]\nvalue = "market_cap_usd"\nknown = "stamp"\nzero_means_missing = true\n'
        'positive = ["price_usd"]\n'
    )
    provider = open_archive(tmp_path / "coins.toml", tmp_path)
    panel = whole(provider)
    assert np.nanmin(panel.close) > 0
    assert np.nanmin(panel.references["market_cap"].values) > 0
    if spoiled:
        assert provider.quarantine_counts["non_positive_price"] >= 2
        assert provider.quarantine_counts["negative_market_cap"] >= 2


def test_what_comes_after_a_day_changes_nothing_up_to_it(shared_data: Path, repo: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    source = shared_data / "coinmarketcap_daily_2018h1" / "ohlcv.parquet"
    table = pq.read_table(source)
    folder = tmp_path / "coinmarketcap_daily_2018h1"
    folder.mkdir()
    text = (repo / "examples" / "archives" / "coinmarketcap-2018.toml").read_text()
    (tmp_path / "a.toml").write_text(text)
    cut = date(2018, 3, 15)
    late = np.array([day > cut for day in table.column("date").to_pylist()])
    rng = np.random.default_rng(5)
    for name in ("open_usd", "high_usd", "low_usd", "close_usd", "market_cap_usd"):
        values = table.column(name).to_numpy(zero_copy_only=False).astype(float).copy()
        values[late] = rng.choice([-1.0, np.nan, 1e-3, 5.0, 1e6], int(late.sum()))
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    pq.write_table(table, folder / "ohlcv.parquet")
    start, end = datetime(2018, 1, 1, tzinfo=UTC), at(cut) + timedelta(days=1)
    before = open_archive(repo / "examples" / "archives" / "coinmarketcap-2018.toml", shared_data).load(start, end)
    after = open_archive(tmp_path / "a.toml", tmp_path).load(start, end)
    for offset in range(0, (end - start).days, 7):
        day = (start + timedelta(days=offset)).date()
        assert day_blocks(before, day) == day_blocks(after, day)
