"""Supercells in which every atom is as far from its own images as possible."""

from __future__ import annotations

import itertools

import numpy as np
from ase.geometry import minkowski_reduce


def supercell_repeats(cell: np.ndarray, n_atoms: int, n_atoms_min: int) -> tuple[int, int, int]:
    """Return how often to repeat a cell along its vectors to reach a number of atoms.

    Of the smallest supercells with enough atoms, the supercell is taken in which the shortest lattice vector, the
    distance from an atom to its nearest periodic image, is longest.

    :param cell: (3, 3), vectors as rows, Å.
    :param n_atoms: atoms in that cell.
    :param n_atoms_min: atoms wanted, at least.
    """
    n_cells = -(-n_atoms_min // n_atoms)
    candidates = [(a, b, c) for a, b, c in itertools.product(range(1, n_cells + 1), repeat=3) if a * b * c == n_cells]

    def image_distance(repeats: tuple[int, int, int]) -> float:
        reduced, _ = minkowski_reduce(np.asarray(cell) * np.array(repeats)[:, None])
        return round(float(np.linalg.norm(reduced, axis=1).min()), 6)

    return max(candidates, key=lambda repeats: (image_distance(repeats), repeats))
