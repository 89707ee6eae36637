"""Partitions: one daily definition in UTC for all assets of a mode.

All modes have one start date, because Dagster's backfills chunk wrongly across assets with different ones. Hours inside
a day are a column of the records, never partitions. The last partition is yesterday, unless the mode says otherwise.
"""

from __future__ import annotations

from datetime import date

import dagster as dg


def daily_partitions(start: date, end_offset: int = 0) -> dg.DailyPartitionsDefinition:
    """Return the daily partitions from `start` (UTC) to yesterday, or `end_offset` days later."""
    return dg.DailyPartitionsDefinition(
        start_date=start.isoformat(), timezone="UTC", fmt="%Y-%m-%d", end_offset=end_offset
    )
