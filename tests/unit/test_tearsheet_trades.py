"""The trades of a tear sheet: best and worst first, every ID there, links only where a page is."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.test_analytics_pages import make_report
from throughline.analytics.model import Report
from throughline.analytics.tear_sheet.page import tear_sheet_html
from throughline.analytics.tear_sheet.sections.trades import SECTIONS, SHOWN


def trade(number: int, pnl: float, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"00000000-0000-8000-8000-{number:012d}",
        "instrument": "AAA",
        "entry_time": "2021-01-01T00:00:00.000000Z",
        "exit_time": "2021-01-02T03:00:00.000000Z",
        "notional_usd": "100",
        "pnl_usd": str(pnl),
        "pnl_low_usd": str(pnl),
        "pnl_high_usd": str(pnl),
        "return_percent": str(pnl),
        "reason": "stop_loss",
        "flags": "",
        **changes,
    }


def report_of(*trades: dict[str, Any]) -> Report:
    return replace(make_report(), trade_list=trades)


def trades_html(report: Report) -> str:
    """Return the section of the page."""
    page = tear_sheet_html(report)
    return page[page.index(f"<h2>{SECTIONS[0].title}</h2>") :].split("<h2>")[1]


def ids(page: str) -> list[int]:
    return [int(text) for text in re.findall(r"00000000-0000-8000-8000-(\d{12})", page)]


@pytest.mark.parametrize("count", [1, 2, 9, 10, 11])
def test_the_best_and_the_worst_are_told_apart_however_few_trades_there_are(count: int) -> None:
    page = trades_html(report_of(*(trade(k, k - 3.5) for k in range(count))))
    head, whole = page.split("<details>")
    assert sorted(ids(head)) == sorted(set(ids(head))), "no trade is both among the best and among the worst"
    assert len(ids(head)) == min(count, 10)
    assert ids(whole) == list(range(count))[::-1], "all of them, the best first"
    assert ids(head)[0] == count - 1


def test_without_trades_it_says_so() -> None:
    assert '<p class="sub">No trade was closed.</p>' in trades_html(report_of())
    assert report_of().as_json()["best_trade"] is None


def test_a_trade_is_linked_only_where_it_has_a_page() -> None:
    name = trade(1, 1.0)["id"]
    report = replace(report_of(trade(0, 0.0), trade(1, 1.0)), dossiers={name: "/home/reports/dossiers/x.html"})
    page = trades_html(report)
    assert page.count("<a href") == page.count(f'<a href="dossiers/x.html">{name}</a>') == 2


def test_a_page_of_very_many_trades_lists_the_extremes_and_says_that_it_does() -> None:
    page = trades_html(report_of(*(trade(k, float(k)) for k in range(SHOWN + 200))))
    listed = ids(page.split("<details>")[1])
    assert len(listed) == SHOWN
    assert (max(listed), min(listed)) == (SHOWN + 199, 0)
    assert f"worst of {SHOWN + 200:,} closed trades" in page


def test_names_from_the_data_are_escaped_and_an_interval_is_shown_where_there_is_one() -> None:
    odd = trade(0, 1.0, instrument="<b>&", pnl_low_usd="-1", pnl_high_usd="2", flags="ambiguous_bar")
    page = trades_html(report_of(odd))
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;" in page
    assert "-$1.00 to $2.00" in page
    assert "ambiguous bar" in page
