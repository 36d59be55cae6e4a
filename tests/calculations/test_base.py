"""The request for GPUs in the job scripts that AiiDA writes, and the option of the jobs."""

import pytest
from aiida import orm
from aiida.common.datastructures import CodeRunMode
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida.plugins import CalculationFactory, SchedulerFactory
from aiida.schedulers.datastructures import JobTemplate

from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.engines.schedulers import BY_PLUGIN, gpus_cannot_be_asked, request_gpus

RESOURCES = {
    'core.sge': {'parallel_env': 'smp', 'tot_num_mpiprocs': 4},
    'core.lsf': {'parallel_env': 'smp', 'tot_num_mpiprocs': 4},
}


def job_script(scheduler):
    """Return the script of a job on two machines with two processes each."""
    scheduler = SchedulerFactory(scheduler)()
    template = JobTemplate()
    template.shebang = '#!/bin/bash'
    template.job_name = 'md'
    template.codes_info, template.codes_run_mode = [], CodeRunMode.SERIAL
    resources = {'num_machines': 2, 'num_mpiprocs_per_machine': 2}
    template.job_resource = scheduler.create_job_resource(**RESOURCES.get(scheduler_name(scheduler), resources))
    template.max_wallclock_seconds = 3600
    template.max_memory_kb = 1024**2
    return scheduler.get_submit_script(template)


def scheduler_name(scheduler):
    """Return the entry point of a scheduler."""
    return f'core.{type(scheduler).__module__.rpartition(".")[2]}'


@pytest.mark.parametrize(
    ('scheduler', 'line'),
    [
        ('core.slurm', '#SBATCH --gres=gpu:2'),
        ('core.sge', '#$ -l gpu=2'),
        ('core.lsf', '#BSUB -gpu "num=2"'),
        ('core.pbspro', '#PBS -l select=2:mpiprocs=2:mem=1048576kb:ngpus=2'),
        ('core.torque', '#PBS -l nodes=2:ppn=2:gpus=2,walltime=01:00:00,mem=1048576kb'),
    ],
)
def test_directive(scheduler, line):
    """The request is one more line, or stands in a line that asks for machines, before the first command."""
    before = job_script(scheduler)
    after = request_gpus(before, scheduler, 2)
    header = [text for text in after.splitlines() if text.startswith('#')]
    assert line in header
    assert after.startswith('#!/bin/bash\n')
    changed = set(after.splitlines()) ^ set(before.splitlines())
    assert len(changed) <= 2
    if 'pbs' in scheduler or 'torque' in scheduler:
        assert sum('select=' in text or 'nodes=' in text for text in header) == 1  # qsub takes the first


def test_no_scheduler():
    assert request_gpus(job_script('core.direct'), 'core.direct', 1) == job_script('core.direct')


def test_unknown_scheduler():
    with pytest.raises(ValueError, match=r'ask firecrest.+custom_scheduler_commands'):
        request_gpus('#!/bin/bash\n', 'firecrest', 1)
    assert gpus_cannot_be_asked('core.slurm') is None
    core = {f'core.{name}' for name in ('direct', 'slurm', 'sge', 'lsf', 'pbspro', 'torque')}
    assert set(BY_PLUGIN) == core | {'ionconduct.slurm'}


def test_script_that_cannot_be_edited():
    with pytest.raises(ValueError, match='no line that could ask for GPUs'):
        request_gpus('#!/bin/bash\n', 'core.pbspro', 1)


@pytest.mark.parametrize('name', ['lammps.md', 'allegro.train', 'allegro.compile'])
def test_option(name):
    entry_point = f'ionconduct.{name}'
    options = CalculationFactory(entry_point).spec().inputs['metadata']['options']
    valid = {'resources': {'num_machines': 1}, 'parser_name': entry_point}
    assert 'gpus' in options
    assert options.validate({**valid, 'gpus': 1}) is None
    assert 'the number of GPUs' in options.validate({**valid, 'gpus': 0}).message


def test_in_the_job_script(aiida_profile, tmp_path, aiida_computer, fixture_sandbox):
    """The option reaches the script that is submitted to Slurm."""
    computer = aiida_computer(label='cluster', scheduler_type='core.slurm')
    code = orm.InstalledCode(
        label='compile', computer=computer, filepath_executable='/bin/true',
        default_calc_job_plugin='ionconduct.allegro.compile',
    ).store()  # fmt: skip
    (tmp_path / 'model.nequip.zip').write_bytes(b'x')
    inputs = {
        'code': code,
        'model': AllegroModelData(tmp_path / 'model.nequip.zip', type_names=['Li'], r_max=4.0),
        'trust_model': orm.Bool(True),
        'metadata': {'options': {'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 1}, 'gpus': 3}},
    }
    process_class = CalculationFactory('ionconduct.allegro.compile')
    process = instantiate_process(get_manager().get_runner(), process_class, **inputs)
    process.presubmit(fixture_sandbox)
    with fixture_sandbox.open('_aiidasubmit.sh') as handle:
        assert handle.read().startswith('#!/bin/bash\n#SBATCH --gres=gpu:3\n')
