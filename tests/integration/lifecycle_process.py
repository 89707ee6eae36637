"""A process that has loaded MLflow and forks a worker for each change it is told of. Started by test_learning_kills.

One argument: the home. Each line of stdin is one JSON job: {experiment, kind, model, at, step, word}. The worker makes
the change and dies by SIGKILL at `step`, or waits there for the file `word` of the home where `word` is given. It says
``waits WORD`` when it waits, ``done SENTENCE | PROBLEM`` or ``refused ERROR`` at the end; the parent says
``ended WORD STATUS`` when it is gone, however it went.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import event as hooks

from throughline.experiment.identity import from_body
from throughline.learning import event_log, lifecycle, mlflow_mirror
from throughline.learning.mirror import open_mirror
from throughline.storage import row_log
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import open_database
from throughline.storage.queries import read_experiment

STEPS = (
    "before the event",
    "before it is listed",
    "in the event",
    "after the event",
    "before the alias",
    "between aliases",
    "after aliases",
)


def say(words: str) -> None:
    os.write(1, f"{words}\n".encode())


def arrest(job: dict[str, Any], folder: Path) -> None:
    """Die, or say so and wait for the word."""
    if not job["word"]:
        os.kill(os.getpid(), signal.SIGKILL)
    say(f"waits {job['word']}")
    while not (folder / job["word"]).exists():
        time.sleep(0.005)


def around(owner: Any, name: str, before: Callable[[], None] | None, after: Callable[[], None] | None) -> None:
    """Have `before` and `after` called around the function `name` of `owner`."""
    original = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before()
        result = original(*args, **kwargs)
        if after is not None:
            after()
        return result

    setattr(owner, name, wrapped)


def prepare(job: dict[str, Any], engine: Any, folder: Path) -> None:
    """Have the worker stop at the step of the job."""
    step = job["step"]

    def stop() -> None:
        arrest(job, folder)

    if step == "before the event":
        around(lifecycle, "append_event", stop, None)
    elif step == "in the event":
        around(event_log, "insert_listed", lambda: hooks.listen(engine, "commit", lambda _: stop(), once=True), None)
    elif step == "before it is listed":
        around(row_log, "list_rows", stop, None)
    elif step == "after the event":
        around(lifecycle, "append_event", None, stop)
    elif step == "before the alias":
        around(mlflow_mirror, "_alias", stop, None)
    elif step == "between aliases":
        from mlflow import MlflowClient

        name = "delete_registered_model_alias" if job["kind"] == "promote" else "get_registered_model"
        around(MlflowClient, name, None, stop)
    elif step == "after aliases":
        around(mlflow_mirror, "_alias", None, stop)


def work(home: str, job: dict[str, Any]) -> None:
    with open_database(home) as database:
        engine = database.engine("writer")
        with engine.connect() as conn:
            stored = read_experiment(conn, job["experiment"])
        assert stored is not None
        prepare(job, engine, Path(home))
        artifacts = ArtifactStore(database.home.artifacts)
        mirror = open_mirror(database, database.home, artifacts)
        try:
            change = getattr(lifecycle, job["kind"])(
                engine,
                from_body(stored.body),
                job["model"],
                at=datetime.fromisoformat(job["at"]),
                by="hand",
                reason="a test",
                mirror=mirror,
            )
        except Exception as error:
            say(f"refused {type(error).__name__}: {' '.join(str(error).split())}")
            return
        say(f"done {change.sentence} | {change.mirror_problem}")


def watch(pid: int, word: str) -> None:
    _, status = os.waitpid(pid, 0)
    say(f"ended {word or '-'} {os.waitstatus_to_exitcode(status)}")


def main() -> None:
    with open_database(sys.argv[1]) as database, mlflow_mirror._client(database.url("mlflow")) as client:
        client.get_experiment_by_name("warm")  # MLflow takes seconds to begin: once for all workers
    say("ready")
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            try:
                work(sys.argv[1], job)
            finally:
                os._exit(0)
        threading.Thread(target=watch, args=(pid, job["word"]), daemon=True).start()


if __name__ == "__main__":
    main()
