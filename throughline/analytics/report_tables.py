"""The tables of a report, for the terminal, the tear sheet and the UI alike.

Belongs here: rows and their order. Does not belong here: the sentences beside them (sentences) and the page.
"""

from __future__ import annotations

from typing import Any

from throughline.analytics.baselines import compound
from throughline.analytics.model import Report
from throughline.analytics.performance import Performance, daily_returns
from throughline.rendering.formats import minute, percent, ratio, significant, usd, words
from throughline.rendering.table import Table
from throughline.trading.types import PATHS


def sharpe_text(figures: Performance) -> str:
    """Return the Sharpe ratio with its standard error: of a few months alone it looks surer than it is."""
    if figures.sharpe is None or figures.sharpe_error is None:
        return ratio(figures.sharpe)
    return f"{figures.sharpe:.2f} ± {figures.sharpe_error:.2f}"


def path_table(report: Report) -> Table:
    """Return one row per fill model: return, Sharpe, drawdown, trades, win rate, profit factor, exposure."""
    header = ("path", "return", "Sharpe ± s.e.", "max drawdown", "trades", "win rate", "profit factor", "exposure")
    rows = [
        (
            name,
            percent(figures.total_return),
            sharpe_text(figures),
            percent(-figures.max_drawdown) if figures.max_drawdown else "0.00 %",
            str(figures.trades),
            percent(figures.win_rate, signed=False),
            ratio(figures.profit_factor),
            percent(figures.exposure, signed=False),
        )
        for name in PATHS
        if (figures := report.paths.get(name)) is not None
    ]
    return Table(header, rows, caption="Figures of the three fill models")


def baseline_table(report: Report) -> Table:
    """Return name, return, mean invested share and number of coins of the strategy and of every baseline.

    The strategy's base path comes first: a return without what was invested for it compares nothing. The coins are the
    mean number of coins in the portfolio and, in brackets, the fewest on any day.
    """

    def row(name: str, figures: Any, coins: str = "") -> tuple[str, str, str, str]:
        return name, percent(figures["return"]), percent(figures["exposure"], signed=False), coins

    base, baselines = report.paths["base"], report.baselines
    rows = [row("the strategy, base path", {"return": base.total_return, "exposure": base.exposure})]
    if equal := baselines.get("equal_weight"):
        coins = f"{equal['instruments']:.1f} ({equal['fewest_instruments']})"
        rows.append(row("equal-weight eligible universe, no costs", equal, coins))
        if same := baselines.get("equal_weight_same_exposure"):
            rows.append(row("the same, invested as the strategy was", same, coins))
    if market := baselines.get("benchmark"):
        if market.get("return") is None:
            rows.append(("benchmark", market["reason"], "", ""))
        else:
            rows.append(row(f"holding {market['name']}, no costs", market, "1"))
    if drawn := baselines.get("random_entries"):
        if drawn["draws"]:
            median = {"return": drawn["return_median"], "exposure": drawn["exposure"]}
            rows.append(row(f"random entries, median of {drawn['draws']}", median))
            spread = f"{percent(drawn['return_p05'])} to {percent(drawn['return_p95'])}"
            rows.append(("random entries, 5th to 95th percentile", spread, "", ""))
        else:
            rows.append(("random entries", drawn.get("reason", "n/a"), "", ""))
    return Table(
        ("baseline", "return", "invested", "coins (fewest)"), rows, caption="The strategy beside its baselines"
    )


def funnel_table(report: Report) -> Table:
    """Return how many instruments each filter saw, removed and left, summed over the scans."""
    rows = [
        (
            words(row["filter"]),
            f"{row['seen']:,}",
            f"{row['removed']:,}",
            f"{row['seen'] - row['removed']:,}",
            f"{row['missing']:,}",
        )
        for row in report.funnel
    ]
    return Table(("filter", "seen", "removed", "left", "without a value"), rows, caption="Filters, over all scans")


def month_table(report: Report) -> Table:
    """Return monthly returns by fill model; the first and the last month may be cut by the range."""
    months: dict[str, dict[str, list[float]]] = {}
    for path in report.paths:
        for day, value in zip(report.curves.dates, daily_returns(report.curves.with_start(path)), strict=True):
            months.setdefault(f"{day:%Y-%m}", {}).setdefault(path, []).append(value)
    rows = [
        (month, len(values["base"]), *(percent(compound(values[path])) for path in report.paths))
        for month, values in months.items()
    ]
    return Table(("month", "days", *report.paths), rows, caption="Returns by month")


def position_table(report: Report, count: int | None = None) -> Table:
    """Return the open positions, at most `count` of them, marked at their last price before exit costs."""
    rows = [
        (
            item["instrument"],
            minute(item["entry_time"]),
            significant(item["entry_price"]),
            significant(item["last_price"]),
            usd(item["value_usd"]),
            usd(item["unrealized_pnl_usd"]),
        )
        for item in report.open_positions[:count]
    ]
    header = ("instrument", "entry (UTC)", "entry price", "last price", "value", "unrealised")
    return Table(header, rows, caption="Open positions at the end")
