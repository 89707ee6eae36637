"""Pictures and previews of the UI: well-formed, small, and with the numbers they were given."""

from __future__ import annotations

import base64
from datetime import date, timedelta
from xml.etree import ElementTree as ET

from assets.pictures import equity_svg, funnel_svg, image
from assets.presentation import PREVIEW_DAYS, day_metadata, preview
from throughline.flow import DayResult
from throughline.quality.verdict import Failure, Verdict

DAYS = [date(2021, 3, 1) + timedelta(days=k) for k in range(365)]


def result(number: int = 0, **changes: object) -> DayResult:
    values = {
        "asset": "market_scan",
        "day": DAYS[number],
        "status": "sealed",
        "rows": 24,
        "seal": "ab" * 32,
        "verdict": None,
        "blocked_by": None,
        "details": {"scans": 24, "gate": None, "dispositions": {}},
        "seconds": 0.5,
    }
    return DayResult(**(values | changes))  # type: ignore[arg-type]


def test_an_equity_curve_is_small_well_formed_svg_with_its_ends() -> None:
    svg = equity_svg(DAYS, {"base": [10_000.0 + k for k in range(365)], "pessimistic": [9_000.0] * 365})
    texts = [item.text for item in ET.fromstring(svg).iter() if item.text]
    assert {"$10,364", "$9,000", "2021-03-01", "2022-02-28", "base", "pessimistic"} <= set(texts)
    assert len(svg) < 20_000


def test_one_flat_day_is_drawn_too() -> None:
    ET.fromstring(equity_svg(DAYS[:1], {"base": [10_000.0]}))


def test_a_funnel_says_how_many_pass_each_filter() -> None:
    svg = funnel_svg(
        [{"filter": "market_cap <", "seen": 1200, "removed": 200}, {"filter": "x", "seen": 0, "removed": 0}]
    )
    texts = [item.text for item in ET.fromstring(svg).iter() if item.text]
    assert texts == ["market_cap <", "1,000 of 1,200 pass", "x", "0 of 0 pass"]


def test_an_image_is_markdown_with_a_data_address() -> None:
    text = image("<svg/>", "equity")
    assert text.startswith("![equity](data:image/svg+xml;base64,")
    assert base64.b64decode(text.rsplit(",", 1)[1][:-1]) == b"<svg/>"


def test_a_day_shows_what_its_stage_told_and_leaves_out_what_it_did_not() -> None:
    assert day_metadata(result()) == {
        "dagster/row_count": 24,
        "seal": "ab" * 32,
        "status": "sealed",
        "seconds": 0.5,
        "scans": 24,
    }


def test_a_blocked_day_and_a_failed_gate_say_why() -> None:
    cause = {"asset": "market_bars", "rule": "day_has_bars", "rows": 1}
    verdict = Verdict("market_scan", DAYS[0], "ab", "s@1", "h", (Failure("funnel_adds_up", 2, ("01:00",)),))
    metadata = day_metadata(result(status="blocked", blocked_by=cause, verdict=verdict))
    assert metadata["blocked_by"] == "market_bars broke day_has_bars in the whole day"
    assert metadata["gate"] == "funnel_adds_up: 2 rows"


def test_the_preview_of_a_range_names_its_blocked_days_and_lists_its_last() -> None:
    cause = {"asset": "market_bars", "rule": "day_has_bars", "rows": 1}
    results = [result(k) for k in range(60)]
    results[3] = result(3, status="blocked", blocked_by=cause, rows=0)
    text = preview(results, "![picture](data:,)")
    assert "**2021-03-01 to 2021-04-29**: 1,416 rows in 30.00 s" in text
    assert "1 of 60 days blocked: 2021-03-04" in text
    assert "![picture](data:,)" in text
    assert text.count("\n| 2021-") == PREVIEW_DAYS
