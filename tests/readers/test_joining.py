"""Segments of one run, in one file or in several: joined where they continue, else refused or left apart."""

import numpy as np
import pytest

from aiida_ionconduct.readers import ReadingOptions, read_runs
from salt import LENGTH, TYPES, dump, folded, walk, xdatcar, xyz


@pytest.fixture
def read(tmp_path):
    """Return a function that writes texts to files, by name, and reads the runs in them."""

    def read_texts(texts, **options):
        for name, text in texts.items():
            (tmp_path / name).write_text(text)
        options = {'types': TYPES, 'timestep_fs': 1.0, **options}
        return read_runs([tmp_path / name for name in texts], ReadingOptions(**options))

    return read_texts


X = walk(80)


def steps(begin, end):
    """Return the numbers of frames ``begin`` to ``end``."""
    return range(100 * begin, 100 * end, 100)


@pytest.mark.parametrize('options', [{}, {'dt_ps': 0.1}])
@pytest.mark.parametrize('begin', [30, 45, 49, 50])
def test_restart_in_one_file(read, begin, options):
    """Frames that a restarted run wrote again are taken once, whatever option is given."""
    text = dump(X[:50], steps=steps(0, 50)) + dump(X[begin:], steps=steps(begin, 80))
    [run] = read({'run.lammpstrj': text}, **options)
    np.testing.assert_allclose(run.positions, X)
    assert run.steps.tolist() == list(steps(0, 80))


@pytest.mark.parametrize('options', [{}, {'dt_ps': 0.1}])
def test_two_runs_in_one_file(read, options):
    """Equal steps with other positions are two runs: refused, and the frame is named."""
    text = dump(X[:50], steps=steps(0, 50)) + dump(walk(50, seed=9) + 2.0, steps=steps(30, 80))
    with pytest.raises(ValueError, match=r'go back from 4900 to 3000 at frame 50.*it holds two runs'):
        read({'run.lammpstrj': text}, **options)


@pytest.mark.parametrize('begin', [40, 49, 50])
def test_restart_in_another_file(read, begin):
    """Files that continue each other are one run, with a note, whatever their order."""
    texts = {'a.lammpstrj': dump(X[:50], steps=steps(0, 50)), 'b.lammpstrj': dump(X[begin:], steps=steps(begin, 80))}
    for given in (texts, dict(reversed(texts.items()))):
        [run] = read(given)
        np.testing.assert_allclose(run.positions, X)
        assert [path.name for path in run.paths] == ['a.lammpstrj', 'b.lammpstrj']
        assert any('continue each other' in note for note in run.notes)


def test_segments_numbered_anew(read):
    """Segments of VASP are numbered from 1 each, and continue by their positions."""
    [run] = read({'XDATCAR_1': xdatcar(X[:50]), 'XDATCAR_2': xdatcar(X[50:])}, timestep_fs=None, dt_ps=0.1)
    np.testing.assert_allclose(run.positions - run.positions[0], X - X[0], atol=1e-6)


def test_seeds_stay_apart(read):
    """Independent runs that begin at the same step or the same place are not joined."""
    texts = {f'{seed}.lammpstrj': dump(walk(60, seed=seed)) for seed in (1, 2, 3)}
    assert len(read(texts)) == 3
    same_start = {
        name: dump(walk(60, seed=seed) - walk(60, seed=seed)[0] + X[0])
        for name, seed in zip(texts, (1, 2, 3), strict=True)
    }
    assert len(read(same_start)) == 3


def test_atoms_folded_at_a_restart(read):
    """A restarted run whose atoms begin in the cell again continues without a jump."""
    x = walk(80, step=0.8)
    images = np.floor(x[50] / LENGTH) * LENGTH
    assert images.any()
    texts = {'a.lammpstrj': dump(x[:50], steps=steps(0, 50)), 'b.lammpstrj': dump(x[50:] - images, steps=steps(50, 80))}
    [run] = read(texts)
    np.testing.assert_allclose(run.positions, x)


def test_files_of_one_frame(read):
    """Files of one frame each are one run, in the order of the steps or of the numbers in the names."""
    by_step = {f'dump.{100 * k}.lammpstrj': dump(X[k : k + 1], steps=[100 * k]) for k in range(12)}
    by_name = {f'frame{k}.xyz': xyz(folded(X[k : k + 1])) for k in range(12)}
    [run] = read(dict(sorted(by_step.items())))
    np.testing.assert_allclose(run.positions, X[:12])
    [run] = read(dict(sorted(by_name.items())), timestep_fs=None, dt_ps=0.1)
    np.testing.assert_allclose(run.positions - run.positions[0], X[:12] - X[0], atol=1e-6)


def test_discard_once(read):
    """The time to discard is left out at the beginning of the run, not of every segment."""
    texts = {'a.lammpstrj': dump(X[:50], steps=steps(0, 50)), 'b.lammpstrj': dump(X[50:], steps=steps(50, 80))}
    [run] = read(texts, discard_ps=1.0)
    assert len(run.positions) == 70


def test_temperature_against_the_file(read):
    comment = 'Lattice="12 0 0 0 12 0 0 0 12" Properties=species:S:1:pos:R:3 temperature_K=900'
    with pytest.raises(ValueError, match='states 900 K, but --temperature is 600 K'):
        read({'run.xyz': xyz(X, comment)}, timestep_fs=None, dt_ps=0.1, temperature_K=600.0)
