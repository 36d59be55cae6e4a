"""Voids: each has room, and no two are the same."""

import numpy as np
import pytest
from ase.build import bulk
from ase.geometry import get_distances

from aiida_ionconduct.structures import crystal
from aiida_ionconduct.structures.voids import MIN_DISTANCE, void_positions


def test_voids():
    """Each void has room, and no two are the same void."""
    atoms = crystal('beta-Li3PO4')
    voids = void_positions(atoms, 'Li')
    distances = get_distances(voids, atoms.positions, cell=atoms.cell, pbc=True)[1]
    limits = np.array([MIN_DISTANCE[symbol in ('Li', 'P')] for symbol in atoms.symbols])
    assert (distances >= limits).all()
    among = get_distances(voids, cell=atoms.cell, pbc=True)[1]
    assert among[np.triu_indices(len(voids), k=1)].min() >= 1


def test_no_room():
    """In a compressed crystal there is no void."""
    parent = bulk('NaCl', 'rocksalt', a=4.0)
    with pytest.raises(ValueError, match='has no void for another Na: strain the cell'):
        void_positions(parent, 'Na')
