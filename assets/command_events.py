"""What commands produced, as the events of the assets that a run of the UI would have materialised.

Belongs here: which asset shows which product of a command. Does not belong here: what an asset shows (its own module),
and reporting the events to an instance (`pipelines.command`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.asset_factory import AssetContent, check_result
from assets.learning import (
    GATES_PASSED,
    NOT_DEGRADED,
    canary_content,
    challenger_content,
    registry_state_content,
)
from assets.registry_reports import analytics_metadata, consistency_check, consistency_metadata
from assets.reports import report_metadata

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from throughline.cli.wiring import Shown

Event = dg.AssetMaterialization | dg.AssetCheckEvaluation
_DESCRIPTION = "Produced by a command, not by a run of the UI."


def events_of(shown: Shown, engine: Engine) -> Iterator[Event]:
    """Yield the materialisations and checks of what a command produced. engine: may read."""
    mode, experiment = shown.experiment.mode, shown.experiment.id
    if shown.checked is not None:
        key = dg.AssetKey([mode, "registry_consistency"])
        yield _materialization(key, consistency_metadata(*shown.checked))
        yield _evaluation(consistency_check(key, *shown.checked))
    for challenger, waiting in shown.challengers:
        yield from _learned(
            mode, "challenger_model", experiment, challenger_content(engine, challenger, waiting), GATES_PASSED
        )
    if shown.looked is not None:
        yield from _learned(
            mode, "canary_report", experiment, canary_content(shown.experiment, shown.looked), NOT_DEGRADED
        )
    if shown.state:
        from throughline.learning.lifecycle import current

        with engine.connect() as connection:
            state = current(connection, experiment)
        yield from _learned(
            mode, "model_registry_state", experiment, registry_state_content(engine, experiment, state), None
        )
    if shown.report is not None:
        yield _materialization(dg.AssetKey([mode, "backtest_report"]), report_metadata(shown.report))
        registry = shown.report.report.registry
        if registry is not None and _registry_holds(engine):
            metadata = analytics_metadata(experiment, registry)
            yield _materialization(dg.AssetKey([mode, "registry_analytics"]), metadata)


def _registry_holds(engine: Engine) -> bool:
    """Return whether the analytics may be shown: they are closed where the last check of the registries failed."""
    from throughline.errors import GateClosed
    from throughline.registry.consistency import refuse_failed

    try:
        with engine.connect() as connection:
            refuse_failed(connection)
    except GateClosed:
        return False
    return True


def _learned(mode: str, name: str, experiment: str, content: AssetContent, check: str | None) -> Iterator[Event]:
    key = dg.AssetKey([mode, name])
    yield _materialization(key, {"experiment": experiment, **content.metadata})
    if check is not None:
        yield _evaluation(check_result(key, check, experiment, content))


def _materialization(key: dg.AssetKey, metadata: dict[str, Any]) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(key, description=_DESCRIPTION, metadata=metadata)


def _evaluation(result: dg.AssetCheckResult) -> dg.AssetCheckEvaluation:
    assert result.asset_key is not None
    assert result.check_name is not None
    return dg.AssetCheckEvaluation(
        result.asset_key,
        result.check_name,
        result.passed,
        metadata=result.metadata,
        severity=result.severity,
        description=result.description,
    )
