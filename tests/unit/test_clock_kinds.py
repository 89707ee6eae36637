"""Clocks: fixed stands still, stepping steps, the system's is UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from throughline.clock import FixedClock, SteppingClock, SystemClock

AT = datetime(2021, 1, 1, tzinfo=UTC)


def test_a_fixed_clock_stands_still() -> None:
    clock = FixedClock(AT)
    assert [clock.now(), clock.now()] == [AT, AT]


def test_a_stepping_clock_gives_its_instant_first_and_then_steps() -> None:
    clock = SteppingClock(AT, timedelta(hours=1))
    assert [clock.now() for _ in range(3)] == [AT, AT + timedelta(hours=1), AT + timedelta(hours=2)]


def test_the_system_clock_is_aware_and_in_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_nothing_that_decides_or_records_reads_the_operating_system_s_clock(repo: Path) -> None:
    asks = re.compile(r"datetime\.now\(|utcnow\(|date\.today\(|(?<![\w.])time\.time\(|time_ns\(")
    rooms = ("strategy", "market", "trading", "tracking", "flow", "experiment", "quality")
    files = [*(repo / "throughline").glob("*.py")]
    files += [file for room in rooms for file in (repo / "throughline" / room).rglob("*.py")]
    guilty = [file.name for file in files if asks.search(file.read_text(encoding="utf-8"))]
    assert guilty == ["clock.py"]
