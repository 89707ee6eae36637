"""The job that tests features and scores for drift, on Mondays."""

from __future__ import annotations

from pipelines.job_factory import asset_job, schedule
from resources.definition_factory import Definition, ModeSpec, for_each_mode


def drift_job_name(mode: str) -> str:
    """Return the name of a mode's drift job."""
    return f"report_{mode}_drift_job"


@for_each_mode
def drift_definitions(spec: ModeSpec) -> list[Definition]:
    """Return the job and its weekly schedule."""
    name = drift_job_name(spec.name)
    description = f"Tests features and scores of mode '{spec.name}' for drift from the training window of its model."
    return [
        asset_job(spec, name, ("drift_report",), description),
        schedule(spec, "drift_weekly", name, "30 2 * * 1", "Drift of features and scores, on Mondays."),
    ]
