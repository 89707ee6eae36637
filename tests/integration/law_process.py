"""A process of its own that runs slices in a home and prints their seals as JSON. Started by test_law_*.

One argument, a JSON object: home, repo, scratch, data {slice: folder}, chunk (days), kill {slice: n} (optional: a child
process runs that slice and is killed by SIGKILL within the transaction of its n-th session day).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.integration.flow_slices import SLICES, Slice, context, experiment_of, provider_of, seals_of
from throughline.flow import run_range, sealing
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home
from throughline.storage.records import PartitionWrite


class _Deadly(dict):  # type: ignore[type-arg]
    """Rows by table; asking for the dispositions, in the middle of the transaction, kills the process."""

    def get(self, key: str, default: Any = None) -> Any:
        if key == "dispositions":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().get(key, default)


def _arm(nth: int) -> None:
    written, seen = sealing.write_partitions, [0]

    def write(engine: Any, drafts: Sequence[PartitionWrite], **options: Any) -> Any:
        armed = []
        for draft in drafts:
            seen[0] += draft.asset == "portfolio_state"
            deadly = draft.asset == "portfolio_state" and seen[0] == nth
            armed.append(replace(draft, rows=_Deadly(draft.rows)) if deadly else draft)
        return written(engine, armed, **options)

    sealing.write_partitions = write


def _run(told: dict[str, Any], piece: Slice, database: Database) -> Any:
    scratch = Path(told["scratch"])
    provider = provider_of(piece, Path(told["data"][piece.name]), Path(told["repo"]))
    experiment = experiment_of(piece, provider, scratch)
    store = ArtifactStore(Path(told["home"]) / "artifacts")
    ctx = context(experiment, provider, database, store)
    run_range(ctx, piece.start, piece.end, told["chunk"])
    return seals_of(database.engine("writer"), experiment.id)


def main() -> None:
    """Run what the argument says."""
    told = json.loads(sys.argv[1])
    Path(told["scratch"]).mkdir(parents=True, exist_ok=True)
    killed = {}
    for name, nth in told.get("kill", {}).items():
        child = os.fork()
        if child == 0:
            try:
                _arm(nth)
                with open_database(Home(told["home"])) as database:
                    _run(told, SLICES[name], database)
            except BaseException:
                traceback.print_exc()
            os._exit(3)  # it should not have come to an end
        killed[name] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    result: dict[str, Any] = {"killed": killed, "before": {}}
    with open_database(Home(told["home"])) as database:
        for name in told.get("kill", {}):
            provider = provider_of(SLICES[name], Path(told["data"][name]), Path(told["repo"]))
            experiment = experiment_of(SLICES[name], provider, Path(told["scratch"]))
            result["before"][name] = seals_of(database.engine("writer"), experiment.id)
        result["seals"] = {name: _run(told, SLICES[name], database) for name in told["data"]}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
