"""Figures of the potential: parity with DFT, learning curves, and its dynamics against AIMD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from aiida_ionconduct.report.figures.colours import ELEMENT_COLOURS, FULL, GUIDE, INK, TRACER
from aiida_ionconduct.report.figures.interactive import mark
from aiida_ionconduct.report.figures.style import (
    MARKERS,
    REFERENCE_DASHES,
    SIZE,
    SMALL,
    canvas,
    legend,
    log_scales,
    power_ticks,
    styled,
)
from aiida_ionconduct.report.number_format import format_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEARNING = (('train_loss', 'Training loss', 1, FULL), ('val_force', 'Validation force MAE (meV/Å)', 1000, TRACER))
"""What the learning curves show: start of the column's name, label, scale, colour."""


@styled
def parity(
    reference: np.ndarray, predicted: np.ndarray, *, label: str, unit: str, groups: Sequence[str] | None = None
) -> Figure:
    """Draw predictions against references; the mean absolute error stands in the legend.

    :param reference: shape (N,) or (N, 3), in eV/atom or eV/Å; the legend's errors are in the same unit times 1000.
    :param predicted: likewise.
    :param groups: N chemical symbols, each drawn in a colour of its own, with an error of its own.
    """
    figure, axes = canvas(size=SMALL, xlabel=f'DFT {label} ({unit})', ylabel=f'Allegro {label} ({unit})')
    reference, predicted = np.asarray(reference, dtype=float), np.asarray(predicted, dtype=float)
    names = np.asarray(groups if groups is not None else ['all'] * len(reference))
    both = np.concatenate([reference.ravel(), predicted.ravel()])
    margin = 0.04 * np.ptp(both) or 1e-3
    limits = (both.min() - margin, both.max() + margin)
    axes.plot(limits, limits, color=GUIDE, linewidth=1, zorder=1)
    colours = [FULL] if groups is None else ELEMENT_COLOURS
    for index, name in enumerate(sorted(set(names))):
        chosen = names == name
        error = 1000 * np.abs(predicted[chosen] - reference[chosen]).mean()
        marker, colour = MARKERS[index % len(MARKERS)], colours[index % len(colours)]
        text = f'MAE {format_number(error)} m{unit}'
        entry = text if groups is None else f'{name}: {text}'
        points = reference[chosen].ravel(), predicted[chosen].ravel()
        dots = axes.scatter(
            *points,
            s=12,
            marker=marker,
            linewidths=0,
            alpha=0.65,
            color=colour,
            rasterized=reference.size > 500,
            zorder=2,
            label=entry,
        )
        mark(axes, [dots], *points, label=entry, colour=colour, line=None, marker=marker)
    axes.set(xlim=limits, ylim=limits, aspect='equal')
    legend(axes, loc='upper left', markerscale=1.5)
    figure.set_dpi(200)
    return figure


@styled
def learning_curves(curves: Mapping[str, Sequence[float | None]]) -> Figure:
    """Draw the training loss and the validation force error against the epoch, each on its own logarithmic axis.

    :param curves: ``epoch``, and any of ``train_loss…`` and ``val_force…`` (eV/Å); None where not recorded.
    """
    from matplotlib.figure import Figure

    shown = [
        (name, label, scale, colour)
        for start, label, scale, colour in LEARNING
        if (name := next((column for column in curves if column.startswith(start)), None))
    ]
    figure = Figure(figsize=SMALL)
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, label, scale, colour) in zip(panels, shown, strict=True):
        value = scale * np.array(curves[name], dtype=float)
        epoch, known = np.array(curves['epoch']), np.isfinite(value) & (value > 0)
        (line,) = axes.plot(epoch[known], value[known], color=colour, marker='.' if known.sum() < 20 else None)
        mark(axes, [line], epoch[known], value[known], label=label, colour=colour)
        axes.set_yscale('log')
        axes.set_title(label, fontsize=8.5, loc='left', color=INK)
        power_ticks(axes.yaxis)
    panels[-1].set_xlabel('Epoch')
    return figure


@styled
def radial_distributions(
    r_A: np.ndarray, model: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]
) -> Figure:
    """Draw g(r) of every pair, by the potential and by AIMD, above each other, each scaled by the highest peak.

    :param r_A: middles of the bins.
    :param model: g(r) by the potential, by pair such as ``Li-O``.
    :param reference: g(r) by AIMD, likewise.
    """
    pairs = [pair for pair in model if pair in reference and reference[pair].max() > 0]
    figure, axes = canvas(size=(SIZE[0], 0.9 + 0.42 * len(pairs)), xlabel='Distance (Å)')
    for place, pair in enumerate(reversed(pairs)):
        height = 1.15 * max(reference[pair].max(), model[pair].max())
        for label, curve, colour, line in (
            ('AIMD', reference[pair], TRACER, REFERENCE_DASHES),
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
            mark(
                axes,
                [drawn],
                r_A,
                place + curve / height,
                label=label,
                name=f'{pair}, {label}',
                reads=curve,
                colour=colour,
                line=line,
            )
    axes.set_yticks(np.arange(len(pairs)), [pair.replace('-', '–') for pair in reversed(pairs)])
    axes.tick_params(axis='y', length=0, labelcolor=INK)
    axes.set_ylim(-0.05, len(pairs))
    axes.set_xlim(0, r_A[-1])
    legend(axes, loc='lower left', bbox_to_anchor=(0, 1), ncols=2)
    return figure


@styled
def displacement_against_aimd(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Draw the mean-squared displacement of the mobile ions by the potential and by AIMD.

    :param curves: lags in ps and displacements in Å², by ``AIMD`` and ``Allegro``.
    """
    figure, axes = canvas(xlabel='Lag (ps)', ylabel='Mean squared displacement (Å²)')
    for label, colour, line in (('AIMD', TRACER, REFERENCE_DASHES), ('Allegro', FULL, '-')):
        lag, value = (np.asarray(column)[1:] for column in curves[label])
        (drawn,) = axes.plot(lag, value, color=colour, linestyle=line, label=label)
        mark(axes, [drawn], lag, value, label=label, colour=colour, line=line)
    log_scales(axes)
    legend(axes, loc='upper left')
    return figure
