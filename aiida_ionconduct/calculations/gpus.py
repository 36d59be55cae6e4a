"""GPUs of a job: one option, and the directive that each scheduler understands."""

from __future__ import annotations

import re

from aiida.engine import CalcJob

DIRECTIVES = {
    'core.direct': None,
    'core.slurm': (r'\A(#!.*\n)', '\\1#SBATCH --gres=gpu:{gpus}\n'),
    'ionconduct.slurm': (r'\A(#!.*\n)', '\\1#SBATCH --gres=gpu:{gpus}\n'),
    'core.sge': (r'\A(#!.*\n)', '\\1#$ -l gpu={gpus}\n'),
    'core.lsf': (r'\A(#!.*\n)', '\\1#BSUB -gpu "num={gpus}"\n'),
    'core.pbspro': (r'^(#PBS -l select=\S+)', r'\1:ngpus={gpus}'),
    'core.torque': (r'^(#PBS -l nodes=[^,\s]+)', r'\1:gpus={gpus}'),
}
"""By scheduler: what to find in the job script, and what to put there; a job without a scheduler has all GPUs.

``custom_scheduler_commands`` would not do for PBS: AiiDA writes them after its own request, and of two requests
``qsub`` takes the first. So the script is edited. The resource is called ``gpu`` by most sites that run SGE.
"""


def request_gpus(script: str, scheduler: str, gpus: int) -> str:
    """Return a job script that asks for GPUs.

    :param script: as AiiDA wrote it.
    :param scheduler: entry point of the scheduler plugin.
    :param gpus: GPUs on each machine.
    :raises ValueError: for a scheduler that is not in :data:`DIRECTIVES`, or a script without what is to be changed.
    """
    if scheduler not in DIRECTIVES:
        raise ValueError(f'{check_scheduler(scheduler)}')
    if DIRECTIVES[scheduler] is None:
        return script
    pattern, replacement = DIRECTIVES[scheduler]
    edited, count = re.subn(pattern, replacement.format(gpus=gpus), script, count=1, flags=re.MULTILINE)
    if not count:
        raise ValueError(
            f'the job script for {scheduler} has no line to ask for GPUs in: use custom_scheduler_commands.'
        )
    return edited


def check_scheduler(scheduler: str) -> str | None:
    """Return why GPUs cannot be asked of a scheduler, or None."""
    if scheduler in DIRECTIVES:
        return None
    return (
        f'how to ask {scheduler} for GPUs is not known, only {", ".join(DIRECTIVES)}: leave out the option `gpus` and '
        'write the directive into the option `custom_scheduler_commands`.'
    )


def validate_options(options, _) -> str | None:
    """Refuse a number of GPUs that is none."""
    gpus = options.get('gpus')
    if gpus is not None and (isinstance(gpus, bool) or gpus < 1):
        return f'gpus is {gpus!r}, but must be the number of GPUs on each machine, at least 1.'
    return None


class GpuCalcJob(CalcJob):
    """A job with the option ``gpus``."""

    @classmethod
    def define(cls, spec):
        """Define the option."""
        super().define(spec)
        spec.input(
            'metadata.options.gpus',
            valid_type=int,
            required=False,
            help='GPUs on each machine; becomes the directive of the scheduler.',
        )
        spec.inputs['metadata']['options'].validator = validate_options

    def presubmit(self, folder):
        """Write the job script as AiiDA does, then ask for the GPUs in it."""
        calcinfo = super().presubmit(folder)
        gpus = self.node.get_option('gpus')
        if gpus:
            name = self.node.get_option('submit_script_filename')
            with folder.open(name, encoding='utf8') as handle:
                script = handle.read()
            with folder.open(name, 'w', encoding='utf8') as handle:
                handle.write(request_gpus(script, self.node.computer.scheduler_type, gpus))
        return calcinfo
