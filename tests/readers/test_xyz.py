"""Extended XYZ, as ASE writes it."""

import ase.io
import numpy as np
import pytest

from aiida_ionconduct.readers import read_trajectory
from trajectory_files import CELL, SYMBOLS, ase_frames, random_walk


@pytest.fixture
def path(tmp_path):
    """Return the path of an extended XYZ file with times, temperatures and velocities."""
    frames = ase_frames(random_walk())
    for index, frame in enumerate(frames):
        frame.info.update(time_ps=0.1 * index, temperature_K=900.0)
        frame.set_velocities(np.ones((5, 3)))
    ase.io.write(tmp_path / 'run.extxyz', frames)
    return tmp_path / 'run.extxyz'


def test_extxyz(path):
    """Positions are those of ASE's reader; symbols, temperature, times and cell are those that were written."""
    x, run = random_walk(), read_trajectory(path)
    np.testing.assert_array_equal(run.positions, [frame.positions for frame in ase.io.read(path, ':')])
    np.testing.assert_allclose(run.positions, x, atol=1e-7)
    assert (run.symbols, run.temperature_K) == (SYMBOLS, 900.0)
    assert run.interval_ps() == pytest.approx(0.1)
    np.testing.assert_allclose(run.cell, CELL)


def test_extxyz_cut(path):
    """A last frame that is not whole is left out, and a note says so."""
    path.write_text(path.read_text()[:-10])
    cut = read_trajectory(path)
    assert len(cut.positions) == len(random_walk()) - 1
    assert 'ends within a frame' in cut.notes[0]


def test_extxyz_wrapped(tmp_path):
    """Positions that all lie in the cell are taken as wrapped, and a note says so."""
    x, path = random_walk(), tmp_path / 'run.xyz'
    ase.io.write(path, ase_frames(x, wrap=True), format='extxyz')
    run = read_trajectory(path)
    np.testing.assert_allclose(run.positions - run.positions[0], x - x[0], atol=1e-6)
    assert 'taken as wrapped' in run.notes[0]


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('no number\n', 'no XYZ file'),
        ('1\nLattice="1 0 0 0 1 0 0 0 1"\nLi 0 0 0\n2\n\nLi 0 0 0\n', 'differ|states no lattice'),
        ('1\n\nLi 0 0 0\n', 'states no lattice'),
        ('3\n', 'ends within its first frame'),
    ],
)
def test_extxyz_that_cannot_be_read(tmp_path, text, says):
    """A damaged file is refused, and the message says what is wrong with it."""
    path = tmp_path / 'run.xyz'
    path.write_text(text)
    with pytest.raises(ValueError, match=says):
        read_trajectory(path)
