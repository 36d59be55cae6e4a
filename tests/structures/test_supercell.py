"""Supercells against brute-force searches over repetitions, lattices and lattice vectors."""

import itertools

import numpy as np
import pytest
from ase.build import bulk
from ase.neighborlist import neighbor_list

from aiida_ionconduct.structures import build_supercell, crystal, enough_atoms, supercell_matrix
from aiida_ionconduct.structures.supercell import image_distance


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


COMPACT = {  # cell in Å, its atoms
    'beta-Li3PO4': (crystal('beta-Li3PO4').cell.array, 16),
    'gamma-Li3PO4': (crystal('gamma-Li3PO4').cell.array, 32),
    'primitive Li2S': (bulk('Li', 'fcc', a=5.71).cell.array, 3),
    'Li2S': (5.71 * np.eye(3), 12),
    'Li3OCl': (3.91 * np.eye(3), 5),
    'primitive Li6PS5Cl': (bulk('Li', 'fcc', a=9.86).cell.array, 13),
    'Li6PS5Cl': (9.86 * np.eye(3), 52),
}


@pytest.mark.parametrize('cell', CELLS.values(), ids=CELLS)
@pytest.mark.parametrize(('n_atoms', 'n_atoms_min'), [(16, 64), (17, 64), (16, 128), (2, 13), (16, 10), (16, 16)])
def test_against_every_repetition(cell, n_atoms, n_atoms_min):
    """There are enough atoms, and images are as far apart as in the best repetition of the smallest size, or farther.

    The number of cells used to be the smallest possible, which made needles of prime numbers. It may now be up to twice
    that number.
    """
    matrix = supercell_matrix(cell, n_atoms, n_atoms_min)
    n_cells = round(np.linalg.det(matrix))
    n_least = -(-n_atoms_min // n_atoms)
    assert n_least <= n_cells <= 2 * n_least
    distance = nearest_image(matrix @ cell)
    assert distance == pytest.approx(image_distance(matrix @ cell), abs=1e-5)
    repetitions = [r for r in itertools.product(range(1, n_least + 1), repeat=3) if np.prod(r) == n_least]
    best = max(nearest_image(cell * np.array(repetition)[:, None]) for repetition in repetitions)
    ratios = np.array([distance / n_cells ** (1 / 3), best / n_least ** (1 / 3)])
    assert distance > best - 1e-5 or ratios[0] > ratios[1]


@pytest.mark.parametrize('n_cells', [2, 3, 4, 6, 8])
def test_against_every_lattice(n_cells):
    """In a plate, no lattice of the chosen number of cells has images farther apart, by trying all small matrices."""
    cell = np.diag([2.5, 3.0, 30.0])
    matrix = supercell_matrix(cell, 1, n_cells, max_growth=1)
    rows = np.array(list(itertools.product(range(-3, 4), range(-3, 4))))
    planes = np.stack(np.broadcast_arrays(rows[:, None], rows), axis=2).reshape(-1, 2, 2)
    planes = planes[np.rint(np.linalg.det(planes)) == n_cells] @ cell[:2, :2]
    steps = np.array([step for step in itertools.product(range(-3, 4), repeat=2) if any(step)])
    best = max(np.linalg.norm(steps @ plane, axis=1).min() for plane in planes)
    assert image_distance(matrix @ cell) == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize('n_atoms_min', [64, 128, 200])
@pytest.mark.parametrize(('cell', 'n_atoms'), COMPACT.values(), ids=COMPACT)
def test_no_needles(cell, n_atoms, n_atoms_min):
    """Supercells of real crystals are nearly as thick as a cube of their volume, with few atoms more than asked for."""
    matrix = supercell_matrix(cell, n_atoms, n_atoms_min)
    side = abs(np.linalg.det(matrix @ cell)) ** (1 / 3)
    assert nearest_image(matrix @ cell) > 0.7 * side
    assert n_atoms * np.linalg.det(matrix) < n_atoms_min * 1.15 + n_atoms


def test_compact_cells_stay_as_they_were():
    """For 64 atoms the 6.1 × 5.2 × 4.9 Å cell of 16 or 17 atoms is doubled along its two short vectors."""
    for n_atoms in (16, 17):
        matrix = supercell_matrix(CELLS['orthorhombic'], n_atoms, 64)
        np.testing.assert_array_equal(matrix, np.diag([1, 2, 2]))
    np.testing.assert_array_equal(supercell_matrix(COMPACT['gamma-Li3PO4'][0], 32, 128), np.diag([2, 1, 2]))


def test_atoms_of_a_general_supercell():
    """A supercell with other vectors has the atoms, and every atom the neighbours, of the crystal."""
    atoms = crystal('beta-Li3PO4')
    matrix = supercell_matrix(atoms.cell.array, 16, 200)
    assert np.count_nonzero(matrix) > 3
    big = build_supercell(atoms, matrix)
    assert len(big) == 16 * round(np.linalg.det(matrix)) == 208
    assert big.get_volume() == pytest.approx(13 * atoms.get_volume())
    distances, expected = (np.sort(neighbor_list('d', cell, 4.0)) for cell in (big, atoms))
    np.testing.assert_allclose(distances, np.repeat(expected, 13), atol=1e-8)


def test_enough_atoms():
    """The number of atoms grows until images are far enough apart, at most to twice the number asked for."""
    cell = COMPACT['beta-Li3PO4'][0]
    assert enough_atoms(cell, 16, 128, 9.0) == 128
    n_atoms = enough_atoms(cell, 16, 128, 10.0)
    assert 128 < n_atoms <= 256
    assert nearest_image(supercell_matrix(cell, 16, n_atoms) @ cell) >= 10
    with pytest.raises(ValueError, match=r'64 atoms an atom is 6\.1 Å from .* at least 10 Å .* set n_atoms_min to 144'):
        enough_atoms(cell, 16, 64, 10.0)
    assert enough_atoms(cell, 16, 144, 10.0) == 144
