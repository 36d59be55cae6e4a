"""Slurm of one node, with munge: how its daemons are run and the tables from which ``slurm.conf`` is written.

To extend it: a partition is a row of :data:`PARTITIONS`, a setting a row of :func:`settings`, another daemon (such as
slurmdbd for accounting) a row of :data:`SERVICES` with the names of its ports.
"""

from __future__ import annotations

import os
import pwd
import secrets
import socket
from typing import TYPE_CHECKING

from local_services.folder import HOST
from local_services.programs import program
from local_services.service import Service

if TYPE_CHECKING:
    import pathlib

    from local_services.services import Services

USER = pwd.getpwuid(os.geteuid()).pw_name
MACHINE = socket.gethostname().partition('.')[0]
CLUSTER, NODE, PARTITION = 'ionconduct', 'node1', 'cpu'
PARTITIONS = {PARTITION: {'Default': 'YES', 'MaxTime': 'INFINITE', 'State': 'UP'}}
"""By name the settings of each partition; all of them have the one node."""


def config_path(services: Services) -> pathlib.Path:
    """Return the file that the commands of Slurm find by ``SLURM_CONF``."""
    return services.folder / 'slurm' / 'slurm.conf'


def prepare_munge(services: Services) -> None:
    """Make the key by which the parts of Slurm trust each other."""
    key = services.folder / 'munge' / 'key'
    (key.parent / 'socket').unlink(missing_ok=True)  # which tells, when it is there again, that munge is ready
    if not key.exists():
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))


def settings(services: Services) -> dict[str, object]:
    """Return the settings of the cluster: no cgroups, slots that need not be cores, quick polling."""
    folder = services.folder / 'slurm'
    return {
        'ClusterName': CLUSTER,
        'SlurmctldHost': f'{MACHINE}({HOST})',
        'SlurmctldPort': services.ports['slurmctld'],
        'SlurmdPort': services.ports['slurmd'],
        'SlurmUser': USER,
        'SlurmdUser': USER,
        'AuthType': 'auth/munge',
        'AuthInfo': f'socket={services.folder}/munge/socket',
        'CredType': 'cred/munge',
        'CommunicationParameters': 'NoInAddrAny,NoCtldInAddrAny',
        'StateSaveLocation': folder / 'state',
        'SlurmdSpoolDir': folder / 'spool',
        'SlurmctldPidFile': folder / 'slurmctld.pid',
        'SlurmdPidFile': folder / 'slurmd.pid',
        'ProctrackType': 'proctrack/linuxproc',
        'TaskPlugin': 'task/none',
        'MpiDefault': 'none',
        'SwitchType': 'switch/none',
        'JobAcctGatherType': 'jobacct_gather/none',
        'AccountingStorageType': 'accounting_storage/none',
        'JobCompType': 'jobcomp/filetxt',
        'JobCompLoc': folder / 'jobs.log',
        'SchedulerType': 'sched/builtin',
        'SchedulerParameters': 'batch_sched_delay=1,sched_interval=2,sched_min_interval=100000',
        'SelectType': 'select/cons_tres',
        'SelectTypeParameters': 'CR_CPU',
        'SlurmdParameters': 'config_overrides',
        'MaxJobCount': 20000,
        'KillWait': 2,
        'MinJobAge': 60,
        'ReturnToService': 2,
        'GetEnvTimeout': 120,  # the login shell that --get-user-env starts is killed after it
        'SlurmdTimeout': 300,
    }


def prepare(services: Services) -> None:
    """Write ``slurm.conf`` and make the folders that it names."""
    for name in ('state', 'spool'):
        (services.folder / 'slurm' / name).mkdir(parents=True, exist_ok=True)
    lines = [
        *(_words({name: value}) for name, value in settings(services).items()),
        _words(
            {'NodeName': NODE, 'NodeHostname': MACHINE, 'NodeAddr': HOST, 'CPUs': services.slots, 'State': 'UNKNOWN'}
        ),
        *(_words({'PartitionName': name, 'Nodes': NODE, **values}) for name, values in PARTITIONS.items()),
    ]
    config_path(services).write_text('\n'.join(lines) + '\n')


def _words(values: dict[str, object]) -> str:
    """Return a line of ``slurm.conf``."""
    return ' '.join(f'{name}={value}' for name, value in values.items())


def node_is_up(services: Services) -> bool:
    """Return whether the node takes jobs, or does not because somebody wanted it so."""
    state = services.slurm('sinfo', '--noheader', f'--nodes={NODE}', '--format=%T', check=False).strip()
    return state in ('idle', 'mixed', 'allocated', 'draining', 'drained', 'completing')


SERVICES = {
    'munge': Service(
        command=lambda services: [
            program('munged'), '--foreground', '--force', '--key-file', str(services.folder / 'munge' / 'key'),
            *('--socket', str(services.folder / 'munge' / 'socket')),
            *(f'--{name}-file={services.folder / "munge" / name}' for name in ('pid', 'seed', 'log')),
        ],
        ready=lambda services: (services.folder / 'munge' / 'socket').exists(),
        prepare=prepare_munge,
    ),
    'slurmctld': Service(
        command=lambda services: [program('slurmctld'), '-D'],
        ready=lambda services: 'is UP' in services.slurm('scontrol', 'ping', check=False),
        prepare=prepare,
        ports=('slurmctld',),
    ),
    'slurmd': Service(
        command=lambda services: [program('slurmd'), '-D', '-N', NODE],
        ready=node_is_up,
        ports=('slurmd',),
    ),
}  # fmt: skip
