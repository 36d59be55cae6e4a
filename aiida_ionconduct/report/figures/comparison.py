"""One quantity of several campaigns against temperature: conductivities, with measured ones, or Haven ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from aiida_ionconduct.report.figures.arrhenius import POINTS, Line, draw_line, on_log_axis
from aiida_ionconduct.report.figures.colours import CAMPAIGN_COLOURS, GUIDE
from aiida_ionconduct.report.figures.interactive import mark
from aiida_ionconduct.report.figures.style import (
    GUIDE_DASHES,
    MARKERS,
    bars,
    canvas,
    legend,
    power_ticks,
    styled,
    temperature_axis,
)
from aiida_ionconduct.report.measured import Measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@styled
def compared(
    points: Mapping[str, Sequence[Mapping[str, Any]]],
    lines: Mapping[str, Line | None],
    *,
    value: str,
    interval: str,
    against: Literal['inverse', 'temperature'] = 'inverse',
    upper: str | None = None,
    measured: Mapping[str, Sequence[Measured]] | None = None,
    extensions: Mapping[str, Line] | None = None,
) -> Figure:
    """Draw one quantity of several campaigns.

    :param points: flat attributes of conductivities by campaign.
    :param lines: fitted lines by campaign.
    :param value: name of the attribute that is drawn.
    :param interval: name of the attribute with its 95 % interval.
    :param against: the axes: inverse temperature and logarithmic, or temperature and linear.
    :param upper: name of the attribute with the upper bound, which is drawn where there is no value.
    :param measured: measured conductivities by campaign, drawn hollow in its colour.
    :param extensions: by campaign, the fitted line from the computed to the measured temperatures.
    """
    measured, extensions = measured or {}, extensions or {}
    inverse = against == 'inverse'
    labels = ('1000 K / T', 'Conductivity (S/cm)') if inverse else ('Temperature (K)', 'Haven ratio')
    figure, axes = canvas(xlabel=labels[0], ylabel=labels[1])
    if not inverse:
        axes.axhline(1, color=GUIDE, linewidth=1, linestyle=GUIDE_DASHES)
    temperatures = [attributes['temperature_K'] for results in points.values() for attributes in results]
    shift = 0.015 * (max(temperatures) - min(temperatures)) or 1.0  # side by side where the temperature is the same
    for index, (name, results) in enumerate(points.items()):
        colour = CAMPAIGN_COLOURS[index][0]
        if line := lines.get(name):
            draw_line(axes, line, label=name, colour=colour, alpha=0.12, linewidth=1)
        if line := extensions.get(name):
            draw_line(axes, line, label=name, colour=colour, alpha=0.05, linewidth=0.8, linestyle=GUIDE_DASHES)
        if rows := measured.get(name):
            places, values = [1000 / row.temperature_K for row in rows], [row.sigma_S_per_cm for row in rows]
            _hollow(axes, places, values, label=name, name=f'{name}, measured', colour=colour, marker='*')
        bounded = [row for row in results if upper and not row.get(value) and row.get(upper)]
        if upper and bounded:
            places, values = [1000 / row['temperature_K'] for row in bounded], [row[upper] for row in bounded]
            _hollow(axes, places, values, label=name, name=f'{name}, upper bound', colour=colour, marker='v')
        known = [attributes for attributes in results if attributes.get(value) and attributes.get(interval)]
        if not known:
            continue
        numbers = np.array([attributes[value] for attributes in known])
        ends = np.array([attributes[interval] for attributes in known]).T
        kelvin = np.array([attributes['temperature_K'] for attributes in known])
        place = 1000 / kelvin if inverse else kelvin + shift * (index - (len(points) - 1) / 2)
        ends = on_log_axis(numbers, ends) if inverse else ends
        bars(axes, place, numbers, interval=ends, color=colour, marker=MARKERS[index], label=name, **POINTS)
    if inverse:
        axes.set_yscale('log')
        power_ticks(axes.yaxis)
        temperature_axis(axes, [*temperatures, *(row.temperature_K for rows in measured.values() for row in rows)])
    else:
        axes.set_ylim(bottom=0)
    legend(axes, loc='best')
    return figure


def _hollow(
    axes: Axes, x: Sequence[float], y: Sequence[float], *, label: str, name: str, colour: str, marker: str
) -> None:
    """Draw hollow markers that belong to the curve of a campaign."""
    size = 8.0 if marker == '*' else 5.0
    artists = axes.plot(x, y, marker, color=colour, fillstyle='none', markersize=size)
    mark(axes, artists, x, y, label=label, name=name, colour=colour, line=None, marker=f'hollow {marker}')
