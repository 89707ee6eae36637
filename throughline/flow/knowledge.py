"""What is known of a signal at its decision instant, in the form that features read and research snapshots freeze.

The candidate stage makes it to decide, the research stage makes the very same to record it.
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


def references_at(chunk: ScreenedChunk, row: int, column: int) -> dict[str, str | None]:
    """Return the references that are features as they are; None where the source has none or none was known."""
    texts: dict[str, str | None] = {}
    for name in REFERENCES:
        item = chunk.panel.references.get(name)
        value = None if item is None else known_at(item, row, column)[0]
        texts[name] = None if value is None else decimal_text(value)
    return texts


def snapshot_at(
    chunk: ScreenedChunk,
    source: SourceDescription,
    signal: Mapping[str, Any],
    decision_time: str,
    scan: Mapping[str, str] | None,
    scores: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the part of a research body that features read.

    Args:
        chunk: the market data with its features.
        source: what it is.
        signal: features (name -> text), instrument, segment and notional_usd (text), as a scan or a candidate has them.
        decision_time: record text.
        scan: {uuid, hash} of the scan.
        scores: confidence, opportunity and parts as text.
    """
    row, column = place_of(chunk, signal["instrument"], decision_time)
    return {
        "decision_time": decision_time,
        "scan_row": {
            "features": signal["features"],
            "notional_usd": signal["notional_usd"],
            "references": references_at(chunk, row, column),
            "scan": scan,
            "segment": signal["segment"],
        },
        "scores": scores,
        "signals": signals_at(chunk.panel, source, row, column, chunk.signals),
    }
