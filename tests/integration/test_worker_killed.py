"""A worker of the daemon is killed between the submission of a stage and the checkpoint of the campaign."""

import json
import os
import pathlib
import time

import pytest

from .installation import Installation

pytestmark = pytest.mark.integration
TIMEOUT_S = 900  # a campaign that hangs must not hang the tests
ACTIONS = pathlib.Path(__file__).with_name('stub_campaign_actions.py')
SUPPORT = pathlib.Path(__file__).parents[1] / 'support'
STAGES = ('relax', 'aimd', 'label_rattled', 'train_0', 'explore_1', 'label_1', 'train_1', 'validate_1', 'md')
KILLED_AFTER = ('relax', 'aimd', 'train_1', 'md')  # `aimd` is the first of two children of one step


@pytest.fixture
def installation(tmp_path):
    """A profile whose daemon knows the stubs, and kills its workers as the files in the folder `kill` say."""
    installation = Installation(tmp_path)
    kill = tmp_path / 'kill'
    kill.mkdir()
    paths = [str(SUPPORT), installation.environment.get('PYTHONPATH', '')]
    installation.environment |= {'PYTHONPATH': os.pathsep.join(filter(None, paths)), 'STUB_CAMPAIGN': str(kill)}
    try:
        installation.run('aiida-ionconduct', 'setup')
        yield installation
    finally:
        installation.stop()
    assert not installation.processes()


def ask(installation, *words):
    """Return the answer of a function of stub_campaign_actions.py."""
    return json.loads(installation.run('verdi', 'run', ACTIONS, *words).splitlines()[-1])


def run(installation, protocol, killed_after):
    """Run a campaign, killing the worker after the submission of some stages; return how it has ended."""
    kill = installation.path / 'kill'
    for label in killed_after:
        (kill / label).touch()
    pk, end = ask(installation, 'submit', protocol), time.monotonic() + TIMEOUT_S
    while not (campaign := ask(installation, 'describe', pk))['terminated']:
        assert time.monotonic() < end, campaign
        time.sleep(1)
    assert campaign['exit_status'] == 0, campaign
    assert sorted(path.name for path in kill.iterdir()) == sorted(f'{label}.killed' for label in killed_after)
    for label, states in campaign['children'].items():
        assert sorted(states) in (['finished'], ['finished', 'killed']), campaign
        assert label in killed_after or states == ['finished'], campaign
    return campaign


def test_every_stage_is_submitted_once(installation):
    """A child that had begun is taken; a child that had not begun is set aside, and another one takes its place."""
    assert set(run(installation, 'quickstart', KILLED_AFTER)['children']) == set(STAGES)


def test_aimd_beside_a_pretrained_potential(installation):
    """The campaign does not wait for AIMD in the step that submits it, and still takes it over when it was killed."""
    children = run(installation, 'overnight', ('aimd', 'label_sampled'))['children']
    assert list(children).index('aimd') < list(children).index('train_0')
    assert {'sample', 'aimd', 'label_sampled', 'teach'} < set(children)
