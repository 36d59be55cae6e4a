"""Slurm of one node, as a cluster has it: partitions without a default, a GPU, accounts, limits and accounting.

How its daemons are run and the tables from which ``slurm.conf`` and ``slurmdbd.conf`` are written. To extend it: a
partition is a row of :data:`PARTITIONS`, an account a word of :data:`ACCOUNTS`, a quality of service a row of
:data:`QOS`, a setting a row of :func:`settings`, another daemon a row of :data:`SERVICES` with the names of its ports.
"""

from __future__ import annotations

import os
import pwd
import secrets
import socket
from typing import TYPE_CHECKING

from local_services import accounting
from local_services.folder import HOST
from local_services.programs import program
from local_services.service import Service

if TYPE_CHECKING:
    import pathlib

    from local_services.services import Services

USER = pwd.getpwuid(os.geteuid()).pw_name
MACHINE = socket.gethostname().partition('.')[0]
CLUSTER, NODE, PARTITION = 'ionconduct', 'node1', 'cpu'
PARTITIONS = {
    PARTITION: {'MaxTime': 'INFINITE'},
    'small': {'MaxTime': 10, 'MaxCPUsPerNode': 1},
    'gpu': {'MaxTime': 'INFINITE'},
}
"""By name the settings of each partition; all of them have the one node, and none of them is the default."""
GPU_TYPE, N_GPUS, MEMORY_MB, FEATURE = 'a100', 2, 16000, 'skylake'
"""What the node says that it has; nothing looks for it."""
ACCOUNTS, QOS = ('research', 'teaching'), {'normal': '', 'long': 'Priority=10', 'few': 'MaxSubmitJobsPerUser=1'}
"""Accounts of the user, the first of them the default, and by name the limits of each quality of service."""


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
        'AccountingStorageType': 'accounting_storage/slurmdbd',
        'AccountingStorageHost': HOST,
        'AccountingStoragePort': services.ports['slurmdbd'],
        'AccountingStoragePass': f'{services.folder}/munge/socket',
        'AccountingStorageEnforce': 'associations,limits,qos',
        'AccountingStorageTRES': 'gres/gpu',
        'GresTypes': 'gpu',
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
    """Write ``slurm.conf``, ``gres.conf`` and ``slurmdbd.conf``, and make the folders that they name."""
    folder = services.folder / 'slurm'
    for name in ('state', 'spool'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(1, N_GPUS + 1):
        (folder / f'gpu{number}').touch()  # in the place of a device
    node: dict[str, object] = {
        'NodeName': NODE, 'NodeHostname': MACHINE, 'NodeAddr': HOST, 'CPUs': services.slots, 'State': 'UNKNOWN',
        'RealMemory': MEMORY_MB, 'Feature': FEATURE, 'Gres': f'gpu:{GPU_TYPE}:{N_GPUS}',
    }  # fmt: skip
    partitions = ({'PartitionName': name, 'Nodes': NODE, **values} for name, values in PARTITIONS.items())
    _write(config_path(services), [settings(services)], node, *partitions)
    _write(folder / 'gres.conf', [], {'Name': 'gpu', 'Type': GPU_TYPE, 'File': f'{folder}/gpu[1-{N_GPUS}]'})
    _write(folder / 'slurmdbd.conf', [accounting.settings(services, MACHINE, USER)])


def _write(path: pathlib.Path, tables: list[dict[str, object]], *rows: dict[str, object]) -> None:
    """Write a file of settings, for the user alone: a line for each word of the tables, and a line for each row."""
    lines = [*(_words({name: value}) for table in tables for name, value in table.items()), *map(_words, rows)]
    path.touch(mode=0o600)  # slurmdbd insists on it
    path.write_text('\n'.join(lines) + '\n')


def _words(values: dict[str, object]) -> str:
    """Return a line of ``slurm.conf``."""
    return ' '.join(f'{name}={value}' for name, value in values.items())


def has_accounts(services: Services) -> bool:
    """Return whether slurmdbd answers; the cluster, the accounts and the limits are made on the first time."""
    manage = ('sacctmgr', '--immediate', '--quiet')
    answer = services.slurm('sacctmgr', '--noheader', '--parsable2', 'show', 'user', USER, 'withassoc', check=False)
    if ACCOUNTS[-1] in answer:
        return True
    if CLUSTER not in services.slurm(*manage, '--noheader', 'show', 'cluster', check=False):
        services.slurm(*manage, 'add', 'cluster', CLUSTER, check=False)
        return False
    for name, limits in QOS.items():
        services.slurm(*manage, 'add', 'qos', name, *limits.split(), check=False)
    for account in ACCOUNTS:
        services.slurm(*manage, 'add', 'account', account, f'Cluster={CLUSTER}', check=False)
        words = (f'Account={account}', f'DefaultAccount={ACCOUNTS[0]}', f'QOS={",".join(QOS)}', 'DefaultQOS=normal')
        services.slurm(*manage, 'add', 'user', USER, f'Cluster={CLUSTER}', *words, check=False)
    return False


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
    **accounting.SERVICES,
    'slurmdbd': Service(
        command=lambda services: [program('slurmdbd'), '-D'],
        ready=has_accounts,
        prepare=prepare,
        ports=('slurmdbd',),
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
