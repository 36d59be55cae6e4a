"""Tests of what is known of a daemon that was killed, or stopped at a bad moment."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine.daemon.client import get_daemon_client

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
