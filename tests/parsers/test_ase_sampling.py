"""The parser of sampling jobs, on what jobs with EMT have left: whole, stopped, killed, without their calculator."""

import json
import re
import shutil
import subprocess
import sys

import ase.io
import pytest
from aiida import orm
from ase.build import bulk

from aiida_ionconduct.calculations.functions.structures import frames_to_trajectory
from aiida_ionconduct.sampling import sampler
from parser_fingerprints import check_fingerprint

NAME = 'ionconduct.ase.sampling'
TEACHER = {'title': 'EMT', 'target': 'ase.calculators.emt.EMT', 'arguments': {}, 'install': 'pip install ase'}
DYNAMICS = {'timestep_fs': 2.0, 'friction_per_ps': 10.0, 'max_force_eV_per_A': 30.0}
MD = {
    'index': 0, 'kind': 'md', 'source': 'pretrained_md', 'run': 'T500', 'temperature_K': 500.0,
    'states_temperature': True, 'steps': 4, 'stride': 2, 'seed': 3,
}  # fmt: skip
CELLS = [bulk('Cu', cubic=True), bulk('Cu', cubic=True, a=3.7)]
TASKS = [MD, {'index': 1, 'kind': 'single', 'source': 'hops'}]


@pytest.fixture(scope='module')
def whole_job(tmp_path_factory):
    """The folder of a job that has run to its end."""
    folder = tmp_path_factory.mktemp('job')
    shutil.copy(sampler.__file__, folder / 'sampler.py')
    ase.io.write(folder / sampler.CELLS, CELLS, format='extxyz')
    settings = {'teacher': TEACHER, 'tasks': TASKS, 'dynamics': DYNAMICS, 'max_time_s': None}
    (folder / sampler.SETTINGS).write_text(json.dumps(settings))
    subprocess.run([sys.executable, 'sampler.py'], cwd=folder, check=True)
    return folder


@pytest.fixture
def parsed(tmp_path, whole_job, generate_calc_job_node, generate_parser, fixture_code):
    """Return a function that parses some files of the job, some of them changed."""

    def parse(names=(sampler.FRAMES, sampler.TEACHER, sampler.ENDING), messages='', **changes):
        folder = tmp_path / 'retrieved'
        folder.mkdir()
        for name in names:
            shutil.copy(whole_job / name, folder)
        for name, text in changes.items():
            (folder / getattr(sampler, name)).write_text(text)
        if messages:
            (folder / 'sampling.out').write_text(messages)
        inputs = {
            'code': fixture_code(NAME),
            'cells': frames_to_trajectory(CELLS),
            'tasks': orm.List(TASKS),
            'teacher': orm.Dict(TEACHER),
            'dynamics': orm.Dict(DYNAMICS),
        }
        attributes = {'scheduler_stdout': 'sampling.out'}
        node = generate_calc_job_node(NAME, folder, inputs, attributes, retrieved_temporary=(sampler.FRAMES,))
        return generate_parser(NAME).parse_from_node(
            node, store_provenance=False, retrieved_temporary_folder=str(folder)
        )

    return parse


def test_whole_job(parsed):
    """All frames in a training set that states whose labels these are, without the traces of the job."""
    results, calcfunction = parsed()
    assert calcfunction.is_finished_ok
    dataset = results['dataset']
    assert dataset.n_frames == 3
    assert dataset.base.attributes.get('sources') == {'hops': 1, 'pretrained_md': 2}
    assert dataset.base.attributes.get('temperatures_K') == [500.0]
    (teacher,) = dataset.labelled_by
    assert teacher.startswith('EMT (ase ')
    assert dataset.labelled_by[teacher] == 3
    assert dataset.base.attributes.get('has_stress')
    for frame in dataset.get_frames():
        assert 'momenta' not in frame.arrays
        assert not {'task', 'step'} & set(frame.info)
    assert results['output_parameters']['title'] == 'EMT'
    assert results['output_parameters']['exploded'] == []


def test_job_without_its_ending_goes_on(parsed):
    """A job that was killed leaves its whole frames, from which another job can go on."""
    results, calcfunction = parsed(names=(sampler.FRAMES, sampler.TEACHER))
    assert calcfunction.exit_status == 320
    assert results['restart'].base.attributes.get('n_frames') == 3
    assert 'dataset' not in results


def test_job_that_was_killed_before_its_first_frame(parsed):
    results, calcfunction = parsed(names=(sampler.TEACHER,))
    assert calcfunction.exit_status == 320
    assert 'restart' not in results


def test_job_that_stopped_at_the_wall_time(parsed):
    results, calcfunction = parsed(ENDING=json.dumps({'finished': False, 'exploded': []}))
    assert calcfunction.exit_status == 400
    assert results['restart'].base.attributes.get('n_frames') == 3


def test_all_runs_exploded(parsed):
    """A job that ended without a frame is a failure that a repetition does not change."""
    _, calcfunction = parsed(FRAMES='')
    assert calcfunction.exit_status == 410


def test_calculator_that_is_not_installed(parsed):
    """The message says where to install it, and by which command."""
    line = f"{sampler.FAILED}: ModuleNotFoundError: No module named 'sevenn'"
    _, calcfunction = parsed(names=(), messages=line)
    assert calcfunction.exit_status == 350
    assert "No module named 'sevenn'" in calcfunction.exit_message
    assert 'pip install ase' in calcfunction.exit_message


def test_calculator_that_refuses(parsed):
    line = f'{sampler.FAILED}: NotImplementedError: No EMT-potential for Fe'
    _, calcfunction = parsed(names=(sampler.TEACHER,), messages=line)
    assert calcfunction.exit_status == 310
    assert 'No EMT-potential for Fe' in calcfunction.exit_message


def test_version(parsed, whole_job):
    """The version of ASE, which the frames state, is not of the parser: it is replaced by a fixed word."""
    text = re.sub(r'EMT \(ase [^)]*\)', 'EMT (ase x)', (whole_job / sampler.FRAMES).read_text())
    results, calcfunction = parsed(FRAMES=text)
    check_fingerprint(NAME, {'dataset': results['dataset']}, calcfunction.exit_status)
