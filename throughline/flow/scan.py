"""Stage `market_scan`: at every decision instant of a day, what the screen saw of the whole universe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection

from throughline.configuration import STRATEGY
from throughline.flow.context import DayResult, FlowContext
from throughline.flow.market_view import DAY, ScreenedChunk, day_ms
from throughline.flow.sealing import (
    DayDraft,
    blocked_by_upstream,
    blocked_days,
    require_days,
    require_unrevised,
    seal_days,
)
from throughline.identity import decimal_text, score_text, time_text_ms
from throughline.market.blocks import segment_name
from throughline.strategy.screen import FUNNEL, RANGE_FILTERS, VERDICT_WORDS, funnel_row
from throughline.tracking.records import make_row


def scan_market(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Write one scan per decision instant (a bar's close) in each of `days`."""
    days = require_days(ctx, days)
    with ctx.engine.connect() as conn:
        blocked = blocked_by_upstream(ctx, conn, "market_scan", days)
        chunk = screened(ctx, conn, days)
        roots = require_unrevised(ctx, conn, ctx.view.read_days(days))
    drafts = (DayDraft(day) if day in blocked else _draft(ctx, chunk, day, roots) for day in days)
    return seal_days(ctx, "market_scan", drafts, blocked)


def _draft(ctx: FlowContext, chunk: ScreenedChunk, day: date, roots: Mapping[date, str]) -> DayDraft:
    """Return the scans of a day. roots: the seals of the bars that it reads."""
    # The day itself is left out: its seal covers hours after the decision, and a record must not know them.
    back = [day - k * DAY for k in range(ctx.view.lookback, 0, -1)]
    seals = {item.isoformat(): roots[item] for item in back}
    bodies = [_body(ctx, chunk, row, day, seals) for row in decision_rows(chunk, day)]
    rows = [make_row("market_scans", body, ctx.run_id) for body in bodies]
    return DayDraft(
        day=day,
        rows={"market_scans": rows},
        leaves=[row.content_hash for row in rows],
        gate_rows=_gate_rows(bodies, day),
        gate_day={"scans": len(bodies)},
        details={"funnel": add_funnels(body["funnel"] for body in bodies), "scans": len(bodies)},
    )


def screened(ctx: FlowContext, conn: Connection, days: Sequence[date]) -> ScreenedChunk:
    """Return the screened chunk for `days`, with the bars of blocked days (back to the epoch) taken out as a gap."""
    first = max(ctx.experiment.epoch, days[0] - ctx.view.reach * DAY)
    span = [first + k * DAY for k in range((days[-1] - first).days + 1)]
    blocked = blocked_days(ctx, conn, ("market_bars",), span)
    return ctx.view.screened(days[0], days[-1], frozenset(blocked))


def decision_rows(chunk: ScreenedChunk, day: date) -> range:
    """Return the panel rows whose bars close, and so decide, within the day."""
    closes = chunk.panel.open_time + chunk.panel.interval_ms
    return range(int(np.searchsorted(closes, day_ms(day))), int(np.searchsorted(closes, day_ms(day + DAY))))


def _feature_texts(chunk: ScreenedChunk, row: int, columns: Sequence[int]) -> list[dict[str, str | None]]:
    """Return the features of each of the instruments at one row as they stand in records; None = missing."""
    grids = sorted(chunk.features.values.items())
    values = np.array([grid[row, columns] for _, grid in grids]).T.tolist()
    names = [name for name, _ in grids]
    return [
        {name: None if value != value else score_text(value) for name, value in zip(names, line, strict=True)}
        for line in values
    ]


def _verdict_words(chunk: ScreenedChunk, row: int, columns: Sequence[int]) -> list[dict[str, str]]:
    """Return the verdict of every range filter on each of the instruments at one row."""
    codes = np.array([chunk.screen.verdicts[name][row, columns] for name in RANGE_FILTERS]).T.tolist()
    return [{name: VERDICT_WORDS[code] for name, code in zip(RANGE_FILTERS, line, strict=True)} for line in codes]


def add_funnels(funnels: Any) -> list[dict[str, int | str]]:
    """Return the sum of funnels, filter by filter."""
    counts = ("missing", "removed", "seen")
    total = {name: dict.fromkeys(counts, 0) for name in FUNNEL}
    for funnel in funnels:
        for line in funnel:
            for key in counts:
                total[line["filter"]][key] += line[key]
    return [{"filter": name, **total[name]} for name in FUNNEL]


def _body(ctx: FlowContext, chunk: ScreenedChunk, row: int, day: date, seals: Mapping[str, str]) -> dict[str, Any]:
    panel, result = chunk.panel, chunk.screen
    columns = np.flatnonzero(result.triggered[row]).tolist()
    features, verdicts = _feature_texts(chunk, row, columns), _verdict_words(chunk, row, columns)
    signals = [
        {
            "admitted": bool(result.signals[row, column]),
            "features": features[place],
            "instrument": panel.instruments[column],
            "notional_usd": decimal_text(float(chunk.sizes[row, column])),
            "segment": segment_name(panel.instruments[column], int(panel.segment_start[row, column])),
            "verdicts": verdicts[place],
        }
        for place, column in enumerate(columns)
    ]
    return {
        "admitted": int(result.signals[row].sum()),
        "data_seals": dict(seals),
        "decision_time": time_text_ms(int(panel.open_time[row]) + panel.interval_ms),
        "eligible": int(result.eligible[row].sum()),
        "experiment": ctx.experiment.id,
        "funnel": funnel_row(result, row),
        "instruments": int(chunk.features.has_bar[row].sum()),
        "partition": day,
        "rows": signals,
        "strategy": STRATEGY,
        "triggered": int(result.triggered[row].sum()),
    }


def _gate_rows(bodies: Sequence[Mapping[str, Any]], day: date) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "partition": [day] * len(bodies),
            "key": [body["decision_time"] for body in bodies],
            "instruments": [body["instruments"] for body in bodies],
            "eligible": [body["eligible"] for body in bodies],
            "triggered": [body["triggered"] for body in bodies],
            "admitted": [body["admitted"] for body in bodies],
            "removed_total": [sum(line["removed"] for line in body["funnel"][:-1]) for body in bodies],
        }
    )
