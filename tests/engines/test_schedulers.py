"""The list of schedulers: names, partitions, and how a job asks for GPUs."""

import typing
from importlib.metadata import entry_points

import pytest

from aiida_ionconduct.engines.schedulers import (
    BY_PLUGIN,
    COMMON_KEYS,
    SCHEDULERS,
    SchedulerName,
    job_options,
    request_gpus,
)

SCRIPTS = {
    'slurm': '#!/bin/bash\n#SBATCH --no-requeue\n',
    'sge': '#!/bin/bash\n#$ -cwd\n',
    'lsf': '#!/bin/bash\n#BSUB -n 1\n',
    'pbspro': '#!/bin/bash\n#PBS -l select=1:mpiprocs=4\n',
    'torque': '#!/bin/bash\n#PBS -l nodes=1:ppn=4,walltime=00:10:00\n',
}
"""The heads of job scripts as AiiDA writes them."""
REQUESTS = {
    'slurm': '#SBATCH --gres=gpu:2\n',
    'sge': '#$ -l gpu=2\n',
    'lsf': '#BSUB -gpu "num=2"\n',
    'pbspro': '#PBS -l select=1:mpiprocs=4:ngpus=2\n',
    'torque': '#PBS -l nodes=1:ppn=4:gpus=2,walltime=00:10:00\n',
}


def test_names_are_those_of_the_table():
    assert typing.get_args(SchedulerName) == tuple(SCHEDULERS)


@pytest.mark.parametrize('plugin', BY_PLUGIN)
def test_plugin_is_an_entry_point(plugin):
    assert plugin in entry_points(group='aiida.schedulers').names


def test_a_partition_needs_a_scheduler():
    """Every scheduler but `direct`, which is none, knows partitions, accounts and directives."""
    assert [name for name, scheduler in SCHEDULERS.items() if not scheduler.prefix] == ['direct']
    assert [name for name, scheduler in SCHEDULERS.items() if not scheduler.keys >= COMMON_KEYS] == ['direct']


@pytest.mark.parametrize(
    ('plugin', 'key', 'complaint'),
    [
        ('core.direct', 'partition', 'needs a scheduler'),
        ('core.pbspro', 'qos', 'write the directive into `directives`'),
        ('core.sge', 'max_memory_kb', 'write the directive into `directives`'),
        ('core.torque', 'gpu_type', 'write the directive into `directives`'),
        ('core.sge', 'threads', 'needs a `parallel_env`'),
    ],
)
def test_what_a_scheduler_does_not_know_is_refused(plugin, key, complaint):
    with pytest.raises(ValueError, match=complaint):
        job_options(plugin, {'num_machines': 1, 'num_mpiprocs_per_machine': 1, key: 4})


@pytest.mark.parametrize(
    ('plugin', 'resources'),
    [
        ('core.slurm', {'num_machines': 2, 'num_mpiprocs_per_machine': 3, 'num_cores_per_mpiproc': 4}),
        ('core.direct', {'num_machines': 2, 'num_mpiprocs_per_machine': 3}),
        ('core.sge', {'tot_num_mpiprocs': 24, 'parallel_env': 'smp'}),
    ],
)
def test_threads_are_asked_for_as_processors(plugin, resources):
    request = {'num_machines': 2, 'num_mpiprocs_per_machine': 3, 'threads': 4}
    request |= {'parallel_env': 'smp'} if plugin == 'core.sge' else {}
    options = job_options(plugin, request)
    assert options == {'resources': resources, 'environment_variables': {'OMP_NUM_THREADS': '4'}}


def test_slots_for_threads_under_mpi_are_refused():
    """``mpirun`` would start a process on every slot."""
    request = {'num_machines': 1, 'num_mpiprocs_per_machine': 2, 'threads': 4}
    with pytest.raises(ValueError, match='set threads to 1'):
        job_options('core.lsf', request, with_mpi=True)


@pytest.mark.parametrize('name', SCRIPTS)
def test_gpus_are_asked_for_in_the_scheduler_s_own_words(name):
    for plugin in SCHEDULERS[name].plugins:
        edited = request_gpus(SCRIPTS[name], plugin, 2)
        assert REQUESTS[name] in edited
        assert edited.startswith('#!/bin/bash\n')


def test_without_a_scheduler_a_job_has_all_gpus():
    assert request_gpus('#!/bin/bash\n', 'core.direct', 2) == '#!/bin/bash\n'


def test_an_unknown_scheduler_is_refused():
    with pytest.raises(ValueError, match=r'how to ask core\.condor for GPUs is not known'):
        request_gpus('#!/bin/bash\n', 'core.condor', 1)


def test_a_script_without_the_line_is_refused():
    with pytest.raises(ValueError, match='has no line that could ask for GPUs'):
        request_gpus('#!/bin/bash\n', 'core.pbspro', 1)
