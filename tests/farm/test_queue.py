"""Tests of what is done with jobs at their schedulers without the daemon, with a false scheduler."""

from types import SimpleNamespace

import pytest
from aiida import orm
from aiida.schedulers import JobState

from aiida_ionconduct.farm import queue

pytestmark = pytest.mark.usefixtures('aiida_profile')


class FalseScheduler:
    """A scheduler with some jobs by their states, of which it kills those that are not stubborn."""

    def __init__(self, states, stubborn=()):
        self.states, self.stubborn, self.killed = dict(states), stubborn, []

    def get_jobs(self, jobs, as_dict):
        return {job: SimpleNamespace(job_state=self.states[job]) for job in jobs if job in self.states}

    def kill_job(self, job):
        self.killed.append(job)
        if job not in self.stubborn:
            del self.states[job]


@pytest.fixture
def scheduler(monkeypatch):
    """Return a function that makes the scheduler of all computers."""
    monkeypatch.setattr(queue, 'POLL_S', 0.01)

    def make(states, **options):
        scheduler = FalseScheduler(states, **options)
        monkeypatch.setattr(queue, 'connected', lambda computer, transport: scheduler)
        return scheduler

    return make


@pytest.fixture
def slurm(aiida_profile):
    """A computer with Slurm, reached as this machine."""
    computer = orm.Computer.collection.get_or_create(
        label='queue', hostname='queue', transport_type='core.local', scheduler_type='core.slurm'
    )[1].store()
    computer.configure()
    return computer


@pytest.fixture
def job(slurm):
    """Return a function that stores a job with an id."""

    def store(job_id):
        node = orm.CalcJobNode(computer=slurm)
        if job_id:
            node.set_job_id(job_id)
        return node.store()

    return store


def test_cancel(scheduler, job):
    """Jobs that are there are cancelled; those that have ended or were not submitted are passed over."""
    false = scheduler({'1': JobState.RUNNING, '2': JobState.QUEUED, '3': JobState.DONE, '9': JobState.RUNNING})
    assert queue.cancel([job(job_id) for job_id in ('1', '2', '3', '4', None)], 10.0) == (2, [])
    assert sorted(false.killed) == ['1', '2']
    assert '9' in false.states  # of somebody else


def test_job_that_stays(scheduler, job):
    """A job that the scheduler does not give up is named."""
    scheduler({'1': JobState.RUNNING, '2': JobState.RUNNING}, stubborn=('2',))
    assert queue.cancel([job('1'), job('2')], 0.1) == (2, ['queue: 2'])


@pytest.fixture
def told(monkeypatch):
    """The commands that the computer was told, which all succeed."""
    commands = []
    monkeypatch.setattr(queue.shell, 'run', lambda transport, command: (commands.append(command), (0, '', ''))[1])
    return commands


def test_hold_and_release(scheduler, job, told):
    """Only jobs that wait are held, and only these are released."""
    scheduler({'1': JobState.RUNNING, '2': JobState.QUEUED, '3': JobState.QUEUED_HELD})
    jobs = [job('1'), job('2'), job('3')]
    assert queue.hold(jobs) == 1
    assert queue.release(jobs) == 1
    assert queue.release(jobs) == 0
    assert ['scontrol uhold 2 ' in told[0], 'scontrol release 2 ' in told[1], len(told)] == [True, True, 2]


def test_refused(scheduler, job, monkeypatch):
    """What the scheduler answers is passed on."""
    scheduler({'2': JobState.QUEUED})
    monkeypatch.setattr(queue.shell, 'run', lambda transport, command: (1, 'Access denied', ''))
    with pytest.raises(queue.QueueError, match='scontrol uhold JOB` has ended with 1: Access denied'):
        queue.hold([job('2')])


def test_job_that_begins_meanwhile(scheduler, job, monkeypatch):
    """A job that begins before it is held cannot be held, and that is no error; the other jobs are held."""
    false = scheduler({'2': JobState.QUEUED, '3': JobState.QUEUED})

    def hold(transport, command):
        false.states = {'2': JobState.RUNNING, '3': JobState.QUEUED_HELD}
        return 1, 'Job is no longer pending execution for job 2', ''

    monkeypatch.setattr(queue.shell, 'run', hold)
    jobs = [job('2'), job('3')]
    assert queue.hold(jobs) == 1
    assert [node.base.extras.get(queue.HELD, False) for node in jobs] == [False, True]


def test_job_that_somebody_has_released(scheduler, job, told):
    """A held job that runs by now, as somebody has released it at the scheduler, is not released again."""
    false = scheduler({'2': JobState.QUEUED})
    jobs = [job('2')]
    queue.hold(jobs)
    false.states['2'] = JobState.RUNNING
    queue.release(jobs)
    assert len(told) == 1
    assert not jobs[0].base.extras.get(queue.HELD, False)
