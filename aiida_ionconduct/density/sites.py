"""Sites as the maxima of the density."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

IMAGES = np.array(np.meshgrid(*[[-1, 0, 1]] * 3, indexing='ij')).reshape(3, -1).T
"""The cell and its 26 neighbours, (27, 3), in cell vectors."""


def find_sites(
    density: np.ndarray, cell: np.ndarray, *, separation_A: float = 1.2, smooth_A: float = 0.3, least: float = 0.02
) -> np.ndarray:
    """Return the maxima of a smoothed density in Å, (sites, 3), the densest first.

    :param density: (nx, ny, nz), as of :func:`~aiida_ionconduct.density.density`.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param separation_A: of two maxima closer than this, only the higher is a site.
    :param smooth_A: standard deviation of the Gaussian that smooths the density.
    :param least: least smoothed density of a site, as a share of the highest.
    :raises ValueError: if the density is zero everywhere.
    """
    if not density.max() > 0:
        raise ValueError('the density is zero everywhere: there are no ions in it.')
    cell = np.asarray(cell, dtype=float)
    steps = np.linalg.norm(cell, axis=1) / density.shape
    smooth = ndimage.gaussian_filter(density, smooth_A / steps, mode='wrap')
    top = (smooth == ndimage.maximum_filter(smooth, size=3, mode='wrap')) & (smooth >= least * smooth.max())
    index = np.argwhere(top)
    index = index[np.argsort(-smooth[top])]
    places = _centred(index, smooth) / np.array(density.shape) % 1.0 @ cell
    kept: list[int] = []
    neighbours = cKDTree((places[None] + (IMAGES @ cell)[:, None]).reshape(-1, 3))
    taken = np.zeros(len(places), dtype=bool)
    for place in range(len(places)):
        if not taken[place]:
            kept.append(place)
            close = neighbours.query_ball_point(places[place], separation_A)
            taken[np.array(close, dtype=int) % len(places)] = True
    return np.asarray(places[kept])


def _centred(index: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    """Return where maxima lie between the grid points, in units of the grid, (maxima, 3).

    Each maximum moves to the top of the parabola through it and its neighbours along each axis; half a grid cell is
    added, as the density of a grid cell belongs to its centre.

    :param index: (maxima, 3), grid indices.
    :param smooth: (nx, ny, nz).
    """
    moved = index + 0.5
    for axis in range(3):
        step, n = np.eye(3, dtype=int)[axis], np.array(smooth.shape)
        before, here, after = (smooth[tuple(((index + k * step) % n).T)] for k in (-1, 0, 1))
        curvature = before - 2 * here + after
        with np.errstate(divide='ignore', invalid='ignore'):
            offset = np.where(curvature < 0, 0.5 * (before - after) / curvature, 0.0)
        moved[:, axis] += np.clip(np.nan_to_num(offset), -0.5, 0.5)
    return moved


def nearest_site(positions: np.ndarray, sites: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest site of each position and its distance in Å, in the periodic cell.

    :param positions: (…, 3), Å, wrapped or not.
    :param sites: (sites, 3), Å.
    """
    cell = np.asarray(cell, dtype=float)
    inverse = np.linalg.inv(cell)
    images = ((sites @ inverse) % 1.0)[None] + IMAGES[:, None]
    tree = cKDTree(images.reshape(-1, 3) @ cell)
    distance, index = tree.query(((np.asarray(positions, dtype=float) @ inverse) % 1.0 @ cell).reshape(-1, 3))
    shape = positions.shape[:-1]
    return (index % len(sites)).reshape(shape), distance.reshape(shape)
