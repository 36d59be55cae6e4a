"""The base of the work chains: all chains of the package submit their children once."""

import importlib
import inspect
import pkgutil
from importlib.metadata import entry_points

import pytest
from aiida import orm
from aiida.engine import Process, WorkChain
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from plumpy import ProcessState

from aiida_ionconduct import workchains
from aiida_ionconduct.farm.once import SubmitOnce
from aiida_ionconduct.workchains.base import ParentWorkChain


def all_chains():
    """Return all work chains of the package by name, with or without an entry point."""
    chains = {}
    for module in pkgutil.walk_packages(workchains.__path__, f'{workchains.__name__}.'):
        for name, member in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(member, WorkChain) and member.__module__ == module.name:
                chains[name] = member
    return chains


@pytest.mark.parametrize('name', sorted(all_chains()))
def test_every_chain_submits_its_children_once(name):
    """`SubmitOnce` comes before the work chains of AiiDA in the order of the base classes."""
    order = all_chains()[name].__mro__
    foreign = next(index for index, base in enumerate(order) if not base.__module__.startswith('aiida_ionconduct'))
    assert SubmitOnce in order[:foreign]


def test_entry_points_are_among_these_chains():
    loaded = {point.load() for point in entry_points(group='aiida.workflows') if point.name.startswith('ionconduct.')}
    assert loaded
    assert loaded <= set(all_chains().values())


class Parent(ParentWorkChain):
    """A work chain whose methods the tests call."""

    @classmethod
    def define(cls, spec):
        super().define(spec)
        spec.outline(cls.end)
        spec.exit_code(401, 'ERROR_SUB_PROCESS_FAILED_TRAINING', message='the training failed')

    def end(self):
        """Do nothing."""


@pytest.fixture
def parent(aiida_profile, monkeypatch):
    """The work chain, of which a child is a node that is running."""

    def submit(self, process, inputs=None, **kwargs):
        node = orm.WorkChainNode()
        node.set_process_label('Child')
        node.set_process_state(ProcessState.RUNNING)
        return node.store()

    monkeypatch.setattr(Process, 'submit', submit)
    return instantiate_process(get_manager().get_runner(), Parent)


def test_child_gets_its_label_beside_other_metadata(parent):
    inputs = {'metadata': {'description': 'hot'}}
    parent.child('train_0', WorkChain, inputs)
    assert inputs['metadata'] == {'description': 'hot', 'call_link_label': 'train_0'}


def test_child_is_awaited_under_its_label(parent):
    assert list(parent.child('md', WorkChain, {})) == ['md']


def test_child_is_awaited_under_another_name(parent):
    assert list(parent.child('md', WorkChain, {}, name='production')) == ['production']


def test_children_of_one_name_are_a_list(parent):
    for number in range(2):
        parent.to_context(**parent.child(f'train_{number}', WorkChain, {}, name='training', append=True))
    assert len(parent.ctx.training) == 2


def test_child_is_reported(parent):
    context = parent.child('train_0', WorkChain, {})
    logs = orm.Log.collection.get_logs_for(parent.node)
    assert f'launched Child<{context["train_0"].pk}> (train_0)' in logs[-1].message


def test_failure_is_reported_with_the_exit_code_of_its_stage(parent, child):
    node = child(exit_status=410, exit_message='no progress')
    assert parent.failure('TRAINING', node) == Parent.exit_codes.ERROR_SUB_PROCESS_FAILED_TRAINING
    assert f'Child<{node.pk}> failed: no progress' in orm.Log.collection.get_logs_for(parent.node)[-1].message
