"""The Dagster UI and daemon, really started: they answer on loopback only, and nothing outlives who started them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from resources.dagster_instance import make_instance
from throughline.storage.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.daemon, pytest.mark.timeout(600)]

PATIENCE = 240.0
"""Seconds that a start or a stop may take on a machine with much else to do; a wait ends as soon as it can."""
QUESTION = "{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { __typename } } } } }"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], why: str) -> Any:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    pytest.fail(f"waited {PATIENCE:g} s in vain: {why}")


def ask(port: int) -> dict[str, Any] | None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": QUESTION}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return dict(json.load(answer)["data"])
    except (urllib.error.URLError, OSError):
        return None


def first_answer(process: subprocess.Popen[bytes], port: int, log: Path) -> dict[str, Any]:
    """Return the first answer of the UI; fails at once, with what was printed, where the process ends before it."""

    def answered() -> dict[str, Any] | None:
        assert process.poll() is None, f"it ended by itself\n{log.read_text()}"
        return ask(port)

    return dict(wait_for(answered, "GraphQL answers"))


def of_home(home: Path) -> list[psutil.Process]:
    """Every process that works for `home`, wherever it hangs in the tree: its environment or command line names it."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and (
                process.environ().get("THROUGHLINE_HOME") == str(home) or str(home) in " ".join(process.cmdline())
            ):
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def listening(processes: list[psutil.Process], port: int) -> set[str]:
    addresses = set()
    for process in processes:
        for connection in process.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                addresses.add(connection.laddr.ip)
    return addresses


def as_a_shell_does_in_the_background() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def started(
    command: list[str], repo: Path, home: Path, log: Path, *, background: bool = True, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("DAGSTER_", "THROUGHLINE_"))}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=repo,
            env={**inherited, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=as_a_shell_does_in_the_background if background else None,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            for left in of_home(home):
                left.kill()


def test_dev_answers_on_loopback_and_term_stops_everything(repo: Path, tmp_path: Path) -> None:
    home, log, port = tmp_path / "home", tmp_path / "log", free_port()
    elsewhere = {"THROUGHLINE_HOME": str(home), "DAGSTER_HOME": str(tmp_path)}
    with started(["-m", "pipelines.dev", str(port)], repo, home, log, **elsewhere) as process:
        answer = first_answer(process, port, log)
        (location,) = answer["workspaceOrError"]["locationEntries"]
        assert location == {"name": "throughline", "locationOrLoadError": {"__typename": "RepositoryLocation"}}
        assert listening(of_home(home), port) == {"127.0.0.1"}
        wait_for(lambda: f"the Dagster UI is at http://127.0.0.1:{port}" in log.read_text(), "the address is printed")
        assert f"DAGSTER_HOME is {tmp_path}; Throughline keeps its own Dagster home" in log.read_text()

        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        wait_for(lambda: not of_home(home), "nothing is left")
    assert "Traceback" not in log.read_text()
    assert list(repo.glob(".tmp_dagster_home_*")) == []


def test_a_killed_dev_takes_everything_with_it(repo: Path, tmp_path: Path) -> None:
    home, log, port = tmp_path / "home", tmp_path / "log", free_port()
    with started(["-m", "pipelines.dev", str(port)], repo, home, log, THROUGHLINE_HOME=str(home)) as process:
        first_answer(process, port, log)
        assert len(of_home(home)) > 4
        process.kill()
        wait_for(lambda: not of_home(home), "nothing is left")


def test_plain_dagster_dev_with_nothing_exported_keeps_its_history_in_the_home(repo: Path, tmp_path: Path) -> None:
    home, log, port = tmp_path / ".throughline", tmp_path / "log", free_port()
    command = ["-m", "dagster", "dev", "--port", str(port)]
    with started(command, repo, home, log, background=False, HOME=str(tmp_path)) as process:
        answer = first_answer(process, port, log)
        (location,) = answer["workspaceOrError"]["locationEntries"]
        assert location == {"name": "throughline", "locationOrLoadError": {"__typename": "RepositoryLocation"}}
        assert "DAGSTER_EVENT_BATCH_SIZE" in log.read_text()  # .env was read
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
        wait_for(lambda: not of_home(home), "nothing is left")
    assert list(repo.glob(".tmp_dagster_home_*")) == []
    with make_instance(Home(home)) as instance:
        assert "BACKFILL" in instance.get_daemon_heartbeats()
