"""Supercells, chosen so that no atom meets its own image sooner than it must."""

from __future__ import annotations

import itertools

import numpy as np
from ase.geometry import minkowski_reduce


def supercell_repeats(cell: np.ndarray, n_atoms: int, n_atoms_min: int) -> tuple[int, int, int]:
    """Return how often to repeat a cell along its vectors to reach a number of atoms.

    Of the smallest supercells with enough atoms, the one with the longest shortest lattice vector is taken: the
    distance from an atom to its nearest periodic image.

    :param cell: (3, 3), vectors as rows, Å.
    :param n_atoms: atoms in that cell.
    :param n_atoms_min: atoms wanted, at least.
    """
    n_cells = -(-n_atoms_min // n_atoms)
    candidates = [
        repeats for repeats in itertools.product(range(1, n_cells + 1), repeat=3) if np.prod(repeats) == n_cells
    ]

    def image_distance(repeats):
        reduced, _ = minkowski_reduce(np.asarray(cell) * np.array(repeats)[:, None])
        return round(float(np.linalg.norm(reduced, axis=1).min()), 6)

    return max(candidates, key=lambda repeats: (image_distance(repeats), repeats))
