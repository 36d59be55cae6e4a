"""Fixtures for all tests: jobs in a sandbox, parsers on stored output, work chains by steps, a throw-away profile."""
# ruff: noqa: E402  (the environment is read when AiiDA and NumPy are imported)

import functools
import io
import os
import pathlib
import shutil
import sqlite3
import tempfile
import types

# AiiDA makes its configuration folder when it is imported: it gets one of ours, so that no test touches the user's.
CONFIGURATION = tempfile.mkdtemp(prefix='aiida-ionconduct-tests-')
os.environ['AIIDA_PATH'] = CONFIGURATION
# The arrays of the tests are small: threads would only wait for each other, on a busy machine for most of the time.
os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np
import pytest
import yaml
from aiida import orm
from aiida.common.folders import SandboxFolder
from aiida.common.links import LinkType
from aiida.engine import Process, ProcessBuilderNamespace
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida.plugins import CalculationFactory, ParserFactory, WorkflowFactory
from aiida.plugins.entry_point import format_entry_point_string
from aiida_pseudo.data.pseudo import UpfData
from aiida_pseudo.groups.family import CutoffsPseudoPotentialFamily
from aiida_quantumespresso.workflows.protocols import utils as qe_protocols
from ase import Atoms
from plumpy.ports import PortNamespace
from sqlalchemy import event
from sqlalchemy.engine import Engine

from aiida_ionconduct.calculations.functions.analysis import analyse_trajectories, fit_arrhenius
from aiida_ionconduct.data import AllegroModelData, IonTrajectoryData
from aiida_ionconduct.structures import crystal, substitute

pytest_plugins = ['aiida.tools.pytest_fixtures']


# What takes most of the time of a test with AiiDA and is not under test: the help of every input of a builder, as JSON
# in docstrings, and the protocols of aiida-quantumespresso, read by Python code instead of the same library's C code.
PortNamespace.__str__ = object.__str__
qe_protocols.yaml = types.SimpleNamespace(safe_load=functools.partial(yaml.load, Loader=yaml.CSafeLoader))


@event.listens_for(Engine, 'connect')
def do_not_wait_for_the_disk(connection, _):
    """Let SQLite leave it to the system when a commit is on the disk: no database here outlives the machine."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute('PRAGMA synchronous=OFF')


OPTIONS = {'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 1}, 'max_wallclock_seconds': 1800}
VALENCE = {'Li': 3, 'O': 6, 'P': 5, 'Si': 4}  # electrons, of the elements that have a pseudopotential


def pytest_unconfigure():
    """Remove the configuration folder that AiiDA was imported with."""
    shutil.rmtree(CONFIGURATION, ignore_errors=True)


@pytest.fixture
def fixture_sandbox():
    """Return an empty folder as ``prepare_for_submission`` takes it."""
    with SandboxFolder() as folder:
        yield folder


@pytest.fixture
def aiida_localhost(aiida_computer_local):
    """Return this machine as a computer; what the user's own login shell does at every command is another matter."""
    computer = aiida_computer_local(label='localhost', configure=False)
    return computer.configure(use_login_shell=False).computer


@pytest.fixture
def fixture_code(aiida_localhost):
    """Return a function that gives a code for a calculation plugin, the same one at every call."""

    def code(entry_point):
        label = f'test.{entry_point}'
        query = orm.QueryBuilder().append(orm.InstalledCode, filters={'label': label})
        if code := query.first(flat=True):
            return code
        executable = {'computer': aiida_localhost, 'filepath_executable': '/bin/true'}
        return orm.InstalledCode(label=label, default_calc_job_plugin=entry_point, **executable).store()

    return code


@pytest.fixture
def generate_calc_job():
    """Return a function that runs ``prepare_for_submission`` of a calculation plugin in a folder."""

    def generate(entry_point, inputs, folder):
        process = instantiate_process(get_manager().get_runner(), CalculationFactory(entry_point), **inputs)
        return process.prepare_for_submission(folder)

    return generate


@pytest.fixture
def generate_calc_job_node(aiida_localhost):
    """Return a function that stores a calculation as it is when its parser is called.

    It takes the plugin, the folder with the outputs (or None), the inputs, nested or flat, the attributes, under which
    the options are, and the names of those files in the folder that are retrieved only temporarily.
    """

    def generate(entry_point, folder_path=None, inputs=None, attributes=None, retrieved_temporary=()):
        node = orm.CalcJobNode(
            computer=aiida_localhost, process_type=format_entry_point_string('aiida.calculations', entry_point)
        )
        options = CalculationFactory(entry_point).spec().inputs['metadata']['options']
        defaults = {name: port.default for name, port in options.items() if port.has_default()}
        node.base.attributes.set_many(
            {name: value() if callable(value) else value for name, value in defaults.items()}
            | OPTIONS
            | (attributes or {})
        )
        for label, value in flatten(inputs or {}).items():
            node.base.links.add_incoming(value.store(), LinkType.INPUT_CALC, label)
        node.store()
        if folder_path is not None:
            retrieved = orm.FolderData()
            for path in sorted(pathlib.Path(folder_path).iterdir()):
                if path.name not in retrieved_temporary:
                    retrieved.base.repository.put_object_from_file(str(path), path.name)
            retrieved.base.links.add_incoming(node, LinkType.CREATE, 'retrieved')
            retrieved.store()
        return node

    return generate


def flatten(inputs, prefix=''):
    """Return nested inputs by their link labels, without metadata."""
    flat = {}
    for name, value in inputs.items():
        if isinstance(value, orm.Node):
            flat[prefix + name] = value
        elif name != 'metadata':
            flat |= flatten(value, f'{prefix}{name}__')
    return flat


CAMPAIGN_TEMPERATURES, CAMPAIGN_SEEDS = (600.0, 900.0), (1, 2, 3)
SALT = ['Li'] * 4 + ['Cl'] * 4


def salt_run(seed, temperature_K=900.0, n_frames=2001, first=0):
    """Return a run in which lithium walks at random through chlorine at rest; faster where it is hotter.

    :param first: the segment begins with this frame.
    """
    rng = np.random.default_rng([seed, int(temperature_K)])
    walk = np.cumsum(rng.normal(scale=temperature_K / 2250, size=(n_frames, 4, 3)), axis=0)
    lattice = np.broadcast_to(np.random.default_rng(99).uniform(0, 12, (4, 3)), (n_frames, 4, 3))
    return IonTrajectoryData(
        positions=np.concatenate((walk, lattice), axis=1)[first:],
        start_ps=0.1 * first,
        centres_of_mass=np.zeros((1, 2, 3)),
        thermo=np.zeros((1, 1)),
        symbols=SALT,
        species=['Li', 'Cl'],
        cell=12 * np.eye(3),
        temperature_K=temperature_K,
        timestep_fs=1.0,
        frame_interval_ps=0.1,
        com_interval_ps=0.1,
        seed=seed,
        thermo_columns=['step'],
        ensemble='NVE',
    )


@pytest.fixture(scope='session')
def make_salt_run():
    """Return the function that makes a run, not stored."""
    return salt_run


@pytest.fixture(scope='module')
def stored_campaign(aiida_profile):
    """A finished campaign in the profile, as small as one can be: a model, jobs, runs, conductivities, a line."""
    model = AllegroModelData(
        io.BytesIO(os.urandom(16)), filename='m.nequip.zip', type_names=['Li', 'Cl'], r_max=5.0
    ).store()
    structure = orm.StructureData(
        ase=Atoms(SALT, np.random.default_rng(1).uniform(0, 12, (8, 3)), cell=[12] * 3, pbc=True)
    )
    node = orm.WorkChainNode(process_type='aiida.workflows:ionconduct.conductivity', label='salt')
    node.base.links.add_incoming(structure.store(), LinkType.INPUT_WORK, 'structure')
    node.set_process_label('ConductivityWorkChain')
    node.store()
    outputs = {'structure': structure, 'model': model, 'validation': orm.Dict({'passed': True, 'checks': []}).store()}
    parameters = orm.Dict({'charges': {'Li': 1, 'Cl': -1}, 'mobile': 'Li'}).store()
    for T in CAMPAIGN_TEMPERATURES:
        job = orm.CalcJobNode(computer=localhost(), process_type='aiida.calculations:ionconduct.lammps.md')
        job.set_options(OPTIONS)
        job.base.links.add_incoming(model, LinkType.INPUT_CALC, 'model')
        job.store()
        runs = {f'T{T:g}_seed{seed}': salt_run(seed, T) for seed in CAMPAIGN_SEEDS}
        for label, run in runs.items():
            run.base.links.add_incoming(job, LinkType.CREATE, label)
            outputs[f'trajectories__{label}'] = run.store()
        job.set_process_state('finished')
        job.seal()
        outputs[f'conductivities__T{T:g}'] = analyse_trajectories(parameters, **runs)
    outputs['arrhenius'] = fit_arrhenius(
        **{f'T{T:g}': outputs[f'conductivities__T{T:g}'] for T in CAMPAIGN_TEMPERATURES}
    )
    for label, output in outputs.items():
        output.base.links.add_incoming(node, LinkType.RETURN, label)
    node.set_process_state('finished')
    node.set_exit_status(0)
    node.base.extras.set('protocol', 'balanced')
    node.seal()
    return node


def localhost():
    """Return the computer of the campaign, with a work folder that must not get into an archive."""
    query = orm.QueryBuilder().append(orm.Computer, filters={'label': 'secret-machine'})
    if computer := query.first(flat=True):
        return computer
    where = {'workdir': '/secret/folder', 'transport_type': 'core.local', 'scheduler_type': 'core.direct'}
    return orm.Computer(label='secret-machine', hostname='secret.example.org', **where).store()


@pytest.fixture(scope='session')
def generate_parser():
    """Return the function that loads a parser class."""
    return ParserFactory


@pytest.fixture
def generate_workchain(monkeypatch):
    """Return a function that makes a work chain, whose steps a test then calls itself.

    Its inputs are not linked to its node, nor stored: with fifty of them that takes longer than the steps.
    """
    monkeypatch.setattr(Process, '_setup_inputs', lambda self: None)

    def generate(entry_point, inputs):
        process_class = WorkflowFactory(entry_point) if isinstance(entry_point, str) else entry_point
        inputs = {**inputs, 'metadata': {'store_provenance': False}}
        return instantiate_process(get_manager().get_runner(), process_class, **inputs)

    return generate


@pytest.fixture(scope='session')
def crystals():
    """The two crystals of the tests by formula, as ASE atoms."""
    parent = crystal('beta-Li3PO4')
    return {'Li3PO4': parent, 'Li7PSiO8': substitute(parent, 'P', 'Si')}


@pytest.fixture
def generate_structure(crystals):
    """Return a function that gives a crystal as a node: ``Li3PO4`` (16 atoms) or ``Li7PSiO8`` (17)."""
    return lambda name='Li3PO4': orm.StructureData(ase=crystals[name])


@pytest.fixture
def generate_upf():
    """Return a function that makes the pseudopotential of an element, with a header alone."""

    def upf(element):
        header = f'<PP_HEADER element="{element}" z_valence="{VALENCE[element]:.1f}"/>'
        content = f'<UPF version="2.0.1">\n{header}\n</UPF>\n'.encode()
        return UpfData(io.BytesIO(content), filename=f'{element}.upf')

    return upf


@pytest.fixture
def pseudo_family(aiida_profile, generate_upf):
    """A family with the label of PseudoDojo's and with cutoffs, for the elements of the crystals here alone."""
    label = 'PseudoDojo/0.4/PBE/SR/standard/upf'
    query = orm.QueryBuilder().append(CutoffsPseudoPotentialFamily, filters={'label': label})
    if family := query.first(flat=True):
        return family
    family = CutoffsPseudoPotentialFamily(label=label).store()
    family.add_nodes([generate_upf(element).store() for element in VALENCE])
    cutoffs = {element: {'cutoff_wfc': 40.0, 'cutoff_rho': 320.0} for element in VALENCE}
    family.set_cutoffs(cutoffs, 'normal', unit='Ry')
    family.set_default_stringency('normal')
    return family


@pytest.fixture(scope='session')
def serialize_builder():
    """Return a function that turns a process builder into plain data for regression tests."""
    return serialize


def serialize(value):
    """Return plain data: codes by label, structures by formula, pseudopotentials by element, the rest as it is."""
    if isinstance(value, ProcessBuilderNamespace):
        value = value._inputs(prune=True)
    if isinstance(value, dict):
        return {key: serialize(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, orm.List)):
        return [serialize(item) for item in value]
    if isinstance(value, orm.Dict):
        return serialize(value.get_dict())
    if isinstance(value, orm.BaseType | orm.EnumData):
        return serialize(value.value)
    if isinstance(value, orm.AbstractCode):
        return value.full_label
    if isinstance(value, orm.StructureData):
        return value.get_formula()
    if isinstance(value, orm.KpointsData):
        return value.base.attributes.all
    if isinstance(value, orm.Data):
        return f'{type(value).__name__}<{getattr(value, "element", "")}>'
    if isinstance(value, type) and issubclass(value, Process):
        return value.__name__
    return value.item() if isinstance(value, np.generic) else value
