"""Along which axes the ions' density is connected through the periodic cell, and how thin it is at the thinnest
place."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from aiida_ionconduct.transport.constants import BOLTZMANN_EV_PER_K

AXES = 'abc'


def percolation(density: np.ndarray, temperature_K: float) -> dict:
    """Return, for each cell vector, the highest density at which a path along it closes on itself, and its barrier.

    A path goes through neighbouring grid cells of at least that density. Its thinnest place against the densest one
    is a barrier of the free energy, -kB T ln(rho/rho_max), on this grid: a coarse one lowers it. Where no path closes,
    the ions were not seen to pass within these runs.

    :param density: (nx, ny, nz), any unit.
    :return: JSON-able, by ``a``, ``b``, ``c``: ``percolates``, ``bottleneck`` (in the density's unit) and
        ``barrier_eV``, both None where it does not.
    """
    levels, result = np.unique(density[density > 0]), {}
    for axis, name in enumerate(AXES):
        low, high = -1, len(levels) - 1  # at `low` it percolates, above `high` it does not
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if axis in windings(density >= levels[middle]) else (low, middle - 1)
        found = float(levels[low]) if low >= 0 else None
        barrier = None if found is None else BOLTZMANN_EV_PER_K * temperature_K * math.log(float(levels[-1]) / found)
        result[name] = {'percolates': found is not None, 'bottleneck': found, 'barrier_eV': barrier}
    return result


def windings(occupied: np.ndarray) -> set[int]:
    """Return the axes along which a path through occupied cells of a periodic grid ends an image away from its start.

    Regions inside the cell are joined across its faces, each with the number of cell vectors between it and the
    first of its kind; a region that is met again at another number winds around the cell.

    :param occupied: (nx, ny, nz) of booleans.
    """
    labels, n_labels = ndimage.label(occupied)
    parent, shift = np.arange(n_labels + 1), np.zeros((n_labels + 1, 3), dtype=int)

    def root(label: int) -> tuple[int, np.ndarray]:
        total = np.zeros(3, dtype=int)
        while parent[label] != label:
            total = total + shift[label]
            label = parent[label]
        return label, total

    found: set[int] = set()
    for axis in range(3):
        last, first = labels.take(-1, axis=axis), labels.take(0, axis=axis)
        both = (last > 0) & (first > 0)
        for here, there in {*zip(last[both].tolist(), first[both].tolist(), strict=True)}:
            step = np.eye(3, dtype=int)[axis]
            (one, at_one), (other, at_other) = root(here), root(there)
            # A step over the face leads from `here` to the image of `there` one cell vector on.
            mismatch = at_one + step - at_other
            if one == other:
                found |= set(np.flatnonzero(mismatch).tolist())
            else:
                parent[other], shift[other] = one, mismatch
    return found
