"""Tests of work chains that submit every child once."""

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import Process, ProcessState, WorkChain
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager

from aiida_ionconduct.farm.once import SubmitOnce


class Parent(SubmitOnce):
    """A work chain whose steps the tests call."""

    @classmethod
    def define(cls, spec):
        super().define(spec)
        spec.outline(cls.end)

    def end(self):
        """Do nothing."""


@pytest.fixture
def submitted(monkeypatch):
    """Record the labels of the children that are submitted, and run nothing."""
    labels = []

    def submit(self, process, inputs=None, **kwargs):
        labels.append(kwargs['metadata']['call_link_label'])
        return orm.WorkChainNode().store()

    monkeypatch.setattr(Process, 'submit', submit)
    return labels


@pytest.fixture
def parent(aiida_profile):
    """The work chain as a worker has it that loads its last checkpoint."""
    return instantiate_process(get_manager().get_runner(), Parent)


@pytest.fixture
def leave(parent):
    """Return a function that gives the parent a child, as a killed worker leaves it."""

    def make(label, state):
        child = orm.WorkChainNode()
        child.base.links.add_incoming(parent.node, LinkType.CALL_WORK, label)
        child.set_process_state(state)
        return child.store()

    return make


def submit(parent, label):
    """Submit a child with a label."""
    return parent.submit(WorkChain, metadata={'call_link_label': label})


def test_new_label_is_submitted(parent, leave, submitted):
    """Also a label that looks like another one: in a pattern of the database `_` is any character."""
    leave('T300_seed10', ProcessState.RUNNING)
    submit(parent, 'T300_seed1')
    submit(parent, 'T300_seed_0')
    assert submitted == ['T300_seed1', 'T300_seed_0']


@pytest.mark.parametrize('state', [ProcessState.RUNNING, ProcessState.WAITING, ProcessState.FINISHED])
def test_child_that_has_begun_is_taken(parent, leave, submitted, state):
    child = leave('T300_seed1', state)
    assert submit(parent, 'T300_seed1').uuid == child.uuid
    assert not submitted


def test_child_that_has_not_begun_is_set_aside(parent, leave, submitted):
    """AiiDA does not continue a process that has terminated when its task comes, so it never begins."""
    child = leave('T300_seed1', ProcessState.CREATED)
    assert submit(parent, 'T300_seed1').uuid != child.uuid
    child = orm.load_node(child.pk)
    assert child.is_killed
    assert child.is_terminated
    assert child.is_sealed
    assert 'set aside' in child.process_status


def test_killed_child_is_submitted_anew(parent, leave, submitted):
    leave('T300_seed1', ProcessState.KILLED)
    submit(parent, 'T300_seed1')
    assert submitted == ['T300_seed1']


def test_label_that_comes_back(parent, leave, submitted):
    """A restart loop that was paused counts from one again: the child that it knows is not taken a second time."""
    child = leave('iteration_01', ProcessState.FINISHED)
    assert submit(parent, 'iteration_01').uuid == child.uuid
    assert submit(parent, 'iteration_01').uuid != child.uuid
    assert submitted == ['iteration_01']


def test_child_without_a_label_is_refused(parent, submitted):
    """It could not be found again."""
    with pytest.raises(ValueError, match=r'Parent submits .*WorkChain.* without a call link label: give the child one'):
        parent.submit(WorkChain)
    assert not submitted
