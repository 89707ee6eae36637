"""The job that trains a challenger, every night after the pipeline and the daily check of the registries."""

from __future__ import annotations

from assets.asset_factory import which_experiment
from pipelines.job_factory import asset_job, schedule
from pipelines.jobs.registry_check import scope_config
from resources.definition_factory import Definition, ModeSpec, for_each_mode


def train_job_name(mode: str) -> str:
    """Return the name of a mode's training job."""
    return f"train_{mode}_model_job"


@for_each_mode
def training_definitions(spec: ModeSpec) -> list[Definition]:
    """Return the job that trains on what is known now, after a check of the registries, and its schedule."""
    mode, name = spec.name, train_job_name(spec.name)
    return [
        asset_job(
            spec,
            name,
            ("training_set", "registry_consistency", "challenger_model", "model_registry_state"),
            f"Trains a challenger of mode '{mode}' on all labels known at the end of the last sealed day, and puts it "
            "on trial if every gate passes. A model that is refused leaves the run green and its check red. "
            f"{which_experiment(mode)}",
            config=scope_config(mode, "daily"),
        ),
        schedule(spec, "training_nightly", name, "30 1 * * *", "Trains a challenger on all known labels."),
    ]
