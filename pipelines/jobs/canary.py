"""The job that evaluates the canary (or the watched champion) and the rule, and applies the verdicts.

The evaluation at an instant is made once. In modes whose days close at midnight the other evaluations of a day have no
new data, and carry out what a crash left undone.
"""

from __future__ import annotations

from pipelines.job_factory import asset_job, schedule
from resources.definition_factory import Definition, ModeSpec, for_each_mode


def canary_job_name(mode: str) -> str:
    """Return the name of a mode's canary job."""
    return f"evaluate_{mode}_canary_job"


@for_each_mode
def canary_definitions(spec: ModeSpec) -> list[Definition]:
    """Return the job and its hourly schedule."""
    name = canary_job_name(spec.name)
    return [
        asset_job(
            spec,
            name,
            ("canary_report", "model_registry_state"),
            f"Evaluates the canary of mode '{spec.name}' (or the watched champion) and the rule, and applies the "
            "verdicts. Frequent evaluation is safe: the tests stay valid however often they are computed.",
        ),
        schedule(spec, "canary_hourly", name, "0 * * * *", "Evaluates the canary, or the watched champion."),
    ]
