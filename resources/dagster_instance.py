"""A Dagster instance on a home, for commands and tests that run assets in their own process.

Belongs here: making the instance without DAGSTER_HOME, whatever the environment holds. Does not belong here: the
settings of the UI and the daemon (`dagster.yaml`), which use the same storage, so both show the same history.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef

from throughline.storage.home import Home

EVENT_BATCH_VARIABLE = "DAGSTER_EVENT_BATCH_SIZE"
EVENT_BATCH = "200"


@contextmanager
def make_instance(home: Home, url: str | None = None, *, capture_output: bool = False) -> Iterator[DagsterInstance]:
    """Open an instance whose history is in the database `dagster` of `home`.

    Args:
        home: the Throughline home.
        url: a PostgreSQL server instead of the home's embedded one.
        capture_output: keep what steps print in the home's compute logs. Off for commands: capturing redirects the
            process's own output, where a progress bar lives, and starts two helper processes per run.
    """
    os.environ.setdefault(EVENT_BATCH_VARIABLE, EVENT_BATCH)  # planned events of a range go in batches, not one by one
    reference = InstanceRef.from_dir(str(home.dagster), overrides=instance_settings(home, url, capture_output))
    with DagsterInstance.from_ref(reference) as instance:
        yield instance


def instance_settings(home: Home, url: str | None = None, capture_output: bool = True) -> dict[str, Any]:
    """Return, in the form of dagster.yaml, where an instance on `home` keeps everything."""
    where = {"home": str(home.path)}
    database = where if url is None else {**where, "url": url}
    kept = {"module": "resources.dagster_storage", "class": "HomeComputeLogs", "config": where}
    none = {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
        "config": {},
    }
    return {
        "storage": {"custom": {"module": "resources.dagster_storage", "class": "HomeStorage", "config": database}},
        "local_artifact_storage": {"module": "resources.dagster_storage", "class": "HomeFiles", "config": where},
        "compute_logs": kept if capture_output else none,
        "telemetry": {"enabled": False},
    }
