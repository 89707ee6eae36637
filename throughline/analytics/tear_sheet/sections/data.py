"""Sections of the tear sheet: notes on the data, open positions, and what was assumed."""

from __future__ import annotations

from collections.abc import Iterator

from throughline.analytics.model import Report
from throughline.analytics.report_tables import position_table
from throughline.analytics.sentences import note_lines
from throughline.rendering.blocks import Block, Bullets, Section

NOTES_SHOWN = 50
"""How many doubtful jumps, and how many corporate actions, the page lists."""


def _notes(report: Report) -> Iterator[Block]:
    lines = note_lines(report, NOTES_SHOWN)
    if lines:
        yield Bullets(lines)


def _positions(report: Report) -> Iterator[Block]:
    if report.open_positions:
        yield position_table(report)


SECTIONS: tuple[Section[Report], ...] = (
    Section("Notes on the data", 80, _notes),
    Section("Open positions, marked to market and not closed at the end", 90, _positions),
    Section("Assumptions and missing data", 100, lambda report: [Bullets(list(report.assumptions))]),
)
