"""The script of a sampling job, run as a job runs it, with calculators of ASE: EMT and Lennard-Jones."""

import hashlib
import json
import shutil
import subprocess
import sys

import ase.io
import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from aiida_ionconduct.sampling import sampler
from aiida_ionconduct.sampling.frames import read_frames, whole_frames
from aiida_ionconduct.sampling.tasks import relax_task, single_tasks

DYNAMICS = {'timestep_fs': 2.0, 'friction_per_ps': 10.0, 'max_force_eV_per_A': 50.0}
MD = {
    'index': 0, 'kind': 'md', 'source': 'pretrained_md', 'run': 'T500', 'temperature_K': 500.0,
    'states_temperature': True, 'steps': 20, 'stride': 5, 'seed': 3,
}  # fmt: skip
EMT_TEACHER = {'title': 'EMT', 'target': 'ase.calculators.emt.EMT', 'arguments': {}}


@pytest.fixture
def crystal():
    """Copper with gold, 8 atoms, off its symmetry."""
    atoms = bulk('Cu', cubic=True) * (2, 1, 1)
    atoms.symbols[0] = 'Au'
    atoms.rattle(0.05, seed=1)
    return atoms


@pytest.fixture
def job(tmp_path, crystal):
    """Return a function that runs the script in a folder, and gives its exit status and its messages."""

    def run(tasks, teacher=None, cells=None, earlier='', files=None, **settings):
        folder = tmp_path / 'job'
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shutil.copy(sampler.__file__, folder / 'sampler.py')
        ase.io.write(folder / sampler.CELLS, cells or [crystal], format='extxyz')
        content = {'teacher': teacher or EMT_TEACHER, 'tasks': tasks, 'dynamics': DYNAMICS, 'max_time_s': None}
        (folder / sampler.SETTINGS).write_text(json.dumps({**content, **settings}))
        for name, text in (files or {}).items():
            (folder / name).write_text(text)
        if earlier:
            (folder / sampler.EARLIER).write_text(earlier)
        command = [sys.executable, 'sampler.py']
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={'PATH': ''})
        return folder, done

    return run


def test_labels_are_those_of_the_calculator(job, crystal):
    """Energy, forces and stress of a single cell are what the calculator gives here."""
    folder, done = job(single_tasks(1, 'rattled'))
    assert done.returncode == 0, done.stderr
    (frame,) = read_frames((folder / sampler.FRAMES).read_text())
    crystal.calc = EMT()
    assert frame.get_potential_energy() == pytest.approx(crystal.get_potential_energy())
    np.testing.assert_allclose(frame.get_forces(), crystal.get_forces(), atol=1e-6)
    np.testing.assert_allclose(frame.get_stress(), crystal.get_stress(), atol=1e-6)


def test_molecular_dynamics(job):
    """A run has a frame every stride, which states its run, its time, and its temperature where it may be compared."""
    folder, _ = job([MD])
    frames = read_frames((folder / sampler.FRAMES).read_text())
    assert [frame.info['step'] for frame in frames] == [5, 10, 15, 20]
    assert frames[-1].info['time_ps'] == pytest.approx(0.04)
    assert {frame.info['run'] for frame in frames} == {'T500'}
    assert {frame.info['temperature_K'] for frame in frames} == {500.0}
    moved = [np.abs(frame.positions - frames[0].positions).max() for frame in frames[1:]]
    assert min(moved) > 0.01
    assert json.loads((folder / sampler.ENDING).read_text()) == {'finished': True, 'exploded': []}


def test_frames_of_a_strained_cell_state_no_temperature(job):
    folder, _ = job([{**MD, 'states_temperature': False, 'run': 'strain_p0_040'}])
    assert all('temperature_K' not in frame.info for frame in read_frames((folder / sampler.FRAMES).read_text()))


def test_job_that_was_killed_goes_on(job):
    """Of a file that ends within a frame, the whole frames are kept, and the run goes on after the last of them."""
    tasks = [MD, {'index': 1, 'kind': 'single', 'source': 'hops'}]
    cells = [bulk('Cu', cubic=True), bulk('Cu', cubic=True, a=3.7)]
    folder, _ = job(tasks, cells=cells)
    text = (folder / sampler.FRAMES).read_text()
    first_two = ''.join(text.splitlines(keepends=True)[: 2 * 6])
    cut = text[: len(first_two) + 100]
    assert whole_frames(cut) == first_two
    folder, _ = job(tasks, cells=cells, earlier=whole_frames(cut))
    frames = read_frames((folder / sampler.FRAMES).read_text())
    assert [(frame.info['task'], frame.info['step']) for frame in frames] == [(0, 5), (0, 10), (0, 15), (0, 20), (1, 0)]
    np.testing.assert_array_equal(frames[1].positions, read_frames(first_two)[1].positions)
    assert np.abs(frames[2].positions - frames[1].positions).max() < 0.5  # where it was, not from the start


def test_job_stops_before_the_wall_time(job):
    """It says that it did not finish, and has written the frame at which its time was up."""
    folder, done = job([MD], max_time_s=1e-9)
    assert done.returncode == 0
    assert not json.loads((folder / sampler.ENDING).read_text())['finished']
    assert len(read_frames((folder / sampler.FRAMES).read_text())) == 1


def test_relaxation(job):
    """The last frame states that the forces are small, and they are; the cell has relaxed with the positions."""
    task = relax_task({'relax_steps': 200, 'relax_force_eV_per_A': 0.02}, with_cell=True)
    cell = bulk('Cu', cubic=True, a=3.75)
    cell.rattle(0.05, seed=2)
    folder, _ = job([task], cells=[cell])
    frame = read_frames((folder / sampler.FRAMES).read_text())[-1]
    assert frame.info['relaxed']
    assert np.linalg.norm(frame.get_forces(), axis=1).max() <= 0.02
    assert frame.cell.lengths() == pytest.approx(3.59, abs=0.02)  # EMT's lattice constant of copper


NOISY = """
import numpy as np
from ase.calculators.emt import EMT

class Noisy(EMT):
    rng = np.random.default_rng(1)

    def calculate(self, *arguments):
        super().calculate(*arguments)
        self.results['forces'] = self.results['forces'] + 1e-3 * self.rng.normal(size=(4, 3))
"""


@pytest.mark.parametrize(('files', 'kept'), [({}, True), ({'spglib.py': 'raise ImportError'}, False)])
def test_relaxation_keeps_the_symmetry(job, files, kept):
    """The noise of forces in single precision does not lower it; where spglib is missing, the frame says so."""
    task = relax_task({'relax_steps': 30, 'relax_force_eV_per_A': 0.02}, with_cell=True)
    cell = bulk('Cu', cubic=True, a=3.8)
    cell.symbols[0] = 'Au'
    noisy = {'title': 'EMT', 'target': 'noisy.Noisy', 'arguments': {}}
    folder, done = job([task], teacher=noisy, cells=[cell], files={'noisy.py': NOISY, **files})
    assert done.returncode == 0, done.stderr
    frame = read_frames((folder / sampler.FRAMES).read_text())[-1]
    described = (frame.cell.array, frame.get_scaled_positions(), frame.numbers)
    assert (spglib.get_spacegroup(described, symprec=1e-5) == 'Pm-3m (221)') == kept
    assert frame.info['symmetry_kept'] == kept
    assert frame.cell.lengths()[0] < 3.78


@pytest.mark.parametrize('distance', [0.0, 0.004])
def test_cell_that_spglib_refuses_has_no_symmetry_to_keep(distance):
    """Sites of a disordered crystal may lie that near to each other; the cell is to be relaxed all the same."""
    atoms = Atoms('Li2', positions=[[0, 0, 0], [distance, 0, 0]], cell=[4, 4, 4], pbc=True)
    assert not sampler.keep_symmetry(atoms)
    assert not atoms.constraints


def test_run_that_explodes_ends(job):
    """The frames before are kept, the explosion is told, and the next task is done."""
    tasks = [{**MD, 'temperature_K': 500.0}, {'index': 0, 'kind': 'single', 'source': 'hops'}]
    folder, _ = job(tasks, dynamics={**DYNAMICS, 'max_force_eV_per_A': 1e-3})
    ending = json.loads((folder / sampler.ENDING).read_text())
    assert ending['finished']
    assert [row['run'] for row in ending['exploded']] == ['T500']
    assert [frame.info['source'] for frame in read_frames((folder / sampler.FRAMES).read_text())] == ['hops']


def test_calculator_is_described(job):
    """Version of its package, and arguments as they were given."""
    teacher = {'title': 'Lennard-Jones', 'target': 'ase.calculators.lj.LennardJones', 'arguments': {'rc': 6.0}}
    folder, _ = job(single_tasks(1, 'rattled'), teacher=teacher)
    described = json.loads((folder / sampler.TEACHER).read_text())
    assert described['arguments'] == {'rc': 6.0}
    assert described['labelled_by'] == f'Lennard-Jones (ase {described["versions"]["ase"]})'
    (frame,) = read_frames((folder / sampler.FRAMES).read_text())
    assert frame.info['labelled_by'] == described['labelled_by']


CALCULATOR_WITH_WEIGHTS = """
from ase.calculators.emt import EMT

class Calculator(EMT):
    def __init__(self, model, **arguments):
        super().__init__(**arguments)
        with open(model, 'rb') as handle:
            handle.read()
"""


def test_weights_are_recorded_by_their_checksum(job, tmp_path):
    """Whatever calculator it is, the files with weights that it opens are noted with their SHA-256, without a path."""
    (tmp_path / 'my_potential.py').write_text(CALCULATOR_WITH_WEIGHTS)
    weights = tmp_path / 'weights.pth'
    weights.write_bytes(b'1 2 3')
    teacher = {'title': 'Mine', 'target': 'my_potential.Calculator', 'arguments': {'model': str(weights)}}
    folder, done = job(single_tasks(1, 'rattled'), teacher=teacher)
    assert done.returncode == 1  # the module is not in the folder of the job
    assert 'ModuleNotFoundError' in done.stderr
    shutil.copy(tmp_path / 'my_potential.py', folder)
    subprocess.run([sys.executable, 'sampler.py'], cwd=folder, check=True)
    sha256 = hashlib.sha256(b'1 2 3').hexdigest()
    described = json.loads((folder / sampler.TEACHER).read_text())
    assert described['weights'] == [{'file': 'weights.pth', 'sha256': sha256}]
    assert sha256[:12] in described['labelled_by']
    assert str(tmp_path) not in described['labelled_by']


def test_calculator_that_does_not_know_an_element(job):
    """The job fails with the words of the calculator, and leaves no ending."""
    folder, done = job(single_tasks(1, 'rattled'), cells=[bulk('Fe', cubic=True)])
    assert done.returncode == 1
    assert done.stderr.startswith(f'{sampler.FAILED}: NotImplementedError')
    assert not (folder / sampler.ENDING).exists()


def test_sevennet_labels_a_cell(job):
    """The pretrained potential that is the default: weights from its wheel, recorded with their checksum."""
    pytest.importorskip('sevenn')
    from aiida_ionconduct.sampling.teachers import TEACHERS, calculator_arguments

    known = TEACHERS['sevennet']
    arguments = calculator_arguments(known, {}, device='cpu', dtype=None)
    teacher = {'title': known.title, 'target': known.target, 'arguments': arguments}
    folder, done = job(single_tasks(1, 'rattled'), teacher=teacher, cells=[bulk('Li', cubic=True)])
    assert done.returncode == 0, done.stderr
    described = json.loads((folder / sampler.TEACHER).read_text())
    assert (described['device'], described['dtype']) == ('cpu', 'float32')
    assert [len(row['sha256']) for row in described['weights']] == [64]
    (frame,) = read_frames((folder / sampler.FRAMES).read_text())
    assert frame.get_potential_energy() / 2 == pytest.approx(-1.9, abs=0.1)  # metallic lithium, PBE
