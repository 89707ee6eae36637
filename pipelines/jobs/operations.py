"""The jobs of operations that are no assets: a rollback by hand or by the judge, and a walk forward through history."""

from __future__ import annotations

from assets.operations import roll_back_job_name, roll_back_op, walk_forward_op
from pipelines.job_factory import op_job
from resources.definition_factory import Definition, ModeSpec, for_each_mode


@for_each_mode
def operation_definitions(spec: ModeSpec) -> list[Definition]:
    """Return the rollback, and the walk forward where the mode's market is history."""
    jobs: list[Definition] = [op_job(spec, roll_back_job_name(spec.name), roll_back_op(spec))]
    if spec.mode.allows("walk-forward"):
        jobs.append(op_job(spec, f"walk_forward_{spec.name}_job", walk_forward_op(spec)))
    return jobs
