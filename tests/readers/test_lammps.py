"""Dumps of LAMMPS, against the arrays that were written, ASE's reader, and LAMMPS' own binary dump."""

import gzip
import pathlib

import ase.io
import numpy as np
import pytest

from aiida_ionconduct.readers import read_trajectory
from trajectory_files import CELL, SYMBOLS, lammps_dump, random_walk

LAMMPS = pathlib.Path(__file__).parents[1] / 'lammps' / 'data'


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a text to a file and returns its path."""

    def write_file(text):
        path = tmp_path / 'run.lammpstrj'
        path.write_text(text)
        return path

    return write_file


def test_unwrapped_columns_are_exact(write):
    """Positions, symbols, cell and steps are those that were written, and nothing was done to them."""
    x = random_walk()
    run = read_trajectory(write(lammps_dump(x)))
    assert np.array_equal(run.positions, x)
    assert run.symbols == SYMBOLS
    np.testing.assert_allclose(run.cell, CELL, atol=1e-14)
    assert run.steps.tolist() == list(range(0, 400, 10))
    assert run.interval_ps(2.0) == pytest.approx(0.02)
    assert run.notes == []


@pytest.mark.parametrize('columns', ['x y z ix iy iz', 'xs ys zs ix iy iz', 'xsu ysu zsu', 'iz iy ix mass zs xs ys'])
@pytest.mark.parametrize('shuffled', [False, True])
def test_images_and_scaled(write, columns, shuffled):
    """Image flags and scaled columns give the unwrapped positions, whatever the order of columns and atoms."""
    x = random_walk(step=3.0)
    words = columns.replace('mass ', '')
    run = read_trajectory(write(lammps_dump(x, f'id element {words}', shuffled=shuffled)))
    np.testing.assert_allclose(run.positions, x, atol=1e-12)
    assert run.symbols == SYMBOLS


@pytest.mark.parametrize('columns', ['id type x y z', 'id type xs ys zs'])
def test_wrapped_without_flags(write, columns):
    """Every atom takes the shortest way from frame to frame, and a note says so."""
    x = random_walk()
    run = read_trajectory(write(lammps_dump(x, columns)), types=['Li', 'O', 'P'])
    np.testing.assert_allclose(run.positions - run.positions[0], x - x[0], atol=1e-12)
    assert run.symbols == SYMBOLS
    assert 'shortest way' in run.notes[0]


def test_steps_too_long_to_unwrap(write):
    """A step of about half a cell is refused, unless image flags tell its direction."""
    x = random_walk()
    x[20:, 2] += 0.47 * CELL[1]
    with pytest.raises(ValueError, match=r'frames 19 and 20, atom 2 moves by 0\.\d+ of cell vector b'):
        read_trajectory(write(lammps_dump(x, 'id element x y z')))
    read_trajectory(write(lammps_dump(x, 'id element x y z ix iy iz')))


def test_same_as_ase(write):
    """Positions and the mean of changing cells are those of ASE's reader."""
    x = random_walk(n_frames=5)
    cells = CELL * np.linspace(1, 1.1, 5)[:, None, None]
    path = write(lammps_dump(x, 'id element xu yu zu', cells=cells, origin=(0, 0, 0)))
    frames = ase.io.read(path, ':', format='lammps-dump-text')
    run = read_trajectory(path)
    np.testing.assert_allclose(run.positions, [frame.positions for frame in frames], atol=1e-12)
    np.testing.assert_allclose(run.cell, np.mean([frame.cell.array for frame in frames], axis=0), atol=1e-12)
    assert run.symbols == list(frames[0].symbols)


def test_text_and_binary_of_one_run():
    """A text dump and a binary dump of the same run hold the same numbers."""
    text = read_trajectory(LAMMPS / 'two_ranks_triclinic.txt')
    binary = read_trajectory(LAMMPS / 'two_ranks_triclinic.bin')
    assert np.array_equal(text.positions, binary.positions)
    assert text.steps.tolist() == binary.steps.tolist()
    assert binary.symbols is binary.cell is None


@pytest.mark.parametrize('cut', [1, 3, 40, 300])
def test_killed_run(write, cut):
    """A last frame that is not whole is left out, and a note says so."""
    x = random_walk()
    run = read_trajectory(write(lammps_dump(x)[:-cut]))
    assert np.array_equal(run.positions, x[: len(run.positions)])
    assert len(run.positions) == len(x) - 1
    assert 'ends within a frame' in run.notes[0]


def test_restarted_run(write):
    """A frame that is there twice, before and after a restart, is taken once."""
    x = random_walk()
    run = read_trajectory(write(lammps_dump(x[:20]) + lammps_dump(x[19:], start=190)))
    assert np.array_equal(run.positions, x)
    assert '1 frames repeat' in run.notes[0]


def with_time_and_units(text, units):
    """Return a dump with the units before the first frame, and before each step the time, 0.25 ps more each time."""
    parts = text.split('ITEM: TIMESTEP')
    frames = (f'ITEM: TIME\n{0.25 * count}\nITEM: TIMESTEP{part}' for count, part in enumerate(parts[1:]))
    return f'ITEM: UNITS\n{units}\n' + ''.join(frames)


def test_time(write):
    """The interval follows from the times in the dump."""
    x = random_walk()
    run = read_trajectory(write(with_time_and_units(lammps_dump(x), 'metal')))
    assert np.array_equal(run.positions, x)
    assert run.interval_ps() == pytest.approx(0.25)


def test_units_without_angstrom(write):
    with pytest.raises(ValueError, match='in lj units'):
        read_trajectory(write(with_time_and_units(lammps_dump(random_walk()), 'lj')), 'lammps-text')


def test_packed(tmp_path):
    """A dump packed by gzip is read as it is, with its times."""
    x, path = random_walk(), tmp_path / 'run.dump.gz'
    path.write_bytes(gzip.compress(with_time_and_units(lammps_dump(x), 'metal').encode()))
    run = read_trajectory(path)
    assert np.array_equal(run.positions, x)
    assert run.interval_ps() == pytest.approx(0.25)


@pytest.mark.parametrize(
    ('change', 'says'),
    [
        (lambda text: text.replace('xu yu zu', 'vx vy vz'), 'no positions'),
        (lambda text: text.replace('Li', 'Li 1.0x', 1), 'row 1 of frame 0'),
        (lambda text: text.replace('BOX BOUNDS', 'BOX'), 'no box'),
        (lambda text: text[:200], 'no frame'),
        (lambda text: '', 'is empty'),
        (
            lambda text: text[: len(text) // 2] + lammps_dump(random_walk()[:, :4][:, :4], 'id xu yu zu'),
            'row|other atoms',
        ),
    ],
)
def test_what_cannot_be_read(write, change, says):
    """A damaged dump is refused, and the message says what is wrong with it."""
    with pytest.raises(ValueError, match=says):
        read_trajectory(write(change(lammps_dump(random_walk()))), 'lammps-text')


def test_type_without_symbol(write):
    """Symbols must be given for all types, or for none: then they are unknown."""
    with pytest.raises(ValueError, match='type 3, but 2 symbols'):
        read_trajectory(write(lammps_dump(random_walk(), 'id type xu yu zu')), types=['Li', 'O'])
    assert read_trajectory(write(lammps_dump(random_walk(), 'id type xu yu zu'))).symbols is None
