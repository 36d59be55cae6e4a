"""Figures of conductivities of one state beside each other: from cells of several sizes, by several estimators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiida_ionconduct.report.figures.colours import FULL, GUIDE, TRACER
from aiida_ionconduct.report.figures.style import GUIDE_DASHES, bars, canvas, legend, scale_in_label, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = {'full': (FULL, 'o'), 'tracer': (TRACER, 's')}
OFFSET = 0.08
"""How far full and tracer conductivity stand apart, so that their bars do not lie on each other."""


@styled
def cell_sizes(rows: Sequence[Mapping[str, Any]], study: Mapping[str, Any]) -> Figure:
    """Draw full and tracer conductivity with 95 % intervals against 1/L, L the cube root of the number of atoms.

    :param rows: attributes of the conductivities.
    :param study: as :func:`aiida_ionconduct.studies.finite_size.finite_size` returns it; the band is its interval.
    """
    figure, axes = canvas(xlabel='1/L (cube root of the number of atoms, inverse)', ylabel='σ (S/cm)')
    highest = _draw(axes, rows, [row['n_atoms'] ** (-1 / 3) for row in rows], 0.0)
    if study['ci95'] is not None:
        axes.axhspan(*study['ci95'], color=FULL, alpha=0.14, linewidth=0)
        axes.axhline(study['sigma_S_per_cm'], color=GUIDE, linewidth=1, linestyle=GUIDE_DASHES)
    top = axes.secondary_xaxis('top', functions=(lambda x: x, lambda x: x))
    top.set_ticks([row['n_atoms'] ** (-1 / 3) for row in rows], [f'{row["n_atoms"]}' for row in rows])
    top.set_xlabel('Atoms in the cell')
    axes.set_xlim(left=0)
    return _finish(figure, axes, highest)


@styled
def estimates(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw full and tracer conductivity with 95 % intervals by each estimator.

    :param rows: attributes of the conductivities, of the same runs.
    """
    figure, axes = canvas(ylabel='σ (S/cm)')
    highest = _draw(axes, rows, list(range(len(rows))), OFFSET)
    axes.set_xticks(range(len(rows)), [row['estimator'] for row in rows])
    axes.set_xlim(-0.5, len(rows) - 0.5)
    return _finish(figure, axes, highest)


def _draw(axes: Axes, rows: Sequence[Mapping[str, Any]], places: Sequence[float], offset: float) -> float:
    """Draw both conductivities of each row that has them, and return the highest end of an interval.

    :param places: of the rows on the horizontal axis.
    :param offset: of full and tracer conductivity to either side.
    """
    highest = 0.0
    for sign, (kind, (colour, marker)) in zip((-1, 1), KINDS.items(), strict=True):
        known = [
            (place + sign * offset, row[f'sigma_{kind}_S_per_cm'], row[f'sigma_{kind}_ci95'])
            for place, row in zip(places, rows, strict=True)
            if row.get(f'sigma_{kind}_S_per_cm') is not None and row.get(f'sigma_{kind}_ci95') is not None
        ]
        if not known:
            continue
        x, values, intervals = zip(*known, strict=True)
        ends = list(zip(*intervals, strict=True))
        bars(axes, x, values, color=colour, marker=marker, label=kind, interval=ends, capsize=2.5)
        highest = max(highest, *ends[1])
    return highest


def _finish(figure: Figure, axes: Axes, highest: float) -> Figure:
    """Label the vertical axis, which begins at zero, and draw the legend."""
    scale_in_label(axes, 'σ', 'S/cm', highest)
    axes.set_ylim(bottom=0)
    legend(axes)
    return figure
