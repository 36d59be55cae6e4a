"""The figures of the studies: plain functions from arrays and dicts to Matplotlib figures, in the report's style."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from aiida_ionconduct.report.figures.campaign import (
    FULL,
    GUIDE,
    INK,
    MUTED,
    SIZE,
    TRACER,
    _band,
    _bars,
    _canvas,
    _finite,
    _legend,
    _log_scales,
    _power_ticks,
    styled,
)
from aiida_ionconduct.report.figures.interactive import mark
from aiida_ionconduct.report.numbers import format_estimate, superscript

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {'full': FULL, 'tracer': TRACER}
LINES = {'block': '-', 'simple': (0, (3, 2))}
MARKERS = {'block': 'o', 'simple': 's'}
SHARES = (0.02, 0.2)
"""Isosurfaces, as shares of the highest density: the way the ions take, and their sites."""
DENSITY_COLOURS, RINGS = 'BuPu', '#2b2b2b'
"""Falls evenly in lightness, from white where no ion is, on a dark page as well; the rings of atoms are dark."""


@styled
def block_sizes(curves: Mapping[str, np.ndarray], rows: Sequence[Mapping]) -> Figure:
    """Draw the running conductivity of every block length, with bands over seeds, and beside them all slopes.

    The scale is that of the slopes: a running curve of few blocks goes far beyond it at short lags.

    :param curves: of :func:`aiida_ionconduct.studies.block_size.block_size_study`.
    :param rows: likewise.
    """
    from matplotlib.figure import Figure

    lengths = sorted({row['block_ps'] for row in rows})
    figure = Figure(figsize=(2.6 * (len(lengths) + 1), 3.2))
    panels = figure.subplots(1, len(lengths) + 1, sharey=True)
    power = _power_of(max(row['sigma_S_per_cm'] + row['stderr'] for row in rows))
    for axes, length in zip(panels, lengths, strict=False):
        for quantity, colour in COLOURS.items():
            for method, line in LINES.items():
                name = f'{method}_{length:g}'.replace('.', '_')
                column = f'{name}_{quantity}_running_S_per_cm'
                found = _finite(curves[f'{name}_lag_ps'], curves[column], curves[f'{column}_stderr'])
                lag, value, stderr = (one[found[0] > length / 30] for one in found)
                shown = lag, value / 10.0**power, stderr / 10.0**power
                _band(axes, *shown, color=colour, linestyle=line, linewidth=1, label=f'{quantity}, {method}')
        axes.axvspan(0.1 * length, length, color=GUIDE, alpha=0.08, linewidth=0)
        axes.set_xscale('log')
        _power_ticks(axes.xaxis)
        axes.set_xlabel('Lag (ps)')
        axes.set_title(f'blocks of {length:g} ps', fontsize=8.5, loc='left', color=INK)
    _slopes(panels[-1], rows, power)
    panels[-1].set_title('slopes', fontsize=8.5, loc='left', color=INK)
    panels[0].set_ylabel(f'Conductivity ({_unit(power)})')
    ends = [(row['sigma_S_per_cm'] + sign * row['stderr']) / 10.0**power for row in rows for sign in (-3, 3)]
    panels[0].set_ylim(min(0.0, *ends), max(ends) or None)
    figure.legend(*panels[0].get_legend_handles_labels(), loc='outside upper center', ncols=4)
    return figure


@styled
def block_slopes(rows: Sequence[Mapping]) -> Figure:
    """Draw the conductivities of every block length with their standard errors, without the curves behind them.

    :param rows: of :func:`aiida_ionconduct.studies.block_size.block_size_study`.
    """
    power = _power_of(max(row['sigma_S_per_cm'] + row['stderr'] for row in rows))
    figure, axes = _canvas(ylabel=f'Conductivity ({_unit(power)})')
    _slopes(axes, rows, power)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    _legend(axes, loc='lower left', bbox_to_anchor=(0, 1), ncols=2)
    return figure


def _slopes(axes, rows: Sequence[Mapping], power: int) -> None:
    lengths = sorted({row['block_ps'] for row in rows})
    places = np.arange(len(lengths))
    for number, (quantity, method) in enumerate((q, m) for q in COLOURS for m in LINES):
        chosen = [row for row in rows if (row['quantity'], row['method']) == (quantity, method)]
        chosen.sort(key=lambda row: row['block_ps'])
        _bars(
            axes,
            places + 0.12 * (number - 1.5),
            *(np.array([row[name] for row in chosen]) / 10.0**power for name in ('sigma_S_per_cm', 'stderr')),
            color=COLOURS[quantity],
            marker=MARKERS[method],
            label=f'{quantity}, {method}',
            markerfacecolor=COLOURS[quantity] if method == 'block' else 'none',
            markersize=4.5,
            capsize=2.5,
        )
    axes.set_xticks(places, [f'{length:g}' for length in lengths])
    axes.set_xlim(-0.6, len(lengths) - 0.4)
    axes.set_xlabel('Length of the blocks (ps)')


@styled
def divergence(time_ps: np.ndarray, difference_A: np.ndarray, found: Mapping) -> Figure:
    """Draw the distance of twin runs against time on a logarithmic axis, and the exponential growth that was fitted.

    :param difference_A: (pairs, frames).
    :param found: ``exponent_per_ps``, ``stderr`` and ``windows_ps`` of
        :class:`aiida_ionconduct.studies.lyapunov.Divergence`.
    """
    figure, axes = _canvas(xlabel='Time (ps)', ylabel='Distance of the twins (Å, RMS)')
    for curve in difference_A:
        known = curve > 0
        (line,) = axes.plot(time_ps[known], curve[known], color=TRACER, linewidth=0.8, alpha=0.6)
        mark(axes, 'twins', [line], time_ps[known], curve[known], colour=TRACER)
    value, stderr = found.get('exponent_per_ps'), found.get('stderr')
    if value is not None:
        begin, end = np.mean(found['windows_ps'], axis=0)
        inside = (time_ps >= begin) & (time_ps <= end)
        if inside.any():
            mean = np.exp(np.mean(np.log(np.maximum(difference_A[:, inside], 1e-300))))
            middle = time_ps[inside].mean()
            label = f'λ = {format_estimate(value, stderr, "/ps")}'
            fitted = mean * np.exp(value * (time_ps[inside] - middle))
            (line,) = axes.plot(time_ps[inside], fitted, color=FULL, label=label)
            mark(axes, label, [line], time_ps[inside], fitted, colour=FULL)
    axes.set_yscale('log')
    _power_ticks(axes.yaxis)
    _legend(axes, loc='lower right')
    return figure


@styled
def haven_ratio(found: Mapping) -> Figure:
    """Draw the Haven ratio against the temperature with its standard errors, and 1, where ions move independently.

    :param found: of :func:`aiida_ionconduct.studies.temperatures.haven_ratios`.
    """
    figure, axes = _canvas(xlabel='Temperature (K)', ylabel='Haven ratio')
    axes.axhline(1, color=GUIDE, linewidth=1, linestyle=(0, (4, 2)))
    columns = (found[name] for name in ('temperatures_K', 'values', 'stderrs'))
    _bars(axes, *columns, color=FULL, marker='o', label='Haven ratio', capsize=2.5)
    if found['mean'] is not None:
        axes.axhspan(
            found['mean'] - found['mean_stderr'],
            found['mean'] + found['mean_stderr'],
            color=FULL,
            alpha=0.14,
            linewidth=0,
        )
    axes.set_ylim(bottom=0)
    return figure


@styled
def density_map(density: np.ndarray, framework: np.ndarray, cell: np.ndarray, highest: float | None = None) -> Figure:
    """Draw the density of the mobile ions, integrated along each cell vector, with the other atoms as rings.

    Colours go with the square root of the density, or the ways between the sites would not be seen.

    :param density: (nx, ny, nz), 1/Å³, as of :func:`aiida_ionconduct.density.density`.
    :param framework: (atoms, 3), Å, the other atoms in one frame.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param highest: end of the scale, 1/Å²; the highest of the three maps by default.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    maps = projections(density, cell)
    highest = max(one.max() for one in maps) if highest is None else highest
    figure = Figure(figsize=(8.4, 3.4))
    panels, inside = figure.subplots(1, 3), (framework @ np.linalg.inv(cell)) % 1.0
    for along, (axes, projected) in enumerate(zip(panels, maps, strict=True)):
        one, other = (axis for axis in range(3) if axis != along)
        basis = _in_plane(cell[one], cell[other])
        corners = [np.linspace(0, 1, n + 1) for n in projected.shape]
        grid = np.stack(np.meshgrid(*corners, indexing='ij'), axis=-1) @ basis
        scale = {'cmap': DENSITY_COLOURS, 'norm': PowerNorm(0.5, 0, highest)}
        drawn = axes.pcolormesh(grid[..., 0], grid[..., 1], projected, rasterized=True, **scale)
        axes.plot(
            *(inside[:, [one, other]] @ basis).T, 'o', color=RINGS, markersize=3.5, markerfacecolor='none', alpha=0.7
        )
        axes.set(aspect='equal', xlabel=f'{"abc"[one]} (Å)', ylabel=f'{"abc"[other]} (Å)')
        axes.grid(False)
        axes.set_title(f'along {"abc"[along]}', fontsize=8.5, loc='left', color=INK)
    figure.colorbar(drawn, ax=panels, label='Mobile ions (1/Å²)', fraction=0.03, pad=0.01)
    figure.set_dpi(150)
    return figure


def projections(density: np.ndarray, cell: np.ndarray) -> list[np.ndarray]:
    """Return a density integrated along each cell vector, 1/Å²: number per area of the two others."""
    volume = abs(np.linalg.det(cell))
    areas = [np.linalg.norm(np.cross(cell[(axis + 1) % 3], cell[(axis + 2) % 3])) for axis in range(3)]
    return [density.mean(axis=axis) * volume / area for axis, area in enumerate(areas)]


@styled
def radial_distributions(
    r_A: np.ndarray, model: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]
) -> Figure:
    """Draw g(r) of every pair, by the potential and by AIMD, above each other, each scaled by the highest peak.

    :param r_A: middles of the bins.
    :param model: by pair, such as ``Li-O``; likewise ``reference``.
    """
    pairs = [pair for pair in model if pair in reference and reference[pair].max() > 0]
    figure, axes = _canvas(size=(SIZE[0], 0.9 + 0.42 * len(pairs)), xlabel='Distance (Å)')
    for place, pair in enumerate(reversed(pairs)):
        height = 1.15 * max(reference[pair].max(), model[pair].max())
        for label, curve, colour, line in (
            ('AIMD', reference[pair], TRACER, (0, (3, 2))),
            ('Allegro', model[pair], FULL, '-'),
        ):
            (drawn,) = axes.plot(
                r_A,
                place + curve / height,
                color=colour,
                linestyle=line,
                linewidth=1.2,
                label=label if place == 0 else None,
            )
            about = {'name': f'{pair}, {label}', 'reads': curve}
            mark(axes, label, [drawn], r_A, place + curve / height, colour=colour, line=line, **about)
    axes.set_yticks(np.arange(len(pairs)), [pair.replace('-', '–') for pair in reversed(pairs)])
    axes.tick_params(axis='y', length=0, labelcolor=INK)
    axes.set_ylim(-0.05, len(pairs))
    axes.set_xlim(0, r_A[-1])
    _legend(axes, loc='lower left', bbox_to_anchor=(0, 1), ncols=2)
    return figure


@styled
def displacement_against_aimd(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Draw the mean-squared displacement of the mobile ions by the potential and by AIMD.

    :param curves: lags in ps and displacements in Å², by ``AIMD`` and ``Allegro``.
    """
    figure, axes = _canvas(xlabel='Lag (ps)', ylabel='Mean squared displacement (Å²)')
    for label, colour, line in (('AIMD', TRACER, (0, (3, 2))), ('Allegro', FULL, '-')):
        lag, value = (np.asarray(column)[1:] for column in curves[label])
        (drawn,) = axes.plot(lag, value, color=colour, linestyle=line, label=label)
        mark(axes, label, [drawn], lag, value, colour=colour, line=line)
    _log_scales(axes)
    _legend(axes, loc='upper left')
    return figure


@styled
def superposition(positions: np.ndarray, framework: np.ndarray, cell: np.ndarray, most: int = 40000) -> Figure:
    """Draw the positions of the mobile ions of all frames on top of each other, seen along each cell vector.

    :param positions: (frames, ions, 3), Å; every how manieth frame is drawn follows from ``most``.
    :param framework: (atoms, 3), Å, the other atoms in one frame.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param most: dots in each panel.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.1))
    inverse = np.linalg.inv(cell)
    stride = max(1, math.ceil(positions.shape[0] * positions.shape[1] / most))
    dots, others = ((one.reshape(-1, 3) @ inverse) % 1.0 for one in (positions[::stride].astype(float), framework))
    for axes, along in zip(figure.subplots(1, 3), range(3), strict=True):
        one, other = (axis for axis in range(3) if axis != along)
        basis = _in_plane(cell[one], cell[other])
        shown = dots[:, [one, other]] @ basis
        axes.plot(*shown.T, '.', color=TRACER, markersize=0.8, alpha=0.25, markeredgewidth=0, rasterized=True)
        axes.plot(*(others[:, [one, other]] @ basis).T, '.', color=MUTED, markersize=4, alpha=0.7)
        outline = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) @ basis
        axes.plot(*outline.T, color=GUIDE, linewidth=0.7)
        axes.set(aspect='equal', xlabel=f'{"abc"[one]} (Å)', ylabel=f'{"abc"[other]} (Å)')
        axes.grid(False)
        axes.set_title(f'along {"abc"[along]}', fontsize=8.5, loc='left', color=INK)
    figure.set_dpi(200)
    return figure


def _in_plane(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return two cell vectors in the plane that they span, the first along x: (2, 2)."""
    length = np.linalg.norm(first)
    along = float(second @ first / length)
    return np.array([[length, 0.0], [along, math.sqrt(max(float(second @ second) - along**2, 0.0))]])


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
            continue  # the density is nowhere as low: the surface would be the whole cell
        vertices, faces, *_ = marching_cubes(closed, level)
        corners = vertices / np.array(density.shape) @ cell
        surface = Poly3DCollection(corners[faces], facecolor=colour, alpha=alpha, linewidths=0, rasterized=True)
        axes.add_collection3d(surface)
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    for one in corners:
        for other in corners:
            if np.abs(one - other).sum() == 1 and (one < other).any():
                axes.plot(*np.array([one @ cell, other @ cell]).T, color=GUIDE, linewidth=0.7)
    ends = corners @ cell
    axes.set(
        **{f'{name}lim': (low, high) for name, low, high in zip('xyz', ends.min(axis=0), ends.max(axis=0), strict=True)}
    )
    axes.set_box_aspect(np.ptp(ends, axis=0))
    axes.set_axis_off()
    axes.set_title(' and '.join(f'{share:.0%}' for share in sorted(shares)) + ' of the highest density', fontsize=8.5)
    figure.set_dpi(160)
    return figure


def _unit(power: int) -> str:
    return f'10{superscript(power)} S/cm' if power else 'S/cm'


def _power_of(highest: float) -> int:
    """Return the power of ten to take out of an axis; 0 where the numbers are read well as they are."""
    power = math.floor(math.log10(highest)) if highest > 0 else 0
    return 0 if power in (-1, 0, 1, 2) else power
