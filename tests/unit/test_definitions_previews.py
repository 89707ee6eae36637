"""Previews of the UI have the numbers they were given."""

from __future__ import annotations

from datetime import date, timedelta

from assets.partition_metadata import PREVIEW_DAYS, day_metadata, preview
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
