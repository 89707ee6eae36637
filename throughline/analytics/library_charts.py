"""The library's part of the tear sheet: quantstats' statistics and charts of one series of daily returns.

Belongs here: the one place that imports quantstats, and how its output is fitted into our page. quantstats imports
yfinance, which could go to the network; here an empty module stands in for it while quantstats is imported, so no
figure can be fetched: everything drawn is what was handed in.
"""

from __future__ import annotations

import base64
import html
import io
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from types import ModuleType
from typing import Any

from throughline.analytics.performance import DAYS_A_YEAR

Section = tuple[str, str]
MINIMUM_DAYS = 5
"""Below this many days a distribution or a drawdown table says nothing."""

_STATISTICS = (
    "Cumulative Return",
    "CAGR﹪",
    "Sharpe",
    "Prob. Sharpe Ratio",
    "Sortino",
    "Omega",
    "Max Drawdown",
    "Longest DD Days",
    "Volatility (ann.)",
    "Calmar",
    "Skew",
    "Kurtosis",
    "Expected Daily",
    "Daily Value-at-Risk",
    "Expected Shortfall (cVaR)",
    "Max Consecutive Wins",
    "Max Consecutive Losses",
    "Gain/Pain Ratio",
    "Payoff Ratio",
    "Tail Ratio",
    "Best Day",
    "Worst Day",
    "Best Month",
    "Worst Month",
    "Avg. Drawdown",
    "Avg. Drawdown Days",
    "Recovery Factor",
    "Ulcer Index",
    "Win Days",
    "Win Month",
    "Beta",
    "Alpha",
    "Correlation",
)


@contextmanager
def offline() -> Iterator[None]:
    """Put an empty module in the place of yfinance while quantstats is first imported."""
    if "quantstats" in sys.modules or "yfinance" in sys.modules:
        yield
        return
    sys.modules["yfinance"] = ModuleType("yfinance")
    try:
        yield
    finally:
        del sys.modules["yfinance"]


def _statistic(value: Any) -> str:
    """Return a cell of the library's table; it writes '-' for what it cannot give."""
    text = str(value).strip()
    return "n/a" if text in ("", "-", "nan", "nan%", "inf", "-inf", "inf%") else text.replace("%", " %")


def _statistics_table(frame: Any) -> str:
    heads = "".join(f"<th>{html.escape(str(name))}</th>" for name in frame.columns)
    rows = []
    for name in _STATISTICS:
        if name in frame.index:
            cells = "".join(f"<td>{html.escape(_statistic(value))}</td>" for value in frame.loc[name])
            rows.append(f"<tr><td>{html.escape(name.replace('﹪', ''))}</td>{cells}</tr>")
    half = (len(rows) + 1) // 2
    tables = [
        f"<table><thead><tr><th></th>{heads}</tr></thead><tbody>{''.join(part)}</tbody></table>"
        for part in (rows[:half], rows[half:])
        if part
    ]
    return f'<div class="two">{"".join(tables)}</div>'


def _chart(draw: Callable[..., Any], *series: Any, **options: Any) -> str:
    buffer = io.BytesIO()
    draw(
        *series,
        show=False,
        ylabel="",
        fontname="DejaVu Sans",  # ships with matplotlib, so the page looks the same on every machine
        savefig={"fname": buffer, "format": "png", "dpi": 110, "metadata": {"Software": None}},
        **options,
    )
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="chart of daily returns" src="data:image/png;base64,{data}">'


def library_sections(
    days: Sequence[date], returns: Sequence[float], benchmark: Sequence[float] | None, benchmark_name: str
) -> list[Section]:
    """Return (title, HTML) sections of statistics and charts.

    returns, benchmark: daily simple returns, one per day of `days`. A range shorter than `MINIMUM_DAYS` or without any
    change of equity gives one section that says so.
    """
    if len(days) < MINIMUM_DAYS or not any(returns):
        why = f"fewer than {MINIMUM_DAYS} days" if len(days) < MINIMUM_DAYS else "equity never moved"
        return [("Daily returns", f'<p class="sub">No statistics of daily returns: {why} in this range.</p>')]
    import matplotlib as mpl

    previous = mpl.get_backend()
    mpl.use("Agg")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with mpl.rc_context(), offline():
                import quantstats  # noqa: F401 - its import restyles matplotlib: let that happen once, and undo it
            with mpl.rc_context():
                mpl.rcdefaults()
                return _draw(days, returns, benchmark, benchmark_name)
    finally:
        mpl.use(previous)


def _draw(
    days: Sequence[date], returns: Sequence[float], benchmark: Sequence[float] | None, benchmark_name: str
) -> list[Section]:
    import pandas as pd
    from quantstats import plots, reports

    index = pd.DatetimeIndex(pd.to_datetime(list(days)))
    own = pd.Series(list(returns), index=index, name="base path", dtype="float64")
    other = None
    if benchmark is not None and any(benchmark):
        other = pd.Series(list(benchmark), index=index, name=benchmark_name, dtype="float64")
    frame = reports.metrics(  # type: ignore[no-untyped-call]
        own.copy(),
        benchmark=None if other is None else other.copy(),
        display=False,
        mode="full",
        periods_per_year=DAYS_A_YEAR,
        match_dates=False,
        prepare_returns=False,
        strategy_title="base path",
        benchmark_title=benchmark_name,
        internal="True",  # the library's own reports ask for percent text this way
    )
    sections = [("Statistics of daily returns", _statistics_table(frame))]
    charts = [
        _chart(plots.drawdown, own.copy(), figsize=(9.5, 2.8), subtitle=False),
        _chart(plots.histogram, own.copy(), figsize=(9.5, 3.2), resample="D", subtitle=False, prepare_returns=False),
    ]
    sections.append(("Charts of daily returns", "".join(charts)))
    return sections
