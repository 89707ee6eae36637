"""Groups of trades, intervals and risk: against hand arithmetic, the library's traps included."""

from __future__ import annotations

import math
import random
import statistics
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from throughline.analytics.performance import max_drawdown
from throughline.analytics.trade_registry.entries import Trade
from throughline.analytics.trade_registry.groups import (
    by_hour,
    by_weekday,
    equity_by_trade,
    exact_sum,
    figures_by,
    group_figures,
    risk_by_strategy,
    risk_figures,
)
from throughline.analytics.trade_registry.intervals import (
    adjusted,
    groups_differ,
    mean_interval,
    rank_correlation,
    rate_interval,
)
from throughline.analytics.trade_registry.model import MINIMUM_GROUP, MINIMUM_RISK, Correlation

EPOCH = datetime(2021, 1, 4, tzinfo=UTC)  # a Monday


def make_trade(number: int, **changes: Any) -> Trade:
    """Return the trade decided `number` hours after the epoch, closed five hours later, 1 % won."""
    decided = EPOCH + timedelta(hours=number)
    closed = changes.pop("closed_at", decided + timedelta(hours=5))
    net = changes.pop("net_return", 0.01)
    given = {
        "uuid": f"{number:08d}",
        "symbol": "AAA",
        "strategy": "strategy",
        "reason": "time_limit",
        "decided_at": decided,
        "opened_at": decided,
        "closed_at": closed,
        "known_at": closed,
        "profit_usd": Decimal(repr(round(1000 * net, 9))),
        "net_return": net,
        "signal_strength": None,
        "confidence": None,
        "simhash": None,
        "values": None,
        "buckets": (),
    }
    return Trade(**{**given, **changes})


def returns(*values: float) -> list[Trade]:
    return [make_trade(k, net_return=value) for k, value in enumerate(values)]


def test_money_is_added_without_rounding() -> None:
    large = Decimal("12345678901234567890.123456789012345678")
    assert exact_sum([large, Decimal("0.000000000000000001"), large.copy_negate()]) == Decimal("0.000000000000000001")
    trades = [make_trade(0, profit_usd=large), make_trade(1, profit_usd=Decimal("1e-18"))]
    assert group_figures("x", trades).profit_usd == "12345678901234567890.123456789012345679"
    assert str(equity_by_trade(trades, Decimal(10))[-1]) == "12345678901234567900.123456789012345679"


def test_too_few_trades_are_counted_but_not_judged() -> None:
    few = group_figures("x", returns(*[0.1] * (MINIMUM_GROUP - 1)))
    assert (few.n, few.wins, few.profit_usd) == (9, 9, "900")
    assert few.win_rate is few.mean_return is few.profit_factor is few.median_return is None
    assert group_figures("x", returns(*[0.1] * MINIMUM_GROUP)).win_rate == 1.0


def test_the_figures_of_a_group_are_those_of_hand_arithmetic() -> None:
    values = [0.3, -0.15, 0.02, -0.15, 0.3, 0.01, -0.02, 0.3, 0.0, -0.15]
    found = group_figures("x", returns(*values))
    assert (found.n, found.wins, found.win_rate) == (10, 5, 0.5)
    assert found.mean_return == pytest.approx(sum(values) / 10)
    assert found.median_return == pytest.approx(0.005)
    assert found.profit_factor == pytest.approx(930 / 470)
    half = 2.262157 * statistics.stdev(values) / math.sqrt(10)
    assert found.mean_low == pytest.approx(found.mean_return - half, rel=1e-5)
    assert found.mean_high == pytest.approx(found.mean_return + half, rel=1e-5)
    # Wilson, 5 of 10 at 95 %: Newcombe (1998), table I
    assert (found.win_low, found.win_high) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))


def test_a_trade_of_zero_profit_is_no_win_and_no_loss_means_no_profit_factor() -> None:
    found = group_figures("x", returns(*[0.0] * 5, *[0.1] * 5))
    assert (found.wins, found.profit_factor) == (5, None)


def test_a_mean_that_does_not_vary_has_no_interval() -> None:
    assert mean_interval([0.5] * 5) is None
    assert mean_interval([0.5]) is None
    assert rate_interval(0, 10)[0] == pytest.approx(0.0)


def test_hours_and_weekdays_are_those_of_the_entry_in_utc() -> None:
    trades = [make_trade(k) for k in (0, 23, 24, 24 * 6 + 5)]
    hours, _ = by_hour(trades)
    assert [(item.name, item.n) for item in hours] == [("00", 2), ("05", 1), ("23", 1)]
    weekdays, _ = by_weekday(trades)
    assert [(item.name, item.n) for item in weekdays] == [("Monday", 2), ("Tuesday", 1), ("Sunday", 1)]


def test_a_trade_counts_in_each_of_its_buckets() -> None:
    trades = [make_trade(0, buckets=("a", "b")), make_trade(1, buckets=("b",)), make_trade(2)]
    assert [(item.name, item.n) for item in figures_by(trades, lambda trade: trade.buckets)] == [("a", 1), ("b", 2)]


def test_weekdays_differ_only_where_their_returns_do() -> None:
    noise = [((k * 7919) % 101) / 1000 for k in range(140)]
    same = [make_trade(24 * k, net_return=noise[k]) for k in range(140)]
    _, test = by_weekday(same)
    assert (test.groups, test.n) == (7, 140)
    assert test.p_value is not None
    assert test.p_value > 0.05
    planted = [replace(item, net_return=item.net_return + 0.3) if k % 7 == 0 else item for k, item in enumerate(same)]
    _, test = by_weekday(planted)
    assert test.p_value is not None
    assert test.p_value < 0.001
    assert groups_differ([[0.1] * 20, [0.1] * 20]).p_value is None
    assert groups_differ([[0.1, 0.2] * 20, [0.1] * 9]).groups == 1


def test_risk_is_that_of_hand_arithmetic() -> None:
    values = [-0.2, *[((k * 37) % 41 - 15) / 100 for k in range(40)]]
    trades = returns(*values)
    found = risk_figures(trades, Decimal(1000))
    assert found.sharpe == pytest.approx(statistics.fmean(values) / statistics.stdev(values))
    downside = math.sqrt(sum(value**2 for value in values if value < 0) / len(values))
    assert found.sortino == pytest.approx(statistics.fmean(values) / downside)
    curve = [float(item) for item in equity_by_trade(trades, Decimal(1000))]
    assert found.max_drawdown == pytest.approx(max_drawdown(curve))
    assert found.max_drawdown >= 0.2  # the very first trade lost 200 of 1,000
    assert found.payoff_ratio == pytest.approx(
        statistics.fmean(v for v in values if v > 0) / -statistics.fmean(v for v in values if v < 0)
    )
    assert found.sharpe_probability is not None
    assert 0.5 < found.sharpe_probability < 1.0


def test_returns_above_one_are_not_read_as_prices() -> None:
    values = [1.5 if k % 3 == 0 else 0.1 + k / 1000 for k in range(MINIMUM_RISK)]
    found = risk_figures(returns(*values), Decimal(1000))
    assert found.sharpe == pytest.approx(statistics.fmean(values) / statistics.stdev(values))
    assert found.sortino is None
    assert found.max_drawdown == 0.0


def test_small_accounts_are_not_read_as_returns() -> None:
    values = [0.01, -0.02] * MINIMUM_RISK
    trades = [replace(item, profit_usd=item.profit_usd / 10**6) for item in returns(*values)]
    cash = Decimal("0.001")
    found = risk_figures(trades, cash)
    assert found.max_drawdown == pytest.approx(max_drawdown([float(item) for item in equity_by_trade(trades, cash)]))
    assert found.max_drawdown > 0.1


def test_the_order_of_trades_that_close_together_is_kept() -> None:
    values = [0.5, -0.5] * MINIMUM_RISK
    together = [replace(item, closed_at=EPOCH) for item in returns(*values)]
    assert risk_figures(together, Decimal(1000)) == risk_figures(returns(*values), Decimal(1000))


def test_what_cannot_be_known_of_risk_is_said() -> None:
    assert "29 trades: below 30" in str(risk_figures(returns(*[0.1, -0.1] * 14, 0.1), Decimal(1000)).note)
    trades = returns(*[0.1, -0.2] * 20)
    unknown = risk_figures(trades, None)
    assert unknown.sharpe is not None
    assert unknown.max_drawdown is None
    assert "starting cash is unknown" in str(unknown.note)
    lost = risk_figures(trades, Decimal(500))
    assert lost.max_drawdown is None
    assert "account was lost" in str(lost.note)
    still = risk_figures(returns(*[0.1] * 30), Decimal(500))
    assert still.sharpe is still.sharpe_probability is None


def test_each_strategy_has_its_own_risk() -> None:
    trades = [make_trade(k, net_return=0.01 * (k % 3 - 1), strategy="ab"[k % 2]) for k in range(80)]
    found = risk_by_strategy(trades, Decimal(1000))
    assert found["a"] == risk_figures([item for item in trades if item.strategy == "a"], Decimal(1000))
    assert set(found) == {"a", "b"}


def test_a_rank_correlation_is_known_by_its_interval_and_refused_for_few_or_still_values() -> None:
    x = [float(k) for k in range(40)]
    y = [float((k * 7) % 40) for k in range(40)]
    found = rank_correlation("x", x, y)
    squared = sum((a - b) ** 2 for a, b in zip(x, y, strict=True))
    rho = 1 - 6 * squared / (40 * (40**2 - 1))
    assert found.rho == pytest.approx(rho)
    half = 1.959964 * math.sqrt((1 + rho**2 / 2) / 37)
    assert found.low == pytest.approx(math.tanh(math.atanh(rho) - half), rel=1e-5)
    assert found.high == pytest.approx(math.tanh(math.atanh(rho) + half), rel=1e-5)
    assert rank_correlation("x", x[:29], y[:29]).rho is None
    assert rank_correlation("x", x, [1.0] * 40).rho is None
    assert (rank_correlation("x", x, x).low, rank_correlation("x", x, x).high) == (1.0, 1.0)


def test_p_values_are_adjusted_for_how_many_were_asked() -> None:
    told = [Correlation(str(p), 40, 0.1, 0.0, 0.2, p) for p in (0.01, 0.04, 0.03)] + [Correlation("few", 5)]
    found = adjusted(told)
    assert [item.adjusted for item in found] == [pytest.approx(0.03), pytest.approx(0.04), pytest.approx(0.04), None]
    assert adjusted([Correlation("few", 5)]) == [Correlation("few", 5)]


def test_every_interval_and_test_is_what_scipy_gives() -> None:
    from scipy import stats

    draw = random.Random(3)
    x = [round(draw.gauss(0.0, 1.0), 1) for _ in range(60)]  # with ties
    y = [value + draw.gauss(0.0, 2.0) for value in x]
    for wins, n in ((0, 12), (5, 12), (12, 12), (33, 200)):
        wilson = stats.binomtest(wins, n).proportion_ci(0.95, method="wilson")
        assert rate_interval(wins, n) == (pytest.approx(wilson.low), pytest.approx(wilson.high))
    t = stats.t.interval(0.95, len(y) - 1, statistics.fmean(y), stats.sem(y))
    assert mean_interval(y) == (pytest.approx(t[0]), pytest.approx(t[1]))
    found, spearman = rank_correlation("x", x, y), stats.spearmanr(x, y)
    assert (found.rho, found.p_value) == (pytest.approx(spearman.statistic), pytest.approx(spearman.pvalue))
    groups = [x[:20], x[20:45], x[45:]]
    assert groups_differ(groups).p_value == pytest.approx(stats.kruskal(*groups).pvalue)
    p_values = [draw.random() ** 2 for _ in range(9)]
    told = adjusted([Correlation("", 40, 0.1, 0.0, 0.2, p) for p in p_values])
    assert [item.adjusted for item in told] == pytest.approx(stats.false_discovery_control(p_values).tolist())


def test_risk_figures_are_what_quantstats_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yfinance", ModuleType("yfinance"))  # it could fetch, and is not needed
    from quantstats import stats as library

    values = [((k * 37) % 41 - 15) / 100 for k in range(60)]
    found = risk_figures(returns(*values), Decimal(100_000))
    series = pd.Series(values, index=pd.date_range("2000-01-01", periods=len(values)))
    curve = pd.Series(
        [float(item) / 1000 for item in equity_by_trade(returns(*values), Decimal(100_000))],
        index=pd.date_range("2000-01-01", periods=len(values) + 1),
    )
    assert asdict(found) == {
        "n": 60,
        "sharpe": pytest.approx(library.sharpe(series, annualize=False)),
        "sortino": pytest.approx(library.sortino(series, annualize=False)),
        "sharpe_probability": pytest.approx(library.probabilistic_sharpe_ratio(series)),
        "payoff_ratio": pytest.approx(library.payoff_ratio(series, prepare_returns=False)),
        "max_drawdown": pytest.approx(-library.max_drawdown(curve)),
        "ulcer": pytest.approx(library.ulcer_index(curve)),
        "note": None,
    }
