"""Jobs: named selections of assets, and operations. One per mode, for its schedule, a sensor, or by hand.

Does not belong here: backfills of history. A backfill of a *job* ignores that the session depends on its own yesterday
(a chunk ran beside its predecessor), so history is backfilled by selecting the assets, or by `throughline backtest`.
"""

from __future__ import annotations

import dagster as dg

from assets.operations import roll_back_op, walk_forward_op
from assets.shell import Graph, which_experiment
from throughline.catalogue import catalogue


def pipeline_job_name(mode: str) -> str:
    """Return the name of a mode's pipeline job."""
    return f"run_{mode}_pipeline_job"


def pipeline_job(mode: str) -> dg.UnresolvedAssetJobDefinition:
    """Return the job that takes a mode's daily assets from bars to outcomes, for a day or an unbroken range."""
    return dg.define_asset_job(
        pipeline_job_name(mode),
        selection=dg.AssetSelection.assets(*(dg.AssetKey([mode, name]) for name in catalogue().stages)),
        description=f"All daily assets of mode '{mode}', in order. For history, backfill the assets and not this job: "
        f"a backfill of the job would run a chunk beside the one before it. {which_experiment(mode)}",
        tags={"throughline/mode": mode},
    )


def report_job(mode: str) -> dg.UnresolvedAssetJobDefinition:
    """Return the job that writes a mode's report over all days sealed so far."""
    return dg.define_asset_job(
        f"write_{mode}_report_job",
        selection=dg.AssetSelection.assets(
            dg.AssetKey([mode, "backtest_report"]), dg.AssetKey([mode, "registry_analytics"])
        ),
        description=f"Tear sheet and registry analytics of mode '{mode}' over the sealed days. "
        f"{which_experiment(mode)}",
        tags={"throughline/mode": mode},
    )


def registry_check_job_name(mode: str) -> str:
    """Return the name of a mode's registry-consistency job."""
    return f"check_{mode}_registry_job"


def registry_check_job(mode: str) -> dg.UnresolvedAssetJobDefinition:
    """Return the job that checks the registries of the home; it fails where anything is found."""
    return dg.define_asset_job(
        registry_check_job_name(mode),
        selection=dg.AssetSelection.assets(dg.AssetKey([mode, "registry_consistency"])),
        description="Checks the registries, the seal log and its anchor: in full, or with `scope: daily` what was "
        "logged since the last check that held.",
        tags={"throughline/mode": mode},
    )


def train_job_name(mode: str) -> str:
    """Return the name of a mode's training job."""
    return f"train_{mode}_model_job"


def train_job(mode: str) -> dg.UnresolvedAssetJobDefinition:
    """Return the job that trains a challenger on what is known now; the registries are checked first."""
    return dg.define_asset_job(
        train_job_name(mode),
        selection=_assets(mode, "training_set", "registry_consistency", "challenger_model", "model_registry_state"),
        config={"ops": {f"{mode}__registry_consistency": {"config": {"scope": "daily"}}}},
        description=f"Trains a challenger of mode '{mode}' on all labels known at the end of the last sealed day, and "
        "puts it on trial if every gate passes. A model that is refused leaves the run green and its check red. "
        f"{which_experiment(mode)}",
        tags={"throughline/mode": mode},
    )


def canary_job_name(mode: str) -> str:
    """Return the name of the job that looks at a mode's canary."""
    return f"evaluate_{mode}_canary_job"


def canary_job(mode: str) -> dg.UnresolvedAssetJobDefinition:
    """Return the job in which the judge looks at whoever is on trial or watched, and at the rule, and acts on it."""
    return dg.define_asset_job(
        canary_job_name(mode),
        selection=_assets(mode, "canary_report", "model_registry_state"),
        description=f"Evaluates the canary of mode '{mode}' (or the watched champion) and the rule, and applies the "
        "verdicts. Frequent evaluation is safe: the tests stay valid however often they are computed.",
        tags={"throughline/mode": mode},
    )


def drift_job_name(mode: str) -> str:
    """Return the name of a mode's drift job."""
    return f"report_{mode}_drift_job"


def drift_job(mode: str) -> dg.UnresolvedAssetJobDefinition:
    """Return the job that reports drift of features and scores."""
    return dg.define_asset_job(
        drift_job_name(mode),
        selection=_assets(mode, "drift_report"),
        description=f"Tests features and scores of mode '{mode}' for drift from what the serving model was trained on.",
        tags={"throughline/mode": mode},
    )


def roll_back_job_name(mode: str) -> str:
    """Return the name of a mode's rollback job."""
    return f"roll_back_{mode}_model_job"


def roll_back_job(graph: Graph) -> dg.JobDefinition:
    """Return the job that rolls a model back; its configuration says why, and which."""
    operation = roll_back_op(graph)

    @dg.job(name=roll_back_job_name(graph.mode), description=operation.description, tags=_mode_tag(graph))
    def job() -> None:
        operation()

    return job


def walk_forward_job(graph: Graph) -> dg.JobDefinition:
    """Return the job that walks forward through history; its configuration says up to which day."""
    operation = walk_forward_op(graph)

    @dg.job(name=f"walk_forward_{graph.mode}_job", description=operation.description, tags=_mode_tag(graph))
    def job() -> None:
        operation()

    return job


def _assets(mode: str, *names: str) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*(dg.AssetKey([mode, name]) for name in names))


def _mode_tag(graph: Graph) -> dict[str, str]:
    return {"throughline/mode": graph.mode}
