"""The law (docs/architecture.md, Identity): the same experiment and market_bars seals give the same seals, always.

Every way runs in a process of its own on a PostgreSQL of its own, over slices of the three real archives and the
simulated market.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.integration.flow_slices import (
    SLICES,
    Bench,
    Seals,
    cut,
    experiment_of,
    provider_of,
)
from throughline.flow import STAGES
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database

ASSETS = tuple(STAGES)

WAYS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "day by day, on another PostgreSQL": ({"chunk": 1}, {"PYTHONHASHSEED": "0"}),
    "in chunks of three, with another hash seed": ({"chunk": 3}, {"PYTHONHASHSEED": "4711"}),
    "killed in the middle of a day's transaction, then resumed": (
        {"chunk": 4, "kill": {"hourly": 5, "daily": 7, "closes": 6, "simulated": 3}},
        {"PYTHONHASHSEED": "12"},
    ),
    "without the processor's newer features": (
        {"chunk": 60},
        {
            "PYTHONHASHSEED": "3",
            "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
            "OPENBLAS_CORETYPE": "Nehalem",
        },
    ),
}


@pytest.fixture(scope="module")
def data(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return where each slice was cut to; only the simulated market where the real files are not."""
    shared = repo.parent / "shared" / "data"
    folder = tmp_path_factory.mktemp("slices")
    there = [piece for piece in SLICES.values() if piece.archive is None or shared.is_dir()]
    return {piece.name: str(cut(piece, shared, folder / piece.name)) for piece in there}


@pytest.fixture
def name(request: pytest.FixtureRequest, data: dict[str, str]) -> str:
    """Return the name of a slice; skip where its data is not on this machine."""
    if request.param not in data:
        pytest.skip("the real data files (../shared/data beside the repository) are not on this machine")
    return str(request.param)


@pytest.fixture(scope="module")
def bench(database: Database, tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Bench:
    """Return a bench on the session's database."""
    scratch = tmp_path_factory.mktemp("law")
    return Bench(database, ArtifactStore(scratch / "artifacts"), scratch, repo)


@pytest.fixture(scope="module")
def reference(bench: Bench, data: dict[str, str]) -> dict[str, Seals]:
    """Return the seals of every slice, run in this process as one range."""
    told = {}
    for name, piece in ((name, SLICES[name]) for name in data):
        provider = provider_of(piece, Path(data[name]), bench.repo)
        experiment = experiment_of(piece, provider, bench.scratch)
        bench.run(experiment, provider, piece.start, piece.end)
        told[name] = bench.seals(experiment)
    return told


@pytest.mark.parametrize("name", sorted(SLICES), indirect=True)
def test_every_slice_holds_what_the_law_is_about(
    reference: dict[str, Seals], bench: Bench, name: str, data: dict[str, str]
) -> None:
    piece = SLICES[name]
    days = (piece.end - piece.start).days + 1
    assert {asset: len(found) for asset, found in reference[name].items()} == dict.fromkeys(ASSETS, days)
    experiment = experiment_of(piece, provider_of(piece, Path(data[name]), bench.repo), bench.scratch)
    outcomes = bench.rows(experiment, "outcomes")
    assert len(outcomes) >= 3, "a slice without trades proves nothing"
    held_overnight = [json.loads(row.body) for row in bench.rows(experiment, "portfolio_states")]
    assert any(state["open_positions"] for state in held_overnight), "no position crosses midnight"
    assert len(Counter(row.columns["termination_reason"] for row in outcomes)) >= 2


@pytest.fixture(scope="module", params=sorted(WAYS))
def run(
    request: pytest.FixtureRequest, data: dict[str, str], tmp_path_factory: pytest.TempPathFactory, repo: Path
) -> tuple[str, dict[str, Any]]:
    """Return the name of a way, and what its process printed."""
    told, environment = WAYS[request.param]
    folder = tmp_path_factory.mktemp("way")
    told = told | {"kill": {name: nth for name, nth in told.get("kill", {}).items() if name in data}}
    argument = told | {
        "home": str(folder / "home"),
        "repo": str(repo),
        "scratch": str(folder / "scratch"),
        "data": data,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.law_process", json.dumps(argument)],
        cwd=repo,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return request.param, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", sorted(SLICES), indirect=True)
def test_the_seals_of_every_asset_and_day_are_equal(
    run: tuple[str, dict[str, Any]], reference: dict[str, Seals], name: str
) -> None:
    way, printed = run
    for asset in ASSETS:
        assert printed["seals"][name][asset] == reference[name][asset], f"{asset} {way}"


def test_a_killed_run_leaves_whole_days_or_nothing(
    run: tuple[str, dict[str, Any]], reference: dict[str, Seals]
) -> None:
    way, printed = run
    wanted = {name: nth for name, nth in WAYS[way][0].get("kill", {}).items() if name in reference}
    assert printed["killed"] == dict.fromkeys(wanted, -9)
    for name, nth in wanted.items():
        before = printed["before"][name]
        held = len(before.get("portfolio_state", {}))
        chunk = WAYS[way][0]["chunk"]
        # neither the day in whose transaction it died nor days after it; the chunks before are whole
        assert (nth - 1) // chunk * chunk <= held <= nth - 1
        for asset, days in before.items():
            assert days == {day: reference[name][asset][day] for day in days}
