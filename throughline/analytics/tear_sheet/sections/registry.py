"""Section of the tear sheet: the registries' figures, of closed trades from the epoch to the report's end."""

from __future__ import annotations

from collections.abc import Iterator

from throughline.analytics.model import Report
from throughline.analytics.trade_registry.page import registry_blocks
from throughline.rendering.blocks import Block, Section


def _registry(report: Report) -> Iterator[Block]:
    if report.registry is not None:
        yield from registry_blocks(report.registry)


SECTIONS = (Section("Registry", 130, _registry),)
