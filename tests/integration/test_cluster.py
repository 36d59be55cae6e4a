"""Jobs on a Slurm as clusters have it: no default partition, a GPU, accounts, limits, accounting, shells that print.

The site is docs/examples/site.yaml with the names of this cluster. All programs are the same script: the question here
is where a job runs and how often, not what it computes.
"""

import json
import pathlib
import re
import time

import psycopg
import pytest
import yaml

from local_services import slurm, sshd

from .installation import Installation
from .production_installation import OPTIONS, needs_services

pytestmark = [pytest.mark.integration, needs_services]

SITE = pathlib.Path(__file__).parents[2] / 'docs' / 'examples' / 'site.yaml'
ACTIONS = pathlib.Path(__file__).with_name('cluster_actions.py')
DATABASE = 'cluster'  # the other tests of the services have another
PROGRAM = """#!/bin/bash
while [ -e {gate} ]; do sleep 0.2; done
env > environment
echo 'JOB DONE, usage:'
echo 'pair_style allegro is there'
echo 'ASE is there'
if [ -e model.nequip.zip ]; then cp model.nequip.zip "${{@: -1}}"; fi
"""
FIELDS = ('jobid', 'partition', 'account', 'qos', 'constraints', 'reqtres', 'state', 'workdir')
N_SLOTS, PATIENCE_S = 2, 600
ACCOUNTING_S = 60  # until Slurm has told slurmdbd of a job
FAULTS = (['lose'], ['banner'], ['limit'], ['banner', 'lose'], ['limit', 'lose', 'banner'])


class Cluster(Installation):
    """A production profile whose jobs go to the cluster."""

    def __init__(self, path, services):
        super().__init__(path)
        self.services, self.scratch, self.faults = services, path / 'scratch', sshd.faults(services)
        self.gate = path / 'closed'  # jobs wait as long as it exists
        (self.home / '.ssh').mkdir(mode=0o700)
        (self.home / '.ssh' / 'config').write_text(services.ssh_config)
        with psycopg.connect(services.postgres_uri, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE {DATABASE}')
        self.environment |= {
            'AIIDA_IONCONDUCT_POSTGRES': f'{services.postgres_uri.rpartition("/")[0]}/{DATABASE}',
            'AIIDA_IONCONDUCT_RABBITMQ': services.rabbitmq_uri,
        }
        program = path / 'program'
        program.write_text(PROGRAM.format(gate=self.gate))
        program.chmod(0o755)
        site = yaml.safe_load(SITE.read_text())
        for computer in site['computers'].values():
            computer |= {'hostname': slurm.NODE, 'poll_interval_s': 1, 'safe_interval_s': 0}
            computer |= {'workdir': str(self.scratch / '{username}'), 'prepend': 'module() { :; }; module load lammps'}
        for code in site['codes'].values():
            code['executable'] = str(program)
        (path / 'site.yaml').write_text(yaml.safe_dump(site))

    def run_job(self, **resources):
        """Run a job on the GPU computer and return what became of it."""
        (job,) = self.run_jobs(1, **resources)
        return job

    def run_jobs(self, number, **resources):
        """Run jobs on the GPU computer at the same time and return what became of them."""
        command = ('verdi', 'run', ACTIONS, 'run_jobs', json.dumps(resources), number)
        return json.loads(self.run(*command).splitlines()[-1])

    def start_runs(self, n_seeds):
        """Submit a work chain with a job for each seed, and return its pk."""
        return int(self.run('verdi', 'run', ACTIONS, 'start_runs', n_seeds).splitlines()[-1])

    def jobs_there(self, *words):
        """Return the jobs of this profile that Slurm has and that have not ended, with the reason why they wait."""
        lines = self.services.slurm('squeue', '--noheader', '--format=%Z|%i %T %r').splitlines()
        jobs = [job for folder, _, job in (line.partition('|') for line in lines) if str(self.scratch) in folder]
        return [job for job in jobs if 'COMPLETING' not in job and all(word in job for word in words)]

    def states(self):
        """Return the states of the processes that have not ended: of jobs, which step they are at."""
        statement = (
            "SELECT coalesce(attributes->>'state', 'none') FROM db_dbnode WHERE node_type LIKE 'process.%' "
            "AND attributes->>'process_state' IN ('created', 'running', 'waiting')"
        )
        with psycopg.connect(self.environment['AIIDA_IONCONDUCT_POSTGRES']) as connection:
            return [state for (state,) in connection.execute(statement)]

    def wait_until(self, condition):
        """Wait until a condition holds."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, (self.states(), self.jobs_there())
            time.sleep(0.05)

    def accounted(self, n_jobs, **wanted):
        """Return what ``sacct`` tells of this profile's jobs with wanted values, once so many have ended."""
        command = ('sacct', '--allocations', '--parsable2', '--noheader', f'--format={",".join(FIELDS)}')
        end = time.monotonic() + ACCOUNTING_S
        while time.monotonic() < end:
            rows = [
                dict(zip(FIELDS, line.split('|'), strict=True)) for line in self.services.slurm(*command).splitlines()
            ]
            rows = [row for row in rows if wanted.items() <= row.items() and str(self.scratch) in row['workdir']]
            if len(rows) >= n_jobs and all(row['state'] == 'COMPLETED' for row in rows):
                break
            time.sleep(0.5)
        return rows


@pytest.fixture(scope='module')
def cluster(tmp_path_factory, services):
    """A profile set up with the site file, whose jobs on this machine are switched off."""
    cluster = Cluster(tmp_path_factory.mktemp('cluster'), services)
    try:
        cluster.setup_output = cluster.run('aiida-ionconduct', 'setup', '--site', 'site.yaml')
        for name, value in OPTIONS.items():
            cluster.run('verdi', 'config', 'set', name, str(value))
        cluster.run('verdi', 'daemon', 'restart', '--timeout', '60')
        user = cluster.run('verdi', 'user', 'list').split('*')[1].split()[0].rstrip(':')
        cluster.run('verdi', 'computer', 'disable', 'localhost', user)
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def fault(cluster):
    """Return a function that switches faults of ``sbatch`` on; they are off again after the test."""
    yield lambda name: (cluster.faults / name).touch()
    for path in cluster.faults.iterdir():
        path.unlink()


def test_partitions(cluster):
    """The example's jobs for GPUs run in the partition `gpu` and those of pw.x in `cpu`; there is no default."""
    text = cluster.run('aiida-ionconduct', 'doctor', status=None)  # this machine has no pair style of its own here
    codes = yaml.safe_load((cluster.path / 'site.yaml').read_text())['codes']
    on_gpu = [label for label in codes if label.endswith('@cluster-gpu')]
    for label in codes:
        assert re.search(rf'^code {label} +ok', text, flags=re.MULTILINE), text
    assert len(cluster.accounted(len(on_gpu), partition='gpu')) == len(on_gpu)
    assert len(cluster.accounted(1, partition='cpu')) == 1
    assert not [row for row in cluster.accounted(0) if row['partition'] not in ('cpu', 'gpu')]


def test_banner_is_no_folder(cluster):
    """The banner of the login shell gets neither into what `doctor` says nor into the path of the jobs."""
    assert sshd.BANNER not in cluster.setup_output
    assert sshd.BANNER not in cluster.run('aiida-ionconduct', 'doctor', '--no-jobs', status=None)
    assert [path.name for path in cluster.scratch.iterdir()] == [slurm.USER]


def test_request_reaches_slurm(cluster):
    """Slurm has noted the account, quality of service, constraint, memory, GPUs and processors that were asked for."""
    job = cluster.run_job(
        account='teaching', qos='long', constraint=slurm.FEATURE, max_memory_kb=102400, gpus=2,
        gpu_type=slurm.GPU_TYPE, threads=2,
    )  # fmt: skip
    assert job['exit_status'] == 0, job
    (row,) = cluster.accounted(1, workdir=job['folder'])
    expected = {'partition': 'gpu', 'account': 'teaching', 'qos': 'long', 'constraints': slurm.FEATURE}
    assert expected.items() <= row.items()
    assert {'cpu=2', 'gres/gpu=2', 'mem=100M', 'node=1'} <= set(row['reqtres'].split(','))
    environment = pathlib.Path(job['folder'], 'environment').read_text().splitlines()
    assert 'OMP_NUM_THREADS=2' in environment


def test_partition_of_a_job(cluster):
    """The resources of a protocol override the partition of the site."""
    job = cluster.run_job(partition='small', max_wallclock_seconds=300)
    assert job['exit_status'] == 0, job
    assert len(cluster.accounted(1, workdir=job['folder'], partition='small')) == 1


@pytest.fixture
def gate(cluster):
    """The jobs of a test do not end before the test."""
    cluster.gate.touch()
    yield
    cluster.gate.unlink()


def test_pause_resume_kill(cluster, gate):
    """Paused, waiting jobs are held and nothing moves; resumed, they are free; killed, nothing is left anywhere."""
    n_jobs = N_SLOTS + 2
    pk = cluster.start_runs(n_jobs)
    cluster.wait_until(lambda: cluster.states().count('withscheduler') == n_jobs)
    cluster.wait_until(lambda: len(cluster.jobs_there('RUNNING')) == N_SLOTS)
    assert '2 jobs held' in cluster.run('aiida-ionconduct', 'pause', pk)
    assert len(cluster.jobs_there('JobHeldUser')) == 2
    assert f'aiida-ionconduct resume {pk}' in cluster.run('aiida-ionconduct', 'status', pk)
    assert '2 jobs released' in cluster.run('aiida-ionconduct', 'resume', pk)
    assert not cluster.jobs_there('JobHeldUser')
    assert len(cluster.jobs_there()) == n_jobs
    cluster.run('aiida-ionconduct', 'kill', pk)
    assert cluster.states() == cluster.jobs_there() == []
    assert 'has ended already' in cluster.run('aiida-ionconduct', 'kill', pk, status=1)


@pytest.mark.parametrize('state', ['uploading', 'submitting'])
def test_kill_at_submission(cluster, gate, state):
    """A job that is being submitted is cancelled or never submitted, and no worker goes on with it later."""
    pk = cluster.start_runs(N_SLOTS)
    cluster.wait_until(lambda: state in cluster.states() or 'withscheduler' in cluster.states())
    cluster.run('aiida-ionconduct', 'kill', pk)
    assert cluster.states() == []
    time.sleep(5)
    assert cluster.jobs_there() == []


def test_limit_of_submitted_jobs(cluster):
    """Slurm admits one job at a time: the second waits for its turn without an error, and is not paused."""
    jobs = cluster.run_jobs(2, qos='few', directives=['--begin=now+8'])
    assert [job['exit_status'] for job in jobs] == [0, 0], jobs
    assert [job['logged'] for job in jobs] == [[], []]
    assert len(cluster.accounted(2, qos='few')) == 2


def test_cost(cluster):
    """What `sacct` says of a job is what it has cost."""
    job = cluster.run_job(threads=2, gpus=1)
    (cost,) = json.loads(cluster.run('aiida-ionconduct', 'cost', job['pk'], '--format', 'json'))['stages']
    assert job['exit_status'] == 0
    assert cost['accounted']
    assert cost['core_hours'] == pytest.approx(2 * cost['gpu_hours'])


@pytest.mark.parametrize('names', FAULTS, ids='-'.join)
def test_faults_of_sbatch(cluster, fault, names):
    """A lost answer, text around the answer and a refusal at a limit: the job runs once, and AiiDA knows its id."""
    for name in names:
        fault(name)
    job = cluster.run_job()
    assert job['exit_status'] == 0, job
    (row,) = cluster.accounted(1, workdir=job['folder'])
    assert row['jobid'] == job['job_id']
    assert {path.name for path in cluster.faults.iterdir()} == set(names) & {'banner'}  # each fault has happened
