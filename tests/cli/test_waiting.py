"""What `status` says of a campaign that does not move: paused, held, refused and waiting jobs, with what to type."""

from __future__ import annotations

import datetime
import re

import pytest
from aiida import orm
from aiida.common import timezone
from aiida.common.links import LinkType
from aiida.engine import ProcessState
from aiida.schedulers import JobInfo, JobState

from aiida_ionconduct.cli.follow import status
from aiida_ionconduct.cli.waiting import PAUSED_BY_USER, waiting_processes
from aiida_ionconduct.farm.scheduler import WAITS
from aiida_ionconduct.report.graph.call_tree import CallTree

TRACEBACK = (
    'Traceback (most recent call last):\n  File "utils.py", line 195, in exponential_backoff_retry\n'
    '    result = await coro()\n  File "tasks.py", line 96, in do_{task}\n    raise error\n'
    'asyncssh.misc.PermissionDenied: Permission denied for user\x1b[31m aiida\n'
)
REFUSED = [
    ('PartitionTimeLimit', 'max_wallclock_seconds'),
    ('BadConstraints', 'change the constraint'),
    ('AccountNotAllowed', 'change the account'),
    ('(AssocGrpCPUMinutesLimit)', 'a limit of the account'),
    ('QOSMaxJobsPerUserLimit', 'a limit of the account'),
    ('ReqNodeNotAvail, UnavailableNodes:node[1-2]', 'UnavailableNodes:node[1-2]'),
    ('DependencyNeverSatisfied', 'scancel 4711'),
]
"""Reasons of Slurm for jobs that it will not start, and words of what is said."""


def called(node: orm.ProcessNode, caller: orm.ProcessNode, label: str, name: str) -> orm.ProcessNode:
    """Store a process that another process has called."""
    link = LinkType.CALL_CALC if isinstance(node, orm.CalcJobNode) else LinkType.CALL_WORK
    node.set_process_label(name)
    node.base.links.add_incoming(caller, link, label)
    node.store()
    node.set_process_state(ProcessState.WAITING)
    return node


@pytest.fixture
def cluster(aiida_profile):
    """A computer with Slurm."""
    return orm.Computer.collection.get_or_create(
        label='cluster', hostname='cluster', transport_type='core.local', scheduler_type='core.slurm'
    )[1].store()


@pytest.fixture
def campaign(cluster):
    """A campaign that runs; it is stored without inputs, so it has no plan."""
    node = orm.WorkChainNode()
    node.set_process_label('ConductivityWorkChain')
    node.store()
    node.set_process_state(ProcessState.WAITING)
    return node


@pytest.fixture
def job(campaign, cluster):
    """Return a function that stores a job of the campaign."""
    stage = called(orm.WorkChainNode(), campaign, 'md', 'SeedsWorkChain')

    def store(state: JobState | None = None, reason: str = '', process_status: str = '') -> orm.CalcJobNode:
        node = called(orm.CalcJobNode(computer=cluster), stage, 'T900_seed1', 'LammpsMdCalculation')
        node.set_process_status(process_status or None)
        if state:
            node.set_job_id('4711')
            info = JobInfo()
            info.job_id, info.annotation, info.job_state = '4711', reason, state
            node.set_last_job_info(info)
            node.set_scheduler_state(state)
        return node

    return store


def fail(job: orm.CalcJobNode, task: str, later_s: float = 0.0) -> None:
    """Add the error of a transport task to the log of a job, as AiiDA does."""
    message = TRACEBACK.format(task=task)
    time = timezone.now() + datetime.timedelta(seconds=later_s)
    orm.Log(time, 'aiida.orm', 'ERROR', job.pk, message, {'args': f"(1, 'do_{task}', 20)"})


def kinds(campaign: orm.ProcessNode) -> list[str]:
    """Return the kinds of what waits."""
    return [entry.kind for entry in waiting_processes(CallTree(campaign), campaign)]


def test_paused_job(campaign, job):
    """The status, the last message of the connection without control characters, and the command."""
    node = job(process_status='Pausing after failed transport task: upload_calculation failed 5 times consecutively')
    node.pause()
    fail(node, 'upload')
    text = status(campaign)
    assert 'upload_calculation failed 5 times' in text
    assert 'PermissionDenied: Permission denied for user [31m aiida' in text
    assert f'verdi process play {node.pk}' in text
    assert 'Traceback' not in text
    assert 'the end cannot be predicted while 1 process does not move' in text
    assert f'ConductivityWorkChain<{campaign.pk}> waiting' in text


def test_paused_campaign(campaign):
    """A campaign that a user has paused."""
    campaign.set_process_status('Paused by the user through `verdi process pause`')
    campaign.pause()
    text = status(campaign)
    assert 'Paused by the user' in text
    assert f'to go on, type: verdi process play {campaign.pk}' in text


def test_campaign_paused_as_a_whole(campaign, job):
    """A single line, with the command for the whole campaign, also where many jobs are paused and held."""
    held = job(JobState.QUEUED_HELD, 'JobHeldUser', process_status=PAUSED_BY_USER)
    held.pause()
    campaign.set_process_status(PAUSED_BY_USER)
    campaign.pause()
    assert kinds(campaign) == ['paused']
    text = status(campaign)
    assert f'type: aiida-ionconduct resume {campaign.pk}' in text
    assert f'ConductivityWorkChain<{campaign.pk}> waiting' in text


def test_job_that_waits_for_a_place(campaign, job):
    """A job that a limit keeps from being submitted waits for its turn; nothing is to be done."""
    job(process_status=f'{WAITS}: QOSMaxSubmitJobPerUserLimit')
    assert kinds(campaign) == ['queued']
    assert 'waits until it can be submitted: QOSMaxSubmitJobPerUserLimit' in status(campaign)


def test_held_job(campaign, job):
    job(JobState.QUEUED_HELD, 'JobHeldUser')
    text = status(campaign)
    assert 'is held in the queue (cluster, job 4711' in text
    assert 'a user has held it (JobHeldUser); on the computer, type: scontrol release 4711' in text
    assert re.search(r'^md +SeedsWorkChain<\d+> +held ', text, re.MULTILINE)


def test_held_by_an_administrator(campaign, job):
    job(JobState.QUEUED_HELD, 'JobHeldAdmin')
    assert 'ask the administrators, or on the computer, type: scontrol release 4711' in status(campaign)


@pytest.mark.parametrize('reason', ['Dependency', 'BeginTime'])
def test_held_until_something_happens(campaign, job, reason):
    """Nothing has to be typed."""
    job(JobState.QUEUED_HELD, reason)
    text = status(campaign)
    assert f'({reason})' in text
    assert 'release' not in text


@pytest.mark.parametrize(('reason', 'says'), REFUSED)
def test_job_that_will_not_start(campaign, job, reason, says):
    job(JobState.QUEUED, reason)
    assert kinds(campaign) == ['refused']
    assert says in status(campaign)


@pytest.mark.parametrize('reason', ['Priority', 'Resources', 'None', ''])
def test_job_that_waits_for_its_turn(campaign, job, reason):
    """It is shown with the reason; no end is predicted while nothing runs."""
    job(JobState.QUEUED, reason)
    assert kinds(campaign) == ['queued']
    text = status(campaign)
    assert 'waits in the queue (cluster, job 4711' in text
    assert reason in text
    assert 'the end cannot be predicted while all jobs wait in the queue' in text


def test_many_jobs_in_the_queue(campaign, job):
    """Three of them are shown, and how many more there are."""
    for _ in range(40):
        job(JobState.QUEUED, 'Priority')
    text = status(campaign)
    assert text.count('waits in the queue') == 3
    assert '… and 37 more in the queue' in text


def test_running_jobs_are_not_waiting(campaign, job):
    job(JobState.RUNNING, 'None')
    assert kinds(campaign) == []
    assert f'ConductivityWorkChain<{campaign.pk}> running' in status(campaign)
    job(JobState.QUEUED, 'Priority')
    assert 'cannot be predicted' not in status(campaign)


@pytest.mark.parametrize('task', ['upload', 'submit', 'retrieve'])
def test_connection_that_fails(campaign, job, task):
    """A job between two attempts of a transport task."""
    fail(job(process_status=f'Waiting for transport task: {task}'), task)
    text = status(campaign)
    assert f'has failed to {task}' in text
    assert 'Permission denied' in text
    assert 'AiiDA tries again' in text
    assert kinds(campaign) == ['retried']


def test_connection_that_works_again(campaign, job):
    """An error of an earlier task is not shown."""
    fail(job(process_status='Waiting for transport task: retrieve'), 'upload')
    assert kinds(campaign) == []


def test_queue_that_cannot_be_asked(campaign, job):
    """An error after the last look at the queue is shown; an error before it is not."""
    node = job(JobState.RUNNING, 'None', process_status='Monitoring scheduler: job state RUNNING')
    fail(node, 'update', later_s=-60)
    assert kinds(campaign) == []
    fail(node, 'update', later_s=60)
    assert kinds(campaign) == ['retried']


def test_ended_campaign(campaign, job):
    """What has ended does not wait, whatever its last state in the queue was."""
    node = job(JobState.QUEUED_HELD, 'JobHeldUser')
    node.set_process_state(ProcessState.KILLED)
    assert kinds(campaign) == []


def test_commands_of_other_schedulers(campaign, job, cluster):
    cluster.scheduler_type = 'core.pbspro'
    job(JobState.QUEUED_HELD, 'Job held by aiida')
    text = status(campaign)
    assert 'Job held by aiida' in text
    assert 'type: qrls 4711' in text
    cluster.scheduler_type = 'core.slurm'
