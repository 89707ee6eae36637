"""The tear sheet's table of daily statistics: each row against numpy and scipy, and against quantstats."""

from __future__ import annotations

import math
import re
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from throughline.analytics.daily_statistics import beta_and_correlation, statistics_rows
from throughline.analytics.performance import max_drawdown, sharpe_ratio, total_return
from throughline.rendering.formats import percent, ratio


def _returns(seed: int, days: int, drift: float) -> list[float]:
    rng = np.random.default_rng(seed)
    values = rng.standard_t(4, days) * 0.02 + drift
    values[days // 3 : days // 3 + 5] = 0.0
    return [float(value) for value in np.clip(values, -0.9, 0.9)]


def _rows(returns: list[float], benchmark: list[float] | None = None) -> dict[str, str]:
    return dict(statistics_rows(returns, benchmark))


def _number(text: str) -> float:
    return float(text.replace(" %", "").replace(",", ""))


def _curve(returns: list[float]) -> list[float]:
    return [1.0, *np.cumprod(1.0 + np.array(returns)).tolist()]


@pytest.mark.parametrize(("seed", "drift"), [(1, -0.012), (2, 0.004), (3, -0.05)])
def test_the_table_says_the_same_as_the_headline(seed: int, drift: float) -> None:
    returns = _returns(seed, 86, drift)
    rows, curve = _rows(returns), _curve(returns)
    assert rows["return"] == percent(total_return(curve))
    assert rows["max drawdown"] == percent(-max_drawdown(curve))
    assert rows["Sharpe (daily, √365)"] == ratio(sharpe_ratio(returns))


def test_a_range_below_a_year_has_no_figure_per_year_and_a_longer_one_has() -> None:
    short, long = _rows(_returns(4, 86, 0.001)), _rows(_returns(4, 400, 0.001))
    assert "return a year, compounded" not in short
    assert "Calmar" not in short
    curve = _curve(_returns(4, 400, 0.001))
    grown = curve[-1] ** (365 / 400) - 1.0
    assert _number(long["return a year, compounded"]) == pytest.approx(100 * grown, abs=0.5)


def test_no_row_is_positive_for_a_loss_only_because_its_sign_was_dropped() -> None:
    rows = _rows(_returns(5, 86, -0.02))
    assert not any("recovery" in name.lower() for name in rows)
    assert _number(rows["return"]) < 0 > _number(rows["max drawdown"])


def test_a_total_loss_has_a_drawdown_of_a_hundred_percent() -> None:
    returns = [0.01, -0.02, 0.03, -1.0, *[0.0] * 20]
    assert _rows(returns)["max drawdown"] == "-100.00 %"


@pytest.mark.parametrize("seed", [6, 7, 8])
def test_every_row_is_the_figure_that_its_name_says(seed: int) -> None:
    returns, other = _returns(seed, 120, 0.001), _returns(seed + 100, 120, 0.002)
    rows = _rows(returns, other)
    r, b = np.array(returns), np.array(other)
    moved = r[r != 0.0]
    downside = math.sqrt(float((np.minimum(r, 0.0) ** 2).sum()) / len(r))
    value_at_risk = r.mean() - 1.6448536 * r.std(ddof=1)
    runs = {sign: max(map(len, re.findall("1+", "".join("1" if sign * v > 0 else "0" for v in r)))) for sign in (1, -1)}
    expected = {
        "Sortino (daily, √365)": r.mean() / downside * math.sqrt(365),
        "Omega (threshold 0)": r[r > 0].sum() / -r[r < 0].sum(),
        "volatility, annualised": 100 * r.std(ddof=1) * math.sqrt(365),
        "skew of daily returns": stats.skew(r, bias=False),
        "excess kurtosis of daily returns": stats.kurtosis(r, bias=False),
        "daily value at risk, 95 %, normal": 100 * value_at_risk,
        "longest run of gains, days": runs[1],
        "longest run of losses, days": runs[-1],
        "mean gain over mean loss of a day": r[r > 0].mean() / -r[r < 0].mean(),
        "95th percentile over 5th": abs(np.quantile(r, 0.95) / np.quantile(r, 0.05)),
        "best day": 100 * r.max(),
        "worst day": 100 * r.min(),
        "days with a gain, of those that moved": 100 * (moved > 0).mean(),
        "beta": np.cov(r, b)[0, 1] / b.var(ddof=1),
        "correlation": 100 * np.corrcoef(r, b)[0, 1],
    }
    wrong = {
        name: (rows[name], value)
        for name, value in expected.items()
        if _number(rows[name]) != pytest.approx(value, abs=0.011)
    }
    assert wrong == {}
    ours = {"return", "max drawdown", "Sharpe (daily, √365)", "longest drawdown, days"}
    assert set(rows) == set(expected) | ours


@pytest.mark.parametrize("seed", [9, 10])
def test_every_row_is_what_quantstats_gives(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yfinance", ModuleType("yfinance"))  # it could fetch, and is not needed
    from quantstats import stats as library

    returns = _returns(seed, 400, 0.001)
    series = pd.Series(returns, index=pd.date_range("2018-04-01", periods=len(returns)))
    falls = library.drawdown_details(library.to_drawdown_series(series))
    rows = _rows(returns)
    expected = {
        "Sharpe (daily, √365)": library.sharpe(series, periods=365),
        "Sortino (daily, √365)": library.sortino(series, periods=365),
        "max drawdown": 100 * library.max_drawdown(series),
        "longest drawdown, days": falls["days"].max(),
        "Omega (threshold 0)": library.omega(series.to_frame("r")).iloc[0],
        "volatility, annualised": 100 * library.volatility(series, periods=365),
        "skew of daily returns": library.skew(series),
        "excess kurtosis of daily returns": library.kurtosis(series),
        "daily value at risk, 95 %, normal": 100 * library.value_at_risk(series),
        "mean gain over mean loss of a day": library.payoff_ratio(series),
        "95th percentile over 5th": library.tail_ratio(series),
        "days with a gain, of those that moved": 100 * library.win_rate(series),
    }
    assert {name: _number(rows[name]) for name in expected} == {
        name: pytest.approx(float(value), abs=0.0051) for name, value in expected.items()
    }


def test_figures_that_returns_cannot_give_are_not_available() -> None:
    still = _rows([0.01] * 6)
    assert {still[name] for name in ("Sortino (daily, √365)", "skew of daily returns", "Omega (threshold 0)")} == {
        "n/a"
    }
    assert beta_and_correlation([0.1, 0.2], [0.3, 0.3]) is None
