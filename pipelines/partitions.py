"""Partitions: one daily definition in UTC for all assets and modes, and nothing else.

One start date, because Dagster's backfills chunk wrongly across assets with different ones. Hours inside a day are a
column of the records, never partitions. The end is yesterday; a mode that lives in the present sets an end offset.
"""

from __future__ import annotations

from datetime import date

import dagster as dg


def daily_partitions(start: date) -> dg.DailyPartitionsDefinition:
    """Return the daily partitions from `start` (UTC) to yesterday."""
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), timezone="UTC", fmt="%Y-%m-%d")
