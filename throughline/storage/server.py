"""The embedded PostgreSQL server of a home, shared by all processes that hold a lease on it.

Belongs here: start, share, heal, stop. Three lock files in ``<home>/database``, all dropped by the kernel when their
holder dies, however it dies:

``server.lock``   held by whoever starts or stops the server, for that moment.
``leases.lock``   held (shared) by every process that uses the server. Who can get it alone was the last one out.
``running.lock``  held by the server itself and all its children: free means that no server process of this home is
                  alive, so a ``postmaster.pid`` found then is stale, whoever its pid belongs to now.

A pid is signalled only if its birth mark, its program and its data directory are the recorded ones. A small guard
(launch.py) waits for the last lease to go and stops the server, so ``kill -9`` of every client leaves nothing behind.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from throughline.errors import StorageError
from throughline.storage import cluster
from throughline.storage.home import Home
from throughline.storage.locks import exclusive, is_held, open_lock, try_lock, wait_for, wait_until
from throughline.storage.ownership import check_data, check_files, explained, explanation_of_output
from throughline.storage.processes import birth_mark, is_postmaster, orphans_of, pid_namespace
from throughline.storage.programs import Programs

PATIENCE = 60.0
"""Seconds that a start or a stop may take."""
_STOP = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from throughline.storage.server import stop_idle
stop_idle(sys.argv[2])
"""
_LOG_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True)
class Running:
    """A running server: its pid with birth mark and pid namespace, and the folder of its socket."""

    pid: int
    birth: str
    socket: str
    namespace: str = ""

    @property
    def socket_path(self) -> Path:
        """Path of the socket file."""
        return Path(self.socket) / f".s.PGSQL.{cluster.PORT}"


class Server:
    """The embedded server of `home`. Use as a context manager, or `acquire` and `release`."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._folder = home.path / "database"
        self._data = self._folder / "data"
        self._lease: int | None = None
        self._owner_pid = 0
        self._running: Running | None = None
        self._guard = threading.RLock()

    def __enter__(self) -> Server:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def data(self) -> Path:
        """The data directory."""
        return self._data

    @property
    def socket_folder(self) -> str:
        """Folder of the socket, the ``host`` of a connection. Raises StorageError without a lease."""
        if self._running is None or self._lease is None:
            raise StorageError(f"The database of {self.home.path} is not open in this process: call acquire() first.")
        return self._running.socket

    @property
    def pid(self) -> int:
        """Process id of the server. Raises StorageError without a lease."""
        if self._running is None or self._lease is None:
            raise StorageError(f"The database of {self.home.path} is not open in this process: call acquire() first.")
        return self._running.pid

    def acquire(self) -> Running:
        """Take a lease; start or heal the server where needed. Calling it again checks and heals.

        Raises StorageError, with PostgreSQL's own last words, where the server cannot run.
        """
        with self._guard, explained(self.home.path):
            self._folder = self.home.database
            with exclusive(self._folder / "server.lock", 1.5 * PATIENCE):
                if self._lease is not None and os.fstat(self._lease).st_nlink == 0:
                    self._drop_lease()  # of a home that was deleted and is made again now
                if self._lease is None or self._owner_pid != os.getpid():
                    lease = open_lock(self._folder / "leases.lock")
                    # the guard of a stopping server may hold it for a moment
                    if not wait_until(lambda: try_lock(lease, shared=True), PATIENCE):
                        os.close(lease)
                        raise StorageError(
                            f"No lease on the database of {self.home.path} within {PATIENCE:g} s: try again."
                        )
                    self._lease, self._owner_pid = lease, os.getpid()
                    atexit.register(self.release)
                try:
                    self._running = self._find() or self._start()
                except BaseException:
                    self._drop_lease()
                    raise
            return self._running

    def release(self) -> None:
        """Give the lease back; the last one out stops the server. Safe to call twice, and in a forked child."""
        with self._guard:
            if self._lease is None or self._owner_pid != os.getpid():
                return
            if not (self._folder / "server.lock").exists():  # the home was deleted under the running server
                gone = self._running
                self._drop_lease()
                if gone and self._is_ours(gone):
                    os.kill(gone.pid, signal.SIGQUIT)
                    wait_until(lambda: birth_mark(gone.pid) != gone.birth, PATIENCE)
                    _remove_socket(gone)
                return
            with exclusive(self._folder / "server.lock", 1.5 * PATIENCE, create=False):
                self._drop_lease()
                self._stop_if_idle()

    def stop_if_idle(self) -> bool:
        """Stop the server if nobody holds a lease; return whether none runs afterwards. (The guard calls this.)"""
        try:
            with exclusive(self._folder / "server.lock", 1.5 * PATIENCE, create=False):
                return self._stop_if_idle()
        except FileNotFoundError:  # no such home (any more)
            return True

    def _drop_lease(self) -> None:
        if self._lease is not None:
            os.close(self._lease)  # closed, never unlocked: a forked child may share it
            self._lease = None
        self._running = None
        atexit.unregister(self.release)

    def _is_ours(self, recorded: Running) -> bool:
        if recorded.namespace != pid_namespace():
            return False
        return birth_mark(recorded.pid) == recorded.birth and is_postmaster(recorded.pid, self._data)

    def _recorded(self) -> Running | None:
        try:
            return Running(**json.loads((self._folder / "server.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _pid_file(self) -> list[str]:
        """Lines of postmaster.pid: pid, data directory, start, port, socket folder, address, memory key, status."""
        try:
            text = (self._data / "postmaster.pid").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return []
        return [line.strip() for line in text.splitlines()]

    def _find(self) -> Running | None:
        """Return the running server of this home, None if there is none (any more)."""
        running = self._folder / "running.lock"
        if not is_held(running):
            return None
        lines = self._pid_file()
        if lines[7:8] == ["stopping"] and not wait_until(lambda: not is_held(running), PATIENCE):
            raise StorageError(f"The database server of {self.home.path} does not stop: end process {lines[0]}.")
        if not is_held(running):
            return None
        recorded = self._recorded()
        if recorded and recorded.socket_path.exists() and self._is_ours(recorded):
            return recorded
        # started by a process that was killed before it could record it: the pid file says which it is
        if len(lines) > 4 and lines[0].isdigit() and is_postmaster(int(lines[0]), self._data):
            return self._record(int(lines[0]), lines[4])
        if recorded and recorded.namespace != pid_namespace() and _answers(recorded.socket_path):
            return recorded  # another container's server, alive; its pid means nothing here
        # children of a killed postmaster end by themselves; those in a long statement need a signal
        if not wait_until(lambda: not is_held(running), 2.0):
            for orphan in orphans_of(self._data):
                with contextlib.suppress(OSError):
                    orphan.terminate()
            if not wait_until(lambda: not is_held(running), PATIENCE):
                raise StorageError(
                    f"Server processes of {self.home.path} run where this process cannot see them: stop them "
                    f"(another container?), or choose another --home."
                )
        return None

    def _start(self) -> Running:
        check_files(self._folder, self.home.path)
        with cluster.server_programs(cluster.server_user(self._data)) as programs:
            cluster.initialise(self._data, programs)
            return self._launch(programs)

    def _launch(self, programs: Programs) -> Running:
        user = cluster.server_user(self._data)
        check_data(self._data, user.uid if user else os.geteuid())
        self._clear_stale()
        folder = cluster.socket_folder(self.home.path, self._data)
        cluster.configure(self._data, folder)
        for name in (f".s.PGSQL.{cluster.PORT}", f".s.PGSQL.{cluster.PORT}.lock"):
            (folder / name).unlink(missing_ok=True)
        log = self._folder / "server.log"
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.write_bytes(b"")
        before = log.stat().st_size if log.exists() else 0
        importable = json.dumps([str(Path(__file__).resolve().parents[2]), *filter(None, sys.path)])
        task = cluster.launch_task(
            user,
            [str(programs.path("postgres")), "-D", str(self._data), *cluster.arguments(self._data, folder)],
            self._data,
            programs=None if programs.lock is None else str(programs.lock),
            running=str(self._folder / "running.lock"),
            leases=str(self._folder / "leases.lock"),
            log=str(log),
            stop=[sys.executable, "-c", _STOP, importable, str(self.home.path)],
        )
        # stderr must not be a pipe: the guard would keep it open
        launched = subprocess.run(
            cluster.launcher("serve", task),
            env=cluster.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if not launched.stdout.isdigit():
            raise StorageError(f"The database server of {self.home.path} could not be launched: see {log}.")
        pid = int(launched.stdout)

        def settled() -> bool:
            lines = self._pid_file()
            return birth_mark(pid) is None or (lines[:1] == [str(pid)] and lines[7:8] == ["ready"])

        wait_until(settled, PATIENCE)
        lines = self._pid_file()
        if lines[:1] != [str(pid)] or lines[7:8] != ["ready"]:
            if (self._data / "PG_VERSION").exists():
                cluster.check_version(self._data)
            with log.open("rb") as stream:
                stream.seek(before)
                written = stream.read().decode("utf-8", "replace")
            words = cluster.last_words(written)
            message = f"The database server of {self.home.path} does not start: {words} (log: {log})."
            raise StorageError(explanation_of_output(written, self.home.path) or message)
        return self._record(pid, str(folder))

    def _record(self, pid: int, folder: str) -> Running:
        birth = birth_mark(pid)
        if birth is None:
            raise StorageError(f"The database server of {self.home.path} ended at once: see {self._folder}/server.log.")
        recorded = Running(pid, birth, folder, pid_namespace())
        fresh = self._folder / "server.json.new"
        fresh.write_text(json.dumps(asdict(recorded)))
        fresh.replace(self._folder / "server.json")
        return recorded

    def _clear_stale(self) -> None:
        lines = self._pid_file()
        if lines and lines[0].isdigit() and is_postmaster(int(lines[0]), self._data):
            raise StorageError(
                f"A PostgreSQL server that Throughline did not start (pid {lines[0]}) uses {self._data}: stop it first."
            )
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _stop_if_idle(self) -> bool:
        leases = open_lock(self._folder / "leases.lock", create=False)
        try:
            # a waiting guard gets the lock first and lets go at once, hence not a single attempt
            if not wait_until(lambda: try_lock(leases), 0.02, 0.002):
                return False
        finally:
            os.close(leases)
        running = self._folder / "running.lock"
        recorded = self._recorded()
        if not is_held(running):
            return True
        if recorded is None or not self._is_ours(recorded):
            lines = self._pid_file()
            if not (len(lines) > 4 and lines[0].isdigit() and is_postmaster(int(lines[0]), self._data)):
                return False
            recorded = self._record(int(lines[0]), lines[4])
        os.kill(recorded.pid, signal.SIGINT)  # fast shutdown: ends sessions, writes a checkpoint
        stopped = wait_until(lambda: not is_held(running), PATIENCE)
        if stopped:
            _remove_socket(recorded)
        return stopped


def _remove_socket(recorded: Running) -> None:
    with contextlib.suppress(OSError):  # never more than the empty folder of this home
        Path(recorded.socket).rmdir()


def _answers(path: Path) -> bool:
    """Return whether something listens on the socket `path` (a postmaster's children do not)."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def stop_idle(home: str) -> None:
    """Stop the server of `home` once nobody uses it: what the guard becomes. Whoever came in between is waited for."""
    leases = Path(home) / "database" / "leases.lock"
    while not Server(Home(home)).stop_if_idle():
        with contextlib.suppress(FileNotFoundError):
            wait_for(leases)
