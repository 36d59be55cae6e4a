"""Supercells against a brute-force search over all repetitions and lattice vectors."""

import itertools

import numpy as np
import pytest
from ase.build import bulk

from aiida_ionconduct.structures import crystal, supercell_repeats


def nearest_image(cell):
    """Return the length of the shortest lattice vector in Å, by trying many."""
    steps = np.array([step for step in itertools.product(range(-4, 5), repeat=3) if any(step)])
    return np.linalg.norm(steps @ cell, axis=1).min()


CELLS = {
    'orthorhombic': crystal('beta-Li3PO4').cell.array,
    'primitive fcc': bulk('Li', 'fcc', a=4.4).cell.array,
    'plate': np.diag([3.0, 4.0, 20.0]),
    'oblique': np.array([[5.0, 0, 0], [4.0, 3.0, 0], [0.5, -2.0, 6.0]]),
}


@pytest.mark.parametrize('cell', CELLS.values(), ids=CELLS)
@pytest.mark.parametrize(('n_atoms', 'n_atoms_min'), [(16, 64), (17, 64), (16, 128), (2, 13), (16, 10), (16, 16)])
def test_best_of_all(cell, n_atoms, n_atoms_min):
    """The supercell has enough atoms, no more cells than needed, and no cell of its size has more distant images."""
    repeats = supercell_repeats(cell, n_atoms, n_atoms_min)
    n_cells = int(np.prod(repeats))
    assert n_cells * n_atoms >= n_atoms_min
    assert (n_cells - 1) * n_atoms < n_atoms_min or n_cells == 1
    distance = nearest_image(cell * np.array(repeats)[:, None])
    others = [r for r in itertools.product(range(1, n_cells + 1), repeat=3) if np.prod(r) == n_cells]
    assert distance == pytest.approx(max(nearest_image(cell * np.array(other)[:, None]) for other in others), abs=1e-5)


def test_lithium_phosphate():
    """For 64 atoms the 6.1 × 5.2 × 4.9 Å cell is doubled along its two short vectors."""
    assert supercell_repeats(CELLS['orthorhombic'], 16, 64) == (1, 2, 2)
