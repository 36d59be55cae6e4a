"""Unwrapped positions of a few atoms, and the files that hold them, for the tests of the readers."""

import numpy as np
from ase import Atoms

SYMBOLS = ['Li', 'O', 'Li', 'P', 'O']
CELL = np.array([[6.0, 0, 0], [1.0, 7.0, 0], [-0.5, 0.8, 8.0]])
TYPES = {'Li': 1, 'O': 2, 'P': 3}


def random_walk(n_frames=40, step=0.5, seed=1):
    """Return unwrapped positions of atoms that leave the cell, (frames, atoms, 3), Å."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 1, (1, len(SYMBOLS), 3)) @ CELL
    return start + np.cumsum(rng.normal(scale=step, size=(n_frames, len(SYMBOLS), 3)), axis=0)


def ase_frames(positions, wrap=False):
    """Return ASE frames."""
    frames = [Atoms(SYMBOLS, x, cell=CELL, pbc=True) for x in positions]
    for frame in frames if wrap else ():
        frame.wrap()
    return frames


def lammps_dump(
    positions, columns='id element xu yu zu', *, origin=(0.3, -0.2, 1.0), shuffled=False, cells=None, start=0
):
    """Return a text dump as LAMMPS writes it, of a tilted box.

    :param shuffled: write the atoms of each frame in random order.
    :param cells: one for each frame, if they differ.
    :param start: step of the first frame; the others follow every ten steps.
    """
    lines = []
    rng = np.random.default_rng(5)
    for frame, x in enumerate(positions):
        cell = CELL if cells is None else cells[frame]
        lines += ['ITEM: TIMESTEP', str(start + 10 * frame), 'ITEM: NUMBER OF ATOMS', str(len(x))]
        lines += ['ITEM: BOX BOUNDS xy xz yz pp pp pp', *_bounds(cell, origin)]
        lines += [f'ITEM: ATOMS {columns} ']
        values = _columns(x, cell, origin)
        rows = list(zip(*(values[name] for name in columns.split()), strict=True))
        for index in rng.permutation(len(x)) if shuffled else range(len(x)):
            lines.append(' '.join(word if isinstance(word, str) else repr(word) for word in rows[index]) + ' ')
    return '\n'.join(lines) + '\n'


def _bounds(cell, origin):
    """Return the three lines that state a tilted box by the bounds of the box around it."""
    (a, _, _), (xy, b, _), (xz, yz, c) = cell
    low = np.add(origin, (min(0, xy, xz, xy + xz), min(0, yz), 0))
    high = np.add(origin, (a + max(0, xy, xz, xy + xz), b + max(0, yz), c))
    return [f'{lo:.16e} {hi:.16e} {tilt:.16e}' for lo, hi, tilt in zip(low, high, (xy, xz, yz), strict=True)]


def _columns(x, cell, origin):
    """Return all columns of a frame by their names."""
    fractional = (x - origin) @ np.linalg.inv(cell)
    images = np.floor(fractional)
    columns = {
        'id': range(1, len(x) + 1),
        'element': SYMBOLS,
        'type': [TYPES[symbol] for symbol in SYMBOLS],
    }
    for names, vectors in (
        ('xu yu zu', x),
        ('x y z', x - images @ cell),
        ('xs ys zs', fractional - images),
        ('xsu ysu zsu', fractional),
        ('ix iy iz', images.astype(int)),
    ):
        columns |= dict(zip(names.split(), vectors.T.tolist(), strict=True))
    return columns
