"""The list of schedulers: plugins, how their directives begin, and how a job asks for what it needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

SchedulerName = Literal['direct', 'slurm', 'sge', 'lsf', 'pbspro', 'torque']
"""The names that the file of a site may give a scheduler."""


class Edit(NamedTuple):
    """A change of a job script: what to find in it, and what to put there."""

    pattern: str
    replacement: str


class Scheduler(NamedTuple):
    """What is known about one kind of scheduler."""

    plugins: tuple[str, ...]
    """Entry points of AiiDA's plugins for it; a site's computer gets the first."""
    prefix: str = ''
    """What a directive in a job script begins with; empty where there is none."""
    keys: frozenset[str] = frozenset()
    """The keys of a request that the scheduler understands."""
    gpus: Edit | None = None
    """How a job script asks for GPUs; None where a job has all GPUs of its machine."""
    gpu_type: str = ''
    """How the type of the GPUs stands in that request; empty where every site has a name of its own for it."""
    has_slots: bool = False
    """Whether a job asks for slots of a parallel environment, rather than for machines."""
    hold: str = ''
    """The command that keeps a job in the queue from starting; empty where there is no queue."""
    release: str = ''
    """The command that undoes it."""


NAME = r'^[A-Za-z0-9][A-Za-z0-9._-]*$'
"""Pattern of the name of a partition, an account and the like."""
DIRECTIVE = r'^[^\n\r]+$'
"""Pattern of a directive: one line, which is never a command."""
COMMON_KEYS = frozenset({'partition', 'account', 'directives'})
"""What a job can ask every scheduler for."""

SCHEDULERS: dict[SchedulerName, Scheduler] = {
    'direct': Scheduler(('core.direct',)),
    'slurm': Scheduler(
        ('ionconduct.slurm', 'core.slurm'),
        prefix='#SBATCH',
        keys=COMMON_KEYS | {'qos', 'constraint', 'max_memory_kb', 'gpu_type'},
        gpu_type='{}:',
        gpus=Edit(r'\A(#!.*\n)', '\\1#SBATCH --gres=gpu:{type}{gpus}\n'),
        hold='scontrol uhold {job}',  # also from an operator of Slurm a hold that the owner can release
        release='scontrol release {job}',
    ),
    'sge': Scheduler(
        ('core.sge',),
        prefix='#$',
        keys=COMMON_KEYS | {'parallel_env'},
        has_slots=True,
        gpus=Edit(r'\A(#!.*\n)', '\\1#$ -l gpu={gpus}\n'),  # most sites that run SGE call the resource `gpu`
        hold='qhold {job}',
        release='qrls {job}',
    ),
    'lsf': Scheduler(
        ('core.lsf',),
        prefix='#BSUB',
        keys=COMMON_KEYS | {'max_memory_kb', 'gpu_type', 'parallel_env'},
        has_slots=True,
        gpu_type=':gmodel={}',
        gpus=Edit(r'\A(#!.*\n)', '\\1#BSUB -gpu "num={gpus}{type}"\n'),
        hold='bstop {job}',
        release='bresume {job}',
    ),
    # `custom_scheduler_commands` would not do for PBS: AiiDA writes them after its own request, and of two requests
    # `qsub` takes the first. Therefore the script is edited.
    'pbspro': Scheduler(
        ('core.pbspro',),
        prefix='#PBS',
        keys=COMMON_KEYS | {'max_memory_kb'},
        gpus=Edit(r'^(#PBS -l select=\S+)', r'\1:ngpus={gpus}'),
        hold='qhold {job}',
        release='qrls {job}',
    ),
    'torque': Scheduler(
        ('core.torque',),
        prefix='#PBS',
        keys=COMMON_KEYS | {'max_memory_kb'},
        gpus=Edit(r'^(#PBS -l nodes=[^,\s]+)', r'\1:gpus={gpus}'),
        hold='qhold {job}',
        release='qrls {job}',
    ),
}
"""The schedulers by name."""

PLAIN_OPTIONS = ('account', 'qos', 'max_memory_kb', 'max_wallclock_seconds', 'gpus')
"""What a job of AiiDA calls by the same name."""

BY_PLUGIN = {plugin: scheduler for scheduler in SCHEDULERS.values() for plugin in scheduler.plugins}


def unknown_key(plugin: str, request: Mapping[str, Any]) -> str | None:
    """Return why a request cannot be made of a scheduler, or None.

    :param plugin: entry point of the scheduler plugin.
    :param request: keys as in :func:`job_options`.
    """
    scheduler = BY_PLUGIN.get(plugin, Scheduler(()))
    all_keys = frozenset[str]().union(*(known.keys for known in SCHEDULERS.values()))
    for key in sorted(all_keys):
        if request.get(key) and key not in scheduler.keys:
            return (
                f'how to ask {plugin} for `{key}` is not known: write the directive into `directives`.'
                if scheduler.keys
                else f'`{key}` needs a scheduler, and {plugin} is none that is known.'
            )
    if plugin == 'core.sge' and not request.get('parallel_env'):
        return f'{plugin} needs a `parallel_env`: one of the parallel environments that `qconf -spl` lists.'
    return None


def job_options(plugin: str, request: Mapping[str, Any], *, with_mpi: bool = False) -> dict[str, Any]:
    """Return the options of a job of AiiDA, which writes all directives before the first command of the script.

    :param plugin: entry point of the scheduler plugin.
    :param request: `num_machines`, `num_mpiprocs_per_machine`, `threads`, `max_wallclock_seconds`, `partition`,
        `account`, `qos`, `constraint`, `max_memory_kb`, `gpus`, `gpu_type`, `parallel_env` and `directives`; a value
        that is missing or None is not asked for.
    :param with_mpi: whether the program runs under MPI.
    :raises ValueError: for what the scheduler cannot be asked for.
    """
    complaint = unknown_key(plugin, request)
    if complaint:
        raise ValueError(complaint)
    scheduler = BY_PLUGIN.get(plugin, Scheduler(()))
    n_machines, n_processes = request['num_machines'], request['num_mpiprocs_per_machine']
    threads, directives = request.get('threads') or 1, list(request.get('directives') or [])
    resources: dict[str, Any] = {'num_machines': n_machines, 'num_mpiprocs_per_machine': n_processes}
    if scheduler.has_slots:
        if with_mpi and threads > 1:
            raise ValueError(
                f'{plugin} cannot be asked for threads of a program that runs under MPI: set threads to 1.'
            )
        resources = {'tot_num_mpiprocs': n_machines * n_processes * threads}
        if request.get('parallel_env'):
            resources['parallel_env'] = request['parallel_env']
        if plugin == 'core.lsf':
            directives.insert(0, f'-R "span[ptile={n_processes * threads}]"')
    elif threads > 1 and plugin != 'core.direct':
        resources['num_cores_per_mpiproc'] = threads
    options: dict[str, Any] = {'resources': resources}
    if request.get('threads'):
        options['environment_variables'] = {'OMP_NUM_THREADS': str(threads)}
    if request.get('constraint'):
        directives.insert(0, f'--constraint={request["constraint"]}')
    if directives:
        options['custom_scheduler_commands'] = '\n'.join(f'{scheduler.prefix} {line}' for line in directives)
    names = {'partition': 'queue_name', **{name: name for name in PLAIN_OPTIONS}}
    options |= {option: request[name] for name, option in names.items() if request.get(name)}
    if request.get('gpus') and request.get('gpu_type'):
        options['gpu_type'] = request['gpu_type']
    return options


def request_gpus(script: str, plugin: str, gpus: int, gpu_type: str | None = None) -> str:
    """Return a job script that asks for GPUs.

    :param script: the job script that AiiDA wrote.
    :param plugin: entry point of the scheduler plugin.
    :param gpus: GPUs on each machine.
    :param gpu_type: as the scheduler calls it, for a scheduler that has a place for it.
    :raises ValueError: for a scheduler that is not known, or a script without the line that is to be changed.
    """
    if plugin not in BY_PLUGIN:
        raise ValueError(gpus_cannot_be_asked(plugin))
    edit = BY_PLUGIN[plugin].gpus
    if edit is None:
        return script
    kind = BY_PLUGIN[plugin].gpu_type.format(gpu_type) if gpu_type else ''
    replacement = edit.replacement.format(gpus=gpus, type=kind)
    edited, count = re.subn(edit.pattern, replacement, script, count=1, flags=re.MULTILINE)
    if not count:
        raise ValueError(
            f'the job script for {plugin} has no line that could ask for GPUs: use custom_scheduler_commands.'
        )
    return edited


def gpus_cannot_be_asked(plugin: str) -> str | None:
    """Return why a scheduler cannot be asked for GPUs, or None.

    :param plugin: entry point of the scheduler plugin.
    """
    if plugin in BY_PLUGIN:
        return None
    return (
        f'how to ask {plugin} for GPUs is not known, only {", ".join(BY_PLUGIN)}: leave out the option `gpus` and '
        'write the directive into the option `custom_scheduler_commands`.'
    )
