"""Stage `market_bars`: read a day's bars, store their canonical blocks, judge them, seal them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from throughline.flow.context import DayResult, FlowContext
from throughline.flow.market_view import DAY, artifact_bytes, day_ms
from throughline.flow.sealing import DayDraft, require_days, seal_days, start_evaluation
from throughline.identity import time_text_ms
from throughline.market.panel import DataNote, MarketPanel
from throughline.storage.queries import record_artifacts

HOURS_A_DAY = 24
DAY_MS = 86_400_000


def seal_market_bars(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Seal the bars that open in each of `days`. Raises ArchiveError for unusable input."""
    partitions = require_days(ctx, days)
    panel = ctx.view.panel(partitions[0], partitions[-1])
    counts = _instrument_counts(panel)
    summaries = {day: _summary(panel, day, counts) for day in partitions}
    evaluation = start_evaluation(ctx, "market_bars", _gate_rows(panel, partitions), summaries)
    blocks_by_day = {day: ctx.view.blocks(day) for day in partitions}
    stored = [artifact_bytes(blocks.lines) for blocks in blocks_by_day.values()]
    refs = ctx.artifacts.put_many(stored, "market_bars", "application/jsonl")
    drafts = []
    for (day, blocks), ref in zip(blocks_by_day.items(), refs, strict=True):
        summary = summaries[day]
        drafts.append(
            DayDraft(
                day=day,
                leaves=blocks.hashes,
                artifact=ref,
                details={
                    "bars": blocks.bars,
                    "hours": summary["hours"],
                    "instruments": summary["instruments"],
                    "quarantined": dict(sorted(blocks.quarantined.items())),
                    "doubtful_jumps": _notes(panel, day, "doubtful_jump"),
                    "corporate_actions": _notes(panel, day, "corporate_action", "corporate_action_not_applied"),
                    "untraded": sum(note.rows for note in panel.notes if note.kind == "untraded" and _on(note, day)),
                }
                | (_warm_up(ctx) if day == ctx.experiment.epoch else {}),
            )
        )
    return seal_days(ctx, "market_bars", drafts, blocked={}, evaluation=evaluation)


def _summary(panel: MarketPanel, day: date, instruments: Mapping[int, int]) -> dict[str, Any]:
    """Return the figures of a day that its suite reads. instruments: start of a day (ms) -> instruments with a bar."""
    rows = _slice(panel, day)
    there = ~np.isnan(panel.close[rows])
    bars = int(there.sum())
    quarantined = sum(day_ms(day) <= row.event_time < day_ms(day + DAY) for row in panel.quarantined)
    covered = covered_hours(panel, rows)
    before, today = instruments.get(day_ms(day - DAY), 0), instruments.get(day_ms(day), 0)
    return {
        "bars": bars,
        "instruments": today,
        "quarantined": quarantined,
        "quarantined_share": quarantined / max(1, quarantined + bars),
        "universe_ratio": today / before if before else np.nan,
        "hours": int(there.any(axis=1).sum()),
        "day_share": covered / HOURS_A_DAY,
        "hours_missing": HOURS_A_DAY - covered,
    }


def _warm_up(ctx: FlowContext) -> dict[str, Any]:
    """Return the seals of the days before the epoch, which warm up the signals and are no partition; store their bars.

    With them a revision of those days is noticed and can be described.
    """
    days = ctx.view.read_days([ctx.experiment.epoch])[:-1]
    stored = [artifact_bytes(ctx.view.blocks(day).lines) for day in days]
    refs = ctx.artifacts.put_many(stored, "market_bars", "application/jsonl")
    with ctx.engine.begin() as conn:
        record_artifacts(conn, refs)
    return {
        "warm_up": {
            day.isoformat(): {"artifact": ref.hash, "root": ctx.view.root(day)}
            for day, ref in zip(days, refs, strict=True)
        }
    }


def _slice(panel: MarketPanel, day: date) -> slice:
    first = int(np.searchsorted(panel.open_time, day_ms(day)))
    return slice(first, int(np.searchsorted(panel.open_time, day_ms(day + DAY))))


def _on(note: DataNote, day: date) -> bool:
    return day_ms(day) <= note.time < day_ms(day + DAY)


def _notes(panel: MarketPanel, day: date, *kinds: str) -> list[dict[str, str]]:
    """Return the notes of those kinds on a day: instrument, time (UTC text) and detail."""
    return [
        {"instrument": note.instrument, "time": time_text_ms(note.time), "detail": note.detail}
        for note in panel.notes
        if note.kind in kinds and _on(note, day)
    ]


def covered_hours(panel: MarketPanel, rows: slice) -> int:
    """Return in how many hours of a day some instrument has a bar; a longer bar covers all of its hours."""
    present = np.asarray((~np.isnan(panel.close[rows])).any(axis=1))
    slots = len(present)
    if slots >= HOURS_A_DAY:
        return int(present.reshape(HOURS_A_DAY, -1).any(axis=1).sum())
    return int(present.sum()) * HOURS_A_DAY // slots


def _instrument_counts(panel: MarketPanel) -> dict[int, int]:
    """Return per day (ms) how many instruments have at least one bar."""
    has_bar = ~np.isnan(panel.close)
    day_of = panel.open_time - panel.open_time % 86_400_000
    return {int(day): int(has_bar[day_of == day].any(axis=0).sum()) for day in np.unique(day_of)}


def _gate_rows(panel: MarketPanel, days: Sequence[date]) -> pd.DataFrame:
    """Return the bars of days as the suite reads them, a line each."""
    rows = slice(_slice(panel, days[0]).start, _slice(panel, days[-1]).stop)
    time, column = np.nonzero(~np.isnan(panel.close[rows]))
    opened = panel.open_time[rows][time]
    return pd.DataFrame(
        {
            "partition": np.asarray(days, dtype=object)[(opened - day_ms(days[0])) // DAY_MS],
            "key": column * 2**42 + opened,  # one number for each instrument and time, until the year 2109
            "instrument": np.asarray(panel.instruments, dtype=object)[column],
            "open_time": opened,
            "open": panel.open[rows][time, column],
            "high": panel.high[rows][time, column],
            "low": panel.low[rows][time, column],
            "close": panel.close[rows][time, column],
            "volume": panel.volume[rows][time, column],
        }
    )
