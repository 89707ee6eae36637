"""Sections of the tear sheet: equity, fill models, months, baselines, funnel, and what became of candidates."""

from __future__ import annotations

from collections.abc import Iterator

from throughline.analytics.model import Report
from throughline.analytics.report_pictures import equity_chart, funnel_chart
from throughline.analytics.report_tables import baseline_table, month_table, path_table
from throughline.analytics.sentences import baseline_sentences
from throughline.rendering.blocks import Block, Picture, Section
from throughline.rendering.formats import counts
from throughline.rendering.table import Table

_FILL_MODELS = (
    "Pessimistic: a bar that touches both barriers ends at the stop, costs are twice base, halted positions are lost, "
    "and nothing is gained over a doubtful jump. Optimistic: only the fee is charged, and such a bar ends at the "
    "target. Each path has its own slots and cash."
)


def _equity(report: Report) -> Iterator[Block]:
    curves = {**report.curves.equity, **report.curves.market}
    yield Picture(equity_chart(report.curves.dates, curves), "daily equity of the three paths and of the market")


def _fill_models(report: Report) -> Iterator[Block]:
    yield path_table(report)
    yield _FILL_MODELS


def _baselines(report: Report) -> Iterator[Block]:
    yield baseline_table(report)
    yield from baseline_sentences(report)


def _funnel(report: Report) -> Iterator[Block]:
    yield Picture(funnel_chart(report.funnel), "how many instruments each filter let pass")


def _counts(report: Report) -> Iterator[Block]:
    rows = [
        ("why trades ended", counts(report.termination_reasons)),
        ("what became of candidates", counts(report.dispositions)),
        ("quarantined rows", counts(report.quarantined.get("rules", {}))),
    ]
    yield Table(("", "counts"), rows, left=(0, 1), wrap=(1,), caption="Counts of ends, dispositions and quarantine")


SECTIONS: tuple[Section[Report], ...] = (
    Section("Equity, beside the market", 10, _equity),
    Section("Three fill models side by side", 20, _fill_models),
    Section("Month by month", 30, lambda report: [month_table(report)]),
    Section("Baselines", 40, _baselines),
    Section("Funnel", 50, _funnel),
    Section("What happened", 60, _counts),
)
