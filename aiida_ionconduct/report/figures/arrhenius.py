"""The Arrhenius plot: conductivities against the inverse temperature, with the fitted line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aiida_ionconduct.report.figures.colours import FULL, TRACER
from aiida_ionconduct.report.figures.interactive import mark
from aiida_ionconduct.report.figures.style import bars, canvas, legend, power_ticks, styled, temperature_axis
from aiida_ionconduct.transport.arrhenius import line_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS: dict[str, Any] = {'markersize': 4.5, 'elinewidth': 1.1, 'capsize': 2.5}
"""The style of conductivities with error bars."""

Line = Mapping[str, np.ndarray]
"""A fitted line, as :func:`fit_line` returns it."""


@styled
def arrhenius(points: Sequence[Mapping[str, Any]], line: Line | None = None) -> Figure:
    """Draw the conductivities against the inverse temperature with 95 % error bars and the fitted line with its band.

    :param points: ``temperature_K`` and, where it was measured, ``measured_temperature_K``; ``sigma_full_S_per_cm``,
        ``sigma_full_ci95``, and the same for ``tracer``, of each temperature. A full conductivity without a number is
        drawn at ``sigma_full_upper_S_per_cm``, its upper bound, and left out without one.
    """
    figure, axes = canvas(xlabel='1000 K / T', ylabel='Conductivity (S/cm)')
    if line:
        draw_line(axes, line, label='Arrhenius fit, 95 % band', colour=FULL, alpha=0.14, linewidth=1.1, in_legend=True)
    for kind, colour, marker in (('full', FULL, 'o'), ('tracer', TRACER, 's')):
        known = [point for point in points if point.get(f'sigma_{kind}_S_per_cm')]
        if not known:
            continue
        sigma = np.array([point[f'sigma_{kind}_S_per_cm'] for point in known])
        interval = on_log_axis(sigma, np.array([point[f'sigma_{kind}_ci95'] for point in known]).T)
        bars(axes, _inverse(known), sigma, interval=interval, color=colour, marker=marker, label=kind, **POINTS)
    bounded = [point for point in points if not point.get('sigma_full_S_per_cm')]
    bounded = [point for point in bounded if point.get('sigma_full_upper_S_per_cm')]
    if bounded:
        uppers = [point['sigma_full_upper_S_per_cm'] for point in bounded]
        axes.plot(_inverse(bounded), uppers, 'v', color=FULL, fillstyle='none', label='full, upper bound')
    axes.set_yscale('log')
    power_ticks(axes.yaxis)
    temperature_axis(axes, [point['temperature_K'] for point in points])
    legend(axes, loc='upper right' if line else 'best')  # a line that falls leaves this corner free
    return figure


def _inverse(points: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return 1000 K over the temperatures, those that the runs really had where they are known."""
    return [1000 / point.get('measured_temperature_K', point['temperature_K']) for point in points]


def fit_line(temperatures_K: Sequence[float], fit: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
    """Return the Arrhenius line sigma T = A exp(-Ea/kT) with its 95 % band, a little beyond the temperatures.

    :param fit: as :func:`aiida_ionconduct.transport.arrhenius` returns it.
    :return: ``temperature_K``, ``sigma``, ``low``, ``high``: arrays of the same length; None where there was nothing to
        fit.
    """
    if fit.get('activation_energy_eV') is None or fit.get('covariance') is None:
        return None
    inverse = 1 / np.asarray(temperatures_K, dtype=float)
    margin = 0.08 * np.ptp(inverse)
    return line_at(fit, 1 / np.linspace(inverse.min() - margin, inverse.max() + margin, 60))


def draw_line(
    axes: Axes,
    line: Line,
    *,
    label: str,
    colour: str,
    alpha: float,
    linewidth: float,
    linestyle: Any = '-',
    in_legend: bool = False,
) -> None:
    """Draw a fitted line with its band against the inverse temperature.

    :param label: of the curve, with which it is switched on the page.
    :param alpha: of the band.
    :param in_legend: whether the line has an entry of its own in the legend.
    """
    inverse, ends = 1000 / np.asarray(line['temperature_K']), (line['low'], line['high'])
    band = axes.fill_between(inverse, *ends, color=colour, alpha=alpha, linewidth=0)
    entry = label if in_legend else None
    (curve,) = axes.plot(inverse, line['sigma'], color=colour, linewidth=linewidth, linestyle=linestyle, label=entry)
    name = label if in_legend else f'{label}, fit'
    mark(axes, [band, curve], inverse, line['sigma'], interval=ends, label=label, name=name, colour=colour)


def on_log_axis(values: np.ndarray, interval: np.ndarray) -> np.ndarray:
    """Return the ends of intervals (2, N) as a logarithmic axis can show them.

    An interval that reaches zero has no lower end on this axis: the bar goes down to a thousandth of the value.
    """
    return np.array([np.maximum(interval[0], values / 1000), interval[1]])
