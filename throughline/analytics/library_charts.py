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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import accumulate
from types import ModuleType
from typing import Any

from throughline.analytics.performance import DAYS_A_YEAR, max_drawdown, sharpe_ratio, total_return
from throughline.analytics.words import percent, ratio

Section = tuple[str, str]
MINIMUM_DAYS = 5
"""Below this many days a distribution or a drawdown table says nothing."""

_FULL_YEAR = 365
"""Days from which a figure "per year" is measured and not extrapolated."""

_STATISTICS: Mapping[str, str] = {
    "Sortino": "Sortino (daily, √365)",
    "Omega": "Omega (threshold 0)",
    "Longest DD Days": "longest drawdown, days",
    "Volatility (ann.)": "volatility, annualised",
    "Skew": "skew of daily returns",
    "Kurtosis": "excess kurtosis of daily returns",
    "Daily Value-at-Risk": "daily value at risk, 95 %, normal",
    "Max Consecutive Wins": "longest run of gains, days",
    "Max Consecutive Losses": "longest run of losses, days",
    "Payoff Ratio": "mean gain over mean loss of a day",
    "Tail Ratio": "95th percentile over 5th",
    "Best Day": "best day",
    "Worst Day": "worst day",
    "Win Days": "days with a gain, of those that moved",
    "Beta": "beta",
    "Correlation": "correlation",
}
"""Row of the library -> what it is. A test compares each with its formula (test_analytics_statistics).

Rows that mislead are left out: Recovery Factor is positive for a loss, Max Drawdown is empty after some total losses,
Calmar, CAGR and Alpha annualise any range, average drawdowns depend on where the range is cut, and the expected
shortfall is not the mean of the days beyond the value at risk."""
_OF_A_YEAR: Mapping[str, str] = {"CAGR﹪": "return a year, compounded", "Calmar": "Calmar", "Alpha": "alpha a year"}


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


def _statistics_table(table: Sequence[tuple[str, ...]]) -> str:
    """Return the rows as two tables side by side, each under the header."""
    header, *body = table
    heads = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    rows = ["<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in body]
    half = (len(rows) + 1) // 2
    tables = [
        f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(part)}</tbody></table>"
        for part in (rows[:half], rows[half:])
        if part
    ]
    return f'<div class="two">{"".join(tables)}</div>'


def _chart(draw: Callable[..., Any], series: Any, axis: str, title: str, **options: Any) -> str:
    """Return one of the library's charts as an image.

    Its percentages are written anew: the library cuts 5 % (0.05 * 100 = 4.99...) to "4%" and rounds 2.5 % to "2%".

    Args:
        draw: a function of ``quantstats.plots`` that returns a matplotlib figure.
        series: pandas Series of daily simple returns.
        axis: ``"x"`` or ``"y"``, the one that holds returns.
        title: what the chart shows, in place of the library's title.
        options: further arguments of `draw`.
    """
    from matplotlib.ticker import PercentFormatter

    figure = draw(
        series,
        show=False,
        ylabel="",
        fontname="DejaVu Sans",  # ships with matplotlib, so the page looks the same on every machine
        **options,
    )
    figure.suptitle(title, fontname="DejaVu Sans", fontweight="bold")
    (axes,) = figure.axes
    getattr(axes, f"{axis}axis").set_major_formatter(PercentFormatter(xmax=1.0, symbol=" %"))
    buffer = io.BytesIO()
    # tight: the labels are wider than those for which the library made room, and a minus sign was cut off
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(title)}" src="data:image/png;base64,{data}">'


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
    with _library():
        own, other = _as_series(days, returns, "base path"), None
        if benchmark is not None and any(benchmark):
            other = _as_series(days, benchmark, benchmark_name)
        return [
            ("Statistics of daily returns", _statistics_table(statistics(own, other))),
            ("Charts of daily returns", _charts(own)),
        ]


def statistics(own: Any, other: Any | None) -> list[tuple[str, ...]]:
    """Return the table: a header row, our own headline figures, then the library's.

    own, other: pandas Series of daily simple returns of the strategy's base path and the benchmark, named as in the
    header. The library must be loaded (`library_sections` does).
    """
    from quantstats import reports

    columns = [own] if other is None else [other, own]
    frame = reports.metrics(  # type: ignore[no-untyped-call]
        own.copy(),
        benchmark=None if other is None else other.copy(),
        display=False,
        mode="full",
        periods_per_year=DAYS_A_YEAR,
        match_dates=False,
        prepare_returns=False,
        strategy_title=own.name,
        benchmark_title=None if other is None else other.name,
        internal="True",  # the library's own reports ask for percent text this way
    )
    series = [column.tolist() for column in columns]
    worth = [list(accumulate(values, lambda value, change: value * (1.0 + change), initial=1.0)) for values in series]
    rows = [
        ("", *(str(column.name) for column in columns)),
        ("return", *(percent(total_return(curve)) for curve in worth)),
        ("Sharpe (daily, √365)", *(ratio(sharpe_ratio(values)) for values in series)),
        ("max drawdown", *(percent(-max_drawdown(curve)) for curve in worth)),
    ]
    names = {**_STATISTICS, **(_OF_A_YEAR if len(own) >= _FULL_YEAR else {})}
    for name, label in names.items():
        if name in frame.index:
            rows.append((label, *(_statistic(frame.loc[name, column.name]) for column in columns)))
    return rows


@contextmanager
def _library() -> Iterator[None]:
    """Load quantstats and give it matplotlib's defaults while it draws; leave matplotlib as it was."""
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
                yield
    finally:
        mpl.use(previous)


def _as_series(days: Sequence[date], returns: Sequence[float], name: str) -> Any:
    import pandas as pd

    return pd.Series(list(returns), index=pd.DatetimeIndex(pd.to_datetime(list(days))), name=name, dtype="float64")


def _charts(own: Any) -> str:
    from quantstats import plots

    return _chart(
        plots.drawdown,
        own.copy(),
        "y",
        "Drawdown at the end of each day (dashed: mean)",
        figsize=(9.5, 2.8),
        subtitle=False,
    ) + _chart(
        plots.histogram,
        own.copy(),
        "x",
        "Density of daily returns (dashed: mean)",
        figsize=(9.5, 3.2),
        resample="D",
        subtitle=False,
        prepare_returns=False,
    )
