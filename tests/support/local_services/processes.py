"""The processes of the services: recorded by id and time of creation, found again, ended."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib

import psutil

END_S = 30  # for a process to end when asked to


def record(path: pathlib.Path, pid: int) -> None:
    """Write the id of a process and the time of its creation into a file."""
    path.write_text(json.dumps([pid, psutil.Process(pid).create_time()]))


def recorded(path: pathlib.Path) -> psutil.Process | None:
    """Return the process that a file records, or None if it does not run."""
    try:
        pid, created = json.loads(path.read_text())
        process = psutil.Process(pid)
        # Another process may have got the same id since.
        same = abs(process.create_time() - created) < 1
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None


def children(process: psutil.Process) -> list[psutil.Process]:
    """Return all descendants of a process."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def kill(processes: list[psutil.Process]) -> None:
    """Kill the processes that still run, and wait until they are gone."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=END_S)


def with_environment(name: str, value: str) -> list[psutil.Process]:
    """Return the processes, this one left out, that have a value in their environment."""
    matches = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            if process.environ().get(name) == value and process.pid != os.getpid():
                matches.append(process)
    return matches
