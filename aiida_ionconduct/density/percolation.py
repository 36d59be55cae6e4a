"""The axes along which the ions' density is connected through the periodic cell, and its bottlenecks there."""

from __future__ import annotations

import math
from typing import TypedDict

import numpy as np
from scipy import ndimage

from aiida_ionconduct.transport.constants import BOLTZMANN_EV_PER_K

AXES = 'abc'


class AxisPercolation(TypedDict):
    """Whether the density percolates along a cell vector; if not, the other two are None.

    ``bottleneck`` is in the unit of the density.
    """

    percolates: bool
    bottleneck: float | None
    barrier_eV: float | None


def percolation(density: np.ndarray, temperature_K: float) -> dict[str, AxisPercolation]:
    """Return, for each cell vector, the highest density at which a path along it closes on itself, and the barrier.

    A path goes through neighbouring grid cells of at least that density. The ratio of its lowest density to the highest
    density of all gives a barrier of the free energy, -kB T ln(rho/rho_max); a coarse grid lowers it. Where no path
    closes, the ions were not seen to pass within these runs.

    :param density: (nx, ny, nz), any unit.
    :return: JSON-able, by ``a``, ``b``, ``c``.
    """
    levels = np.unique(density[density > 0])
    result: dict[str, AxisPercolation] = {}
    for axis, name in enumerate(AXES):
        low, high = -1, len(levels) - 1  # at `low` it percolates, above `high` it does not
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if axis in windings(density >= levels[middle]) else (low, middle - 1)
        if low < 0:
            result[name] = {'percolates': False, 'bottleneck': None, 'barrier_eV': None}
            continue
        bottleneck = float(levels[low])
        barrier = BOLTZMANN_EV_PER_K * temperature_K * math.log(float(levels[-1]) / bottleneck)
        result[name] = {'percolates': True, 'bottleneck': bottleneck, 'barrier_eV': barrier}
    return result


def windings(occupied: np.ndarray) -> set[int]:
    """Return the axes along which a path through occupied cells of a periodic grid ends an image away from its start.

    Regions inside the cell are joined across its faces. Each region remembers how many cell vectors lie between it and
    the root of the regions it is joined with; if a region is reached again with another number, the path winds around
    the cell.

    :param occupied: (nx, ny, nz) of booleans.
    :return: indices of the axes, 0 to 2.
    """
    labels, n_labels = ndimage.label(occupied)
    parent, shift = np.arange(n_labels + 1), np.zeros((n_labels + 1, 3), dtype=int)

    def root(label: int) -> tuple[int, np.ndarray]:
        """Return the root of a region, and the cell vectors between them."""
        total = np.zeros(3, dtype=int)
        while parent[label] != label:
            total = total + shift[label]
            label = parent[label]
        return label, total

    winding: set[int] = set()
    for axis in range(3):
        last, first = labels.take(-1, axis=axis), labels.take(0, axis=axis)
        both = (last > 0) & (first > 0)
        for here, there in {*zip(last[both].tolist(), first[both].tolist(), strict=True)}:
            step = np.eye(3, dtype=int)[axis]
            (root_here, at_here), (root_there, at_there) = root(here), root(there)
            # A step over the face leads from `here` to the image of `there` in the next cell.
            mismatch = at_here + step - at_there
            if root_here == root_there:
                winding |= set(np.flatnonzero(mismatch).tolist())
            else:
                parent[root_there], shift[root_there] = root_here, mismatch
    return winding
