"""Section of the tear sheet: the seals of the range, and how many records were recomputed."""

from __future__ import annotations

from collections.abc import Iterator

from throughline.analytics.model import Report
from throughline.rendering.blocks import Block, Section
from throughline.rendering.markup import code
from throughline.rendering.table import Table


def _seals(report: Report) -> Iterator[Block]:
    chain = report.chain
    yield f"{chain['checked']:,} records of the chain recomputed, {chain['broken']:,} broken."
    rows = [(asset, code(root)) for asset, root in report.seals.items()]
    yield Table(("asset", "root over the range"), rows, left=(0, 1), caption="Seals of the range")


SECTIONS = (Section("Seals", 140, _seals),)
