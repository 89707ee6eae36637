"""The check of the registries of a home: daily what is new, and on Sundays everything that was ever written."""

from __future__ import annotations

from typing import Any

from pipelines.job_factory import asset_job, schedule
from resources.definition_factory import Definition, ModeSpec, for_each_mode


def registry_check_job_name(mode: str) -> str:
    """Return the name of a mode's registry-consistency job."""
    return f"check_{mode}_registry_job"


def scope_config(mode: str, scope: str) -> dict[str, Any]:
    """Return the run configuration of a check: scope is 'daily' (what is new) or 'full'."""
    return {"ops": {f"{mode}__registry_consistency": {"config": {"scope": scope}}}}


@for_each_mode
def registry_check_definitions(spec: ModeSpec) -> list[Definition]:
    """Return the job, which fails where there is a finding, and its two schedules, after the night's pipeline."""
    mode, name = spec.name, registry_check_job_name(spec.name)
    return [
        asset_job(
            spec,
            name,
            ("registry_consistency",),
            "Checks the registries, the seal log and its anchor: in full, or with `scope: daily` what was logged since "
            "the last check that passed.",
        ),
        schedule(
            spec,
            "registry_daily",
            name,
            "45 0 * * *",
            "Checks the registries of the home since the last check.",
            config=scope_config(mode, "daily"),
        ),
        schedule(
            spec,
            "registry_weekly",
            name,
            "30 3 * * 0",
            "Checks the registries of the home in full.",
            config=scope_config(mode, "full"),
        ),
    ]
