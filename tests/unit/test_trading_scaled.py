"""`simulate_scaled` against what the session does: one `simulate` call a day with sizes scaled by the day's equity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.analytics.baselines import DrawnEntries
from throughline.analytics.random_entries import Portfolio, advance
from throughline.configuration import Configuration, SizingSettings
from throughline.flow.paths import costs, exit_rules, scale_of_equity
from throughline.market.simulated import SimulatedProvider
from throughline.trading import Bars, Costs, Entries, ExitRules, PathState, simulate, simulate_scaled
from throughline.trading.state import equity_usd

HOUR = 3_600_000
DAY = 24 * HOUR
SIZING = SizingSettings(small_fund_usd=1_000.0, max_positions=3, minimum_position_usd=10.0)


def market(seed: int, days: int, volume: float, coins: int = 5) -> Bars:
    rng = np.random.default_rng(seed)
    rows = days * 24
    close = np.exp(rng.normal(-0.002, 0.03, (coins, rows)).cumsum(axis=1))
    open_ = np.concatenate([np.ones((coins, 1)), close[:, :-1]], axis=1)
    return Bars(
        instruments=tuple(f"COIN{k}" for k in range(coins)),
        starts=np.arange(coins + 1) * rows,
        open_time=np.tile(np.arange(rows) * HOUR, coins),
        open=open_.ravel(),
        high=(np.maximum(open_, close) * 1.01).ravel(),
        low=(np.minimum(open_, close) * 0.99).ravel(),
        close=close.ravel(),
        interval_ms=HOUR,
        volume=np.full(coins * rows, volume),
        segment=np.zeros(coins * rows, np.int64),
    )


def one_day(bars: Bars, day: int) -> Bars:
    rows = np.flatnonzero((bars.open_time >= day * DAY) & (bars.open_time < (day + 1) * DAY))
    return Bars(
        bars.instruments,
        np.searchsorted(rows, bars.starts).astype(np.int64),
        **{
            name: getattr(bars, name)[rows]
            for name in ("open_time", "open", "high", "low", "close", "volume", "segment")
        },
        interval_ms=HOUR,
    )


def entries_of(seed: int, days: int, count: int, coins: int = 5) -> Entries:
    rng = np.random.default_rng(seed + 1)
    return Entries(
        instrument=rng.integers(0, coins, count).astype(np.int32),
        decision_time=np.sort(rng.integers(0, days * 24, count)) * HOUR,
        score=np.zeros(count),
        notional=rng.uniform(5.0, 400.0, count),
        segment=np.zeros(count, np.int64),
    )


@given(st.integers(0, 10_000), st.sampled_from([1e9, 700.0]))
def test_sizes_follow_the_portfolio_as_they_do_where_each_day_is_simulated_by_itself(seed: int, volume: float) -> None:
    days, rules, prices = 6, ExitRules(max_participation=0.05), Costs()  # 5 % of 700 USD: every exit takes many bars
    bars, entries = market(seed, days, volume), entries_of(seed, days, 40)
    state, equity, trades = PathState(cash=1_000.0), [], 0
    for day in range(days):
        mine = (entries.decision_time >= day * DAY) & (entries.decision_time < (day + 1) * DAY)
        wished = entries.notional * scale_of_equity(equity_usd(state), SIZING)
        kept = np.flatnonzero(mine)
        today = Entries(
            entries.instrument[kept],
            entries.decision_time[kept],
            entries.score[kept],
            wished[kept],
            entries.segment[kept],
        )
        until = (day + 1) * DAY
        path = simulate(
            one_day(bars, day),
            today,
            rules,
            prices,
            3,
            state={"base": state},
            until=until,
            paths=("base",),
            minimum_notional=10.0,
        ).paths["base"]
        state, trades = path.state, trades + len(path.trades["entry"])
        equity.append(equity_usd(state))
    instants = np.arange(days + 1) * DAY
    (run,) = simulate_scaled(
        bars,
        [(entries, PathState(cash=1_000.0))],
        rules,
        prices,
        3,
        instants,
        lambda worth: scale_of_equity(worth, SIZING),
        minimum_notional=SIZING.minimum_position_usd,
    )
    assert run.trades == trades
    np.testing.assert_allclose(run.equity, equity, rtol=1e-12)
    assert equity_usd(run.state) == pytest.approx(equity[-1], rel=1e-12)


@given(st.integers(0, 10_000), st.sampled_from([1e9, 700.0]))
def test_a_run_that_is_continued_from_its_state_is_the_same_run(seed: int, volume: float) -> None:
    days, rules, prices = 4, ExitRules(max_participation=0.05), Costs()
    bars, entries = market(seed, days, volume), entries_of(seed, days, 30)

    def run(part: Bars, wished: Entries, state: PathState, first: int, last: int) -> tuple[PathState, list[float]]:
        instants = np.arange(first, last + 1) * DAY
        (got,) = simulate_scaled(
            part, [(wished, state)], rules, prices, 3, instants, lambda worth: scale_of_equity(worth, SIZING), 10.0
        )
        return got.state, got.equity.tolist()

    whole, curve = run(bars, entries, PathState(cash=1_000.0), 0, days)
    state, parts = PathState(cash=1_000.0), []
    for day in range(days):
        mine = np.flatnonzero((entries.decision_time >= day * DAY) & (entries.decision_time < (day + 1) * DAY))
        today = Entries(*(column[mine] for column in vars(entries).values()))
        state, equity = run(one_day(bars, day), today, state, day, day + 1)
        parts += equity
    assert parts == curve
    assert state.cash == whole.cash


def test_a_portfolio_that_lost_half_stakes_half() -> None:
    falling = np.concatenate([np.full(24, 1.0), np.full(24, 0.4)])
    bars = Bars(
        ("A", "B"),
        np.array([0, 48, 96]),
        np.tile(np.arange(48) * HOUR, 2),
        *(np.concatenate([falling, np.ones(48)]) for _ in range(4)),
        interval_ms=HOUR,
    )
    entries = Entries(np.array([0, 1], np.int32), np.array([0, 30 * HOUR]), np.zeros(2), np.array([900.0, 100.0]))
    rules, prices = ExitRules(stop_loss=0.15), Costs(fee=0.0, half_spread=0.0, impact_floor=0.0, impact_coefficient=0.0)
    (run,) = simulate_scaled(
        bars,
        [(entries, PathState(cash=1_000.0))],
        rules,
        prices,
        5,
        np.array([0, 25 * HOUR, 48 * HOUR]),
        lambda worth: worth / 1_000.0,
    )
    assert run.equity[0] == pytest.approx(1_000.0 - 900.0 * 0.6)
    assert (run.entry_time.tolist(), run.exit_time.tolist()) == ([0], [24 * HOUR])
    assert run.notional.tolist() == pytest.approx([900.0])
    assert run.net_return.tolist() == pytest.approx([-0.6])
    assert run.state.positions[0].notional == pytest.approx(100.0 * 0.46)


def test_a_random_entry_has_the_size_that_the_strategy_gives_to_its_own_coin() -> None:
    from datetime import UTC, datetime, timedelta

    provider = SimulatedProvider(7)
    start = datetime(2024, 3, 2, tzinfo=UTC)
    panel = provider.load(start, start + timedelta(days=3))
    sizes = np.tile(100.0 + np.arange(len(panel.instruments)), (len(panel.open_time), 1))
    alive = np.flatnonzero(~np.isnan(panel.close[:30]).any(axis=0))[:2]
    drawn = DrawnEntries(np.array([3, 5]), alive.astype(np.int64))
    present = ~np.isnan(panel.close.T)
    column, row = np.nonzero(present)
    bars = Bars(
        panel.instruments,
        np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int64),
        panel.open_time[row],
        *(grid[row, column] for grid in (panel.open, panel.high, panel.low, panel.close)),
        interval_ms=panel.interval_ms,
        segment=panel.segment_start[row, column],
    )
    settings = Configuration()
    first = int(panel.open_time[0])
    (after,) = advance(
        [Portfolio(PathState(cash=10_000.0))],
        [drawn],
        panel,
        sizes,
        bars,
        np.array([first, first + 10 * HOUR]),
        settings,
        exit_rules(settings, provider.description),
        costs(settings, provider.description),
    )
    got = {item.instrument: item.notional for item in after.state.positions}
    assert got == {panel.instruments[k]: pytest.approx(100.0 + k) for k in alive}
