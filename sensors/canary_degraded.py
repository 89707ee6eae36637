"""Rolls back a model that the judge rolled back and that serves all the same.

Belongs here: asking, and the request. Does not belong here: the verdict (`throughline.learning.judge`) and what rolling
back is (`throughline.learning.lifecycle`).

A look acts on its own verdict, so there is nothing to do here as a rule; this is for the look whose process died
between its record and its act. The request names the model and the look: a second one for the same look is none, and
the job leaves whoever serves by then alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import dagster as dg

from resources.flow import EXPERIMENT_TAG
from throughline.errors import ThroughlineError

if TYPE_CHECKING:
    from throughline.learning.standing import DueRollback

Due = Callable[[], "DueRollback | None"]
"""Returns the verdict that nobody acted on, None where there is none. Raises ThroughlineError without an experiment."""


def canary_degraded(mode: str, job_name: str, op_name: str, due: Due) -> dg.SensorDefinition:
    """Return the sensor of a mode. job_name, op_name: of the rollback."""

    @dg.sensor(
        name=f"canary_degraded_{mode}",
        job_name=job_name,
        description=f"Launches the rollback where the judge of mode '{mode}' said so and the model still serves.",
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=30,
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        try:
            found = due()
        except ThroughlineError as error:
            return dg.SkipReason(str(error))
        if found is None:
            return dg.SkipReason("no model serves against the judge's verdict")
        look = f"{found.as_of:%Y-%m-%dT%H:%M:%SZ}"
        return dg.RunRequest(
            run_key=f"{found.experiment}:{found.model}:{look}",
            run_config={"ops": {op_name: {"config": {"by": "judge", "model": found.model, "reason": found.reason}}}},
            tags={EXPERIMENT_TAG: found.experiment, "throughline/look": look},
        )

    return sensor
