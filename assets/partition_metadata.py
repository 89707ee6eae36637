"""Metadata of a partition, and a preview of a range for its last day.

Belongs here: names, units and words. Does not belong here: pictures (`pictures`) and numbers of whole backtests
(`throughline.analytics`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from throughline.catalogue import catalogue
from throughline.quality.suite import count_words
from throughline.rendering.table import Table

if TYPE_CHECKING:
    from throughline.flow import DayResult, FlowContext

PREVIEW_DAYS = 14
"""How many days the preview of a range lists: the last ones."""


def day_metadata(result: DayResult) -> dict[str, Any]:
    """Return the metadata of one partition: rows, seal, status, seconds, and the details that its stage gives."""
    metadata: dict[str, Any] = {
        "dagster/row_count": result.rows,
        "seal": result.seal,
        "status": result.status,
        "seconds": round(float(result.seconds), 6),
    }
    if result.blocked_by:
        metadata["blocked_by"] = cause_words(result.blocked_by)
    if result.verdict is not None and not result.verdict.passed:
        metadata["gate"] = "; ".join(
            f"{item.rule}: {count_words(result.asset, item.rule, item.rows)}" for item in result.verdict.failures
        )
    return metadata | detail_metadata(result.details)


def detail_metadata(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stage's details as metadata; empty ones and None are left out (Dagster refuses None)."""
    return {name: value for name, value in details.items() if value is not None and value != {} and value != []}


def cause_words(cause: Mapping[str, Any]) -> str:
    """Return what blocked a day, in words."""
    asset, rule = str(cause["asset"]), str(cause["rule"])
    return f"{asset} broke {rule} in {count_words(asset, rule, int(cause['rows']))}"


def preview(results: Sequence[DayResult], picture: str | None) -> str:
    """Return markdown about a range: its sums, its picture, its blocked days and its last days."""
    first, last = results[0], results[-1]
    total = sum(result.rows for result in results)
    blocked = [result for result in results if result.status == "blocked"]
    failed = [result for result in results if result.verdict is not None and not result.verdict.passed]
    span = str(first.day) if first.day == last.day else f"{first.day} to {last.day}"
    words = [f"**{span}**: {total:,} rows in {sum(result.seconds for result in results):.2f} s"]
    if failed:
        words.append(f"{len(failed)} of {len(results)} days failed their gate: {_days(failed)}")
    if blocked:
        words.append(f"{len(blocked)} of {len(results)} days blocked: {_days(blocked)}")
    rows = [
        (
            result.day,
            f"{result.rows:,}",
            cause_words(result.blocked_by) if result.blocked_by else result.status,
            f"`{result.seal[:12]}`",
        )
        for result in results[-PREVIEW_DAYS:]
    ]
    table = Table(("day", "rows", "status", "seal"), rows, left=(0, 2, 3)).markdown()
    parts = ["  \n".join(words), *([picture] if picture else []), table]
    return "\n\n".join(parts)


def _days(results: Sequence[DayResult]) -> str:
    shown = ", ".join(str(result.day) for result in results[:PREVIEW_DAYS])
    return shown + (f" and {len(results) - PREVIEW_DAYS} more" if len(results) > PREVIEW_DAYS else "")


def sealed_before(ctx: FlowContext, asset: str, days: Sequence[date]) -> Iterator[tuple[date, dict[str, Any]]]:
    """Yield the days of a range that a raising stage had sealed, with their metadata, up to the first it had not.

    A day that is sealed but failed the ledger's own gate is not among them.
    """
    from throughline.quality.gate import gate_standings
    from throughline.storage.queries import read_seals

    with ctx.engine.connect() as conn:
        seals = read_seals(conn, ctx.experiment.id, asset, days[0], days[-1])
        roots = {day: seal.root for day, seal in seals.items() if seal.status == "sealed"}
        states = {}
        if asset in catalogue().gated:
            states = gate_standings(conn, ctx.experiment.id, asset, list(roots), roots, ctx.gates.suite(asset)[1])
    for day in days:
        if day not in seals or (day in states and not states[day].open):
            return
        seal = seals[day]
        metadata = {"dagster/row_count": seal.leaves, "seal": seal.root, "status": seal.status}
        yield day, metadata | detail_metadata(json.loads(seal.details))
