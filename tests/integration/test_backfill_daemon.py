"""A backfill launched from the UI gives the seals of the command line, whatever the hash seed.

The daemon's own iteration code runs here with a launcher that runs each run at once, in a process per hash seed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.backfill import materialize_range
from resources.dagster_instance import make_instance
from tests.materialize.homes import FIRST, context_of, opened, seals_of, settings_of
from throughline.catalogue import catalogue
from throughline.storage.home import Home

DAYS = 15
CHUNK = 5
HASH_SEEDS = range(6)


def run_daemon(hash_seed: int, home: Path, repo: Path) -> dict:
    environment = {
        **os.environ,
        "PYTHONHASHSEED": str(hash_seed),
        "PYTHONPATH": str(repo),
        "THROUGHLINE_HOME": str(home),
        "THROUGHLINE_CHUNK_DAYS": str(CHUNK),
        "DAGSTER_EVENT_BATCH_SIZE": "200",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.backfill_process", str(DAYS)],
        cwd=repo,
        env=environment,
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_backfill_through_the_daemon_gives_the_seals_of_the_command_under_six_hash_seeds(
    tmp_path: Path, repo: Path
) -> None:
    with opened(tmp_path / "command") as database:
        context = context_of(database)
        last = FIRST + timedelta(days=DAYS - 1)
        materialize_range(settings_of(database.home.path), context, FIRST, last, chunk_days=11)
        expected = sorted([list(key), list(value)] for key, value in seals_of(context).items())
    assert len(expected) == DAYS * len(catalogue().stages)
    empty = Home(tmp_path / "empty")
    with make_instance(empty):  # makes all tables: copies of the home save each process the time to make its own
        pass
    homes = [tmp_path / f"daemon-{seed}" for seed in HASH_SEEDS]
    for home in homes:
        subprocess.run(["cp", "-a", str(empty.path), str(home)], check=True)
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda seed, home: run_daemon(seed, home, repo), HASH_SEEDS, homes))
    for seed, answer in zip(HASH_SEEDS, told, strict=True):
        assert (answer["status"], answer["failed"]) == ("COMPLETED_SUCCESS", 0), f"hash seed {seed}"
        assert answer["runs"] >= DAYS // CHUNK, "chunks were expected, not one run"
        assert answer["seals"] == expected, f"hash seed {seed}"
