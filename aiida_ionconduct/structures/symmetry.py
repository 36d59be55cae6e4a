"""Symmetry operations of a crystal, and which distributions of ions they make equal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

SYMPREC = 0.01  # Å
SITE_TOLERANCE = 0.2  # Å; voids are found from the geometry, not refined


class Operations(NamedTuple):
    """Symmetry operations on fractional coordinates: rotations (n, 3, 3) and translations (n, 3)."""

    rotations: np.ndarray
    translations: np.ndarray


def symmetry_operations(cell: np.ndarray, positions: np.ndarray, labels: Sequence[int]) -> Operations:
    """Return the symmetry operations of a crystal, by spglib.

    :param cell: (3, 3), cell vectors as rows, Å.
    :param positions: (sites, 3), Å.
    :param labels: a number for each site; sites with the same number are of the same kind.
    :raises ValueError: if spglib finds no symmetry.
    """
    import spglib

    symmetry = spglib.get_symmetry((cell, positions @ np.linalg.inv(cell), labels), symprec=SYMPREC)  # type: ignore[arg-type]  # arrays are sequences to spglib
    if symmetry is None:
        raise ValueError('spglib finds no symmetry operations of the crystal.')
    return Operations(symmetry['rotations'], symmetry['translations'])


def site_permutations(cell: np.ndarray, positions: np.ndarray, operations: Operations) -> np.ndarray:
    """Return the site that each operation brings to the place of each site, (operations, sites).

    An operation that does not map the sites onto themselves is left out.
    """
    inverse = np.linalg.inv(cell)
    fractional = positions @ inverse % 1 % 1
    tree = cKDTree(fractional, boxsize=1)
    rows = []
    for rotation, translation in zip(operations.rotations, operations.translations, strict=True):
        images = (fractional @ rotation.T + translation) % 1 % 1
        _, nearest = tree.query(images)
        difference = images - fractional[nearest]
        off = np.linalg.norm((difference - np.round(difference)) @ cell, axis=1)
        if off.max() < SITE_TOLERANCE and len(np.unique(nearest)) == len(nearest):
            rows.append(np.argsort(nearest))
    return np.array(rows)


def distinct(
    distributions: Iterable[tuple[float, np.ndarray]], permutations: np.ndarray, n_best: int
) -> list[tuple[float, np.ndarray]]:
    """Return the first distributions that no symmetry operation makes equal to a distribution before.

    :param distributions: energies in eV and occupations (sites,), the best first.
    :param permutations: of :func:`site_permutations`.
    :param n_best: at most so many are returned.
    """
    weights = np.random.default_rng(0).integers(1, 2**62, size=permutations.shape[1])  # of a hash that wraps around
    seen: set[int] = set()
    chosen: list[tuple[float, np.ndarray]] = []
    for energy, occupation in distributions:
        if len(chosen) == n_best:
            break
        if int(occupation @ weights) not in seen:
            seen.update((occupation[permutations] @ weights).tolist())
            chosen.append((energy, occupation))
    return chosen
