"""`throughline dev`: the Dagster UI and daemon on this machine, started and stopped together.

Belongs here: starting `dagster dev` with our settings and making sure that no process of it outlives this one. Alone,
it ignores INT and TERM where a script started it in the background, and leaves children when it is killed. Does not
belong here: what is shown (`pipelines/definitions.py`) and where it is kept (`dagster.yaml`).
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

from resources.settings import DATABASE_VARIABLE
from throughline.errors import SettingsError, ThroughlineError, printable
from throughline.storage.database import open_database
from throughline.storage.home import HOME_VARIABLE, Home

REPO = Path(__file__).resolve().parent.parent
DEFAULT_PORT = 3000
STOP_SECONDS = 40.0  # what Dagster gets to end its services before it is killed

# Waits for its standard input, which only the supervisor keeps open, to end; then ends the given process group. So a
# supervisor that is killed outright takes everything with it, on every system.
_GUARD = 'trap "" INT TERM HUP; read -r _; kill -TERM "-$1" && sleep 8 && kill -KILL "-$1"'


def run_dev(home: Home, host: str = "127.0.0.1", port: int = DEFAULT_PORT, *, url: str | None = None) -> int:
    """Run the UI and the daemon on `home` until INT, TERM or HUP; return 0, or 1 where they ended by themselves.

    Args:
        home: the Throughline home whose history is shown.
        host: a loopback address; the web server has no login.
        port: the port of the UI.
        url: a PostgreSQL server instead of the home's embedded one.

    Raises:
        SettingsError: the host is not loopback, the port is taken, or the project's files are not beside this package.
    """
    require_loopback(host)
    require_free(host, port)
    folder = write_dagster_home(home)
    elsewhere = os.environ.get("DAGSTER_HOME")
    if elsewhere and Path(elsewhere).resolve() != folder:
        _say(f"DAGSTER_HOME is {elsewhere}; Throughline keeps its own Dagster home in {folder} and uses that.")
    # Opened here too, so that a database that cannot start is one sentence, and this process is the last to close it.
    with contextlib.closing(open_database(home, url=url)):
        return _supervise(_command(folder, host, port), _environment(home, folder, url), folder, host, port)


def require_loopback(host: str) -> None:
    """Raise SettingsError unless `host` is this machine only."""
    with contextlib.suppress(ValueError):
        if host == "localhost" or ipaddress.ip_address(host).is_loopback:
            return
    raise SettingsError(
        f"The Dagster web server has no login, so it is not opened on {host}: "
        "leave --host at 127.0.0.1 and put a proxy that asks for a password before it."
    )


def require_free(host: str, port: int) -> None:
    """Raise SettingsError where `port` cannot be listened on, naming one that can."""
    if not 0 < port < 65536:
        raise SettingsError(f"Port {port} does not exist: choose one from 1024 to 65535 with --port.")
    reason = _refusal(host, port)
    if reason is not None:
        other = next((p for p in range(port + 1, min(port + 100, 65536)) if _refusal(host, p) is None), None)
        choice = f"--port {other} is free" if other else "choose another with --port"
        raise SettingsError(
            f"Port {port} on {host} cannot be used ({reason}): {choice} (make dev PORT={other or '...'})."
        )


def write_dagster_home(home: Home) -> Path:
    """Write Dagster's settings into the home's `dagster` folder and return it: the DAGSTER_HOME of what we start."""
    if not (REPO / "dagster.yaml").is_file():
        raise SettingsError(f"dagster.yaml is not in {REPO}: install Throughline from a checkout of it (make setup).")
    folder = home.dagster
    (folder / "dagster.yaml").write_text((REPO / "dagster.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    place = {"module_name": "pipelines.definitions", "location_name": "throughline", "working_directory": str(REPO)}
    # JSON is YAML; the folder's path may hold any character.
    (folder / "workspace.yaml").write_text(json.dumps({"load_from": [{"python_module": place}]}), encoding="utf-8")
    return folder


def _refusal(host: str, port: int) -> str | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            return "it needs privileges"
        except OSError as error:
            return "it is taken" if error.errno in (48, 98) else str(error.strerror)
    return None


def _command(folder: Path, host: str, port: int) -> list[str]:
    workspace = str(folder / "workspace.yaml")
    return [sys.executable, "-m", "pipelines.dev_server", "-w", workspace, "--host", host, "--port", str(port)]


def _environment(home: Home, folder: Path, url: str | None) -> Mapping[str, str]:
    from dotenv import dotenv_values

    shipped = {key: value for key, value in dotenv_values(REPO / ".env").items() if value is not None}
    path = os.pathsep.join(
        filter(None, [str(REPO), os.environ.get("PYTHONPATH")])
    )  # importable where not installed
    ours = {HOME_VARIABLE: str(home.path), "DAGSTER_HOME": str(folder), "PYTHONPATH": path}
    quiet = "ignore:Function `dev_command` is superseded"  # advice to use another command than the one we are
    ours["PYTHONWARNINGS"] = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), quiet]))
    if url is not None:
        ours[DATABASE_VARIABLE] = url
    return {**os.environ, **shipped, **ours}


def _supervise(command: list[str], environment: Mapping[str, str], folder: Path, host: str, port: int) -> int:
    stopping = _Stopping()
    with stopping.listening():
        # A session of its own: a Ctrl-C at the terminal reaches us alone, and we end the children in order.
        child = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
            preexec_fn=_default_signals,  # noqa: PLW1509
            stdin=subprocess.DEVNULL,
        )
        with _guarded(child.pid):
            try:
                return _watch(child, stopping, host, port)
            finally:
                _end(child, stopping)


def _watch(child: subprocess.Popen[bytes], stopping: _Stopping, host: str, port: int) -> int:
    shown = f"[{host}]" if ":" in host else host
    address, announced = f"http://{shown}:{port}", False
    while not stopping.asked:
        if child.poll() is not None:
            _say(f"Dagster ended by itself with code {child.returncode}: its own messages are above.")
            return 1
        if not announced and _answers(address):
            _say(f"the Dagster UI is at {address} (Ctrl-C stops it)")
            announced = True
        time.sleep(0.2)
    _say("stopping the Dagster UI and daemon")
    return 0


def _end(child: subprocess.Popen[bytes], stopping: _Stopping) -> None:
    """End the child and everything in its group: a request first, then signals. A second Ctrl-C shortens the wait."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    asked, until = stopping.asked, time.monotonic() + STOP_SECONDS
    while child.poll() is None and time.monotonic() < until and stopping.asked <= max(asked, 1):
        time.sleep(0.05)
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + 5.0
        child.poll()  # reaps it: a dead child that is not reaped still counts as a group
        alive = _signal_group(child.pid, number)
        while alive and time.monotonic() < until:
            time.sleep(0.05)
            child.poll()
            alive = _signal_group(child.pid, 0)


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


@contextlib.contextmanager
def _guarded(group: int) -> Iterator[None]:
    command = ["/bin/sh", "-c", _GUARD, "guard", str(group)]
    guard = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield
    finally:
        guard.kill()
        guard.communicate()


def _default_signals() -> None:
    # A shell's background job starts with INT ignored, and Python keeps it so: Dagster could then not be stopped.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=1.0) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class _Stopping:
    """How often we were asked to stop."""

    def __init__(self) -> None:
        self.asked = 0

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._count) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _count(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1


def _say(sentence: str) -> None:
    print(f"throughline: {printable(sentence)}", file=sys.stderr, flush=True)


def main() -> int:
    """Run on the home of the environment: ``python -m pipelines.dev [PORT]`` (the command line has more)."""
    try:
        return run_dev(Home.locate(), port=int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_PORT)
    except ThroughlineError as error:
        _say(str(error))
        return 2


if __name__ == "__main__":
    sys.exit(main())
