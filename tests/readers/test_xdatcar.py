"""XDATCAR of VASP, against the arrays that were written and ASE's reader."""

import ase.io
import numpy as np
import pytest

from aiida_ionconduct.readers import read_trajectory
from trajectory_files import CELL, SYMBOLS, random_walk

ORDER = np.argsort(SYMBOLS, kind='stable')  # XDATCAR groups atoms by species


def cells_of(n_frames, varying):
    """Return the cell of each frame, constant or growing, (frames, 3, 3), Å."""
    return CELL * (np.linspace(1, 1.02, n_frames) if varying else np.ones(n_frames))[:, None, None]


def xdatcar(positions, cells, varying):
    """Return an XDATCAR as VASP writes it: with a header before every frame if the cell varies."""
    lines = []
    for frame, (x, cell) in enumerate(zip(positions, cells, strict=True)):
        if varying or not frame:
            lines += ['Li2 O2 P', '  1.0', *(' '.join(f'{v:.12f}' for v in row) for row in cell), ' Li O P', ' 2 2 1']
        lines += [f'Direct configuration= {frame + 1:6d}']
        lines += [' '.join(f'{v:.12f}' for v in row) for row in (x @ np.linalg.inv(cell)) % 1.0]
    return '\n'.join(lines) + '\n'


@pytest.fixture(params=[False, True], ids=['constant', 'varying'])
def path_and_cells(request, tmp_path):
    """Return the path of an XDATCAR, and the cells of its frames."""
    x = random_walk()
    cells = cells_of(len(x), request.param)
    path = tmp_path / 'XDATCAR_900K'
    path.write_text(xdatcar(x[:, ORDER], cells, request.param))
    return path, cells


def test_header(path_and_cells):
    """Symbols, mean cell and steps are those that were written."""
    path, cells = path_and_cells
    run = read_trajectory(path)
    assert run.symbols == ['Li', 'Li', 'O', 'O', 'P']
    np.testing.assert_allclose(run.cell, cells.mean(axis=0), atol=1e-10)
    assert run.steps.tolist() == list(range(1, len(cells) + 1))


def test_positions_modulo_the_cell(path_and_cells):
    """Fractional positions are those of ASE's reader but for whole cells."""
    path, cells = path_and_cells
    run, frames = read_trajectory(path), ase.io.read(path, ':', format='vasp-xdatcar')
    ours = np.array([x @ np.linalg.inv(cell) for x, cell in zip(run.positions, cells, strict=True)])
    theirs = np.array([frame.get_scaled_positions() for frame in frames])
    assert np.abs((ours - theirs) - np.rint(ours - theirs)).max() < 1e-9


def test_unwrapped(tmp_path):
    """Every atom takes the shortest way from frame to frame: the displacements are those of the walk."""
    x, path = random_walk(), tmp_path / 'XDATCAR'
    path.write_text(xdatcar(x[:, ORDER], cells_of(len(x), False), False))
    run = read_trajectory(path)
    np.testing.assert_allclose(run.positions - run.positions[0], (x - x[0])[:, ORDER], atol=1e-9)
