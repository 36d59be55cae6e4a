"""The shortest distances of pairs of species, against ASE's minimum image."""

import numpy as np
import pytest
from ase import Atoms
from ase.geometry import get_distances

from aiida_ionconduct.structures import minimum_distances, minimum_distances_of, shortest_contact

SYMBOLS = ['Li', 'O', 'P', 'O', 'Li', 'O']


def skewed_crystal(seed=0):
    """Return a skewed cell in a general orientation, with atoms inside and outside it."""
    generator = np.random.default_rng(seed)
    cell = np.diag([5.0, 6.0, 7.0]) + generator.uniform(-1, 1, (3, 3))
    atoms = Atoms(SYMBOLS, scaled_positions=generator.uniform(-0.3, 1.3, (6, 3)), cell=cell, pbc=True)
    atoms.rotate(70, (1, -2, 0.5), rotate_cell=True)
    return atoms


def distances_by_ase(atoms):
    """Return the shortest distance of each pair of species by ASE's minimum image, Å."""
    distances = get_distances(atoms.positions, cell=atoms.cell, pbc=True)[1]
    shortest = {}
    for i in range(len(atoms)):
        for j in range(i):
            pair = '-'.join(sorted((atoms.symbols[i], atoms.symbols[j])))
            shortest[pair] = min(shortest.get(pair, np.inf), distances[i, j])
    return shortest


def shortest_of(tables):
    """Return the shortest distance of each pair over several tables of distances."""
    pairs = set().union(*tables)
    return {pair: min(table[pair] for table in tables if pair in table) for pair in pairs}


@pytest.mark.parametrize('scale', [0.6, 1.0, 3.0])
def test_minimum_distances(scale):
    """The distances are ASE's, in cells narrower and wider than the shortcut for large cells needs."""
    frames = [skewed_crystal(seed) for seed in range(4)]
    cell = frames[0].cell * scale
    positions = np.array([frame.get_scaled_positions(wrap=False) @ cell for frame in frames])
    expected = shortest_of([distances_by_ase(Atoms(SYMBOLS, x, cell=cell, pbc=True)) for x in positions])
    distances = minimum_distances(positions, SYMBOLS, cell)
    assert distances.keys() == expected.keys() == {'Li-Li', 'Li-O', 'Li-P', 'O-O', 'O-P'}
    for pair, distance in expected.items():
        assert distances[pair] == pytest.approx(distance, rel=1e-10)


def test_minimum_distances_sample():
    """Only some frames of a long run are looked at, the first and the last among them."""
    positions = np.zeros((101, 2, 3))
    positions[:, 1, 0] = 2.0
    positions[100, 1, 0] = 1.5
    positions[1, 1, 0] = 1.0
    distances = minimum_distances(positions, ['Li', 'O'], np.eye(3) * 20, n_samples=11)
    assert distances == {'Li-O': pytest.approx(1.5)}


def test_frames_of_different_cells_and_compositions():
    """Every ASE frame is measured in its own cell, and a pair is known if any frame has it."""
    frames = [skewed_crystal(0), skewed_crystal(1), Atoms('LiS', [[0, 0, 0], [0, 0, 2.2]], cell=[9, 9, 9], pbc=True)]
    expected = shortest_of([distances_by_ase(frame) for frame in frames])
    assert minimum_distances_of(frames) == pytest.approx(expected, rel=1e-10)
    assert minimum_distances_of([]) == {}


def test_shortest_contact():
    """The shortest contact is the shortest of all pairs of species."""
    atoms = skewed_crystal(3)
    assert shortest_contact(atoms) == pytest.approx(min(distances_by_ase(atoms).values()), rel=1e-10)
