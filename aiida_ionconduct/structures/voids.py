"""Voids of a crystal: places where an interstitial ion finds room."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase import Atoms
from ase.geometry import get_distances
from scipy.optimize import minimize

from aiida_ionconduct.structures.checks import OXIDATION_STATES
from aiida_ionconduct.structures.symmetry import Operations

GRID_SPACING = 0.4  # Å; fine enough to find every void, the relaxation does the rest
MIN_DISTANCE = {True: 1.6, False: 1.7}  # Å from ions of the same sign (True), and of the opposite sign (False)
SEPARATION = 0.8  # Å; voids nearer to each other are the same void


def _room(points: np.ndarray, atoms: Atoms, symbol: str, oxidation: Mapping[str, float]) -> np.ndarray:
    """Return the least ratio of an ion's distance from an atom to the shortest distance allowed, at each point.

    :param points: (n, 3), Å.
    :return: (n,); an ion finds room where it is at least 1.
    """
    _, distances = get_distances(points, atoms.positions, cell=atoms.cell, pbc=True)
    sign = np.sign(oxidation[symbol])
    limits = np.array([MIN_DISTANCE[np.sign(oxidation[other]) == sign] for other in atoms.symbols])
    return np.asarray((distances / limits).min(axis=1))


def void_positions(
    atoms: Atoms, symbol: str, n_best: int = 12, oxidation: Mapping[str, float] = OXIDATION_STATES
) -> np.ndarray:
    """Return grid points where an ion finds room, the roomiest first and no two within 1 Å.

    :param symbol: chemical symbol of the ion.
    :param n_best: at most so many are returned.
    :param oxidation: oxidation states by chemical symbol.
    :return: (n, 3), Å.
    :raises ValueError: if the crystal has no void.
    """
    counts = np.maximum(np.round(atoms.cell.lengths() / GRID_SPACING).astype(int), 1)
    fractional = np.stack(np.meshgrid(*(np.arange(count) / count for count in counts), indexing='ij'), axis=-1)
    points = fractional.reshape(-1, 3) @ atoms.cell.array
    room = _room(points, atoms, symbol, oxidation)
    chosen: list[int] = []
    for index in np.argsort(-room, kind='stable'):
        if room[index] < 1 or len(chosen) == n_best:
            break
        if chosen and get_distances(points[[index]], points[chosen], cell=atoms.cell, pbc=True)[1].min() < 1:
            continue
        chosen.append(int(index))
    if not chosen:
        raise ValueError(
            f'{atoms.symbols} has no void for another {symbol}: strain the cell, such as with --strain 0.02.'
        )
    return np.asarray(points[chosen])


def void_orbits(atoms: Atoms, symbol: str, operations: Operations, oxidation: Mapping[str, float]) -> np.ndarray:
    """Return the centres of all voids for an ion, closed under the symmetry of the crystal.

    :param symbol: chemical symbol of the ion.
    :param operations: symmetry operations of the crystal.
    :param oxidation: oxidation states by chemical symbol.
    :return: (n, 3), Å.
    :raises ValueError: if the crystal has no void.
    """
    cell, inverse = atoms.cell.array, np.linalg.inv(atoms.cell.array)
    centres = []
    for point in void_positions(atoms, symbol, len(atoms), oxidation):
        best = minimize(lambda x: -_room(x[None], atoms, symbol, oxidation)[0], point, method='Nelder-Mead')
        centres.append((-best.fun, *best.x))
    voids = np.empty((0, 3))
    for _, *point in sorted(centres, reverse=True):
        images = (operations.rotations @ (np.array(point) @ inverse) + operations.translations) % 1 @ cell
        orbit = _merge(images, cell)
        if len(voids) and get_distances(orbit[:1], voids, cell=cell, pbc=True)[1].min() < SEPARATION:
            continue
        if _room(orbit[:1], atoms, symbol, oxidation)[0] >= 1:
            voids = np.vstack([voids, orbit])
    return voids


def _merge(points: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Replace points nearer to each other than :data:`SEPARATION` by their centre.

    A point near a special position has images that close to each other.
    """
    left, merged = list(range(len(points))), []
    while left:
        vectors, distances = get_distances(points[left[:1]], points[left], cell=cell, pbc=True)
        near = distances[0] < SEPARATION
        merged.append(points[left[0]] + vectors[0, near].mean(axis=0))
        left = [index for index, close in zip(left, near, strict=True) if not close]
    return np.array(merged)
