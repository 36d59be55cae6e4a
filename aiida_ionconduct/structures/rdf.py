"""Radial distribution functions, in cells of any size."""

from __future__ import annotations

import itertools

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list


def radial_distribution(
    positions: np.ndarray,
    symbols: list[str],
    cell: np.ndarray,
    r_max: float,
    *,
    bin_width: float = 0.1,
    n_samples: int = 50,
) -> dict[str, np.ndarray]:
    """Return g(r) of each pair of species, averaged over a sample of frames.

    All periodic images within the cutoff count, so the cell may be smaller than the cutoff: but for finite-size
    effects, g of a small cell equals g of a large cell of the same material.

    :param positions: (frames, atoms, 3), wrapped or not, Å.
    :param symbols: chemical symbols, one per atom.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param r_max: largest distance, Å.
    :param bin_width: Å.
    :param n_samples: at most this many frames, evenly spread.
    :return: by pair, such as ``{'Li-O': (bins,)}``, the symbols of a pair in alphabetical order.
    """
    edges = np.arange(round(r_max / bin_width) + 1) * bin_width
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    names = np.array(symbols)
    masks = {symbol: names == symbol for symbol in sorted(set(symbols))}
    pairs = list(itertools.combinations_with_replacement(masks, 2))
    counts = {pair: np.zeros(len(shells)) for pair in pairs}
    frames = np.unique(np.linspace(0, len(positions) - 1, min(n_samples, len(positions))).astype(int))
    for frame in frames:
        atoms = Atoms(symbols, positions=positions[frame], cell=cell, pbc=True)
        first, second, distances = neighbor_list('ijd', atoms, float(edges[-1]))
        for a, b in pairs:
            counts[a, b] += np.histogram(distances[masks[a][first] & masks[b][second]], edges)[0]
    volume = abs(np.linalg.det(cell))
    return {
        f'{a}-{b}': count * volume / (len(frames) * masks[a].sum() * masks[b].sum() * shells)
        for (a, b), count in counts.items()
    }
