r"""Write an invented archive with a planted edge that turns into its opposite: the positive control of learning.

    python examples/planted_edge.py DIR
    throughline walk-forward --archive DIR/planted-edge.toml --data DIR --start 2022-03-15 --end 2022-10-15 \
        --config DIR/planted-edge.config.toml

Coins jump at random. After a jump, whether a coin goes on or falls back depends on its turnover (volume over market
cap) and its size together: a small coin goes on after a high turnover, a large one after a low one. Neither a straight
line nor features one by one can learn that, a tree can. From the reversal on it is the other way round.
A system that learns must train, pass its gates, run as a canary, be promoted, and be rolled back after the reversal.
None of it is real, and nothing is downloaded.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

DESCRIPTION = """\
# Invented: see examples/planted_edge.py. Nothing in it says anything about a market.
schema = 1
name = "planted-edge"
availability = "observed"
survivors_only = false
attrition_per_48h = 0.0
assumptions = ["Every price is invented: after a jump a coin's turnover decides where it goes, until that turns round."]

[bars]
file = "planted-edge.csv"
instrument = "coin"
time = "day"
time_unit = "date"
stamp = "open"
interval = "1d"
known = "close"
open = "open"
high = "high"
low = "low"
close = "close"
volume = "volume_usd"
volume_unit = "quote"

[references.market_cap]
value = "market_cap_usd"
known = "close"
max_age = "36h"

[references.volume_24h]
value = "volume_usd"
known = "close"
max_age = "36h"
"""

CONFIGURATION = """\
# Gates and trial sized for the planted archive: its days are few, its edge is large.
[learning]
folds = 4
selected_features = 30

[canary]
minimum_trades = 3
"""


@dataclass(frozen=True)
class Plan:
    """The shape of the archive. first: its first day; days: how many; reversal: from when the edge is turned round;
    jump_rate: jumps a coin and day."""

    coins: int = 300
    first: date = date(2022, 1, 1)
    days: int = 300
    reversal: date = date(2022, 8, 15)
    jump_rate: float = 0.12
    seed: int = 7


GOES_ON = {(True, True): 0.97, (True, False): 0.2, (False, True): 0.03, (False, False): 0.8}
"""(high turnover, small coin) -> how likely a jump goes on."""
SMALL_USD = 5e6


def planted_rows(plan: Plan) -> list[str]:
    """Return the lines of the CSV file, with its head."""
    rng = np.random.Generator(np.random.PCG64(plan.seed))
    turn = (plan.reversal - plan.first).days
    lines = ["coin,day,open,high,low,close,volume_usd,market_cap_usd"]
    for number in range(plan.coins):
        name = f"PLANT{number:03d}"
        close = float(np.exp(rng.uniform(-4, 3)))
        cap = float(np.exp(rng.uniform(np.log(2e6), np.log(2e7))))
        coins = cap / close
        drift: list[float] = []
        for day in range(plan.days):
            opened = close
            turnover = float(np.exp(rng.normal(np.log(0.2), 0.8)))
            if drift:
                change = drift.pop(0) + rng.normal(0, 0.01)
            elif rng.random() < plan.jump_rate:
                change = rng.uniform(0.14, 0.30)
                kind = (turnover > 0.2, bool(opened * (1 + change) * coins < SMALL_USD))
                goes_on = (rng.random() < GOES_ON[kind]) != (day >= turn)
                drift = [0.085, 0.08, -0.04] if goes_on else [-0.075, -0.07, 0.03]
            else:
                change = rng.normal(-0.023, 0.025)  # or the jumps would carry every coin out of the universe
            close = opened * (1 + change)
            wide = 0.004 + abs(rng.normal(0, 0.004))
            high, low = max(opened, close) * (1 + wide), min(opened, close) * (1 - wide)
            value = close * coins
            row = (opened, high, low, close, turnover * value, value)
            stamp = plan.first + timedelta(days=day)
            lines.append(f"{name},{stamp}," + ",".join(f"{item:.10g}" for item in row))
    return lines


def write_archive(folder: Path, plan: Plan | None = None) -> Path:
    """Write data, description and configuration into `folder`; return the description's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "planted-edge.csv").write_text("\n".join(planted_rows(plan or Plan())) + "\n", encoding="utf-8")
    (folder / "planted-edge.config.toml").write_text(CONFIGURATION, encoding="utf-8")
    description = folder / "planted-edge.toml"
    description.write_text(DESCRIPTION, encoding="utf-8")
    return description


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    print(f"wrote {write_archive(parser.parse_args().folder)}")
