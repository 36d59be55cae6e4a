"""Tests of what is known of a daemon that was killed, or stopped at a bad moment."""

import concurrent.futures
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine.daemon.client import DaemonException, get_daemon_client

from aiida_ionconduct.farm import daemon
from aiida_ionconduct.farm.daemon import daemon_client


@pytest.fixture
def pid_file(aiida_profile):
    """Return the path of the file with the id of the daemon's process, removed afterwards."""
    path = Path(get_daemon_client().circus_pid_file)
    yield path
    path.unlink(missing_ok=True)


def test_killed(pid_file):
    """A process that has gone, or is another one by now, is not the daemon; one that is called so is."""
    gone = subprocess.Popen([sys.executable, '-c', ''])
    gone.wait()
    other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
    daemon = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', 'start-circus'])
    try:
        for process, runs in ((gone, False), (other, False), (daemon, True)):
            pid_file.write_text(str(process.pid))
            assert get_daemon_client().is_daemon_running
            assert daemon_client().is_daemon_running == runs
            assert pid_file.exists() == runs
    finally:
        for process in (other, daemon):
            process.kill()
            process.wait()


class SlowBroker:
    """A broker that cannot be reached at the first attempts."""

    def __init__(self, n_failures, error=ConnectionError):
        self.n_failures, self.n_attempts, self.error = n_failures, 0, error

    def get_communicator(self):
        self.n_attempts += 1
        if self.n_attempts <= self.n_failures:
            raise self.error('Broker did not become ready within 10.0s')


@pytest.mark.parametrize('error', [ConnectionError, concurrent.futures.TimeoutError])
def test_slow_broker(monkeypatch, error):
    """On a busy machine the broker is waited for longer than AiiDA waits, which gives up in two ways."""
    broker = SlowBroker(3, error)
    monkeypatch.setattr(daemon, 'get_manager', lambda: broker)
    monkeypatch.setattr(daemon, 'WAIT_S', 0.0)
    daemon.wait_for_broker()
    assert broker.n_attempts == 4


def test_broker_that_never_comes(monkeypatch):
    """It is not waited for without end, and the message of AiiDA is passed on."""
    monkeypatch.setattr(daemon, 'get_manager', lambda: SlowBroker(10**6))
    monkeypatch.setattr(daemon, 'WAIT_S', 0.0)
    with pytest.raises(DaemonException, match=r'after 0 s: .*Broker did not become ready'):
        daemon.wait_for_broker(patience_s=0.01)


def test_lost_children(aiida_profile_clean, monkeypatch):
    """A child that has not begun and has no task is lost; what runs, has a task or was not called is not."""
    parent, children = orm.WorkChainNode().store(), {}
    for name, state in (('lost', 'created'), ('known', 'created'), ('running', 'running'), ('top', 'created')):
        node = orm.WorkChainNode()
        node.base.attributes.set('process_state', state)
        if name != 'top':
            node.base.links.add_incoming(parent, link_type=LinkType.CALL_WORK, link_label=name)
        children[name] = node.store()
    monkeypatch.setattr(daemon, 'get_manager', lambda: SimpleNamespace(get_broker=lambda: None))
    monkeypatch.setattr(daemon, 'get_process_tasks', lambda broker: [children['known'].pk])
    assert [node.pk for node in daemon.lost_children()] == [children['lost'].pk]
