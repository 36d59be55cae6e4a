"""What the cache of AiiDA may take again, and that a job which does something else has another hash."""

import hashlib
import json
import pathlib

import pytest
import yaml
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState
from aiida.plugins import CalculationFactory, ParserFactory
from aiida.plugins.entry_point import format_entry_point_string, get_entry_point_names
from ase import Atoms

from aiida_ionconduct.calculations.functions.structures import frames_to_trajectory
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.data.model import remember_made_here
from aiida_ionconduct.workchains.inputs import label_inputs
from aiida_ionconduct.workchains.lammps_base import LammpsMdBaseWorkChain
from aiida_ionconduct.workchains.protocols import protocol_inputs

JOBS = [name for name in get_entry_point_names('aiida.calculations') if name.startswith('ionconduct.')]
OPTIONS = {'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 1}, 'max_wallclock_seconds': 600}


@pytest.fixture
def finished(aiida_profile_clean, aiida_localhost):
    """Return a function that stores a job of a plugin that has ended with an exit status."""

    def make(name, status, inputs=(), outputs=()):
        process_type = format_entry_point_string('aiida.calculations', name)
        node = orm.CalcJobNode(computer=aiida_localhost, process_type=process_type)
        for label, data in dict(inputs).items():
            node.base.links.add_incoming(data.store(), LinkType.INPUT_CALC, label)
        node.set_process_state(ProcessState.FINISHED)
        node.set_exit_status(status)
        node.store()
        for label, data in dict(outputs).items():
            data.base.links.add_incoming(node, LinkType.CREATE, label)
            data.store()
        node.seal()
        return node

    return make


def checkpoint(epoch):
    """Return the checkpoint after an epoch."""
    node = orm.FolderData()
    node.base.attributes.set('epoch', epoch)
    return node


@pytest.mark.parametrize(
    ('name', 'status', 'reused'),
    [
        ('lammps.md', 0, True),
        ('lammps.md', 120, False),
        ('lammps.md', 320, False),
        ('lammps.md', 400, False),
        ('lammps.md', 410, True),
        ('allegro.train', 400, True),
        ('allegro.train', 410, False),
        ('allegro.train', 420, False),
    ],
)
def test_failures_with_a_remedy_outside_the_hash_are_not_reused(finished, name, status, reused):
    """Neither wall time nor memory is part of the hash: a job that lacked them must run again when it gets more."""
    assert finished(f'ionconduct.{name}', status).base.caching.is_valid_cache == reused


def test_segment_that_made_progress_is_reused(finished):
    """The segments of a run that the wall time cut come from the cache when the campaign is submitted again."""
    restart = orm.SinglefileData.from_string('restart', filename='production.restart')
    assert finished('ionconduct.lammps.md', 400, outputs={'restart': restart}).base.caching.is_valid_cache


@pytest.mark.parametrize(('begun', 'ended', 'reused'), [(None, 3, True), (3, 9, True), (3, 3, False)])
def test_training_that_made_progress_is_reused(finished, begun, ended, reused):
    inputs = {} if begun is None else {'checkpoint': checkpoint(begun)}
    node = finished('ionconduct.allegro.train', 420, inputs, {'checkpoint': checkpoint(ended)})
    assert node.base.caching.is_valid_cache == reused


def test_work_chain_without_progress():
    assert LammpsMdBaseWorkChain.exit_codes.ERROR_NO_PROGRESS.invalidates_cache


def test_everything_has_a_version():
    for name in JOBS:
        assert CalculationFactory(name).__dict__['CACHE_VERSION'] >= 1, name
        assert ParserFactory(name).__dict__['CACHE_VERSION'] >= 1, name


def test_everything_has_a_fingerprint(datadir):
    """What a job does and what its parser stores are both compared with what was noted for a version."""
    for path in (datadir / 'fingerprints.yaml', pathlib.Path(__file__).parents[1] / 'parsers' / 'fingerprints.yaml'):
        assert sorted(yaml.safe_load(path.read_text())) == sorted(JOBS)


@pytest.fixture
def job_inputs(aiida_profile_clean, pseudo_family, fixture_code, make_dataset, make_frame, make_model, tmp_path):
    """Return a function that gives the same inputs of a job in every run of this test."""

    def md():
        (tmp_path / 'model.nequip.pt2').write_bytes(b'not a model')
        model = AllegroModelData(tmp_path / 'model.nequip.pt2', type_names=['Li', 'O', 'P'], r_max=5.0)
        remember_made_here(model.sha256)
        atoms = Atoms('Li2O', scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0, 0)], cell=[9, 9, 9], pbc=True)
        parameters = {
            'temperature_K': 900.0, 'timestep_fs': 1.0, 'equilibration_steps': 500, 'production_steps': 2000,
            'seeds': [3, 4], 'frame_stride': 20,
        }  # fmt: skip
        return {'structure': orm.StructureData(ase=atoms), 'model': model, 'parameters': orm.Dict(parameters)}

    def train():
        parameters = {'r_max': 5.0, 'l_max': 1, 'max_epochs': 3, 'accelerator': 'cpu'}
        sets = {name: make_dataset(n_frames=number) for name, number in (('train', 4), ('validation', 1), ('test', 2))}
        return {**sets, 'package_code': fixture_code('ionconduct.allegro.train'), 'parameters': orm.Dict(parameters)}

    def compile_model():
        codes = {
            'train_code': fixture_code('ionconduct.allegro.train'),
            'lammps_code': fixture_code('ionconduct.lammps.md'),
        }
        return {'model': make_model(), 'check': {**codes, 'frame': make_dataset()}}

    def evaluate():
        models = {f'seed{seed}': make_model(f'seed{seed}.nequip.zip') for seed in (1, 2)}
        return {'frames': frames_to_trajectory([make_frame() for _ in range(3)]), 'models': models}

    def pw_frames():
        cell = Atoms('Li2O', scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0, 0)], cell=[5, 5, 5], pbc=True)
        protocol = protocol_inputs('conductivity', 'quickstart')
        inputs = label_inputs(fixture_code('quantumespresso.pw'), orm.StructureData(ase=cell), protocol)['pw']
        return {**inputs, 'frames': frames_to_trajectory([cell, cell]), 'indices': orm.List([1, 0])}

    def sampling():
        tasks = [{'index': 0, 'kind': 'single', 'source': 'rattled'}]
        teacher = {'title': 'EMT', 'target': 'ase.calculators.emt.EMT', 'arguments': {}}
        dynamics = {'timestep_fs': 2.0, 'friction_per_ps': 10.0, 'max_force_eV_per_A': 30.0}
        cells = frames_to_trajectory([Atoms('Cu', cell=[3, 3, 3], pbc=True)])
        return {
            'cells': cells, 'tasks': orm.List(tasks), 'teacher': orm.Dict(teacher), 'dynamics': orm.Dict(dynamics)
        }  # fmt: skip

    makers = {
        'ionconduct.ase.sampling': sampling,
        'ionconduct.allegro.compile': compile_model,
        'ionconduct.allegro.evaluate': evaluate,
        'ionconduct.allegro.train': train,
        'ionconduct.lammps.md': md,
        'ionconduct.pw.frames': pw_frames,
    }
    return lambda name: {'code': fixture_code(name), 'metadata': {'options': OPTIONS}, **makers[name]()}


def files_in(folder, path=''):
    """Yield the path and the checksum of every file in a sandbox."""
    for name in sorted(folder.get_content_list()):
        if folder.isfile(name):
            with folder.open(name, 'rb') as handle:
                yield f'{path}{name}', hashlib.sha256(handle.read()).hexdigest()
        else:
            yield from files_in(folder.get_subfolder(name), f'{path}{name}/')


def fingerprint(folder, calc_info):
    """Return a checksum of what a job does: its files, its commands, and what is copied and retrieved."""
    commands = [
        [info.cmdline_params, info.stdin_name, info.stdout_name, info.stderr_name, info.withmpi]
        for info in calc_info.codes_info
    ]
    copied = [entry[1:] for entry in [*(calc_info.local_copy_list or []), *(calc_info.remote_copy_list or [])]]
    retrieved = [calc_info.retrieve_list, calc_info.retrieve_temporary_list]
    texts = [calc_info.prepend_text, calc_info.append_text]
    text = json.dumps([dict(files_in(folder)), commands, copied, retrieved, texts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize('name', JOBS)
def test_version_changes_with_the_job(name, job_inputs, fixture_sandbox, generate_calc_job, datadir):
    """A job that does something else needs another ``CACHE_VERSION``, or the cache returns what it did before.

    If this fails, raise ``CACHE_VERSION`` of the calculation and store the new version and fingerprint in
    ``test_caching/fingerprints.yaml``. A change that cannot change a result, such as a comment, keeps the version.
    """
    calc_info = generate_calc_job(name, job_inputs(name), fixture_sandbox)
    present = {
        'version': CalculationFactory(name).CACHE_VERSION,
        'fingerprint': fingerprint(fixture_sandbox, calc_info),
    }
    stored = yaml.safe_load((datadir / 'fingerprints.yaml').read_text())
    assert stored[name] == present
