"""A small program (standard library only, run by path) that starts the server and then guards it.

``launch.py run JSON``    drops to the server's user and becomes the command.
``launch.py serve JSON``  detaches, starts the server, prints its pid, then waits until no process holds a lease and
becomes the command that stops it. So the last one out stops the server even when it left by ``kill -9``.

As root, PostgreSQL refuses to run; the command then runs as an unprivileged user. Where a parent folder is closed to
that user (a home under /root, a 0700 test folder) it keeps one capability, to *look through* folders
(CAP_DAC_READ_SEARCH, else CAP_DAC_OVERRIDE), instead of opening folders that are not ours.
"""

import ctypes
import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

_KEEPCAPS, _AMBIENT, _AMBIENT_RAISE = 8, 47, 2  # prctl(2)
_VERSION_3 = 0x20080522  # capset(2)
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2  # capability.h


def _permitted() -> int:
    with Path("/proc/self/status").open() as status:
        return next((int(line.split()[1], 16) for line in status if line.startswith("CapPrm:")), 0)


def drop(uid: int, gid: int, look_through: bool) -> None:
    """Become `uid`:`gid` for good, with the one capability to look through folders where `look_through`."""
    libc = ctypes.CDLL(None, use_errno=True) if look_through else None
    capability = 0
    if libc is not None:
        permitted = _permitted()
        capability = next((c for c in (_DAC_READ_SEARCH, _DAC_OVERRIDE) if permitted >> c & 1), 0)
        if not capability:
            sys.exit(
                "this root lacks the capability CAP_DAC_READ_SEARCH, so the server's user cannot reach a home under a "
                "closed folder: choose a --home in a folder that others may enter, or set a database URL"
            )
        libc.prctl(_KEEPCAPS, 1, 0, 0, 0)
    try:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    except OSError as error:
        sys.exit(f"this root may not run a program as another user ({error.strerror}): set a database URL")
    if libc is None:
        return
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    bit = 1 << capability
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; then the high words
    if libc.capset(header, sets) or libc.prctl(_AMBIENT, _AMBIENT_RAISE, capability, 0, 0):
        sys.exit(f"the server's user cannot be let through a closed folder: {os.strerror(ctypes.get_errno())}")


def _become(task: dict[str, Any]) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    os.umask(0o077)
    os.chdir("/")
    if task["uid"] is not None:
        drop(task["uid"], task["gid"], task["look_through"])
    try:
        os.execv(task["command"][0], task["command"])
    except OSError as error:
        sys.exit(f"{task['command'][0]} cannot be run ({error.strerror})")


def _is_running(lock: str) -> bool:
    try:
        probe = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # the home was deleted
        return False
    try:
        fcntl.flock(probe, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(probe)
    return False


def _serve(task: dict[str, Any]) -> None:
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    running = os.open(task["running"], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(running, fcntl.LOCK_EX)
    null = os.open(os.devnull, os.O_RDWR)
    programs = None
    if task["programs"] is not None:  # a copy of the programs: its lock keeps it while the server lives
        programs = os.open(task["programs"], os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(programs, fcntl.LOCK_SH)
    log = os.open(task["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    reply = os.dup(1)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    pid = os.fork()
    if pid == 0:
        os.close(reply)
        os.setpgid(0, 0)
        os.set_inheritable(running, True)  # held by the server and all its children: free when the last is gone
        if programs is not None:
            os.set_inheritable(programs, True)
        try:
            _become(task)
        except SystemExit as refused:
            os.write(2, f"{refused}\n".encode())
        finally:
            os._exit(127)
    os.close(running)
    if programs is not None:
        os.close(programs)
    os.write(reply, str(pid).encode())
    os.close(reply)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    leases = os.open(task["leases"], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(leases, fcntl.LOCK_EX)  # returns when nobody holds a lease any more
    os.close(leases)
    for _ in range(15):  # the last one out is stopping it, as a rule
        if not _is_running(task["running"]):
            os._exit(0)
        time.sleep(0.02)
    # SIGCHLD stays ignored, so that the kernel reaps the server that this process stops
    os.execv(task["stop"][0], task["stop"])


if __name__ == "__main__":
    {"run": _become, "serve": _serve}[sys.argv[1]](json.loads(sys.argv[2]))
