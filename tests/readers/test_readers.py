"""Readers of trajectory files against the arrays that were written, ASE's readers, and LAMMPS' own binary dump."""

import gzip
import pathlib

import ase.io
import numpy as np
import pytest
from ase import Atoms

from aiida_ionconduct.readers import guess_format, read_trajectory, unwrap
from aiida_ionconduct.readers.text import read_rows

LAMMPS = pathlib.Path(__file__).parents[1] / 'lammps' / 'data'
SYMBOLS = ['Li', 'O', 'Li', 'P', 'O']
CELL = np.array([[6.0, 0, 0], [1.0, 7.0, 0], [-0.5, 0.8, 8.0]])


def walk(n_frames=40, step=0.5, seed=1):
    """Return unwrapped positions of atoms that leave the cell."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 1, (1, len(SYMBOLS), 3)) @ CELL
    return start + np.cumsum(rng.normal(scale=step, size=(n_frames, len(SYMBOLS), 3)), axis=0)


def dump(positions, columns='id element xu yu zu', origin=(0.3, -0.2, 1.0), order=None, cells=None, start=0):
    """Return a text dump as LAMMPS writes it, of a tilted box."""
    lines = []
    rng = np.random.default_rng(5)
    for frame, x in enumerate(positions):
        cell = CELL if cells is None else cells[frame]
        fractional = (x - origin) @ np.linalg.inv(cell)
        images = np.floor(fractional)
        inside = x - images @ cell
        (a, _, _), (xy, b, _), (xz, yz, c) = cell
        low = np.add(origin, (min(0, xy, xz, xy + xz), min(0, yz), 0))
        high = np.add(origin, (a + max(0, xy, xz, xy + xz), b + max(0, yz), c))
        lines += ['ITEM: TIMESTEP', str(start + 10 * frame), 'ITEM: NUMBER OF ATOMS', str(len(x))]
        lines += ['ITEM: BOX BOUNDS xy xz yz pp pp pp']
        lines += [f'{lo:.16e} {hi:.16e} {t:.16e}' for lo, hi, t in zip(low, high, (xy, xz, yz), strict=True)]
        lines += [f'ITEM: ATOMS {columns} ']
        values = {
            'id': range(1, len(x) + 1),
            'element': SYMBOLS,
            'type': [{'Li': 1, 'O': 2, 'P': 3}[symbol] for symbol in SYMBOLS],
        }
        values |= dict(zip(('xu', 'yu', 'zu'), x.T.tolist(), strict=True))
        values |= dict(zip(('x', 'y', 'z'), inside.T.tolist(), strict=True))
        values |= dict(zip(('xs', 'ys', 'zs'), (fractional - images).T.tolist(), strict=True))
        values |= dict(zip(('xsu', 'ysu', 'zsu'), fractional.T.tolist(), strict=True))
        values |= dict(zip(('ix', 'iy', 'iz'), images.T.astype(int).tolist(), strict=True))
        rows = list(zip(*(values[name] for name in columns.split()), strict=True))
        for index in rng.permutation(len(x)) if order == 'random' else range(len(x)):
            lines.append(' '.join(word if isinstance(word, str) else repr(word) for word in rows[index]) + ' ')
    return '\n'.join(lines) + '\n'


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a text to a file."""

    def to(text, name='run.lammpstrj'):
        path = tmp_path / name
        path.write_text(text)
        return path

    return to


# LAMMPS --------------------------------------------------------------------------------------------------------------


def test_unwrapped_columns_are_exact(write):
    x = walk()
    run = read_trajectory(write(dump(x)))
    assert np.array_equal(run.positions, x)
    assert run.symbols == SYMBOLS
    np.testing.assert_allclose(run.cell, CELL, atol=1e-14)
    assert run.steps.tolist() == list(range(0, 400, 10))
    assert run.interval_ps(2.0) == pytest.approx(0.02)
    assert run.notes == []


@pytest.mark.parametrize('columns', ['x y z ix iy iz', 'xs ys zs ix iy iz', 'xsu ysu zsu', 'iz iy ix mass zs xs ys'])
@pytest.mark.parametrize('order', [None, 'random'])
def test_images_and_scaled(write, columns, order):
    """Image flags and scaled columns give the unwrapped positions, whatever the order of columns and atoms."""
    x = walk(step=3.0)
    words = columns.replace('mass ', '')
    run = read_trajectory(write(dump(x, f'id element {words}', order=order)))
    np.testing.assert_allclose(run.positions, x, atol=1e-12)
    assert run.symbols == SYMBOLS


@pytest.mark.parametrize('columns', ['id type x y z', 'id type xs ys zs'])
def test_wrapped_without_flags(write, columns):
    """Every atom goes the shortest way; the first frame is where the dump says."""
    x = walk()
    run = read_trajectory(write(dump(x, columns)), types=['Li', 'O', 'P'])
    np.testing.assert_allclose(run.positions - run.positions[0], x - x[0], atol=1e-12)
    assert run.symbols == SYMBOLS
    assert 'shortest way' in run.notes[0]


def test_steps_too_long_to_unwrap(write):
    """Half a cell between two frames may be the one way or the other."""
    x = walk()
    x[20:, 2] += 0.47 * CELL[1]
    with pytest.raises(ValueError, match=r'frames 19 and 20, atom 2 moves by 0\.\d+ of cell vector b'):
        read_trajectory(write(dump(x, 'id element x y z')))
    read_trajectory(write(dump(x, 'id element x y z ix iy iz')))


def test_same_as_ase(write):
    """Wrapped positions and cells are those of ASE's reader, box by box."""
    x = walk(n_frames=5)
    cells = CELL * np.linspace(1, 1.1, 5)[:, None, None]
    path = write(dump(x, 'id element xu yu zu', cells=cells, origin=(0, 0, 0)))
    frames = ase.io.read(path, ':', format='lammps-dump-text')
    run = read_trajectory(path)
    np.testing.assert_allclose(run.positions, [frame.positions for frame in frames], atol=1e-12)
    np.testing.assert_allclose(run.cell, np.mean([frame.cell.array for frame in frames], axis=0), atol=1e-12)
    assert run.symbols == list(frames[0].symbols)


def test_text_and_binary_of_one_run():
    """LAMMPS wrote both: the numbers are the same."""
    text = read_trajectory(LAMMPS / 'two_ranks_triclinic.txt')
    binary = read_trajectory(LAMMPS / 'two_ranks_triclinic.bin')
    assert np.array_equal(text.positions, binary.positions)
    assert text.steps.tolist() == binary.steps.tolist()
    assert binary.symbols is binary.cell is None


@pytest.mark.parametrize('cut', [1, 3, 40, 300])
def test_killed_run(write, cut):
    """What is left of the last frame is left out, and said."""
    x = walk()
    run = read_trajectory(write(dump(x)[:-cut]))
    assert np.array_equal(run.positions, x[: len(run.positions)])
    assert len(run.positions) == len(x) - 1
    assert 'ends within a frame' in run.notes[0]


def test_restarted_run(write):
    """The last frame before the restart is there twice."""
    x = walk()
    run = read_trajectory(write(dump(x[:20]) + dump(x[19:], start=190)))
    assert np.array_equal(run.positions, x)
    assert '1 frames repeat' in run.notes[0]


def test_time_and_packed(tmp_path):
    """The time stands before the step, the units before the first frame."""
    x = walk()
    parts = dump(x).split('ITEM: TIMESTEP')
    text = 'ITEM: UNITS\nmetal\n' + ''.join(
        f'ITEM: TIME\n{0.25 * count}\nITEM: TIMESTEP{part}' for count, part in enumerate(parts[1:])
    )
    path = tmp_path / 'run.dump.gz'
    path.write_bytes(gzip.compress(text.encode()))
    run = read_trajectory(path)
    assert np.array_equal(run.positions, x)
    assert run.interval_ps() == pytest.approx(0.25)
    path.write_bytes(gzip.compress(text.replace('metal', 'lj').encode()))
    with pytest.raises(ValueError, match='in lj units'):
        read_trajectory(path)


@pytest.mark.parametrize(
    ('change', 'says'),
    [
        (lambda text: text.replace('xu yu zu', 'vx vy vz'), 'no positions'),
        (lambda text: text.replace('Li', 'Li 1.0x', 1), 'row 1 of frame 0'),
        (lambda text: text.replace('BOX BOUNDS', 'BOX'), 'no box'),
        (lambda text: text[:200], 'no frame'),
        (lambda text: '', 'is empty'),
        (lambda text: text[: len(text) // 2] + dump(walk()[:, :4][:, :4], 'id xu yu zu'), 'row|other atoms'),
    ],
)
def test_what_cannot_be_read(write, change, says):
    with pytest.raises(ValueError, match=says):
        read_trajectory(write(change(dump(walk()))), 'lammps-text')


def test_type_without_symbol(write):
    with pytest.raises(ValueError, match='type 3, but 2 symbols'):
        read_trajectory(write(dump(walk(), 'id type xu yu zu')), types=['Li', 'O'])
    assert read_trajectory(write(dump(walk(), 'id type xu yu zu'))).symbols is None


def rows_of_three(text, n_rows):
    """Return the numbers of a text with three columns, read as one frame, (1, rows, 3)."""
    return read_rows(text.encode(), [0], n_rows, columns='xyz', coordinates='xyz').positions


@pytest.mark.parametrize(
    'word',
    ['0', '-0', '+1.5', '.5', '5.', '1e3', '-2.5E-7', '1.7976931348623157e308', '5e-324', 'nan', 'inf', '-inf',
     '123456789012345678', '1234567890123456789012', '0.1', '0.30000000000000004', '9007199254740993', '1e-400',
     '0.00000000000000000000012345', '3.141592653589793238462643'],
)  # fmt: skip
def test_numbers_are_those_of_python(word):
    values = rows_of_three(f'{word}\t {word} -{word.lstrip("+-")}\r\n', 1)
    expected = [float(word), float(word), -float(word.lstrip('+-'))]
    np.testing.assert_array_equal(values[0, 0], expected)
    assert np.signbit(values[0, 0, :2]).tolist() == [np.signbit(float(word))] * 2 or word == 'nan'


def test_random_numbers_are_those_of_python():
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2**63, 3000, dtype=np.int64).view(float)
    words = [f'{value:.{digits}g}' for value, digits in zip(bits, rng.integers(1, 20, 3000), strict=True)]
    words[1::2] = [
        f'{value:.{digits}f}' for value, digits in zip(rng.normal(size=1500), rng.integers(0, 20, 1500), strict=True)
    ]
    text = '\n'.join(' '.join(words[k : k + 3]) for k in range(0, 3000, 3)) + '\n'
    values = rows_of_three(text, 1000)
    np.testing.assert_array_equal(values.ravel(), [float(word) for word in words])


@pytest.mark.parametrize('word', ['', '-', '1.2.3', '1e', 'x', '1x', '0x10g', '--1', '1' * 70])
def test_words_that_are_no_numbers(word):
    with pytest.raises(ValueError, match='words where numbers'):
        rows_of_three(f'1 2 {word}\n', 1)


# The others ----------------------------------------------------------------------------------------------------------


def frames_of(x, wrap=False):
    """Return ASE frames."""
    frames = [Atoms(SYMBOLS, one, cell=CELL, pbc=True) for one in x]
    for frame in frames if wrap else ():
        frame.wrap()
    return frames


def test_extxyz(tmp_path):
    x, path = walk(), tmp_path / 'run.extxyz'
    frames = frames_of(x)
    for index, frame in enumerate(frames):
        frame.info.update(time_ps=0.1 * index, temperature_K=900.0)
        frame.set_velocities(np.ones((5, 3)))
    ase.io.write(path, frames)
    run = read_trajectory(path)
    np.testing.assert_array_equal(run.positions, [frame.positions for frame in ase.io.read(path, ':')])
    np.testing.assert_allclose(run.positions, x, atol=1e-7)
    assert (run.symbols, run.temperature_K) == (SYMBOLS, 900.0)
    assert run.interval_ps() == pytest.approx(0.1)
    np.testing.assert_allclose(run.cell, CELL)
    path.write_text(path.read_text()[:-10])
    cut = read_trajectory(path)
    assert len(cut.positions) == len(x) - 1
    assert 'ends within a frame' in cut.notes[0]


def test_extxyz_wrapped(tmp_path):
    """Positions that all lie in the cell are taken as wrapped."""
    x, path = walk(), tmp_path / 'run.xyz'
    ase.io.write(path, frames_of(x, wrap=True), format='extxyz')
    run = read_trajectory(path)
    np.testing.assert_allclose(run.positions - run.positions[0], x - x[0], atol=1e-6)
    assert 'taken as wrapped' in run.notes[0]


def test_extxyz_that_cannot_be_read(tmp_path):
    path = tmp_path / 'run.xyz'
    for text, says in (
        ('no number\n', 'no XYZ file'),
        ('1\nLattice="1 0 0 0 1 0 0 0 1"\nLi 0 0 0\n2\n\nLi 0 0 0\n', 'differ|states no lattice'),
        ('1\n\nLi 0 0 0\n', 'states no lattice'),
        ('3\n', 'ends within its first frame'),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=says):
            read_trajectory(path)


@pytest.mark.parametrize('varying', [False, True])
def test_xdatcar(tmp_path, varying):
    x, path = walk(), tmp_path / 'XDATCAR_900K'
    order = np.argsort(SYMBOLS, kind='stable')
    cells = CELL * (np.linspace(1, 1.02, len(x)) if varying else np.ones(len(x)))[:, None, None]
    lines = []
    for frame, (one, cell) in enumerate(zip(x[:, order], cells, strict=True)):
        if varying or not frame:
            lines += ['Li2 O2 P', '  1.0', *(' '.join(f'{v:.12f}' for v in row) for row in cell), ' Li O P', ' 2 2 1']
        lines += [f'Direct configuration= {frame + 1:6d}']
        lines += [' '.join(f'{v:.12f}' for v in row) for row in (one @ np.linalg.inv(cell)) % 1.0]
    path.write_text('\n'.join(lines) + '\n')
    run = read_trajectory(path)
    assert run.symbols == ['Li', 'Li', 'O', 'O', 'P']
    np.testing.assert_allclose(run.cell, cells.mean(axis=0), atol=1e-10)
    expected = x[:, order] @ np.linalg.inv(CELL) @ CELL
    if not varying:
        np.testing.assert_allclose(run.positions - run.positions[0], expected - expected[0], atol=1e-9)
    frames = ase.io.read(path, ':', format='vasp-xdatcar')
    ours = np.array([one @ np.linalg.inv(cell) for one, cell in zip(run.positions, cells, strict=True)])
    theirs = np.array([frame.get_scaled_positions() for frame in frames])
    assert np.abs((ours - theirs) - np.rint(ours - theirs)).max() < 1e-9
    assert run.steps.tolist() == list(range(1, len(x) + 1))


def test_npz(tmp_path):
    x, path = walk(), tmp_path / 'run.npz'
    np.savez(path, pos=x.astype(np.float32), species=SYMBOLS, cell=CELL, dt_fs=100.0, temperature_K=700)
    run = read_trajectory(path)
    assert np.array_equal(run.positions, x.astype(np.float32))
    assert (run.symbols, run.temperature_K, run.interval_ps()) == (SYMBOLS, 700.0, pytest.approx(0.1))
    np.savez(path, x=x)
    with pytest.raises(ValueError, match='no array `positions`'):
        read_trajectory(path)


# Common --------------------------------------------------------------------------------------------------------------


def test_unwrap_leaves_what_is_unwrapped():
    x = walk(step=0.1)
    assert unwrap(x, CELL) is x


def test_interval():
    run = read_trajectory(LAMMPS / 'two_ranks_triclinic.txt')
    assert run.interval_ps() is None
    run.steps = np.array([0, 10, 20, 40, 50])
    with pytest.raises(ValueError, match=r'not equally spaced in time: 0\.01 ps at first, 0\.02 ps after frame 2'):
        run.interval_ps(1.0)


def test_unknown_format(tmp_path):
    path = tmp_path / 'run.dcd'
    path.write_bytes(b'CORD')
    with pytest.raises(ValueError, match='no known trajectory: choose --format'):
        guess_format(path)
