"""Jobs: named selections of assets. One per mode, for its schedule and for a day at a time by hand.

Does not belong here: backfills of history. A backfill of a *job* ignores that the session depends on its own yesterday
(a chunk ran beside its predecessor), so history is backfilled by selecting the assets, or by `throughline backtest`.
"""

from __future__ import annotations

import dagster as dg

from assets.shell import DAILY_ASSETS


def pipeline_job_name(mode: str) -> str:
    """Return the name of a mode's pipeline job."""
    return f"run_{mode}_pipeline_job"


def pipeline_job(mode: str) -> dg.UnresolvedAssetJobDefinition:
    """Return the job that takes a mode's daily assets from bars to outcomes, for a day or an unbroken range."""
    return dg.define_asset_job(
        pipeline_job_name(mode),
        selection=dg.AssetSelection.assets(*(dg.AssetKey([mode, name]) for name in DAILY_ASSETS)),
        description=f"All daily assets of mode '{mode}', in order. For history, backfill the assets and not this job: "
        "a backfill of the job would run a chunk beside the one before it.",
        tags={"throughline/mode": mode},
    )


def report_job(mode: str) -> dg.UnresolvedAssetJobDefinition:
    """Return the job that writes a mode's report over all days sealed so far."""
    return dg.define_asset_job(
        f"write_{mode}_report_job",
        selection=dg.AssetSelection.assets(
            dg.AssetKey([mode, "backtest_report"]), dg.AssetKey([mode, "registry_analytics"])
        ),
        description=f"Tear sheet and registry analytics of mode '{mode}' over the active experiment's sealed days.",
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
