"""Figures of ion motion: mean squared displacements, their exponent, and the conductivity from their slope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from aiida_ionconduct.report.figures.colours import FULL, GUIDE, MUTED, TRACER, temperature_colours
from aiida_ionconduct.report.figures.style import (
    GUIDE_DASHES,
    band,
    bars,
    canvas,
    finite,
    legend,
    log_scales,
    power_ticks,
    scale_in_label,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curves = Mapping[str, np.ndarray]
"""Curves at one temperature, named as in :attr:`aiida_ionconduct.transport.TransportResult.curves`."""


@styled
def displacement(curves: Mapping[float, Curves], quantity: Literal['msd', 'charge_msd'] = 'msd') -> Figure:
    """Draw the mean squared (charge) displacement against the lag, log-log, with a band of one standard error.

    :param curves: by temperature (K): ``lag_ps`` and, for ``msd``, ``msd_A2`` and ``msd_stderr``; for ``charge_msd``,
        ``charge_msd_e2A2`` and ``charge_msd_stderr``.
    """
    name, label = {
        'msd': ('msd_A2', 'Mean squared displacement (Å²)'),
        'charge_msd': ('charge_msd_e2A2', 'Mean squared charge displacement (e² Å²)'),
    }[quantity]
    figure, axes = canvas(xlabel='Lag (ps)', ylabel=label)
    colours = temperature_colours(curves)
    ends = []
    for temperature, curve in sorted(curves.items()):
        lag, value, stderr = finite(curve['lag_ps'], curve[name], curve[f'{quantity}_stderr'])
        lag, value, stderr = (column[value > 0] for column in (lag, value, stderr))
        band(axes, lag, value, stderr, color=colours[temperature], label=f'{temperature:g} K')
        ends.extend([(lag[-1], value[-1])] if len(lag) else [])
    log_scales(axes)
    if ends:
        last, highest = max(ends, key=lambda end: end[1])
        ends_of_guide = [last / 8, last], [2.2 * highest / 8, 2.2 * highest]
        axes.plot(*ends_of_guide, color=GUIDE, linewidth=1, linestyle=GUIDE_DASHES)
        axes.annotate(
            'slope 1',
            (last / 8**0.5, 2.2 * highest / 8**0.5),
            (-6, 4),
            textcoords='offset points',
            ha='right',
            color=MUTED,
            fontsize=7.5,
        )
    legend(axes, reverse=True, loc='lower right')
    return figure


@styled
def exponent(curves: Mapping[float, Curves], lags_ps: Mapping[float, float | None] | None = None) -> Figure:
    """Draw beta = d ln MSD / d ln t against the lag with a band of one standard error; 1 is diffusion.

    :param curves: by temperature (K): ``lag_ps``, ``beta``, ``beta_stderr``.
    :param lags_ps: the lag that was chosen, by temperature, marked by a point.
    """
    figure, axes = canvas(xlabel='Lag (ps)', ylabel='β = d ln MSD / d ln t')
    colours = temperature_colours(curves)
    axes.axhline(1, color=GUIDE, linewidth=1, linestyle=GUIDE_DASHES)
    for temperature, curves_here in sorted(curves.items()):
        lag, value, stderr = finite(curves_here['lag_ps'], curves_here['beta'], curves_here['beta_stderr'])
        curve = band(axes, lag, value, stderr, color=colours[temperature], label=f'{temperature:g} K')
        chosen = (lags_ps or {}).get(temperature)
        if chosen and len(lag):
            height = np.interp(chosen, lag, value)
            curve.artists += axes.plot([chosen], [height], 'o', color=colours[temperature], markersize=5)
    axes.set_xscale('log')
    power_ticks(axes.xaxis)
    axes.set_ylim(-0.1, 2.1)
    legend(axes, reverse=True, loc='upper right')
    return figure


@styled
def running_conductivity(curves: Curves, lags_ps: Mapping[str, float] | None = None) -> Figure:
    """Draw the full and tracer conductivity from the slope at each lag, with bands of one standard error.

    The scan over lags with the estimator itself is drawn as points with error bars; the chosen lags as vertical lines.

    :param curves: of one temperature.
    :param lags_ps: the chosen lag by ``full`` and ``tracer``.
    """
    figure, axes = canvas(xlabel='Lag (ps)', ylabel='Conductivity (S/cm)')
    ends = [0.0]
    for kind, colour, linestyle, marker in (('full', FULL, '-', 'o'), ('tracer', TRACER, '--', 's')):
        value_name, stderr_name = f'sigma_{kind}_S_per_cm', f'sigma_{kind}_stderr'
        running = finite(curves['lag_ps'], curves[f'running_{value_name}'], curves[f'running_{stderr_name}'])
        scan = finite(curves['plateau_lag_ps'], curves[f'plateau_{value_name}'], curves[f'plateau_{stderr_name}'])
        band(axes, *running, color=colour, linestyle=linestyle, label=f'{kind}, running slope')
        points = bars(
            axes, *scan, color=colour, marker=marker, label=f'{kind}, estimator', markersize=3.5, elinewidth=0.9
        )
        if chosen := (lags_ps or {}).get(kind):
            label = f'{kind}, chosen lag {chosen:.3g} ps'
            line = axes.axvline(chosen, color=colour, linewidth=0.9, linestyle=linestyle, alpha=0.6, label=label)
            points.artists.append(line)
        for lag, value, stderr in (running, scan):
            late = lag > np.max(curves['lag_ps']) / 10
            ends += [*(value - stderr)[late], *(value + stderr)[late]]
    axes.set_xscale('log')
    power_ticks(axes.xaxis)
    # The ballistic rise at short lags would squeeze the plateau: the scale is that of the last decade of lags.
    axes.set_ylim(min(ends), 1.2 * max(ends) or None)
    scale_in_label(axes, 'Conductivity', 'S/cm', max(ends))
    legend(axes, by_label=True, loc='lower left', bbox_to_anchor=(0, 1), ncols=2, fontsize=7.5)
    return figure
