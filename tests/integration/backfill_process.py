"""One process of the daemon test: launch a backfill in a fresh home, iterate as the daemon, print the seals."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import timedelta

import dagster as dg
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.instance.ref import InstanceRef
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget, create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.backfill import execute_backfill_iteration

from resources.dagster_instance import instance_settings
from resources.settings import load_settings
from throughline.catalogue import catalogue


def main(days: int) -> None:
    home = load_settings().home
    from tests.integration import backfill_location
    from tests.materialize.homes import FIRST, seals_of

    overrides = instance_settings(home, capture_output=False) | {
        "run_launcher": {
            "module": "dagster._core.launcher.sync_in_memory_run_launcher",
            "class": "SyncInMemoryRunLauncher",
        },
        "run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"},
    }
    origin = LoadableTargetOrigin(module_name="tests.integration.backfill_location", attribute="defs")
    target = InProcessTestWorkspaceLoadTarget(InProcessCodeLocationOrigin(origin, location_name="throughline"))
    names = [(FIRST + timedelta(days=k)).isoformat() for k in range(days)]
    with (
        dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home.dagster), overrides=overrides)) as instance,
        create_test_daemon_workspace_context(target, instance) as workspace,
    ):
        graph = workspace.create_request_context().asset_graph
        instance.add_backfill(
            PartitionBackfill.from_asset_partitions(
                backfill_id="test",
                asset_graph=graph,
                partition_names=names,
                asset_selection=[dg.AssetKey(["demo", name]) for name in catalogue().stages],
                backfill_timestamp=time.time(),
                tags={},
                dynamic_partitions_store=instance,
                all_partitions=False,
                title=None,
                description=None,
                run_config=None,
            )
        )
        logger = logging.getLogger("daemon")
        for _ in range(60):
            for error in execute_backfill_iteration(workspace, logger):
                if error is not None:
                    raise RuntimeError(error.to_string())
            backfill = instance.get_backfill("test")
            assert backfill is not None
            if backfill.status != BulkActionStatus.REQUESTED:
                break
        runs = instance.get_runs()
        failed = sum(run.status != dg.DagsterRunStatus.SUCCESS for run in runs)
        seals = seals_of(backfill_location.context)
    backfill_location.database.close()
    told = {
        "status": backfill.status.value,
        "runs": len(runs),
        "failed": failed,
        "seals": sorted(map(list, seals.items())),
    }
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main(int(sys.argv[1]))
