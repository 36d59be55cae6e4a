"""An ssh server with keys of its own, whose sessions find the Slurm of the folder.

A login shell prints a banner, as on many clusters, and finds another ``sbatch``, which fails as the files in
:func:`faults` say. A file is the fault of one call, but ``banner``, which stays.
"""

from __future__ import annotations

import os
import pathlib
import shutil
from typing import TYPE_CHECKING

from local_services.folder import HOST
from local_services.programs import program, run
from local_services.service import Service, answers
from local_services.slurm import NODE, USER

if TYPE_CHECKING:
    from local_services.services import Services


BANNER = '*** Welcome to the cluster. Maintenance on Tuesday at 08:00. ***'
SBATCH = """#!/bin/bash
if rm {faults}/limit 2>/dev/null; then
    echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2
    echo 'sbatch: error: Batch job submission failed: Job violates accounting/QOS policy' >&2
    exit 1
fi
if rm {faults}/lose 2>/dev/null; then
    {sbatch} "$@" >/dev/null
    echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2
    exit 1
fi
if [ -e {faults}/banner ]; then
    echo 'Project 2026-11: 4711 of 10000 core hours left.'
    {sbatch} "$@"
    status=$?
    echo 'See https://cluster.example/news for job 1.'
    exit $status
fi
exec {sbatch} "$@"
"""
"""The ``sbatch`` of login shells: it refuses at a limit, loses its answer, or prints around it."""


def faults(services: Services) -> pathlib.Path:
    """Return the folder in which a file `limit`, `lose` or `banner` makes ``sbatch`` fail so."""
    return services.folder / 'faults'


def client_config(services: Services) -> str:
    """Return the entry for ``~/.ssh/config``; the host has the name of the Slurm node."""
    return (
        f'Host {NODE}\n  HostName {HOST}\n  Port {services.ports["sshd"]}\n  User {USER}\n'
        f'  IdentityFile {services.folder}/ssh/client\n  IdentitiesOnly yes\n'
        f'  UserKnownHostsFile {services.folder}/ssh/known_hosts\n'
        '  ConnectTimeout 20\n  ServerAliveInterval 10\n  ServerAliveCountMax 3\n'
    )


def prepare(services: Services) -> None:
    """Make the keys of both sides and the settings; a session finds the Slurm of the folder."""
    folder, home = services.folder / 'ssh', services.folder / 'home'
    for path in (folder, home):
        path.mkdir(exist_ok=True, mode=0o700)
    _prepare_login(services, home)
    for name in ('host', 'client'):
        if not (folder / name).exists():
            run([program('ssh-keygen'), '-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', str(folder / name)])
    shutil.copy(folder / 'client.pub', folder / 'authorized_keys')
    key = (folder / 'host.pub').read_text()
    (folder / 'known_hosts').write_text(f'[{HOST}]:{services.ports["sshd"]} {key}')
    (folder / 'sshd_config').write_text(
        f'ListenAddress {HOST}:{services.ports["sshd"]}\nHostKey {folder}/host\nPidFile none\n'
        f'AuthorizedKeysFile {folder}/authorized_keys\nAllowUsers {USER}\nPermitRootLogin prohibit-password\n'
        'PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n'
        'MaxStartups 100\nMaxSessions 100\nSubsystem sftp internal-sftp\n'
        # A home of its own: what a user's ~/.bashrc runs at every command can take long, or leave a lock when killed.
        f'SetEnv SLURM_CONF={services.folder}/slurm/slurm.conf HOME={home}\n'
    )
    if os.geteuid() == 0:
        pathlib.Path('/run/sshd').mkdir(exist_ok=True)  # sshd of Debian wants it, and its init script makes it


def _prepare_login(services: Services, home: pathlib.Path) -> None:
    """Write what a login shell reads, and the ``sbatch`` that it finds."""
    programs = home / 'bin'
    for path in (programs, faults(services)):
        path.mkdir(exist_ok=True)
    (home / '.bash_profile').write_text(f"export PATH={programs}:$PATH\necho '{BANNER}'\n")
    wrapper = programs / 'sbatch'
    wrapper.write_text(SBATCH.format(faults=faults(services), sbatch=program('sbatch')))
    wrapper.chmod(0o755)


SERVICES = {
    'sshd': Service(
        command=lambda services: [program('sshd'), '-D', '-e', '-f', str(services.folder / 'ssh' / 'sshd_config')],
        ready=lambda services: answers(services.ports['sshd'], b'SSH-2.0-ready\r\n', b'SSH-2.0'),
        prepare=prepare,
        ports=('sshd',),
    )
}
