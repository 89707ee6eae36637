"""Rolls back a model that still serves although the judge's verdict is a rollback.

Belongs here: asking for such a verdict, and the request of a run. Does not belong here: the verdict
(`throughline.learning.judge`) and what a rollback does (`throughline.learning.lifecycle`).

An evaluation of the canary applies its own verdict, so as a rule there is nothing to do. This sensor is for an
evaluation whose process died between its record and its act. The request names the model and the evaluation: a second
request for the same evaluation launches no run, and the job leaves another model that serves by then alone.
"""

# No `from __future__ import annotations` here: Dagster reads the types of `context` and `home` at run time.

import dagster as dg

from assets.operations import roll_back_job_name, roll_back_op_name
from resources.definition_factory import ModeSpec, for_each_mode
from resources.flow import EXPERIMENT_TAG
from resources.home import Flows
from throughline.errors import ThroughlineError


@for_each_mode
def canary_degraded_sensors(spec: ModeSpec) -> list[dg.SensorDefinition]:
    """Return the sensor of a mode."""

    @dg.sensor(
        name=f"canary_degraded_{spec.name}",
        job_name=roll_back_job_name(spec.name),
        description=f"Launches the rollback if the judge's verdict in mode '{spec.name}' is a rollback and the model "
        "still serves.",
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=30,
    )
    def sensor(context: dg.SensorEvaluationContext, home: dg.ResourceParam[Flows]) -> dg.RunRequest | dg.SkipReason:
        try:
            due = home.flow(spec.name).rollback_due()
        except ThroughlineError as error:
            return dg.SkipReason(str(error))
        if due is None:
            return dg.SkipReason("no model serves against the judge's verdict")
        evaluated = f"{due.as_of:%Y-%m-%dT%H:%M:%SZ}"
        config = {"by": "judge", "model": due.model, "reason": due.reason}
        return dg.RunRequest(
            run_key=f"{due.experiment}:{due.model}:{evaluated}",
            run_config={"ops": {roll_back_op_name(spec.name): {"config": config}}},
            tags={EXPERIMENT_TAG: due.experiment, "throughline/look": evaluated},
        )

    return [sensor]
