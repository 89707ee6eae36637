"""How figures of the registries are written for people: shares with intervals, correlations, rows of groups.

Shared by all parts of the section, so that the same kind of figure reads the same everywhere. Does not belong here:
which parts there are (registry_pages).
"""

from __future__ import annotations

from collections.abc import Sequence

from throughline.analytics.registry_model import (
    MINIMUM_CORRELATION,
    MINIMUM_GROUP,
    Correlation,
    GroupFigures,
    GroupTest,
    Tercile,
)
from throughline.analytics.words import percent, ratio, usd

Row = Sequence[str]
GROUP_HEAD = ("", "trades", "won (95 %)", "mean net return (95 %)", "median", "profit", "profit factor")


def interval(value: float | None, low: float | None, high: float | None, signed: bool = True) -> str:
    """Return a share as percent with its interval, 'too few' without a value."""
    if value is None:
        return "too few"
    sign = "+" if signed else ""
    inside = "" if low is None or high is None else f" ({low * 100:{sign}.1f} to {high * 100:{sign}.1f})"
    return f"{value * 100:{sign}.1f} %{inside}"


def p_text(value: float | None) -> str:
    """Return a p-value with three digits after the point; '< 0.001' below that, 'n/a' for None."""
    if value is None:
        return "n/a"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def probability_text(value: float | None) -> str:
    """Return a probability as percent, never as certain; 'n/a' for None."""
    if value is None:
        return "n/a"
    if not 0.001 <= value <= 0.999:
        return "> 99.9 %" if value > 0.5 else "< 0.1 %"
    return f"{value * 100:.1f} %"


def rho_text(item: Correlation) -> str:
    """Return a rank correlation with its interval; without one, why."""
    if item.rho is None or item.low is None or item.high is None:
        return "too few" if item.n < MINIMUM_CORRELATION else "does not vary"
    return f"{item.rho:+.2f} ({item.low:+.2f} to {item.high:+.2f})"


def share_text(part: int, whole: int) -> str:
    """Return a part of a whole as percent; 'n/a' of nothing."""
    return "n/a" if not whole else f"{part / whole * 100:.1f} %"


def group_row(group: GroupFigures, name: str | None = None) -> Row:
    """Return the row of a group under `GROUP_HEAD`."""
    if group.win_rate is None:
        factor = "too few"
    else:
        factor = "no loss" if group.profit_factor is None else ratio(group.profit_factor)
    return (
        name or group.name.replace("_", " "),
        f"{group.n:,}",
        interval(group.win_rate, group.win_low, group.win_high, signed=False),
        interval(group.mean_return, group.mean_low, group.mean_high),
        "too few" if group.median_return is None else percent(group.median_return),
        usd(float(group.profit_usd)),
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
    return f"{test.groups} {name} with {MINIMUM_GROUP} trades or more: p = {p_text(test.p_value)}, {verdict}."


def tercile_rows(terciles: Sequence[Tercile], head: Row, decimals: bool = False) -> list[Row]:
    """Return the table of thirds, empty without any. decimals: the score is no share."""
    if not terciles:
        return []
    rows: list[Row] = [head]
    rows += [
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
    return rows
