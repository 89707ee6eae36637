"""A small invented archive, the same bytes on every machine, that every release could read."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

FIRST, DAYS = datetime(2021, 3, 1, tzinfo=UTC), 16
START, END = "2021-03-10", "2021-03-14"
"""The range that the stored homes were run over; the archive has two days more."""
NAMES = ("BTC", "ALFA", "BRAVO", "DELTA")
_VOLATILITY = {"BTC": 0.006, "ALFA": 0.02, "BRAVO": 0.025, "DELTA": 0.03}

DESCRIPTION = """schema = 1
name = "release-homes"
benchmark = "BTC"
availability = "assumed"
survivors_only = true
attrition_per_48h = 0.0

[bars]
file = "bars.csv"
instrument = "pair"
time = "time"
time_unit = "s"
stamp = "open"
interval = "1h"
known = "close"
open = "open"
high = "high"
low = "low"
close = "close"
volume = "volume"
volume_unit = "base"
"""

CONFIGURATION = """[strategy.market_cap]
enabled = false

[strategy.volume_24h]
enabled = false
"""


def write_archive(folder: Path) -> tuple[Path, Path]:
    """Write bars, description and configuration into `folder`; return the paths of the latter two."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["pair,time,open,high,low,close,volume"]
    for name in NAMES:
        draw = random.Random(f"release homes {name}")
        price = 100.0
        for hour in range(24 * DAYS):
            opened = FIRST + timedelta(hours=hour)
            close = price * math.exp(draw.gauss(0.0, _VOLATILITY[name]))
            high, low = max(price, close) * 1.002, min(price, close) * 0.998
            cells = ",".join(f"{value:.4f}" for value in (price, high, low, close))
            lines.append(f"{name},{int(opened.timestamp())},{cells},{draw.uniform(8e4, 2e5):.0f}")
            price = float(f"{close:.4f}")
    (folder / "bars.csv").write_text("\n".join(lines) + "\n", encoding="ascii")
    description, configuration = folder / "release-homes.toml", folder / "release-homes.config.toml"
    description.write_text(DESCRIPTION, encoding="ascii")
    configuration.write_text(CONFIGURATION, encoding="ascii")
    return description, configuration
