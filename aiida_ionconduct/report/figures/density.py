"""Figures of where the mobile ions are: projections, superposed frames and isosurfaces of their density."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from aiida_ionconduct.report.figures.colours import FULL, GUIDE, INK, MUTED, TRACER
from aiida_ionconduct.report.figures.style import styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHARES = (0.02, 0.2)
"""Isosurfaces, as shares of the highest density: the way the ions take, and their sites."""
DENSITY_COLOURS, RINGS = 'BuPu', '#2b2b2b'
"""The colour map gets darker evenly from white, where no ion is, also on a dark page; the rings of atoms are dark."""


@styled
def density_map(density: np.ndarray, framework: np.ndarray, cell: np.ndarray, highest: float | None = None) -> Figure:
    """Draw the density of the mobile ions, integrated along each cell vector, with the other atoms as rings.

    Colours go with the square root of the density; otherwise the ways between the sites would not be seen.

    :param density: (nx, ny, nz), 1/Å³, as :func:`aiida_ionconduct.density.density` returns it.
    :param framework: (atoms, 3), Å, the other atoms in one frame.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param highest: end of the scale, 1/Å²; the highest of the three maps by default.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    maps = projections(density, cell)
    highest = max(projected.max() for projected in maps) if highest is None else highest
    figure = Figure(figsize=(8.4, 3.4))
    panels, inside = figure.subplots(1, 3), (framework @ np.linalg.inv(cell)) % 1.0
    for along, (axes, projected) in enumerate(zip(panels, maps, strict=True)):
        first, second = in_plane_axes(along)
        basis = _in_plane(cell[first], cell[second])
        corners = [np.linspace(0, 1, n + 1) for n in projected.shape]
        grid = np.stack(np.meshgrid(*corners, indexing='ij'), axis=-1) @ basis
        scale = {'cmap': DENSITY_COLOURS, 'norm': PowerNorm(0.5, 0, highest)}
        drawn = axes.pcolormesh(grid[..., 0], grid[..., 1], projected, rasterized=True, **scale)
        rings = {'color': RINGS, 'markersize': 3.5, 'markerfacecolor': 'none', 'alpha': 0.7}
        axes.plot(*(inside[:, [first, second]] @ basis).T, 'o', **rings)
        _name_axes(axes, along)
    figure.colorbar(drawn, ax=panels, label='Mobile ions (1/Å²)', fraction=0.03, pad=0.01)
    figure.set_dpi(150)
    return figure


def projections(density: np.ndarray, cell: np.ndarray) -> list[np.ndarray]:
    """Return a density integrated along each cell vector, 1/Å²: number per area of the two others."""
    volume = abs(np.linalg.det(cell))
    areas = [np.linalg.norm(np.cross(cell[(axis + 1) % 3], cell[(axis + 2) % 3])) for axis in range(3)]
    return [density.mean(axis=axis) * volume / area for axis, area in enumerate(areas)]


def in_plane_axes(along: int) -> tuple[int, int]:
    """Return the two other axes of a cell that is seen along one of its vectors."""
    first, second = (axis for axis in range(3) if axis != along)
    return first, second


@styled
def superposition(positions: np.ndarray, framework: np.ndarray, cell: np.ndarray, most: int = 40000) -> Figure:
    """Draw the positions of the mobile ions of all frames on top of each other, seen along each cell vector.

    :param positions: (frames, ions, 3), Å.
    :param framework: (atoms, 3), Å, the other atoms in one frame.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param most: most dots in each panel; frames are left out evenly to stay below it.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.1))
    inverse = np.linalg.inv(cell)
    stride = max(1, math.ceil(positions.shape[0] * positions.shape[1] / most))
    dots = (positions[::stride].astype(float).reshape(-1, 3) @ inverse) % 1.0
    others = (framework.reshape(-1, 3) @ inverse) % 1.0
    for along, axes in enumerate(figure.subplots(1, 3)):
        first, second = in_plane_axes(along)
        basis = _in_plane(cell[first], cell[second])
        shown = dots[:, [first, second]] @ basis
        axes.plot(*shown.T, '.', color=TRACER, markersize=0.8, alpha=0.25, markeredgewidth=0, rasterized=True)
        axes.plot(*(others[:, [first, second]] @ basis).T, '.', color=MUTED, markersize=4, alpha=0.7)
        outline = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) @ basis
        axes.plot(*outline.T, color=GUIDE, linewidth=0.7)
        _name_axes(axes, along)
    figure.set_dpi(200)
    return figure


@styled
def isosurfaces(density: np.ndarray, cell: np.ndarray, shares: Sequence[float] = SHARES) -> Figure:
    """Draw surfaces of constant density through the cell, the lower ones transparent.

    :param density: (nx, ny, nz), 1/Å³.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param shares: of the highest density.
    """
    from matplotlib.figure import Figure
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection
    from scipy import ndimage
    from skimage.measure import marching_cubes

    figure = Figure(figsize=(4.6, 4.4))
    axes = figure.add_subplot(projection='3d')
    smooth = ndimage.gaussian_filter(density, 1.0, mode='wrap')
    # One more plane on each side, the periodic image, so that surfaces end on the faces and not before them.
    closed = np.pad(smooth, ((0, 1),) * 3, mode='wrap')
    for share, colour, alpha in zip(sorted(shares), (TRACER, FULL, INK), (0.18, 0.75, 0.9), strict=False):
        level = share * smooth.max()
        if not smooth.min() < level:
            continue  # the density is nowhere below the level: the surface would be the whole cell
        vertices, faces, *_ = marching_cubes(closed, level)
        points = vertices / np.array(density.shape) @ cell
        surface = Poly3DCollection(points[faces], facecolor=colour, alpha=alpha, linewidths=0, rasterized=True)
        axes.add_collection3d(surface)
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    for start in corners:
        for end in corners:
            if np.abs(start - end).sum() == 1 and (start < end).any():
                axes.plot(*np.array([start @ cell, end @ cell]).T, color=GUIDE, linewidth=0.7)
    ends = corners @ cell
    axes.set(
        **{f'{name}lim': (low, high) for name, low, high in zip('xyz', ends.min(axis=0), ends.max(axis=0), strict=True)}
    )
    axes.set_box_aspect(np.ptp(ends, axis=0))
    axes.set_axis_off()
    axes.set_title(' and '.join(f'{share:.0%}' for share in sorted(shares)) + ' of the highest density', fontsize=8.5)
    figure.set_dpi(160)
    return figure


def _name_axes(axes: Axes, along: int) -> None:
    """Give a panel that shows the cell along one of its vectors equal scales, labels and a title."""
    first, second = in_plane_axes(along)
    axes.set(aspect='equal', xlabel=f'{"abc"[first]} (Å)', ylabel=f'{"abc"[second]} (Å)')
    axes.grid(False)
    axes.set_title(f'along {"abc"[along]}', fontsize=8.5, loc='left', color=INK)


def _in_plane(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return two cell vectors in the plane that they span, the first along x: (2, 2)."""
    length = np.linalg.norm(first)
    along = float(second @ first / length)
    return np.array([[length, 0.0], [along, math.sqrt(max(float(second @ second) - along**2, 0.0))]])
