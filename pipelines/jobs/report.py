"""The job that writes a mode's reports over all days sealed so far."""

from __future__ import annotations

from assets.asset_factory import which_experiment
from pipelines.job_factory import asset_job
from resources.definition_factory import Definition, ModeSpec, for_each_mode


@for_each_mode
def report_definitions(spec: ModeSpec) -> list[Definition]:
    """Return the job."""
    description = f"Tear sheet and registry analytics of mode '{spec.name}' over the sealed days."
    return [
        asset_job(
            spec,
            f"write_{spec.name}_report_job",
            ("backtest_report", "registry_analytics"),
            f"{description} {which_experiment(spec.name)}",
        )
    ]
