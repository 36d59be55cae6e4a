"""Rows on the thermal expansion: the cell at 0 K beside the mean cell at each temperature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida_ionconduct.report.number_format import MISSING, format_estimate, format_number

HEADERS = ('Cell', 'at 0 K', 'mean', 'expansion (%)')


def expansion_rows(expansion: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Return what is compared, its value at 0 K, its mean with the standard error, and the expansion in percent.

    :param expansion: by the label of the cell, as
        :func:`~aiida_ionconduct.calculations.functions.expansion.expand_structure` returns it.
    """
    rows = []
    for label, cell in _cold_to_hot(expansion):
        lengths = zip(
            'abc',
            cell['initial_lengths_A'],
            cell['lengths_A'],
            cell['lengths_stderr_A'],
            cell['length_expansions_percent'],
            cell['length_expansions_stderr_percent'],
            strict=True,
        )
        rows += [
            (f'{label}, {name} (Å)', format_number(before, 5), format_estimate(mean, error), format_estimate(*change))
            for name, before, mean, error, *change in lengths
        ]
        before, after = (
            ', '.join(f'{angle:.2f}' for angle in cell[name]) for name in ('initial_angles_deg', 'angles_deg')
        )
        rows.append((f'{label}, α, β, γ (°)', before, after, MISSING))
        volume = format_estimate(cell['volume_A3'], cell['volume_stderr_A3'])
        change = (cell['volume_expansion_percent'], cell['volume_expansion_stderr_percent'])
        rows.append(
            (f'{label}, volume (Å³)', format_number(cell['initial_volume_A3'], 5), volume, format_estimate(*change))
        )
    return rows


def expansion_lines(expansion: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a line for each cell: its volume at 0 K, its mean volume, and the expansion in percent."""
    return [
        f'{label}: cell of {format_number(cell["initial_volume_A3"], 5)} Å³ at 0 K, mean '
        f'{format_estimate(cell["volume_A3"], cell["volume_stderr_A3"], "Å³")}, expansion '
        f'{format_estimate(cell["volume_expansion_percent"], cell["volume_expansion_stderr_percent"], "%")}'
        for label, cell in _cold_to_hot(expansion)
    ]


def expansion_texts(expansion: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return how the means came about, and the warnings."""
    texts = []
    for label, cell in _cold_to_hot(expansion):
        cut, kept = (sum(cell[name]) for name in ('equilibration_ps', 'averaged_ps'))
        pressure = format_estimate(cell['pressure_bar'] / 1000, cell['pressure_stderr_bar'] / 1000, 'kbar')
        temperature = format_estimate(cell['measured_temperature_K'], cell['measured_temperature_stderr_K'], 'K')
        texts.append(
            f'{label}: mean over {kept:.3g} ps of {len(cell["averaged_ps"])} runs, {cut:.3g} ps of equilibration left '
            f'out; mean temperature {temperature}, mean pressure {pressure}'
        )
        texts += [f'{label}: {text}' for text in cell['warnings']]
    return texts


def _cold_to_hot(expansion: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the cells with their titles, such as ``1200 K`` or ``1200 K, ordering 2``."""
    ordered = sorted(expansion.items(), key=lambda item: (item[1]['temperature_K'], item[0]))
    titles = []
    for label, cell in ordered:
        ordering = label.partition('_ordering_')[2].lstrip('0')
        titles.append(f'{cell["temperature_K"]:g} K' + (f', ordering {ordering}' if ordering else ''))
    return list(zip(titles, (cell for _, cell in ordered), strict=True))
