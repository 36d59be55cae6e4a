"""The figure of a study of models: force error against the time of the dynamics, with the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiida_ionconduct.report.figures.colours import FULL, GUIDE, TRACER
from aiida_ionconduct.report.figures.interactive import mark
from aiida_ionconduct.report.figures.style import GUIDE_DASHES, bars, canvas, legend, log_scales, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROUPS = (('trained in full', FULL, None), ('stopped early', TRACER, 'none'))
"""Settings that came to the last rung, and settings that did not: label, colour and the colour inside the marker."""


@styled
def models(rows: Sequence[Mapping[str, Any]], limit: float | None = None) -> Figure:
    """Draw the settings that have both numbers, the Pareto front, and the limit of a choice.

    :param rows: of :func:`aiida_ionconduct.calculations.functions.models.compare_models`.
    :param limit: the largest force error, in eV/Å.
    """
    figure, axes = canvas(xlabel='Time (µs per atom and step)', ylabel='Force error (meV/Å)')
    known = [row for row in rows if row['forces_mae_eV_per_A'] and row['us_per_atom_step'] and not row['reason']]
    front = sorted(_point(row) for row in known if row['on_front'])
    if front:
        times, errors = zip(*front, strict=True)
        (line,) = axes.step(times, errors, where='post', color=GUIDE, label='Pareto front', linewidth=1)
        mark(axes, [line], times, errors, label='Pareto front', colour=GUIDE)
    for label, colour, face in GROUPS:
        points = [_point(row) for row in known if (row['state'] == 'trained in full') == (label == 'trained in full')]
        if points:
            style = {} if face is None else {'markerfacecolor': face}
            bars(axes, *zip(*points, strict=True), color=colour, marker='o', label=label, **style)
    if limit is not None:
        axes.axhline(1000 * limit, color=GUIDE, linewidth=1, linestyle=GUIDE_DASHES)
    log_scales(axes)
    legend(axes)
    return figure


def _point(row: Mapping[str, Any]) -> tuple[float, float]:
    """Return time and force error (meV/Å) of a setting."""
    return row['us_per_atom_step'], 1000 * row['forces_mae_eV_per_A']
