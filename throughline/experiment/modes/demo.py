"""Mode `demo`: the whole chain on an invented market, with nothing to download and nothing to configure."""

from __future__ import annotations

from datetime import date, timedelta

from throughline.experiment.mode import Mode

LAST_DAY = date(2024, 2, 22)
"""Last day of `throughline demo`."""
DAYS = 30
"""Number of days of `throughline demo` where none is given."""

MODE = Mode(
    name="demo",
    description="An invented market that a seed generates; fills are simulated.",
    market="invented",
    provider="simulated",
    fills="simulated",
    commands={"demo": "throughline demo"},
    rank=20,
    warning="The market of demo mode is invented: nothing here says anything about a real one.",
    first_day=LAST_DAY - timedelta(days=DAYS - 1),
    opens_with_ui=True,
)
