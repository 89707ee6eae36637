"""What is known of a signal at its decision instant, in the form that features read and research snapshots freeze.

The candidate stage makes it to decide, the research stage makes the very same to record it. The signals behind it are
the costly part (1 to 2 ms): a chunk remembers them, so that the second stage does not pay again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from throughline.features.vector import REFERENCES
from throughline.flow.market_view import ScreenedChunk, known_at
from throughline.flow.research_signals import signals_at
from throughline.identity import decimal_text, parse_time, time_to_ms
from throughline.market.panel import SourceDescription


def place_of(chunk: ScreenedChunk, instrument: str, decision_time: str) -> tuple[int, int]:
    """Return (row, column) of the bar whose close decides: `decision_time` is record text."""
    panel = chunk.panel
    decided = time_to_ms(parse_time(decision_time))
    return int(np.searchsorted(panel.open_time, decided - panel.interval_ms)), panel.instruments.index(instrument)


def remembered_signals(chunk: ScreenedChunk, source: SourceDescription, row: int, column: int) -> Mapping[str, Any]:
    """Return the signals of one instrument at one row, computed once per chunk."""
    if (row, column) not in chunk.signals:
        chunk.signals[row, column] = signals_at(chunk.panel, source, row, column)
    return chunk.signals[row, column]


def references_at(chunk: ScreenedChunk, row: int, column: int) -> dict[str, str | None]:
    """Return the references that are features as they are; None where the source has none or none was known."""
    told: dict[str, str | None] = {}
    for name in REFERENCES:
        item = chunk.panel.references.get(name)
        value = None if item is None else known_at(item, row, column)[0]
        told[name] = None if value is None else decimal_text(value)
    return told


def snapshot_at(
    chunk: ScreenedChunk,
    source: SourceDescription,
    line: Mapping[str, Any],
    decision_time: str,
    scan: Mapping[str, str],
    scores: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the part of a research body that features read.

    line: features, instrument, segment and notional_usd of the signal, as a scan or a candidate says them; scan: the
    reference to the scan; scores: confidence, opportunity and parts as text.
    """
    row, column = place_of(chunk, line["instrument"], decision_time)
    return {
        "decision_time": decision_time,
        "scan_row": {
            "features": line["features"],
            "notional_usd": line["notional_usd"],
            "references": references_at(chunk, row, column),
            "scan": scan,
            "segment": line["segment"],
        },
        "scores": scores,
        "signals": dict(remembered_signals(chunk, source, row, column)),
    }
