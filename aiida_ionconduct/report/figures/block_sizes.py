"""Figures of the study of block sizes: conductivities from blocks of several lengths, and the curves behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aiida_ionconduct.report.figures.colours import FULL, GUIDE, INK, TRACER
from aiida_ionconduct.report.figures.style import (
    REFERENCE_DASHES,
    band,
    bars,
    canvas,
    finite,
    legend,
    power_of,
    power_ticks,
    styled,
)
from aiida_ionconduct.report.number_format import superscript

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {'full': FULL, 'tracer': TRACER}
LINES = {'block': '-', 'simple': REFERENCE_DASHES}
MARKERS = {'block': 'o', 'simple': 's'}


@styled
def block_sizes(curves: Mapping[str, np.ndarray], rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the running conductivity of every block length, with bands over seeds, and beside them all slopes.

    The scale is that of the slopes: a running curve of few blocks goes far beyond it at short lags.

    :param curves: as :func:`aiida_ionconduct.studies.block_size.block_size_study` returns them.
    :param rows: likewise.
    """
    from matplotlib.figure import Figure

    lengths = sorted({row['block_ps'] for row in rows})
    figure = Figure(figsize=(2.6 * (len(lengths) + 1), 3.2))
    panels = figure.subplots(1, len(lengths) + 1, sharey=True)
    power = _common_power(rows)
    for axes, length in zip(panels, lengths, strict=False):
        for quantity, colour in COLOURS.items():
            for method, line in LINES.items():
                name = f'{method}_{length:g}'.replace('.', '_')
                column = f'{name}_{quantity}_running_S_per_cm'
                running = finite(curves[f'{name}_lag_ps'], curves[column], curves[f'{column}_stderr'])
                lag, value, stderr = (values[running[0] > length / 30] for values in running)
                shown = lag, value / 10.0**power, stderr / 10.0**power
                band(axes, *shown, color=colour, linestyle=line, linewidth=1, label=f'{quantity}, {method}')
        axes.axvspan(0.1 * length, length, color=GUIDE, alpha=0.08, linewidth=0)
        axes.set_xscale('log')
        power_ticks(axes.xaxis)
        axes.set_xlabel('Lag (ps)')
        axes.set_title(f'blocks of {length:g} ps', fontsize=8.5, loc='left', color=INK)
    _draw_slopes(panels[-1], rows, power)
    panels[-1].set_title('slopes', fontsize=8.5, loc='left', color=INK)
    panels[0].set_ylabel(f'Conductivity ({_unit(power)})')
    ends = [(row['sigma_S_per_cm'] + sign * row['stderr']) / 10.0**power for row in rows for sign in (-3, 3)]
    panels[0].set_ylim(min(0.0, *ends), max(ends) or None)
    figure.legend(*panels[0].get_legend_handles_labels(), loc='outside upper center', ncols=4)
    return figure


@styled
def block_slopes(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the conductivities of every block length with their standard errors, without the curves behind them.

    :param rows: as :func:`aiida_ionconduct.studies.block_size.block_size_study` returns them.
    """
    power = _common_power(rows)
    figure, axes = canvas(ylabel=f'Conductivity ({_unit(power)})')
    _draw_slopes(axes, rows, power)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    legend(axes, loc='lower left', bbox_to_anchor=(0, 1), ncols=2)
    return figure


def _draw_slopes(axes: Axes, rows: Sequence[Mapping[str, Any]], power: int) -> None:
    """Draw the conductivities of every block length in units of a power of ten."""
    lengths = sorted({row['block_ps'] for row in rows})
    places = np.arange(len(lengths))
    for number, (quantity, method) in enumerate((q, m) for q in COLOURS for m in LINES):
        chosen = [row for row in rows if (row['quantity'], row['method']) == (quantity, method)]
        chosen.sort(key=lambda row: row['block_ps'])
        bars(
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


def _common_power(rows: Sequence[Mapping[str, Any]]) -> int:
    return power_of(max(row['sigma_S_per_cm'] + row['stderr'] for row in rows))


def _unit(power: int) -> str:
    return f'10{superscript(power)} S/cm' if power else 'S/cm'
