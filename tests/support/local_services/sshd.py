"""An ssh server with keys of its own, whose sessions find the Slurm of the folder."""

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
        # An empty home: what a user's ~/.bashrc runs at every command can take long, or leave a lock when it is killed.
        f'SetEnv SLURM_CONF={services.folder}/slurm/slurm.conf HOME={home}\n'
    )
    if os.geteuid() == 0:
        pathlib.Path('/run/sshd').mkdir(exist_ok=True)  # sshd of Debian wants it, and its init script makes it


SERVICES = {
    'sshd': Service(
        command=lambda services: [program('sshd'), '-D', '-e', '-f', str(services.folder / 'ssh' / 'sshd_config')],
        ready=lambda services: answers(services.ports['sshd'], b'SSH-2.0-ready\r\n', b'SSH-2.0'),
        prepare=prepare,
        ports=('sshd',),
    )
}
