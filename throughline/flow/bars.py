"""Stage `market_bars`: read a day's bars, store their canonical blocks, judge them, seal them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from throughline.flow.context import DayResult, FlowContext
from throughline.flow.market_view import DAY, artifact_bytes, day_ms
from throughline.flow.sealing import DayDraft, require_days, seal_days
from throughline.identity import time_text_ms
from throughline.market.blocks import block_hashes
from throughline.market.panel import DataNote, MarketPanel
from throughline.storage.queries import record_artifacts

HOURS_A_DAY = 24


def seal_market_bars(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Seal the bars that open in each of `days`. Raises ArchiveError for unusable input."""
    days = require_days(ctx, days)
    panel = ctx.view.panel(days[0], days[-1])
    counts = _instrument_counts(panel)
    drafts = []
    read = [ctx.view.blocks(day) for day in days]
    refs = ctx.artifacts.put_many([artifact_bytes(blocks.lines) for blocks in read], "market_bars", "application/jsonl")
    for day, blocks, ref in zip(days, read, refs, strict=True):
        rows = _slice(panel, day)
        quarantined = sum(blocks.quarantined.values())
        covered = covered_hours(panel, rows)
        before = counts.get(day_ms(day - DAY), 0)
        instruments = counts.get(day_ms(day), 0)
        summary = {
            "bars": blocks.bars,
            "instruments": instruments,
            "quarantined": quarantined,
            "quarantined_share": quarantined / max(1, quarantined + blocks.bars),
            "universe_ratio": instruments / before if before else np.nan,
            "hours": int((~np.isnan(panel.close[rows])).any(axis=1).sum()),
            "day_share": covered / HOURS_A_DAY,
            "hours_missing": HOURS_A_DAY - covered,
        }
        drafts.append(
            DayDraft(
                day=day,
                leaves=block_hashes(blocks.lines),
                artifact=ref,
                gate_day=summary,
                gate_rows=_frame(panel, rows, day),
                details={
                    "bars": blocks.bars,
                    "hours": summary["hours"],
                    "instruments": instruments,
                    "quarantined": dict(sorted(blocks.quarantined.items())),
                    "doubtful_jumps": _notes(panel, day, "doubtful_jump"),
                    "corporate_actions": _notes(panel, day, "corporate_action", "corporate_action_not_applied"),
                    "untraded": sum(note.rows for note in panel.notes if note.kind == "untraded" and _on(note, day)),
                }
                | (_warm_up(ctx) if day == ctx.experiment.epoch else {}),
            )
        )
    return seal_days(ctx, "market_bars", drafts, blocked={})


def _warm_up(ctx: FlowContext) -> dict[str, Any]:
    """Return what the days before the epoch are, which warm up the signals and are no partition, and store their bars.

    With it a revision of them is noticed, and what changed can be said.
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
    """Return the notes of those kinds on a day: instrument, time (UTC text) and what it says."""
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


def _frame(panel: MarketPanel, rows: slice, day: date) -> pd.DataFrame:
    time, column = np.nonzero(~np.isnan(panel.close[rows]))
    names = np.asarray(panel.instruments, dtype=object)[column]
    opened = panel.open_time[rows][time]
    data: dict[str, Any] = {
        "instrument": names,
        "open_time": opened,
        "open": panel.open[rows][time, column],
        "high": panel.high[rows][time, column],
        "low": panel.low[rows][time, column],
        "close": panel.close[rows][time, column],
        "volume": panel.volume[rows][time, column],
    }
    frame = pd.DataFrame(data)
    frame["partition"] = day
    frame["key"] = [f"{name}@{moment}" for name, moment in zip(names, opened, strict=True)]
    return frame
