"""The figure of the conductivity against frequency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from aiida_ionconduct.report.figures.colours import FULL, TRACER
from aiida_ionconduct.report.figures.interactive import mark
from aiida_ionconduct.report.figures.style import canvas, legend, log_scales, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOWEST = 1e-3  # of the highest value: a band that goes on to zero ends there


@styled
def conductivity_spectrum(
    curves: Mapping[str, np.ndarray], at_zero: Mapping[str, Sequence[float] | None] | None = None
) -> Figure:
    """Draw the real part of the full and the tracer conductivity against frequency with 95 % bands, log-log.

    :param curves: of one temperature, named as in :attr:`aiida_ionconduct.transport.TransportResult.curves`.
    :param at_zero: 95 % intervals of the conductivities at frequency zero, by ``full`` and ``tracer``: bars on the
        left.
    """
    figure, axes = canvas(xlabel='Frequency (THz)', ylabel='Re σ (S/cm)')
    for kind, colour, linestyle in (('full', FULL, '-'), ('tracer', TRACER, '--')):
        frequency, value, low, high = (
            curves[name]
            for name in (
                f'spectrum_{kind}_frequency_THz',
                *(f'spectrum_sigma_{kind}{end}_S_per_cm' for end in ('', '_low', '_high')),
            )
        )
        if not (len(value) and value.max() > 0):
            continue
        floor = LOWEST * value.max()
        low, value, high = (np.maximum(column, floor) for column in (low, value, high))
        band = axes.fill_between(frequency, low, high, color=colour, alpha=0.2, linewidth=0)
        (line,) = axes.plot(frequency, value, color=colour, linestyle=linestyle, label=kind)
        artists = [band, line]
        if ends := (at_zero or {}).get(kind):
            place = frequency[0] / (1.5 if kind == 'full' else 1.8)
            artists += axes.plot(
                [place, place], np.maximum(ends, floor), color=colour, linewidth=3, solid_capstyle='butt'
            )
        mark(axes, artists, frequency, value, interval=(low, high), label=kind, colour=colour, line=linestyle)
    log_scales(axes)
    legend(axes, loc='best')
    return figure
