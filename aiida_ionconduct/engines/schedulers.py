"""The list of schedulers: plugin, the directive for a partition, and how a job asks for GPUs."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

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
    partition: str = ''
    """The directive for a partition or queue; empty where there is none."""
    gpus: Edit | None = None
    """How a job script asks for GPUs; None where a job has all GPUs of its machine."""


SCHEDULERS: dict[SchedulerName, Scheduler] = {
    'direct': Scheduler(('core.direct',)),
    'slurm': Scheduler(
        ('ionconduct.slurm', 'core.slurm'),
        partition='#SBATCH --partition={}',
        gpus=Edit(r'\A(#!.*\n)', '\\1#SBATCH --gres=gpu:{gpus}\n'),
    ),
    'sge': Scheduler(
        ('core.sge',),
        partition='#$ -q {}',
        gpus=Edit(r'\A(#!.*\n)', '\\1#$ -l gpu={gpus}\n'),  # most sites that run SGE call the resource `gpu`
    ),
    'lsf': Scheduler(
        ('core.lsf',),
        partition='#BSUB -q {}',
        gpus=Edit(r'\A(#!.*\n)', '\\1#BSUB -gpu "num={gpus}"\n'),
    ),
    # `custom_scheduler_commands` would not do for PBS: AiiDA writes them after its own request, and of two requests
    # `qsub` takes the first. Therefore the script is edited.
    'pbspro': Scheduler(
        ('core.pbspro',),
        partition='#PBS -q {}',
        gpus=Edit(r'^(#PBS -l select=\S+)', r'\1:ngpus={gpus}'),
    ),
    'torque': Scheduler(
        ('core.torque',),
        partition='#PBS -q {}',
        gpus=Edit(r'^(#PBS -l nodes=[^,\s]+)', r'\1:gpus={gpus}'),
    ),
}
"""The schedulers by name."""

BY_PLUGIN = {plugin: scheduler for scheduler in SCHEDULERS.values() for plugin in scheduler.plugins}


def request_gpus(script: str, plugin: str, gpus: int) -> str:
    """Return a job script that asks for GPUs.

    :param script: the job script that AiiDA wrote.
    :param plugin: entry point of the scheduler plugin.
    :param gpus: GPUs on each machine.
    :raises ValueError: for a scheduler that is not known, or a script without the line that is to be changed.
    """
    if plugin not in BY_PLUGIN:
        raise ValueError(gpus_cannot_be_asked(plugin))
    edit = BY_PLUGIN[plugin].gpus
    if edit is None:
        return script
    edited, count = re.subn(edit.pattern, edit.replacement.format(gpus=gpus), script, count=1, flags=re.MULTILINE)
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
