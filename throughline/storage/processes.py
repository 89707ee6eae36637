"""Who is this process? A pid alone is never believed: pids are used again.

Belongs here: the mark of a process's birth and the recognition of our server. Does not belong here: signals.
"""

from __future__ import annotations

from pathlib import Path

import psutil


def birth_mark(pid: int) -> str | None:
    """Return text that tells this life of `pid` from any other, None if no such process lives (zombies are dead).

    On Linux it is the boot id and the start time in clock ticks since boot, which no clock change moves; elsewhere
    the start time that psutil reports.
    """
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self", "stat").exists():
        try:
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        if fields[0] in ("Z", "X"):
            return None
        boot = Path("/proc/sys/kernel/random/boot_id")
        return f"{boot.read_text().strip() if boot.exists() else 'boot'}:{fields[19]}"
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.3f}"
    except psutil.Error:
        return None


def pid_namespace() -> str:
    """Return the name of this process's pid namespace (Linux), empty elsewhere: a pid means nothing in another one."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def is_postmaster(pid: int, data: Path) -> bool:
    """Return whether `pid` is a living PostgreSQL server on the data directory `data`.

    Its command line must name a program ``postgres`` and this very directory; where the executable can be read it
    must be called ``postgres`` too.
    """
    try:
        process = psutil.Process(pid)
        command = process.cmdline()
        if process.status() == psutil.STATUS_ZOMBIE or not command:
            return False
    except psutil.Error:
        return False
    if Path(command[0]).name != "postgres" or str(data) not in command[1:]:
        return False
    try:
        executable = process.exe()
    except psutil.Error:  # another user's process without the right to trace it
        return True
    return not executable or Path(executable).name.removesuffix(" (deleted)") == "postgres"


def orphans_of(data: Path) -> list[psutil.Process]:
    """Return PostgreSQL processes that work in `data` although their postmaster is gone."""
    processes = []
    for process in psutil.process_iter():
        try:
            if process.name() == "postgres" and process.cwd() == str(data):
                processes.append(process)
        except psutil.Error:
            continue
    return processes
