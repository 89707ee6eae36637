"""The simulated market: the same on every machine and in every window, and never tidy."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from throughline.errors import ArchiveError, SettingsError
from throughline.market.blocks import day_blocks, parse_blocks
from throughline.market.cleaning import clean
from throughline.market.panel import MarketPanel
from throughline.market.references import pair_key
from throughline.market.rows import HOUR_MS, CleaningRules, RawBars
from throughline.market.simulated import SimulatedProvider, simulated_window
from throughline.market.simulated_hours import draw_hours
from throughline.market.simulated_lives import BENCHMARK, TICKERS
from throughline.market.simulated_noise import eight_digits, normal, words

DAYS = 420


@pytest.fixture(scope="module")
def provider() -> SimulatedProvider:
    return SimulatedProvider(7)


@pytest.fixture(scope="module")
def year(provider: SimulatedProvider) -> MarketPanel:
    return provider.load(*simulated_window(date(2023, 1, 1), DAYS))


def equal(left: MarketPanel, right: MarketPanel, rows: slice) -> None:
    for name in ("open_time", "open", "high", "low", "close", "volume", "segment_start"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name)[rows], err_msg=name)
    for name, reference in left.references.items():
        for part in ("values", "event_time", "available_at"):
            np.testing.assert_array_equal(
                getattr(reference, part), getattr(right.references[name], part)[rows], err_msg=name
            )


def test_a_day_is_the_same_in_every_window(provider: SimulatedProvider, year: MarketPanel) -> None:
    for offset, length in ((0, 1), (17, 1), (18, 30), (100, 7), (211, 3), (350, 70)):
        part = provider.load(*simulated_window(date(2023, 1, 1) + timedelta(days=offset), length))
        equal(part, year, slice(offset * 24, (offset + length) * 24))
        low, high = part.open_time[0], part.open_time[-1]
        assert part.quarantined == tuple(row for row in year.quarantined if low <= row.event_time <= high + HOUR_MS - 1)


def test_every_day_of_half_a_year_read_alone_has_the_seal_it_has_in_the_range(
    provider: SimulatedProvider, year: MarketPanel
) -> None:
    for offset in range(0, 180, 3):
        day = date(2023, 1, 1) + timedelta(days=offset)
        assert day_blocks(provider.load(*simulated_window(day, 1)), day) == day_blocks(year, day)


def test_two_providers_of_a_seed_agree_and_other_seeds_differ(provider: SimulatedProvider) -> None:
    day = date(2024, 3, 5)
    window = simulated_window(day, 1)
    again, other = SimulatedProvider(7), SimulatedProvider(8)
    assert day_blocks(again.load(*window), day).root == day_blocks(provider.load(*window), day).root
    assert day_blocks(other.load(*window), day).root != day_blocks(provider.load(*window), day).root
    assert again.description == provider.description
    assert other.description.source_hash != provider.description.source_hash


def test_the_seal_of_a_day_is_pinned_for_all_machines(provider: SimulatedProvider) -> None:
    day = date(2024, 3, 5)
    blocks = day_blocks(provider.load(*simulated_window(day, 1)), day)
    assert blocks.root == "ce45eb73a0fb52ea832e07fea3efeceef0332d9b815408f007eec72883bc68f2"
    parse_blocks(blocks.lines)


@pytest.mark.parametrize("seed", [7, 99])
def test_segments_from_the_calendar_are_those_that_cleaning_finds_in_the_whole_history(seed: int) -> None:
    provider = SimulatedProvider(seed)
    hours = draw_hours(provider.world, seed, 0, 800)
    epoch = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 1000
    time = epoch + hours.hour * HOUR_MS
    order = np.argsort(pair_key(hours.ticker, time), kind="stable")
    columns = [column[order] for column in (hours.open, hours.high, hours.low, hours.close, hours.volume)]
    raw = RawBars(hours.ticker[order], time[order], *columns)
    verdict = clean(raw, HOUR_MS, CleaningRules(doubtful_jump=provider.description.doubtful_jump))
    panel = provider.load(*simulated_window(date(2020, 1, 1), 800))
    row, column = (raw.time - epoch) // HOUR_MS, raw.code
    believed = verdict.believed
    assert believed.sum() == (~np.isnan(panel.close)).sum()
    np.testing.assert_array_equal(panel.segment_start[row, column][believed], verdict.segment_start[believed])
    np.testing.assert_array_equal(panel.close[row, column][believed], verdict.bars.close[believed])


def test_the_market_exercises_everything(year: MarketPanel, provider: SimulatedProvider) -> None:
    rules = Counter(row.rule for row in year.quarantined)
    wanted = {
        "jump_up",
        "conflicting_duplicate",
        "non_positive_price",
        "high_below_low",
        "negative_market_cap",
    }
    assert wanted <= set(rules)
    assert "untraded" in {note.kind for note in year.notes}
    reserve = year.references["pool_reserve"].values
    assert (reserve == 0).any(axis=0).sum() >= 20
    assert (year.volume == 0).any()
    listed = ~np.isnan(year.close)
    assert (listed[0] & ~listed[-1]).any()
    assert (~listed[0] & listed[-1]).any()
    assert listed[:, TICKERS.index(BENCHMARK)].mean() > 0.99
    segments = [len(np.unique(column[column >= 0])) for column in year.segment_start.T]
    assert max(segments) > 4
    assert min(segments) == 1


def test_rugs_drain_the_pool_with_and_without_a_warning_before(provider: SimulatedProvider, year: MarketPanel) -> None:
    lives = provider.world.lives
    first = (date(2023, 1, 1) - date(2020, 1, 1)).days * 24
    warned = 0
    rugs = np.flatnonzero((lives.rug > first + 200) & (lives.rug < first + DAYS * 24 - 50))
    assert len(rugs) > 10
    for life in rugs:
        hour, column = int(lives.rug[life]) - first, int(lives.ticker[life])
        if np.isnan(year.close[hour, column]):
            continue  # the exchange was closed in that hour
        assert year.close[hour, column] < 0.2 * year.open[hour, column]
        assert year.references["pool_reserve"].values[hour, column] == 0
        assert year.references["pool_reserve"].values[hour - 8, column] > 0
        locked = year.references["lp_locked_share"].values[hour - 1, column]
        assert (locked == 0.05) == (lives.evidence[life] >= 0)
        warned += locked == 0.05
    assert 0 < warned < len(rugs)


def test_there_is_something_to_trade_every_day_among_small_caps(year: MarketPanel) -> None:
    momentum = year.close[24:] / year.close[:-24] - 1
    cap, volume = (year.references[name].values[24:] for name in ("market_cap", "volume_24h"))
    same = year.segment_start[24:] == year.segment_start[:-24]
    hits = (momentum >= 0.10) & (cap > 1e5) & (cap < 5e7) & (volume > 1e5) & same
    per_day = hits.reshape(-1, 24, len(TICKERS)).any(axis=(1, 2))
    assert per_day.mean() > 0.97


def test_nothing_is_known_before_its_time_or_longer_than_it_keeps(year: MarketPanel) -> None:
    closes = year.open_time[:, None] + HOUR_MS
    for reference in year.references.values():
        known = ~np.isnan(reference.values)
        assert known.any()
        assert (reference.available_at <= closes).all()
        assert (closes - reference.event_time <= 36 * HOUR_MS)[known].all()
        assert (reference.event_time == -1)[~known].all()
        assert reference.source.startswith("simulated:")


def test_impossible_windows_and_seeds_are_refused(provider: SimulatedProvider) -> None:
    with pytest.raises(ArchiveError, match="2029-12-31"):
        provider.load(*simulated_window(date(2030, 1, 1), 1))
    with pytest.raises(ArchiveError, match="time zone"):
        provider.load(datetime(2023, 1, 1), datetime(2023, 1, 2))  # noqa: DTZ001
    with pytest.raises(SettingsError, match="seed -1"):
        SimulatedProvider(-1)


def test_before_the_first_day_there_is_nothing_and_the_ends_can_be_read(provider: SimulatedProvider) -> None:
    assert np.isnan(provider.load(*simulated_window(date(2019, 12, 30), 2)).close).all()
    both = provider.load(*simulated_window(date(2019, 12, 31), 2))
    assert np.isnan(both.close[:24]).all()
    assert not np.isnan(both.close[24:]).all()
    assert (both.segment_start[:24] == -1).all()
    late = provider.load(*simulated_window(date(2029, 12, 31), 3))
    assert not np.isnan(late.close[:24]).all()
    assert np.isnan(late.close[24:]).all()


def test_noise_is_addressed_by_position_and_nearly_normal() -> None:
    whole = words(3, "A", "s", 0, 1000, 8)
    np.testing.assert_array_equal(words(3, "A", "s", 400, 10, 8), whole[400:410])
    draws = normal(words(3, "A", "n", 0, 20_000, 4)[:, :3])
    assert abs(draws.mean()) < 0.03
    assert abs(draws.std() - 1) < 0.03


def test_prices_have_eight_digits() -> None:
    values = np.array([123456.789123, 1.23456789123e-7, 9.99999999e-3, 1.0, 99999999.4 / 10])
    assert [f"{value:.15g}" for value in eight_digits(values)] == [
        "123456.79", "1.2345679e-07", "0.01", "1", "9999999.9",
    ]  # fmt: skip
