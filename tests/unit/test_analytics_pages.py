"""The tear sheet, the pictures and the sentences, from a report made by hand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import date, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.conftest import AddModule
from tests.unit.test_docs_extending import example
from throughline.analytics.baselines import summarise_random
from throughline.analytics.model import Curves, Report
from throughline.analytics.performance import performance, signs_flip
from throughline.analytics.report_pictures import drawdown_chart, equity_chart, funnel_chart, returns_chart
from throughline.analytics.sentences import sign_sentence
from throughline.analytics.tear_sheet.page import tear_sheet_html, write_tear_sheet
from throughline.errors import SettingsError, StorageError
from throughline.storage.artifacts import ArtifactStore
from throughline.trading.types import PATHS

SECTIONS = "throughline.analytics.tear_sheet.sections"


def make_report(
    days: int = 40, drifts: tuple[float, float, float] = (-0.002, 0.001, 0.002), market: bool = True
) -> Report:
    dates = [date(2021, 1, 1) + timedelta(days=k) for k in range(days)]

    def curve(drift: float) -> list[float]:
        return [10_000.0 * (1.0 + drift * (k + 1) + 0.004 * ((k * 7) % 5 - 2)) for k in range(days)]

    equity = {path: curve(drift) for path, drift in zip(PATHS, drifts, strict=True)}
    cash = {path: [value * 0.4 for value in values] for path, values in equity.items()}
    worth = {"equal_weight": curve(0.003), "benchmark": curve(0.002)} if market else {}
    curves = Curves(dates, equity, cash, dict.fromkeys(PATHS, 10_000.0), worth)
    paths = {path: performance(curves.with_start(path), [0.6] * days, [10.0, -5.0, 3.0]) for path in PATHS}
    funnel = [
        {"filter": "market_cap", "seen": 1000, "removed": 700, "missing": 90},
        {"filter": "momentum", "seen": 300, "removed": 280, "missing": 0},
    ]
    drawn = asdict(summarise_random(0.1, [0.0, 0.1, 0.2], [3, 3, 4], [0.2, 0.2, 0.3], 20, 0.01, [0.0, 0.02]))
    return Report(
        experiment="ab" * 32,
        mode="backtest",
        start=dates[0],
        end=dates[-1],
        instruments=8,
        bars=1234,
        funnel=funnel,
        candidates=20,
        trades=3,
        paths=paths,
        termination_reasons={"stop_loss": 1, "profit_target": 2},
        dispositions={"taken": 3, "no_slot": 17},
        blocked_days=[],
        baselines={
            "equal_weight": {
                "return": 0.1,
                "exposure": 0.9,
                "instruments": 4.0,
                "fewest_instruments": 1,
                "days_with_one_or_none": 2,
                "days": days,
            },
            "equal_weight_same_exposure": {"return": 0.04, "exposure": 0.6},
            "benchmark": {"name": "BTC", "return": 0.05, "exposure": 1.0}
            if market
            else {"name": None, "return": None, "reason": "none"},
            "random_entries": drawn,
        },
        open_positions=[
            {
                "instrument": "<b>X</b>",
                "entry_time": "2021-01-30T12:00:00.000000Z",
                "entry_price": "0.00000012",
                "last_price": "0.00000013",
                "value_usd": 12.5,
                "unrealized_pnl_usd": -1.0,
            }
        ],
        assumptions=["Everything was assumed."],
        quarantined={"rules": {"jump_up": 2}, "total": 2},
        seals={"executions": "cd" * 32},
        chain={"checked": 100, "broken": 0},
        seconds={"executions": 0.5},
        sign_flips=signs_flip([item.total_return for item in paths.values()]),
        curves=curves,
    )


def test_the_page_says_first_that_the_sign_depends_on_the_fill_model() -> None:
    page = tear_sheet_html(make_report())
    assert "sign of the return depends on how fills are assumed" in page
    assert page.index("sign of the return") < page.index("Equity, beside the market")
    assert "sign of the return" not in tear_sheet_html(make_report(drifts=(0.001, 0.002, 0.003)))


def test_the_page_needs_nothing_from_outside_and_escapes_what_it_is_given() -> None:
    page = tear_sheet_html(make_report())
    assert "http:" not in page
    assert "https:" not in page
    assert "<script" not in page
    assert "<b>X</b>" not in page
    assert "&lt;b&gt;X&lt;/b&gt;" in page


def test_the_same_report_gives_the_same_bytes() -> None:
    assert tear_sheet_html(make_report()) == tear_sheet_html(make_report())


@pytest.mark.parametrize("days", [1, 2, 4, 5, 8, 400])
def test_any_length_of_range_gives_a_page(days: int) -> None:
    page = tear_sheet_html(make_report(days=days, market=days != 8))
    assert page.startswith("<!DOCTYPE html>")
    assert ("No statistics of daily returns" in page) == (days < 5)


def test_the_page_needs_neither_a_plotting_library_nor_one_that_could_fetch() -> None:
    code = (
        "import sys; from tests.unit.test_analytics_pages import *; tear_sheet_html(make_report());"
        "assert not {'quantstats', 'matplotlib', 'yfinance', 'curl_cffi', 'pandas'} & set(sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)})


def test_the_file_appears_whole_and_as_an_artifact(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "artifacts")
    path, ref = write_tear_sheet(make_report(), tmp_path / "reports", store)
    assert path.name == "backtest-2021-01-01-2021-02-09-abababababab.html"
    assert store.get(ref.hash) == path.read_bytes()
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file")
    with pytest.raises(StorageError, match="choose another --home"):
        write_tear_sheet(make_report(), tmp_path / "reports", ArtifactStore(tmp_path / "artifacts"))


def test_pictures_are_small_well_formed_and_the_same_each_time() -> None:
    report = make_report()
    picture = equity_chart(report.curves.dates, report.curves.equity)
    assert len(picture) < 20_000
    assert picture == equity_chart(report.curves.dates, report.curves.equity)
    for svg in (
        picture,
        equity_chart(report.curves.dates[:1], {"base": [1.0]}),
        funnel_chart(report.funnel),
        funnel_chart([]),
        drawdown_chart(report.curves.dates, [0.1] * len(report.curves.dates)),
        drawdown_chart(report.curves.dates, [0.0] * len(report.curves.dates)),
        returns_chart([0.01, -0.02, 0.0]),
    ):
        assert ET.fromstring(svg).tag == "svg"
        assert "nan" not in svg


def test_the_drawings_have_the_figures_that_they_were_given() -> None:
    report = make_report()
    assert "at the end pessimistic" in equity_chart(report.curves.dates, report.curves.equity)
    funnel = funnel_chart(report.funnel)
    assert "300 of 1,000 pass (90 without a value)" in funnel
    assert "20 of 300 pass" in funnel
    assert "at most 20.00%, on average 10.00%" in drawdown_chart(report.curves.dates[:2], [0.0, 0.2])
    counted = re.findall(r'class="bar (gain|loss)"', returns_chart([0.01, 0.02, -0.01, 0.02]))
    assert sorted(counted) == ["gain", "gain", "loss"]


def test_a_page_gets_a_section_by_adding_one_file(repo: Path, add_module: AddModule) -> None:
    page = (repo / "docs" / "extending.md").read_text(encoding="utf-8")
    add_module(SECTIONS, "costs", example(page, "a page section of a report"))
    add_module(
        SECTIONS,
        "turnover",
        "from throughline.rendering.blocks import Section\n"
        "SECTIONS = (Section('Turnover', 15, lambda report: [f'{report.trades} trades <each>']),)\n",
    )
    trade = dict.fromkeys(("id", "instrument", "entry_time", "exit_time", "reason", "flags"), "1.5")
    trade |= dict.fromkeys(("notional_usd", "pnl_usd", "pnl_low_usd", "pnl_high_usd", "return_percent"), "1.5")
    html = tear_sheet_html(replace(make_report(), trade_list=[trade | {"fees_usd": "1.5", "costs_usd": "2"}]))
    titles = re.findall("<h2>(.*?)</h2>", html)
    assert titles[:3] == ["Equity, beside the market", "Turnover", "Three fill models side by side"]
    assert titles[titles.index("Costs") - 1] == "Trades"
    assert '<p class="sub">3 trades &lt;each&gt;</p>' in html
    assert '<th scope="row">costs_usd</th><td>$2.00</td>' in html


def test_a_module_without_sections_is_named(add_module: AddModule) -> None:
    file = add_module(SECTIONS, "empty", "")
    with pytest.raises(SettingsError, match=f"{file}: the module must define SECTIONS, a tuple of Section"):
        tear_sheet_html(make_report())


def test_the_sign_sentence_is_left_out_where_the_signs_agree() -> None:
    assert sign_sentence(replace(make_report(), sign_flips=False)) is None


def test_the_object_printed_as_json_has_the_base_path_in_front() -> None:
    told = make_report().as_json()
    assert told["returns"].keys() == set(PATHS)
    assert told["sharpe"] == told["paths"]["base"]["sharpe"]
    assert told["sign_flips"] is True
    assert told["start"] == "2021-01-01"
