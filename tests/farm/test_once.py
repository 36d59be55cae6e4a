"""Tests of work chains that submit every child once."""

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState

from aiida_ionconduct.farm.once import SubmitOnce


class Submits:
    """Stands for AiiDA's work chain: counts what is submitted."""

    def __init__(self, node):
        self.node, self.submitted = node, []

    def submit(self, process, inputs=None, **kwargs):
        """Note a child."""
        self.submitted.append(kwargs['metadata']['call_link_label'])
        return 'new'


class Chain(SubmitOnce, Submits):
    """Submits every child once."""


@pytest.fixture
def chain(aiida_profile):
    """Return a function that gives a chain which a killed worker has left with a child of a label in a state."""

    def make(label, state):
        node = orm.WorkChainNode().store()
        child = orm.WorkChainNode()
        child.base.links.add_incoming(node, LinkType.CALL_WORK, label)
        child.set_process_state(state)
        child.store()
        return Chain(node), child

    return make


def submit(chain, label):
    """Submit a child with a label."""
    return chain.submit(object, metadata={'call_link_label': label})


def test_first_time(chain):
    """A label that there is not yet, although one like it, is submitted."""
    one, _ = chain('T300_seed10', ProcessState.RUNNING)
    assert submit(one, 'T300_seed1') == 'new'
    assert submit(one, 'T300_seed_0') == 'new'  # in a pattern of the database `_` is any character
    assert one.submitted == ['T300_seed1', 'T300_seed_0']


@pytest.mark.parametrize('state', [ProcessState.RUNNING, ProcessState.WAITING, ProcessState.FINISHED])
def test_running(chain, state):
    """A child that had begun is taken."""
    one, child = chain('T300_seed1', state)
    assert submit(one, 'T300_seed1').uuid == child.uuid
    assert not one.submitted


def test_not_begun(chain):
    """A child that had not begun is set aside, so that it never will."""
    one, child = chain('T300_seed1', ProcessState.CREATED)
    assert submit(one, 'T300_seed1') == 'new'
    child = orm.load_node(child.pk)
    assert child.is_killed
    assert child.is_terminated  # AiiDA does not continue such a process when its task comes
    assert child.is_sealed
    assert 'set aside' in child.process_status
