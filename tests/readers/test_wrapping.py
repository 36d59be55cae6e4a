"""Wrapped or not: the file is believed, windows of one cell are recognised, and frames too far apart are refused."""

import numpy as np
import pytest

from aiida_ionconduct.readers import ReadingOptions, read_runs
from salt import LENGTH, SYMBOLS, TYPES, dump, folded, walk, xdatcar, xyz


@pytest.fixture
def read(tmp_path):
    """Return a function that writes a text to a file and reads the run in it."""

    def read_text(text, name='run.xyz', **options):
        (tmp_path / name).write_text(text)
        return read_runs([tmp_path / name], ReadingOptions(**{'dt_ps': 0.1, **options}))[0]

    return read_text


def assert_displacements(run, x):
    """Compare displacements from the first frame."""
    np.testing.assert_allclose(run.positions - run.positions[0], x - x[0], atol=1e-6)


@pytest.mark.parametrize('low', [0.0, -LENGTH / 2, 3.7, -100.0])
def test_windows(read, low):
    """Positions in any window of one cell vector are wrapped, and a note says so."""
    x = walk(200, step=0.4)
    run = read(xyz(folded(x, low)))
    assert_displacements(run, x)
    assert 'taken as wrapped' in run.notes[0]


def test_slightly_outside(read):
    """Atoms that are folded back late still jump by whole cells."""
    x = walk(300, step=0.4)
    late = np.empty_like(x)
    images = np.floor(x[0] / LENGTH)
    for frame, positions in enumerate(x):
        outside = np.abs(positions / LENGTH - images - 0.5) > 0.6
        images = np.where(outside, np.floor(positions / LENGTH), images)
        late[frame] = positions - images * LENGTH
    assert (late < 0).any()
    assert_displacements(read(xyz(late)), x)


def hops(n_frames=400, rate=0.3, length=LENGTH, seed=2):
    """Return cations that hop by a third of the cell along each axis, and at rest otherwise, (frames, 16, 3), Å."""
    rng = np.random.default_rng(seed)
    x = walk(n_frames, step=0.05, seed=seed)
    moves = rng.poisson(rate / 2, (2, n_frames, 8, 3))
    start = np.concatenate([x[0, :8][None]] * n_frames)
    x[:, :8] = start + np.cumsum(moves[0] - moves[1], axis=0) * length / 3 + 0.05 * rng.normal(size=(n_frames, 8, 3))
    return x


def test_fast_ions_that_are_unwrapped(read):
    """Columns that say unwrapped are believed, however far the ions move."""
    x = hops()
    run = read(dump(x), 'run.lammpstrj', types=TYPES, dt_ps=5.0)
    np.testing.assert_allclose(run.positions, x)
    assert ('wrapping', 'unwrapped', 'columns xu yu zu') in run.assumptions


@pytest.mark.parametrize('write', [lambda x: (xdatcar(x), 'XDATCAR'), lambda x: (xyz(folded(x)), 'run.xyz')])
def test_hops_too_far_apart(read, write):
    """Hops of a third of the cell are refused where two of them come between two frames, with the interval needed."""
    text, name = write(hops())
    with pytest.raises(ValueError, match=r'too far apart to unwrap them: atoms of Li .*\(every \d\.\d+ ps\)'):
        read(text, name, dt_ps=5.0)


def test_interval_of_the_message_works(read):
    """Frames as often as the message says are unwrapped without a warning, to the right mean-squared displacement."""
    with pytest.raises(ValueError, match='too far apart') as refused:
        read(xdatcar(hops()), 'XDATCAR', dt_ps=5.0)
    dt_ps = float(str(refused.value).partition('(every ')[2].split()[0])
    x = hops(6000, rate=0.3 * dt_ps / 5.0)
    run = read(xdatcar(x), 'XDATCAR', dt_ps=dt_ps)
    assert not any('WARNING' in note for note in run.notes)
    squares = [np.mean((y[100:, :8] - y[:-100, :8]) ** 2) for y in (run.positions, x)]
    assert squares[0] == pytest.approx(squares[1], rel=0.05)


def test_options_decide(read):
    """`--wrapped` and `--unwrapped` beat what the file looks like."""
    x = folded(walk(200, step=0.4))
    raw = read(xyz(x), wrapped=False)
    np.testing.assert_allclose(raw.positions, x, atol=1e-7)
    assert ('wrapping', 'unwrapped', '--unwrapped') in raw.assumptions
    assert_displacements(read(dump(x), 'run.lammpstrj', types=TYPES, wrapped=True), walk(200, step=0.4))


def test_columns_that_look_wrapped(read):
    run = read(dump(folded(walk(200, step=0.4))), 'run.lammpstrj', types=TYPES)
    assert 'Give --wrapped if they are wrapped' in run.notes[0]


def test_column_of_unwrapped_positions(read):
    """GPUMD's column of unwrapped positions is used."""
    x = walk(200, step=0.4)
    comment = 'Lattice="12 0 0 0 12 0 0 0 12" Properties=species:S:1:pos:R:3:unwrapped_position:R:3'
    text = xyz(folded(x), comment, rows=lambda frame, atom: ' {} {} {}'.format(*x[frame, atom]))
    run = read(text)
    np.testing.assert_allclose(run.positions, x)
    assert ('wrapping', 'unwrapped', 'column unwrapped_position') in run.assumptions


def test_wrapped_dump_and_archive_without_cell(read, tmp_path):
    """An archive of wrapped positions takes its cell from the structure."""
    x = walk(200, step=0.4)
    (tmp_path / 'start.xyz').write_text(xyz(x[:1]))
    np.savez(tmp_path / 'run.npz', positions=folded(x), symbols=SYMBOLS, dt_ps=0.1)
    [run] = read_runs([tmp_path / 'run.npz'], ReadingOptions(structure=tmp_path / 'start.xyz'))
    assert_displacements(run, x)
    with pytest.raises(ValueError, match='give --structure FILE'):
        read_runs([tmp_path / 'run.npz'], ReadingOptions())


def test_mean_volume_of_changing_cells(read):
    """A header before some frames only: each frame has its own cell, and the volume is the mean over all frames."""
    x = walk()
    text = xdatcar(x[:30])
    larger = 'salt\n 1.0\n 13.2 0 0\n 0 13.2 0\n 0 0 13.2\n Li Cl\n 8 8\n'
    frames = xdatcar(x[30:], range(31, 61), header='').split('Direct')[1:]
    run = read(text + ''.join(f'{larger}Direct{frame}' for frame in frames), 'XDATCAR')
    assert np.linalg.det(run.cell) == pytest.approx((12**3 + 13.2**3) / 2)
    assert len(run.positions) == 60


def test_stars_for_numbers(read):
    """VASP prints stars for numbers beyond six digits: the frames count on."""
    numbers = [*range(997000, 1000000, 100), *['******'] * 30]
    run = read(xdatcar(walk(), numbers), 'XDATCAR', dt_ps=None, timestep_fs=1.0)
    assert (len(run.positions), run.steps[-1]) == (60, 1002900)


def test_position_that_is_no_number(read):
    with pytest.raises(ValueError, match=r'frame 3 of .* not a number'):
        read(xyz(np.where(np.arange(60)[:, None, None] == 3, np.nan, walk())))
