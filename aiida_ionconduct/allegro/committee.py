"""The arithmetic of a committee of potentials: disagreement, calibration, novelty, and a diverse choice of frames."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from aiida_ionconduct.structures import radial_distribution

FINGERPRINT_R_MAX_A, FINGERPRINT_BIN_A = 5.0, 0.25


def committee_spread(forces: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the force on every atom over a committee.

    :param forces: shape (members, …, atoms, 3), eV/Å.
    :return: shape (…, atoms), eV/Å.
    """
    variance = forces.var(axis=0, ddof=1).sum(axis=-1)
    return np.asarray(np.sqrt(variance))


def calibration_factor(forces: np.ndarray, reference: np.ndarray) -> float:
    """Return the error of the mean of a committee over its spread, both as RMS over atoms.

    Members that share a training set share errors too, so they differ by less than they err: their spread times this
    factor estimates their error.

    :param forces: shape (members, atoms, 3), eV/Å, on held-out frames.
    :param reference: shape (atoms, 3), eV/Å, by DFT.
    """
    error = ((forces.mean(axis=0) - reference) ** 2).sum(axis=-1).mean()
    spread = (committee_spread(forces) ** 2).mean()
    return float(np.sqrt(error / spread)) if spread > 0 else 1.0


def fingerprint(positions: np.ndarray, symbols: list[str], cell: np.ndarray) -> np.ndarray:
    """Return what distinguishes an arrangement of atoms from others: all pair distribution functions in one vector.

    :param positions: shape (atoms, 3), Å.
    :param cell: cell vectors as rows, Å.
    """
    g = radial_distribution(positions[None], symbols, cell, FINGERPRINT_R_MAX_A, bin_width=FINGERPRINT_BIN_A)
    return np.concatenate([g[pair] for pair in sorted(g)])


def farthest_points(points: np.ndarray, known: np.ndarray, first: int, n_points: int) -> list[int]:
    """Return the indices of points far from each other and from known points.

    Every point that is chosen is the farthest from the known points and those chosen before.

    :param points: shape (n, dimensions).
    :param known: shape (m, dimensions); m may be 0.
    :param first: index of the point that is chosen first.
    :param n_points: points to choose, at most.
    """
    chosen = [first]
    distances = np.full(len(points), np.inf)
    for point in (*known, points[first]):
        distances = np.minimum(distances, np.linalg.norm(points - point, axis=1))
    while len(chosen) < min(n_points, len(points)) and distances.max() > 0:
        chosen.append(int(distances.argmax()))
        distances = np.minimum(distances, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen


def novelties(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return how far each point is from the nearest known point, in units of the distances among the known points.

    :param points: shape (n, dimensions).
    :param known: shape (m, dimensions).
    :return: shape (n,). The unit is the 0.9 quantile of the distances of the known points from their nearest
        neighbours; infinite where that is zero, or fewer than two points are known.
    """
    if len(known) < 2:
        return np.full(len(points), np.inf)
    among = cdist(known, known)
    np.fill_diagonal(among, np.inf)
    usual = np.quantile(among.min(axis=1), 0.9)
    nearest = cdist(points, known).min(axis=1)
    return np.asarray(nearest / usual) if usual > 0 else np.full(len(points), np.inf)
