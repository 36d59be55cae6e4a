"""The programs that the services are made of: where they are, what is missing, running them."""

from __future__ import annotations

import glob
import os
import shlex
import shutil
import subprocess
from typing import Any

PROGRAMS = (
    *('initdb', 'postgres', 'epmd', 'rabbitmq-server', 'sshd', 'ssh-keygen', 'munged', 'slurmctld', 'slurmd'),
    *('sbatch', 'squeue', 'scancel', 'scontrol', 'sinfo', 'sacct', 'sacctmgr'),
    *('slurmdbd', 'mariadbd', 'mariadb-install-db'),
)
# Not on the PATH of every user.
FOLDERS = ('/usr/sbin', '/usr/lib/rabbitmq/bin', *sorted(glob.glob('/usr/lib/postgresql/*/bin'), reverse=True))


class ServiceError(Exception):
    """A service cannot be started or stopped; the message says why."""


def find(name: str) -> str | None:
    """Return the path of a program, or None if it is not installed."""
    return shutil.which(name, path=os.pathsep.join((os.environ['PATH'], *FOLDERS)))


def program(name: str) -> str:
    """Return the path of a program.

    :raises ServiceError: if it is not installed.
    """
    path = find(name)
    if path is None:
        raise ServiceError(f'{name} is not installed. Run: scripts/system_packages.sh services')
    return path


def missing() -> list[str]:
    """Return the programs that the services need and that are not installed."""
    names = [*PROGRAMS, *(['setpriv'] if os.geteuid() == 0 else [])]
    return [name for name in names if find(name) is None]


def run(command: list[str], **options: Any) -> str:
    """Run a command and return what it prints.

    :raises ServiceError: with its output, if it fails.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise ServiceError(f'{shlex.join(map(str, command))} failed:\n{done.stdout}{done.stderr}')
    return done.stdout


def as_user(user: str, command: list[str]) -> list[str]:
    """Return the command with which root runs a command as another user."""
    return [program('setpriv'), f'--reuid={user}', f'--regid={user}', '--clear-groups', *command]
