"""The probability density of ions on a grid over the cell."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.io.cube import write_cube as write_ase_cube
from ase.units import Bohr

CHUNK_FRAMES = 4096


def density(seeds: Sequence[np.ndarray], cell: np.ndarray, spacing_A: float = 0.3) -> np.ndarray:
    """Return the number density of ions on a grid over the cell, averaged over frames and seeds.

    Its integral over the cell is the number of ions.

    :param seeds: positions in Å, (frames, ions, 3), wrapped or not, one array per seed.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param spacing_A: largest distance between grid planes along a cell vector.
    :return: (nx, ny, nz), 1/Å³; the element (i, j, k) is the average over the parallelepiped that begins at
        i/nx a + j/ny b + k/nz c.
    :raises ValueError: for a spacing that is not positive, or positions that are not finite.
    """
    if not spacing_A > 0:
        raise ValueError(f'`spacing_A` is {spacing_A}: give a positive distance in Å.')
    cell = np.asarray(cell, dtype=float)
    shape = _grid_shape(cell, spacing_A)
    inverse, counts, n_frames = np.linalg.inv(cell), np.zeros(math.prod(shape)), 0
    for positions in seeds:
        n_frames += len(positions)
        for start in range(0, len(positions), CHUNK_FRAMES):
            scaled = positions[start : start + CHUNK_FRAMES].reshape(-1, 3).astype(float) @ inverse
            if not np.isfinite(scaled).all():
                raise ValueError('the positions hold a value that is not finite: remove or repair that frame.')
            # An atom a rounding error below zero lies in the last cell, not beyond it.
            index = np.minimum(((scaled % 1.0) * shape).astype(int), np.array(shape) - 1)
            counts += np.bincount(np.ravel_multi_index(index.T, shape), minlength=len(counts))
    voxel = abs(np.linalg.det(cell)) / len(counts)
    return np.asarray(counts.reshape(shape) / (n_frames * voxel))


def _grid_shape(cell: np.ndarray, spacing_A: float) -> tuple[int, int, int]:
    """Return the number of grid planes along each cell vector."""
    nx, ny, nz = (max(math.ceil(length / spacing_A - 1e-9), 1) for length in np.linalg.norm(cell, axis=1))
    return nx, ny, nz


def participation(values: np.ndarray) -> float:
    """Return the share of the cell that the ions fill, the participation ratio (sum p)²/(n sum p²).

    It is 1 for a uniform liquid and small for ions on their sites; it jumps at the temperature at which a sublattice
    melts.
    """
    return float(values.sum() ** 2 / (values.size * (values**2).sum()))


def write_cube(path: str | pathlib.Path, values: np.ndarray, atoms: Atoms) -> None:
    """Write a density as a Gaussian cube file, in 1/bohr³ as programs expect it, with the atoms of one frame.

    :param values: (nx, ny, nz), 1/Å³, as :func:`density` gives it.
    """
    # Programs take a value at a grid point for the parallelepiped around the point.
    origin = 0.5 * (atoms.cell.array / np.array(values.shape)[:, None]).sum(axis=0)
    with open(path, 'w') as handle:
        write_ase_cube(handle, atoms, values * Bohr**3, origin=origin, comment='number density of ions, 1/bohr^3')
