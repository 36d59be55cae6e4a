"""The shortest distance of each pair of species, in arrays of frames and in ASE frames."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from ase import Atoms

MIN_CONTACT = 1.5  # Å; no two ions are nearer


def minimum_distances(
    positions: np.ndarray, symbols: Sequence[str], cell: np.ndarray, n_samples: int = 50
) -> dict[str, float]:
    """Return the shortest distance of each pair of species in a sample of frames with the same cell.

    Only distinct atoms count, so a species with a single atom has no distance to itself.

    :param positions: (frames, atoms, 3), wrapped or not, Å.
    :param symbols: chemical symbols, one per atom.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param n_samples: at most this many frames, evenly spread.
    :return: distances in Å by pair, such as ``{'Li-O': 1.71, …}``, the symbols of a pair in alphabetical order.
    """
    cell = np.asarray(cell, dtype=float)
    inverse = np.linalg.inv(cell)
    first, second = np.triu_indices(len(symbols), k=1)
    names = np.array(
        ['-'.join(sorted((symbols[i], symbols[j]))) for i, j in zip(first.tolist(), second.tolist(), strict=True)]
    )
    pairs, index = np.unique(names, return_inverse=True)
    # Wrapped fractional differences give the nearest image of every contact shorter than half the plane spacing;
    # the 27 images around extend this to 1.5 spacings, for cells as small as a few Å.
    spacing = 1 / np.linalg.norm(inverse, axis=0)
    shifts = np.array(list(itertools.product((0, -1, 1), repeat=3)) if spacing.min() < 10 else [(0, 0, 0)]) @ cell
    smallest = np.full(len(pairs), np.inf)
    frames = np.unique(np.linspace(0, len(positions) - 1, min(n_samples, len(positions))).astype(int))
    for frame in frames:
        fractional = np.asarray(positions[frame], dtype=float) @ inverse
        difference = fractional[second] - fractional[first]
        vectors = (difference - np.round(difference)) @ cell
        squared = np.min([((vectors + shift) ** 2).sum(axis=1) for shift in shifts], axis=0)
        np.minimum.at(smallest, index, squared)
    return {str(name): float(np.sqrt(value)) for name, value in zip(pairs, smallest, strict=True)}


def minimum_distances_of(frames: Iterable[Atoms]) -> dict[str, float]:
    """Return the shortest distance of each pair of species in ASE frames, which may differ in cell and composition.

    :return: as :func:`minimum_distances`.
    """
    shortest: dict[str, float] = {}
    for frame in frames:
        distances = minimum_distances(frame.positions[None], list(frame.symbols), frame.cell.array)
        for pair, distance in distances.items():
            shortest[pair] = min(shortest.get(pair, distance), distance)
    return shortest


def shortest_contact(atoms: Atoms) -> float:
    """Return the shortest distance between two different atoms in Å."""
    return min(minimum_distances_of([atoms]).values())


def too_close(symbol: str, other: str) -> float:
    """Return the distance in Å below which two sites cannot hold ions of these symbols at once."""
    return MIN_CONTACT
