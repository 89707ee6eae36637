"""Rows of the registries' tables: shares with intervals, correlations, groups.

Shared by all parts of the page, so that the same kind of figure reads the same everywhere. Does not belong here: which
parts there are (page) and how one number is written (`throughline.rendering.formats`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from throughline.analytics.trade_registry.model import (
    MINIMUM_CORRELATION,
    MINIMUM_GROUP,
    Correlation,
    GroupFigures,
    GroupTest,
    Tercile,
)
from throughline.rendering.formats import p_value, percent, ratio, usd, words
from throughline.rendering.table import Table

Row = Sequence[str]
GROUP_HEAD = ("", "trades", "won (95 %)", "mean net return (95 %)", "median", "profit", "profit factor")


def interval(value: float | None, low: float | None, high: float | None, signed: bool = True) -> str:
    """Return a share as percent with its interval, 'too few' without a value."""
    if value is None:
        return "too few"
    sign = "+" if signed else ""
    inside = "" if low is None or high is None else f" ({low * 100:{sign}.1f} to {high * 100:{sign}.1f})"
    return f"{value * 100:{sign}.1f} %{inside}"


def rho_text(item: Correlation) -> str:
    """Return a rank correlation with its interval; without one, why."""
    if item.rho is None or item.low is None or item.high is None:
        return "too few" if item.n < MINIMUM_CORRELATION else "does not vary"
    return f"{item.rho:+.2f} ({item.low:+.2f} to {item.high:+.2f})"


def group_row(group: GroupFigures, name: str | None = None) -> Row:
    """Return the row of a group under `GROUP_HEAD`."""
    if group.win_rate is None:
        factor = "too few"
    else:
        factor = "no loss" if group.profit_factor is None else ratio(group.profit_factor)
    return (
        name or words(group.name),
        f"{group.n:,}",
        interval(group.win_rate, group.win_low, group.win_high, signed=False),
        interval(group.mean_return, group.mean_low, group.mean_high),
        "too few" if group.median_return is None else percent(group.median_return),
        usd(group.profit_usd),
        factor,
    )


def difference_sentence(name: str, test: GroupTest) -> str:
    """Return whether groups called `name` differ."""
    if test.p_value is None:
        return f"Fewer than two {name} have {MINIMUM_GROUP} trades: differences cannot be tested."
    if test.p_value < 0.05:
        verdict = "they differ by more than chance would make them, if trades were independent"
    else:
        verdict = "the differences are within chance, so the best of them means nothing"
    return f"{test.groups} {name} with {MINIMUM_GROUP} trades or more: p = {p_value(test.p_value)}, {verdict}."


def tercile_table(terciles: Sequence[Tercile], header: Row, *, decimals: bool = False) -> Iterator[Table]:
    """Yield the table of thirds, none without any. decimals: the score is no share."""
    rows = [
        (
            item.name,
            f"{item.n:,}",
            f"{item.score:.2f}" if decimals else percent(item.score, signed=False),
            percent(item.expected, signed=False),
            interval(item.rate, item.low, item.high, signed=False),
            interval(item.mean_return, item.mean_low, item.mean_high),
        )
        for item in terciles
    ]
    if rows:
        yield Table(header, rows, caption=f"Thirds {header[0]}")
