"""Tests of ``pause``, ``resume`` and ``kill`` of a whole campaign, with false workers."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState
from aiida.manage import get_manager
from click.testing import CliRunner

from aiida_ionconduct.cli import cli, control
from aiida_ionconduct.cli.control import ControlError
from aiida_ionconduct.farm import queue

pytestmark = pytest.mark.usefixtures('aiida_profile')


def process(kind, caller=None, state=ProcessState.WAITING):
    """Store a process that another process has called; a job is of a computer."""
    node = kind()
    if kind is orm.CalcJobNode:
        node.computer = orm.Computer.collection.get_or_create(
            label='far', hostname='far', transport_type='core.local', scheduler_type='core.slurm'
        )[1].store()
    node.set_process_label(kind.__name__)
    if caller is not None:
        link = LinkType.CALL_CALC if kind is orm.CalcJobNode else LinkType.CALL_WORK
        node.base.links.add_incoming(caller, link, f'child{len(caller.called)}')
    node.store()
    node.set_process_state(state)
    return node


@pytest.fixture
def campaign():
    """A campaign with two stages of one job each; the second job has no worker yet."""
    root = process(orm.WorkChainNode)
    stages = [process(orm.WorkChainNode, root) for _ in range(2)]
    jobs = [process(orm.CalcJobNode, stages[0]), process(orm.CalcJobNode, stages[1], ProcessState.CREATED)]
    return SimpleNamespace(root=root, stages=stages, jobs=jobs, all=[root, *stages, *jobs])


class Workers:
    """What the workers do with a request; processes that have not begun do not answer, nor do those in ``deaf``."""

    def __init__(self):
        self.requests, self.deaf = [], []

    def answering(self, processes):
        """Return the processes that answer."""
        return [node for node in processes if node.process_state is ProcessState.WAITING and node.pk not in self.deaf]

    def pause_processes(self, processes, **_):
        self.requests.append([node.pk for node in processes])
        for node in self.answering(processes):
            node.pause()

    def play_processes(self, processes, **_):
        for node in self.answering(processes):
            node.unpause()

    def kill_processes(self, processes, **_):
        """Kill processes and what they have called, as AiiDA does."""
        self.requests.append([node.pk for node in processes])
        for node in self.answering(processes):
            node.set_process_state(ProcessState.KILLED)
            self.kill_processes([child for child in node.called if not child.is_terminated])


@pytest.fixture
def workers(monkeypatch):
    """Workers that answer at once, a daemon that runs, and no jobs at schedulers."""
    workers = Workers()
    for name in ('pause_processes', 'play_processes', 'kill_processes'):
        monkeypatch.setattr(control.control, name, getattr(workers, name))
    monkeypatch.setattr(control, 'daemon_client', lambda: SimpleNamespace(is_daemon_running=True))
    monkeypatch.setattr(queue, 'cancel', lambda jobs, patience_s: (len(list(jobs)), []))
    monkeypatch.setattr(queue, 'hold', lambda jobs: len(list(jobs)))
    monkeypatch.setattr(queue, 'release', lambda jobs: len(list(jobs)))
    return workers


def test_kill(campaign, workers):
    """All processes are killed, from the top; a job that no worker has is set aside and never begins."""
    assert control.kill(campaign.root).startswith('5 processes killed, 2 jobs cancelled')
    assert all(node.is_killed for node in campaign.all)
    assert campaign.jobs[1].is_sealed
    assert workers.requests[0] == [campaign.root.pk]


def test_kill_what_a_killed_work_chain_has_left(campaign, workers):
    """Where the caller is dead already, its children are killed nevertheless."""
    campaign.root.set_process_state(ProcessState.KILLED)
    control.kill(campaign.root)
    assert all(node.is_killed for node in campaign.all)
    assert workers.requests[0] == [stage.pk for stage in campaign.stages]


def test_process_that_cannot_be_killed(campaign, workers):
    workers.deaf = [campaign.jobs[0].pk]
    with pytest.raises(ControlError, match=rf'CalcJobNode<{campaign.jobs[0].pk}> cannot be killed'):
        control.kill(campaign.root, patience_s=0.1)


def test_jobs_that_stay(campaign, workers, monkeypatch):
    monkeypatch.setattr(queue, 'cancel', lambda jobs, patience_s: (1, ['cluster: 17']))
    with pytest.raises(ControlError, match='still at their schedulers: cluster: 17'):
        control.kill(campaign.root)


def test_force(campaign, workers, monkeypatch):
    """No computer is asked, and the jobs that may be left are listed."""
    campaign.jobs[0].set_job_id('17')
    monkeypatch.setattr(queue, 'cancel', lambda jobs, patience_s: pytest.fail('asked'))
    assert 'far: 17' in control.kill(campaign.root, force=True)


def test_pause_and_resume(campaign, workers):
    """All that has begun is paused, callers first, and goes on again."""
    campaign.jobs[1].set_process_state(ProcessState.WAITING)
    assert control.pause(campaign.root) == '5 processes paused, 2 jobs held in the queue'
    assert all(node.paused for node in campaign.all)
    first = workers.requests[0]
    assert all(first.index(node.caller.pk) < first.index(node.pk) for node in campaign.all[1:])
    assert control.resume(campaign.root) == '5 processes resumed, 2 jobs released'
    assert not any(node.paused for node in campaign.all)


def test_pause_without_holding(campaign, workers):
    campaign.jobs[1].set_process_state(ProcessState.WAITING)
    assert control.pause(campaign.root, hold=False) == '5 processes paused, 0 jobs held in the queue'


def test_process_that_cannot_be_paused(campaign, workers):
    """A job without a worker cannot be paused, and is named; the jobs of the others are held nevertheless."""
    words = rf'4 processes paused, 2 jobs held in the queue; CalcJobNode<{campaign.jobs[1].pk}> cannot be paused now'
    with pytest.raises(ControlError, match=words):
        control.pause(campaign.root, patience_s=0.1)


def test_command_after_the_campaign_was_killed(campaign, workers):
    """Processes below a campaign that has ended already, without them, are killed as well."""
    campaign.root.set_process_state(ProcessState.KILLED)
    result = run('kill', campaign.root.pk)
    assert result.exit_code == 0, result.output
    assert '4 processes killed' in result.output


def run(*words):
    """Run a command in the profile of the tests."""
    return CliRunner().invoke(cli, [*map(str, words), '-p', get_manager().get_profile().name])


@pytest.mark.parametrize('command', ['pause', 'resume', 'kill'])
def test_without_daemon(campaign, command, monkeypatch):
    monkeypatch.setattr(control, 'daemon_client', lambda: SimpleNamespace(is_daemon_running=False))
    result = run(command, campaign.root.pk)
    assert result.exit_code == 1
    assert 'verdi daemon start' in result.output


@pytest.mark.parametrize('command', ['pause', 'resume'])
def test_ended(stored_campaign, command):
    result = run(command, stored_campaign.pk)
    assert result.exit_code == 1
    assert 'has ended already' in result.output


def test_command(campaign, workers):
    result = run('kill', campaign.root.pk)
    assert result.exit_code == 0, result.output
    assert f'WorkChainNode<{campaign.root.pk}>: 5 processes killed' in result.output
