"""When a fund became too small to trade on: from then on every entry would be below the smallest position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from throughline.analytics.ledger import PathDays
from throughline.configuration import SizingSettings


def stopped_funds(days: Sequence[date], paths: Mapping[str, PathDays], sizing: SizingSettings) -> dict[str, date]:
    """Return path -> the first day at whose end it could enter nothing any more; paths that still could are left out.

    A path is at its end where it holds nothing and the largest size that the rules allow, its equity (at most the small
    fund) over the number of slots, is below the smallest position: without a trade neither changes again.
    """
    stopped = {}
    for name, path in paths.items():
        for day, equity, positions in zip(days, path.equity, path.open_counts, strict=True):
            largest = min(sizing.small_fund_usd, equity) / sizing.max_positions
            if positions == 0 and largest < sizing.minimum_position_usd:
                stopped[name] = day
                break
    return stopped
