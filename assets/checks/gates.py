"""The check of a gated asset: each sealed day of the experiment passes the current suite.

Belongs here: turning verdicts into one check result. Does not belong here: the verdicts (`throughline.quality`).

One unpartitioned check over all sealed days, not partitioned checks: those are a preview feature, and in a ranged run
Dagster stores one verdict for every day of the range, so that one bad day marks a whole chunk. A check about the run's
own days alone would flip with whichever range ran last; this one does not depend on what ran last, and names the days.
It never blocks: a failed day is data, and every consumer asks the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from throughline.quality.suite import count_words
from throughline.quality.verdict import Failure

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from throughline.flow import FlowContext

CHECK_NAME = "every_day_passes_its_suite"
NAMED_DAYS = 50


@dataclass(frozen=True)
class Standing:
    """How the sealed days of an asset stand: how many were judged by the current suite, and which of them failed."""

    judged: int
    failed: dict[date, tuple[Failure, ...]]


def gate_check(key: dg.AssetKey) -> dg.AssetCheckSpec:
    """Return the spec of the check."""
    return dg.AssetCheckSpec(
        CHECK_NAME,
        asset=key,
        description="Every sealed day of the run's experiment passes the current quality suite. A day that fails is "
        "blocked downstream; the rest of the range continues.",
        blocking=False,
    )


def gate_standing(connection: Connection, experiment: str, asset: str, suite_hash: str) -> Standing:
    """Return how the asset's sealed days stand under the suite `suite_hash`."""
    from sqlalchemy import and_, func, select  # here, as in all assets: loading the code location must stay quick

    from throughline.quality.gate import failures_of
    from throughline.storage.tables import gate_verdicts, partition_seals

    verdicts, seals = gate_verdicts.c, partition_seals.c
    same = and_(
        verdicts.experiment == seals.experiment,
        verdicts.asset == seals.asset,
        verdicts.partition == seals.partition,
        verdicts.seal == seals.root,
    )
    mine = and_(verdicts.experiment == experiment, verdicts.asset == asset, verdicts.suite_hash == suite_hash)
    current = select(verdicts.partition, verdicts.failures).join_from(gate_verdicts, partition_seals, same).where(mine)
    judged = connection.execute(select(func.count()).select_from(current.subquery())).scalar_one()
    failed = connection.execute(current.where(verdicts.passed.is_(False)).order_by(verdicts.partition)).all()
    return Standing(judged, {day: failures_of(text) for day, text in failed})


def gate_result(ctx: FlowContext, key: dg.AssetKey, asset: str) -> dg.AssetCheckResult:
    """Return the check result for the experiment of a run."""
    suite, suite_hash = ctx.gates.suite(asset)
    with ctx.engine.connect() as conn:
        standing = gate_standing(conn, ctx.experiment.id, asset, suite_hash)
    metadata: dict[str, object] = {
        "days_judged": standing.judged,
        "days_failed": len(standing.failed),
        "suite": suite,
        "suite_hash": suite_hash,
        "experiment": ctx.experiment.id,
    }
    if standing.failed:
        metadata["failures"] = dg.MetadataValue.table(
            [
                dg.TableRecord(
                    {"day": str(day), "rule": item.rule, "rows": item.rows, "such_as": ", ".join(item.sample)}
                )
                for day, failures in list(standing.failed.items())[:NAMED_DAYS]
                for item in failures
            ]
        )
    return dg.AssetCheckResult(
        passed=not standing.failed,
        check_name=CHECK_NAME,
        asset_key=key,
        description=_sentence(asset, standing),
        metadata=metadata,  # type: ignore[arg-type]
    )


def _sentence(asset: str, standing: Standing) -> str:
    if not standing.failed:
        return f"all {standing.judged} sealed days pass"
    day, failures = next(iter(standing.failed.items()))
    rule = failures[0]
    return (
        f"{len(standing.failed)} of {standing.judged} sealed days fail, the first {day}: "
        f"{rule.rule} is broken by {count_words(asset, rule.rule, rule.rows)} ({', '.join(rule.sample)})"
    )
