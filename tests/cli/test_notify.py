"""Tests of the command of the user that is told when a campaign does not move, fails or ends."""

import itertools

import pytest
from aiida import orm
from aiida.engine import ProcessState
from aiida.manage import get_manager
from click.testing import CliRunner

from aiida_ionconduct.cli import cli, follow
from aiida_ionconduct.cli.notify import notifier

pytestmark = pytest.mark.usefixtures('aiida_profile')


def test_command(tmp_path):
    """The command gets the subject and the text, whatever these contain."""
    notifier(f'cat > {tmp_path}/mail; echo "$SUBJECT" > {tmp_path}/subject')('$(touch bad) has failed', 'x; `y`')
    assert (tmp_path / 'mail').read_text() == '$(touch bad) has failed\n\nx; `y`\n'
    assert (tmp_path / 'subject').read_text() == '$(touch bad) has failed\n'


def test_command_that_fails(capsys):
    """A mail program that fails is told and ends nothing."""
    notifier('echo no route to host >&2; exit 67')('subject', 'text')
    assert 'has ended with 67: no route to host' in capsys.readouterr().out


@pytest.fixture
def campaign(monkeypatch):
    """A paused campaign, which fails while it is followed."""
    node = orm.WorkChainNode()
    node.set_process_label('ConductivityWorkChain')
    node.store()
    node.set_process_state(ProcessState.WAITING)
    node.pause()
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            node.unpause()
            node.set_process_state(ProcessState.FINISHED)
            node.set_exit_status(401)
            node.set_exit_message('no run has ended well')

    monkeypatch.setattr(follow.time, 'sleep', sleep)
    node.looks = looks
    return node


def test_told_once(campaign):
    """A pause is told once, however long it lasts, and the end with its reason."""
    told = []
    follow.follow(campaign, lambda subject, text: told.append((subject, text)))
    subjects = [subject for subject, _ in told]
    name = f'ConductivityWorkChain<{campaign.pk}>'
    assert subjects == [f'{name} does not move', f'{name} has failed: no run has ended well']
    assert 'is paused' in told[0][1]


@pytest.mark.parametrize(('look_s', 'pause_s'), [(0.01, 4.0), (1.0, 50.0)])
def test_costly_looks_are_rare(campaign, monkeypatch, look_s, pause_s):
    """A large campaign is looked at less often, so that the view takes no more than its share of a processor."""
    clock = itertools.count()
    monkeypatch.setattr(follow.time, 'process_time', lambda: look_s * next(clock))
    follow.follow(campaign)
    assert campaign.looks == [pytest.approx(pause_s)] * 3


def test_needs_follow(stored_campaign):
    words = ['status', str(stored_campaign.pk), '--notify', 'true', '-p', get_manager().get_profile().name]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2
    assert '--notify needs --follow' in result.output
