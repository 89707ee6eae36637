"""The registries' section: words, tables and pictures, in asset metadata and in the tear sheet."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.unit.test_analytics_pages import make_report
from tests.unit.test_analytics_registry_figures import make_trade
from tests.unit.test_analytics_registry_soulprints import vectors
from throughline.analytics.tear_sheet.page import tear_sheet_html
from throughline.analytics.trade_registry.entries import Trade
from throughline.analytics.trade_registry.evidence import bucket_effectiveness, neighbour_agreement
from throughline.analytics.trade_registry.groups import (
    by_hour,
    by_weekday,
    figures_by,
    group_figures,
    risk_by_strategy,
    risk_figures,
)
from throughline.analytics.trade_registry.model import Coverage, Link, RegistryAnalytics
from throughline.analytics.trade_registry.page import registry_blocks
from throughline.analytics.trade_registry.pictures import registry_pictures, timing_chart
from throughline.analytics.trade_registry.rows import interval
from throughline.analytics.trade_registry.soulprints import canonical_correlations, soulprint_figures
from throughline.rendering.blocks import markdown
from throughline.rendering.table import Table


def registry_markdown(figures: RegistryAnalytics) -> str:
    return markdown(registry_blocks(figures))


def analytics(trades: list[Trade], outcomes: int | None = None, **changes: Any) -> RegistryAnalytics:
    hours, hours_test = by_hour(trades)
    weekdays, weekdays_test = by_weekday(trades)
    known = sum(item.values is not None for item in trades)
    told = RegistryAnalytics(
        experiment="ab" * 32,
        as_of=datetime(2021, 6, 1, tzinfo=UTC),
        entry_days=len({item.opened_at.date() for item in trades}),
        quarantined=0,
        total=group_figures("all trades", trades),
        risk=risk_figures(trades, None),
        strategies=figures_by(trades, lambda item: (item.strategy,)),
        strategy_risk=risk_by_strategy(trades, None),
        hours=hours,
        hours_test=hours_test,
        weekdays=weekdays,
        weekdays_test=weekdays_test,
        reasons=figures_by(trades, lambda item: (item.reason,)),
        buckets=figures_by(trades, lambda item: item.buckets),
        effectiveness=bucket_effectiveness(trades),
        soulprints=soulprint_figures(trades),
        canonical=canonical_correlations(trades),
        neighbours=neighbour_agreement(trades),
        coverage=Coverage(outcomes if outcomes is not None else len(trades), len(trades), len(trades), known, 0, 0, {}),
        links=[Link("canonical_trades", "soulprints", len(trades), known, len(trades) - known, 0)],
    )
    return replace(told, **changes)


def full(count: int = 200) -> RegistryAnalytics:
    draw = random.Random(1)
    keys = [f"soulprint/1|some|b0|{k:05b}" for k in range(4)]
    return analytics(
        [replace(item, simhash="0" * 16, buckets=(draw.choice(keys),)) for item in vectors(count, strength=0.5)]
    )


def test_a_full_registry_gives_every_part_and_all_four_pictures() -> None:
    told = full()
    pictures = registry_pictures(told)
    assert set(pictures) == {"timing", "buckets", "soulprints", "tracks"}
    assert all(ET.fromstring(svg).tag == "svg" and len(svg) < 150_000 for svg in pictures.values())
    assert pictures == registry_pictures(told)
    page = registry_markdown(told)
    assert page.count("data:image/svg+xml;base64,") == 4
    assert page.count("### ") == 11
    assert "nan" not in page.split("base64")[0]
    assert "None" not in re.sub(r"base64,[^)]*", "", page)


def test_every_row_of_a_table_has_as_many_cells_as_its_header() -> None:
    for told in (full(), full(12), analytics([make_trade(0)])):
        for block in registry_blocks(told):
            if isinstance(block, Table):
                assert {len(row) for row in block.rows} <= {len(block.header)}


@pytest.mark.parametrize("count", [1, 9, 10, 29, 31, 61])
def test_any_number_of_trades_gives_a_page_that_says_what_is_too_few(count: int) -> None:
    told = full(count)
    page = registry_markdown(told)
    assert f"{count:,} closed trades" in page
    assert (f"| all trades | {count} | too few | too few" in page) == (count < 10)
    assert ("Too few trades for any correlation" in page) == (count < 30)
    assert ("below 30 no risk-adjusted figure" in page) == (count < 30)


def test_trades_without_soulprints_and_buckets_give_a_page_too() -> None:
    told = analytics([make_trade(k, net_return=0.01 * (k % 5 - 2)) for k in range(100)])
    page = registry_markdown(told)
    assert "0 trades could be compared" in page
    assert "100 links are not whole" in page
    assert set(registry_pictures(told)) == {"timing"}


def test_a_panel_without_a_single_bar_is_not_drawn() -> None:
    few = analytics([make_trade(k, net_return=0.01 * (k % 5 - 2)) for k in range(3)])
    assert "timing" not in registry_pictures(few)
    many = analytics([make_trade(k, net_return=0.01 * (k % 5 - 2)) for k in range(300)])
    both, weekdays = (timing_chart(many.weekdays, hours) for hours in (many.hours, few.hours))
    assert both is not None
    assert weekdays is not None
    assert (both.count('class="title"'), weekdays.count('class="title"')) == (2, 1)


def test_an_empty_registry_says_so_and_what_to_do() -> None:
    told = analytics([])
    assert registry_pictures(told) == {}
    assert "no trade had closed" in registry_markdown(told)
    older = analytics([], outcomes=12)
    assert "12 outcomes are recorded: materialize canonical_trades" in registry_markdown(older)
    page = tear_sheet_html(replace(make_report(), registry=older))
    assert "<h2>Registry</h2>" in page
    assert "12 outcomes are recorded" in page


def test_the_tear_sheet_has_the_section_and_still_needs_nothing_from_outside() -> None:
    told = full()
    page = tear_sheet_html(replace(make_report(), registry=told))
    assert page.count("<svg ") == 4 + tear_sheet_html(make_report()).count("<svg ")
    assert "Do the profit buckets predict returns?" in page
    assert "http:" not in page
    assert page == tear_sheet_html(replace(make_report(), registry=told))
    assert "Registry" not in tear_sheet_html(make_report())


def test_what_names_hold_is_escaped() -> None:
    told = analytics([make_trade(k, strategy="<b>a|b</b>") for k in range(12)])
    assert "<b>a|b" not in tear_sheet_html(replace(make_report(), registry=told))
    assert "a\\|b" in registry_markdown(told)


def test_the_figures_are_json_and_the_curves_are_not_in_it() -> None:
    told = full()
    report = json.loads(json.dumps(replace(make_report(), registry=told).as_json(), allow_nan=False))
    assert report["registry"]["total"]["n"] == 200
    assert report["registry"]["as_of"] == "2021-06-01T00:00:00+00:00"
    assert "tracks" not in report["registry"]["soulprints"]
    assert make_report().as_json()["registry"] is None


def test_a_hidden_win_rate_of_zero_is_shown_as_zero() -> None:
    told = analytics([make_trade(24 * 7 * k, net_return=-0.1) for k in range(12)])
    page = registry_markdown(told)
    assert "| Monday | 12 | 0.0 % (0.0 to 24.2) |" in page


def test_what_does_not_vary_is_not_said_to_be_too_few() -> None:
    still = [replace(item, confidence=0.5) for item in vectors(50)]
    assert "confidence does not vary" in registry_markdown(analytics(still))


def test_quarantined_trades_are_counted() -> None:
    assert "3 trades are in quarantine and left out" in registry_markdown(replace(full(12), quarantined=3))


def test_figures_are_written_with_what_they_are_worth() -> None:
    assert interval(None, None, None) == "too few"
    assert interval(0.5, 0.4, 0.6, signed=False) == "50.0 % (40.0 to 60.0)"
    assert interval(-0.05, -0.1, 0.0) == "-5.0 % (-10.0 to +0.0)"
