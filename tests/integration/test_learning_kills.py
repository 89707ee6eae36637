"""kill -9 at every step of promotion and rollback, the server killed in between, two at once: exactly one champion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import psutil
import pytest

from tests.integration.home_copies import open_copy
from tests.integration.killing.conftest import _recover_quickly
from tests.integration.learning_models import DAY, T0, gated_experiment, store_model
from tests.integration.lifecycle_process import STEPS
from tests.integration.proof_home import audited, new_experiment, seal_days
from throughline.experiment.identity import Experiment
from throughline.findings import Finding
from throughline.learning.events import ServingState
from throughline.learning.lifecycle import current, heal, promote, start_canary
from throughline.learning.mirror import aliases_of, open_mirror, registered_name
from throughline.learning.store import read_events
from throughline.proof.log import publish
from throughline.proof.settings import Proof, open_proof
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database
from throughline.storage.processes import is_postmaster

PATIENCE = 30.0
HAND: dict[str, Any] = {"by": "hand", "reason": "a test"}
KILLED = -9


@dataclass
class Ward:
    """A home with two promoted generations to work on, and a nursery of workers."""

    database: Database
    nursery: subprocess.Popen[str]
    lines: Queue[str]
    proof: Proof

    def findings(self) -> Sequence[Finding]:
        """Return what the audit of the seal log finds."""
        return audited(self.database, self.proof).findings

    def start(self, experiment: Experiment, kind: str, model: str, step: str = "", word: str = "") -> None:
        assert self.nursery.stdin is not None
        job = {"experiment": experiment.id, "kind": kind, "model": model, "at": (T0 + DAY).isoformat()}
        self.nursery.stdin.write(json.dumps({**job, "step": step, "word": word}) + "\n")
        self.nursery.stdin.flush()

    def until_ended(self, workers: int = 1) -> tuple[list[str], list[int]]:
        """Return what the workers said, and how they ended."""
        said: list[str] = []
        codes: list[int] = []
        while len(codes) < workers:
            line = self.lines.get(timeout=PATIENCE).strip()
            if line.startswith("ended "):
                codes.append(int(line.rpartition(" ")[2]))
            else:
                said.append(line)
        return said, codes

    def wait_for(self, words: str) -> None:
        assert self.lines.get(timeout=PATIENCE).strip() == words

    def give(self, word: str) -> None:
        (self.database.home.path / word).touch()

    def state(self, experiment: Experiment) -> ServingState:
        with self.database.engine("reader").connect() as conn:
            return current(conn, experiment.id)

    def healed(self, experiment: Experiment) -> dict[str, str]:
        """Heal the mirror; return alias -> model as MLflow then says it."""
        from throughline.learning.mlflow_mirror import _client

        store = ArtifactStore(self.database.home.artifacts)
        heal(self.database.engine("writer"), open_mirror(self.database, self.database.home, store), experiment)
        name = registered_name(experiment)
        with _client(self.database.url("mlflow")) as client:
            aliases = client.get_registered_model(name).aliases
            return {key: client.get_model_version(name, version).tags["model_id"] for key, version in aliases.items()}

    def kill_server(self) -> None:
        data = self.database.home.database / "data"
        pid = int((data / "postmaster.pid").read_text().split()[0])
        assert is_postmaster(pid, data)
        postmaster = psutil.Process(pid)
        doomed = [postmaster, *postmaster.children(recursive=True)]
        for process in doomed:
            process.kill()
        psutil.wait_procs(doomed, timeout=PATIENCE)


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("ward") / "home"
    with open_copy(folder) as database:
        _recover_quickly(database)
        nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.lifecycle_process", str(folder)],
            cwd=repo,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        lines: Queue[str] = Queue()

        def read() -> None:
            assert nursery.stdout is not None
            for line in nursery.stdout:
                lines.put(line)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        made = Ward(database, nursery, lines, open_proof(database.home, database.embedded))
        writer = database.engine("writer")
        seal_days(writer, new_experiment(writer, "begins the log"), 1)
        publish(writer, made.proof)
        try:
            made.wait_for("ready")
            yield made
        finally:
            assert nursery.stdin is not None
            nursery.stdin.close()
            nursery.wait(PATIENCE)
            reader.join(PATIENCE)


@pytest.fixture
def tried(ward: Ward) -> tuple[Experiment, str, str]:
    """Return an experiment with a champion and a canary, and their ids; the mirror shows both."""
    engine = ward.database.engine("writer")
    experiment = gated_experiment(engine)
    store = ArtifactStore(ward.database.home.artifacts)
    champion, canary = (store_model(engine, experiment, T0 + k * DAY, artifacts=store) for k in (1, 2))
    start_canary(engine, experiment, champion, at=T0, **HAND)
    promote(engine, experiment, champion, at=T0, **HAND)
    mirror = open_mirror(ward.database, ward.database.home, store)
    start_canary(engine, experiment, canary, at=T0, mirror=mirror, **HAND)
    return experiment, champion, canary


def events(ward: Ward, experiment: Experiment) -> list[tuple[str, str]]:
    with ward.database.engine("reader").connect() as conn:
        return [(event.kind, event.model) for event in read_events(conn, experiment.id)]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", ["promote", "roll_back"])
def test_killed_at_any_step_there_is_one_champion_and_asking_again_finishes_it(
    ward: Ward, tried: tuple[Experiment, str, str], kind: str, step: str
) -> None:
    experiment, champion, canary = tried
    model, recorded = (canary, "promoted") if kind == "promote" else (champion, "rolled_back")
    before = ward.state(experiment)
    ward.start(experiment, kind, model, step)
    said, codes = ward.until_ended()
    assert (said, codes) == ([], [KILLED])

    state = ward.state(experiment)
    counted = events(ward, experiment).count((recorded, model))
    if step in ("before the event", "before it is listed", "in the event"):
        assert (counted, state) == (0, before)
    else:
        assert counted == 1
        assert state.champion == (canary if kind == "promote" else "rule")
    assert ward.healed(experiment) == aliases_of(state)
    assert ward.findings() == []

    ward.start(experiment, kind, model)
    said, codes = ward.until_ended()
    assert codes == [0]
    assert said[0].startswith("done ")
    assert said[0].endswith("| None")
    assert ("already" in said[0]) == (counted == 1)
    assert events(ward, experiment).count((recorded, model)) == 1
    assert ward.findings() == []
    final = ward.state(experiment)
    assert final.champion == (canary if kind == "promote" else "rule")
    assert ward.healed(experiment) == aliases_of(final)


@pytest.mark.parametrize("other", ["promote", "reject"])
def test_of_two_processes_that_decide_at_once_one_wins_and_the_other_is_told(
    ward: Ward, tried: tuple[Experiment, str, str], other: str
) -> None:
    experiment, champion, canary = tried
    word = f"go-{experiment.id[:12]}"
    for kind in ("promote", other):
        ward.start(experiment, kind, canary, "before the event", word)
    ward.wait_for(f"waits {word}")
    ward.wait_for(f"waits {word}")
    ward.give(word)
    said, codes = ward.until_ended(2)
    assert codes == [0, 0]
    refused = [line for line in said if line.startswith("refused LedgerConflict")]
    assert len(refused) == 1
    assert "was written by another in the meantime" in refused[0]
    assert sum(line.startswith("done ") for line in said) == 1
    state = ward.state(experiment)
    assert len(events(ward, experiment)) == 4
    assert ward.findings() == []
    assert state.champion in (canary, champion)
    assert (state.champion == canary) == (events(ward, experiment)[-1][0] == "promoted")
    assert ward.healed(experiment) == aliases_of(state)


@pytest.mark.parametrize("step", ["before it is listed", "in the event", "before the alias"])
def test_a_server_killed_in_between_loses_no_decision_and_makes_none(
    ward: Ward, tried: tuple[Experiment, str, str], step: str
) -> None:
    experiment, _, canary = tried
    word = f"go-{experiment.id[:12]}"
    ward.start(experiment, "promote", canary, step, word)
    ward.wait_for(f"waits {word}")
    ward.kill_server()
    ward.give(word)
    said, _ = ward.until_ended()
    counted = events(ward, experiment).count(("promoted", canary))
    if step != "before the alias":
        assert said[0].startswith("refused ")
        assert counted == 0
    else:  # the decision was made; the worker goes on with the healed server, or says what the mirror lacks
        assert counted == 1
    ward.start(experiment, "promote", canary)
    said, _ = ward.until_ended()
    assert said[0].endswith("| None")
    assert ward.findings() == []
    state = ward.state(experiment)
    assert (state.champion, state.canary) == (canary, None)
    assert events(ward, experiment).count(("promoted", canary)) == 1
    assert ward.healed(experiment) == {"champion": canary}
