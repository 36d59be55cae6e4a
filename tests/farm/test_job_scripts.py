"""The whole job scripts that AiiDA writes for the computers of a site, for every scheduler."""

from pathlib import Path

import pytest
from aiida import orm
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida.plugins import CalculationFactory

from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.farm import site

EXAMPLE = Path(__file__).parents[2] / 'docs' / 'examples' / 'site.yaml'
JOB = {'num_machines': 1, 'num_mpiprocs_per_machine': 1, 'threads': 4, 'max_wallclock_seconds': 3600}
PARTITION = {'partition': 'long', 'account': 'ab12', 'directives': ['--first', '--second']}
CASES = {
    'slurm': (
        {**PARTITION, 'qos': 'high', 'constraint': 'a&b', 'max_memory_kb': 2**21, 'gpu_type': 'h100'},
        [
            '#SBATCH --partition=long', '#SBATCH --account=ab12', '#SBATCH --qos=high', '#SBATCH --constraint=a&b',
            '#SBATCH --mem=2048', '#SBATCH --gres=gpu:h100:2', '#SBATCH --cpus-per-task=4', '#SBATCH --second',
        ],
    ),
    'pbspro': (
        {**PARTITION, 'max_memory_kb': 2**21},
        ['#PBS -q long', '#PBS -A ab12', '#PBS -l select=1:mpiprocs=1:ncpus=4:mem=2097152kb:ngpus=2', '#PBS --second'],
    ),
    'torque': (
        {**PARTITION, 'max_memory_kb': 2**21},
        ['#PBS -q long', '#PBS -l nodes=1:ppn=4:gpus=2,walltime=01:00:00,mem=2097152kb', '#PBS --second'],
    ),
    'sge': (
        {**PARTITION, 'parallel_env': 'smp'},
        ['#$ -q long', '#$ -P ab12', '#$ -pe smp 4', '#$ -l gpu=2', '#$ --second'],
    ),
    'lsf': (
        {**PARTITION, 'max_memory_kb': 2**21, 'gpu_type': 'H100'},
        [
            '#BSUB -q long', '#BSUB -G ab12', '#BSUB -n 4', '#BSUB -R "span[ptile=4]"', '#BSUB -M 2097152',
            '#BSUB -gpu "num=2:gmodel=H100"', '#BSUB --second',
        ],
    ),
}  # fmt: skip
"""By scheduler: keys of the computer, and directives in the script of a job with 4 threads and 2 GPUs."""


@pytest.fixture
def job_script(aiida_profile_clean, tmp_path, fixture_sandbox, monkeypatch):
    """Return a function that gives the script of a job on a computer of a site."""
    monkeypatch.setattr(site, 'check_computer', lambda computer: 'answers')

    def write(computer, **resources):
        site.ensure_computer('cluster', computer)
        code = orm.InstalledCode(
            label='compile',
            computer=orm.load_computer('cluster'),
            filepath_executable='/bin/true',
            default_calc_job_plugin='ionconduct.allegro.compile',
            prepend_text='export OF_THE_CODE=1',
        ).store()
        (tmp_path / 'model.nequip.zip').write_bytes(b'x')
        inputs = {
            'code': code,
            'model': AllegroModelData(tmp_path / 'model.nequip.zip', type_names=['Li'], r_max=4.0),
            'trust_model': orm.Bool(True),
            'metadata': {'options': site.options_of_job(code, {**JOB, **resources})},
        }
        process_class = CalculationFactory('ionconduct.allegro.compile')
        instantiate_process(get_manager().get_runner(), process_class, **inputs).presubmit(fixture_sandbox)
        with fixture_sandbox.open('_aiidasubmit.sh') as handle:
            return handle.read().splitlines()

    return write


def head(lines):
    """Return the lines that the scheduler reads: those before the first command."""
    command = next(index for index, line in enumerate(lines) if line.strip() and not line.startswith('#'))
    return lines[:command]


def computer(scheduler, **keys):
    """Return a computer of a site."""
    return site.Computer.check({'transport': 'local', 'scheduler': scheduler, 'workdir': '/tmp/{username}', **keys})


@pytest.mark.parametrize('scheduler', CASES)
def test_directives_stand_before_the_first_command(job_script, scheduler):
    """Schedulers stop reading at the first command, such as the environment variables that AiiDA writes."""
    keys, directives = CASES[scheduler]
    lines = job_script(computer(scheduler, prepend='module load x', **keys), gpus=2)
    assert {'module load x', 'export OF_THE_CODE=1', "export OMP_NUM_THREADS='4'"} <= set(lines)
    assert set(directives) <= set(head(lines))
    prefix = directives[0].split()[0]
    assert not [line for line in lines[len(head(lines)) :] if line.startswith(prefix)]


@pytest.mark.parametrize('label', ['cluster', 'cluster-gpu'])
def test_partitions_of_the_example(job_script, label):
    """A job of the documentation's own site runs in the partition that the site names."""
    described = site.load_site(EXAMPLE).computers[label]
    assert f'#SBATCH --partition={described.partition}' in head(job_script(described))


def test_resources_replace_what_the_site_says(job_script):
    lines = head(job_script(computer('slurm', **PARTITION), partition='short', directives=['--exclusive']))
    assert {'#SBATCH --partition=short', '#SBATCH --account=ab12', '#SBATCH --exclusive'} <= set(lines)
    assert not {'#SBATCH --partition=long', '#SBATCH --first'} & set(lines)
