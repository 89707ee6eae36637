"""Checking chunks in several processes that read one snapshot.

Belongs here: starting the workers, handing out chunks, saying what went wrong. Does not belong here: what a worker
does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from sqlalchemy import Connection, text

from throughline.errors import StorageError
from throughline.registry.consistency.reading import Chunk
from throughline.registry.consistency.worker import chunk_told

WORTH_IT = 20_000
"""Trades from which on a second process gains more than it costs to start."""
_PROGRAM = "from throughline.registry.consistency.worker import main; main()"


class _Worker:
    """One process. Its standard error is ours, so that what ends it is seen."""

    def __init__(self, start: Mapping[str, Any]) -> None:
        root = str(Path(str(files("throughline"))).resolve().parent)
        known = os.environ.get("PYTHONPATH")
        environment = {**os.environ, "PYTHONPATH": root + (os.pathsep + known if known else "")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            encoding="utf-8",
        )
        self._send(start)

    def check(self, chunk: Chunk) -> dict[str, Any]:
        """Return what the chunk gives. Raises StorageError where the process ended."""
        self._send(chunk_told(chunk))
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        told: dict[str, Any] = json.loads(line)
        return told

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _send(self, told: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(told) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _ended(self) -> StorageError:
        code = self._process.wait()
        return StorageError(
            f"A worker of the consistency check ended with code {code} (its last words are above): nothing was "
            "decided, run the check again."
        )


def export_snapshot(connection: Connection) -> str:
    """Return the name of the snapshot of `connection`'s transaction; PostgreSQL exports none within a savepoint."""
    return str(connection.execute(text("SELECT pg_catalog.pg_export_snapshot()")).scalar_one())


@contextmanager
def checking(
    connection: Connection, snapshot: str, chunks: Sequence[Chunk], workers: int
) -> Iterator[Iterator[dict[str, Any]]]:
    """Start `workers` processes on the snapshot of `connection`'s transaction and yield what the chunks give.

    snapshot: its name (`export_snapshot`). The processes work from the start, whether or not answers are taken; the
    transaction must stay open meanwhile.
    """
    start = {
        "address": _address(connection),
        "search_path": connection.exec_driver_sql("SHOW search_path").scalar_one(),
        "snapshot": snapshot,
    }
    with ExitStack() as stack:
        idle: SimpleQueue[_Worker] = SimpleQueue()
        for _ in range(workers):
            worker = _Worker(start)
            stack.callback(worker.close)
            idle.put(worker)

        def check(chunk: Chunk) -> dict[str, Any]:
            worker = idle.get()
            try:
                return worker.check(chunk)
            finally:
                idle.put(worker)

        executor = stack.enter_context(ThreadPoolExecutor(workers))
        futures = [executor.submit(check, chunk) for chunk in chunks]
        stack.callback(lambda: [future.cancel() for future in futures])
        yield (future.result() for future in as_completed(futures))


def _address(connection: Connection) -> dict[str, str]:
    """Return how to reach the same database as the same user, with the password where there is one."""
    info = connection.connection.driver_connection.info  # type: ignore[union-attr]
    address = {key: value for key, value in info.dsn_parameters.items() if value}
    if info.password:
        address["password"] = info.password
    return address
