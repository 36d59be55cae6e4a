"""The figure of twin runs: how fast trajectories from almost the same start part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from aiida_ionconduct.report.figures.colours import FULL, TRACER
from aiida_ionconduct.report.figures.interactive import mark
from aiida_ionconduct.report.figures.style import canvas, legend, power_ticks, styled
from aiida_ionconduct.report.number_format import format_estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def divergence(time_ps: np.ndarray, difference_A: np.ndarray, lyapunov: Mapping[str, Any]) -> Figure:
    """Draw the distance of twin runs against time on a logarithmic axis, and the exponential growth that was fitted.

    :param difference_A: (pairs, frames).
    :param lyapunov: ``exponent_per_ps``, ``stderr`` and ``windows_ps`` of
        :class:`aiida_ionconduct.studies.lyapunov.Divergence`.
    """
    figure, axes = canvas(xlabel='Time (ps)', ylabel='Distance of the twins (Å, RMS)')
    for curve in difference_A:
        known = curve > 0
        (line,) = axes.plot(time_ps[known], curve[known], color=TRACER, linewidth=0.8, alpha=0.6)
        mark(axes, [line], time_ps[known], curve[known], label='twins', colour=TRACER)
    value, stderr = lyapunov.get('exponent_per_ps'), lyapunov.get('stderr')
    if value is not None:
        begin, end = np.mean(lyapunov['windows_ps'], axis=0)
        inside = (time_ps >= begin) & (time_ps <= end)
        if inside.any():
            mean = np.exp(np.mean(np.log(np.maximum(difference_A[:, inside], 1e-300))))
            middle = time_ps[inside].mean()
            label = f'λ = {format_estimate(value, stderr, "/ps")}'
            fitted = mean * np.exp(value * (time_ps[inside] - middle))
            (line,) = axes.plot(time_ps[inside], fitted, color=FULL, label=label)
            mark(axes, [line], time_ps[inside], fitted, label=label, colour=FULL)
    axes.set_yscale('log')
    power_ticks(axes.yaxis)
    legend(axes, loc='lower right')
    return figure
