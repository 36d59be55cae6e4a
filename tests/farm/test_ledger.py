"""Tests of what jobs have cost: from the accounting of Slurm, and from what AiiDA has seen of the queue."""

import datetime

import pytest
from aiida import orm
from aiida.common import timezone
from aiida.schedulers import JobInfo

from aiida_ionconduct.farm.ledger import Cost, allocated_gpus, job_cost, total_cost

pytestmark = pytest.mark.usefixtures('aiida_profile')
SACCT = """*** Welcome to the cluster ***
Account|AllocCPUS|AllocTRES|ElapsedRaw|JobID|State|
research|4|billing=4,cpu=4,gres/gpu:a100=2,gres/gpu=2,mem=1G,node=1|1800|17|COMPLETED|
research|4|cpu=4,gres/gpu:a100=2,gres/gpu=2,mem=1G,node=1|1800|17.batch|COMPLETED|
"""
RESOURCES = {'num_machines': 2, 'num_mpiprocs_per_machine': 3}


@pytest.fixture
def job(aiida_localhost):
    """Return a function that makes a job with options."""

    def make(wall_time_s=None, **options):
        node = orm.CalcJobNode(computer=aiida_localhost)
        node.set_options({'resources': RESOURCES, **options})
        if wall_time_s is not None:
            info = JobInfo()
            info.wallclock_time_seconds = wall_time_s
            node.set_last_job_info(info)
        return node.store()

    return make


def test_accounting(job):
    """The allocation of the whole job, not its steps; what a login shell prints is passed over."""
    node = job(wall_time_s=7)
    node.set_detailed_job_info({'retval': 0, 'stdout': SACCT, 'stderr': ''})
    assert job_cost(node) == Cost(core_hours=2.0, gpu_hours=1.0, accounted=True)


@pytest.mark.parametrize(
    'info', [None, {'retval': 1, 'stdout': SACCT}, {'retval': 0, 'stdout': 'Slurm accounting storage is disabled'}]
)
def test_without_accounting(job, info):
    """Wall time times the cores that were asked for, with a note that it is no accounting."""
    node = job(wall_time_s=1800, gpus=1, environment_variables={'OMP_NUM_THREADS': '2'})
    node.set_detailed_job_info(info)
    assert job_cost(node) == Cost(core_hours=6.0, gpu_hours=1.0, accounted=False)


def test_slots(job):
    """A scheduler with slots counts threads among them."""
    resources = {'parallel_env': 'smp', 'tot_num_mpiprocs': 8}
    node = job(wall_time_s=3600, resources=resources, environment_variables={'OMP_NUM_THREADS': '4'})
    assert job_cost(node).core_hours == 8.0


def test_too_short_to_be_seen(job):
    """A job on this machine that ended between two looks has taken no longer than until the second."""
    node = job()
    node.base.attributes.set(
        node.SCHEDULER_LAST_CHECK_TIME_KEY, (node.ctime + datetime.timedelta(seconds=36)).isoformat()
    )
    assert job_cost(node).core_hours == pytest.approx(0.06)
    assert timezone.now() < node.get_scheduler_lastchecktime()


def test_cache(job):
    """A job from the cache has cost nothing, though it has the attributes of the job that has run."""
    node = job(wall_time_s=3600)
    node.base.extras.set(node.base.caching.CACHED_FROM_KEY, 'other')
    assert total_cost([node]) == Cost()


@pytest.mark.parametrize(
    ('tres', 'number'), [('cpu=1,gres/gpu:a100=2', 2), ('gres/gpu=3,gres/gpu:a100=3', 3), ('cpu=4,node=1', 0)]
)
def test_gpus(tres, number):
    assert allocated_gpus(tres) == number
