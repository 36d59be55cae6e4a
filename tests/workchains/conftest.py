"""Work chains without engines: inputs from the protocols, children that are nodes, submissions that are recorded."""

from typing import NamedTuple

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import Process, run_get_node
from aiida.engine.persistence import AiiDAPersister
from ase.calculators.singlepoint import SinglePointCalculator
from plumpy import ProcessState

from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.data.model import remember_made_here
from aiida_ionconduct.engines import ENGINES
from aiida_ionconduct.workchains.conductivity import ConductivityWorkChain
from random_walk import random_walk


@pytest.fixture(autouse=True)
def without_checkpoints(monkeypatch):
    """Leave out the checkpoints of the engine, a third of its time: no process here outlives its test."""
    for name in ('save_checkpoint', 'delete_checkpoint'):
        monkeypatch.setattr(AiiDAPersister, name, lambda *arguments, **options: None)


@pytest.fixture
def codes(pseudo_family, fixture_code):
    """The codes of a campaign by name; with them come the pseudopotentials."""
    return {label: fixture_code(engine.plugin) for label, engine in ENGINES.items()}


@pytest.fixture
def campaign_builder(codes, generate_structure):
    """Return a function that gives the builder of a campaign on Li3PO4, from a protocol and further arguments."""

    def build(protocol='quickstart', structure=None, **kwargs):
        structure = structure or generate_structure()
        return ConductivityWorkChain.get_builder_from_protocol(codes, structure, protocol=protocol, **kwargs)

    return build


@pytest.fixture
def campaign_inputs(campaign_builder):
    """Return a function that gives the inputs of a campaign as nested dictionaries."""
    return lambda *args, **kwargs: campaign_builder(*args, **kwargs)._inputs(prune=True)


@pytest.fixture
def model(tmp_path):
    """Return a function that makes a model; nothing reads the file."""

    def make(filename='model.nequip.zip', type_names=('Li', 'O', 'P'), teachers=()):
        (tmp_path / filename).write_bytes(filename.encode())
        attributes = {'labelled_by': list(teachers)} if teachers else {}
        node = AllegroModelData(tmp_path / filename, type_names=list(type_names), r_max=4.5, **attributes).store()
        remember_made_here(node.sha256)
        return node

    return make


@pytest.fixture
def dataset(crystals):
    """Return a function that makes labelled frames of a crystal, told apart by their energies."""

    def make(formula='Li3PO4', n_frames=20, first=0, **info):
        frames = []
        for index in range(n_frames):
            frame = crystals[formula].copy()
            frame.calc = SinglePointCalculator(frame, energy=float(first + index), forces=np.zeros((len(frame), 3)))
            frame.info.update(info)
            frames.append(frame)
        return DatasetData.from_frames(frames).store()

    return make


@pytest.fixture
def ion_trajectory(crystals):
    """Return a function that makes a run in which the atoms walk at random."""

    def make(temperature_K=1200.0, seed=1, n_frames=400):
        return random_walk(crystals['Li3PO4'], temperature_K, seed, n_frames).store()

    return make


@pytest.fixture
def pw_trajectory(crystals):
    """Return a function that makes the trajectory of a pw.x run, labelled."""

    def make(n_frames=3, first=0.0, force=0.1):
        atoms = crystals['Li3PO4']
        trajectory = orm.TrajectoryData()
        trajectory.set_trajectory(
            symbols=list(atoms.symbols),
            positions=np.repeat(atoms.positions[None], n_frames, axis=0),
            cells=np.repeat(atoms.cell.array[None], n_frames, axis=0),
            stepids=np.arange(n_frames),
        )
        trajectory.set_array('forces', np.full((n_frames, len(atoms), 3), force))
        trajectory.set_array('energy', first + np.arange(float(n_frames)))
        return trajectory

    return make


@pytest.fixture
def child(aiida_profile):
    """Return a function that stores a child that has ended, with outputs by link label."""

    def make(exit_status=0, exit_message=None, node_class=orm.WorkChainNode, **outputs):
        node = node_class()
        node.set_process_label('Child')
        node.set_process_state(ProcessState.FINISHED)
        node.set_exit_status(exit_status)
        node.set_exit_message(exit_message)
        node.store()
        link = LinkType.RETURN if node_class is orm.WorkChainNode else LinkType.CREATE
        for label, output in outputs.items():
            if link is LinkType.RETURN:
                output.store()
            output.base.links.add_incoming(node, link, label)
            output.store()
        return node

    return make


@pytest.fixture
def submitted(monkeypatch):
    """Record what a work chain submits, after filling in and validating it as the engine does, and run nothing."""
    record = []

    def submit(self, process_class, inputs=None, **kwargs):
        ports = process_class.spec().inputs
        parsed = ports.pre_process({**(inputs or {}), **kwargs})
        error = ports.validate(parsed)
        assert error is None, error
        record.append((process_class, parsed))
        return orm.WorkChainNode().store()

    monkeypatch.setattr(Process, 'submit', submit)
    return record


SETUP_INPUTS = Process._setup_inputs  # which `generate_workchain` takes away


class Run(NamedTuple):
    """What a work chain has done."""

    node: orm.WorkChainNode
    children: dict
    """Class and inputs of every child, by its link label and in the order of submission."""

    @property
    def labels(self):
        return list(self.children)

    def inputs_of(self, label):
        return self.children[label][1]


@pytest.fixture
def run_chain(monkeypatch):
    """Return a function that lets AiiDA's engine run a work chain over children that have ended.

    The children are given by link label: a node, or a function that makes the node from the inputs of the child. They
    get their inputs filled in and validated as the engine does.
    """

    def run(process_class, inputs, children):
        submitted = {}

        def submit(self, child_class, inputs=None, **kwargs):
            ports = child_class.spec().inputs
            parsed = ports.pre_process({**(inputs or {}), **kwargs})
            assert ports.validate(parsed) is None, ports.validate(parsed)
            label = parsed.metadata.call_link_label
            assert label not in submitted
            submitted[label] = child_class, parsed
            end = children[label]
            return end(parsed) if callable(end) else end

        monkeypatch.setattr(Process, 'submit', submit)
        monkeypatch.setattr(Process, '_setup_inputs', SETUP_INPUTS)
        _, node = run_get_node(process_class, **inputs)
        assert not node.is_excepted, node.exception
        return Run(node, submitted)

    return run
