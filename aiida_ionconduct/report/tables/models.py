"""The table of a study of models: rows for the page, and text for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from tabulate import tabulate

from aiida_ionconduct.report.number_format import MISSING
from aiida_ionconduct.studies.models import level_name, spread

HEADERS = ('epochs', 'forces (meV/Å)', 'energy (meV/atom)', 'µs/atom/step', 'memory (MB)', 'front', 'state')
ERROR, TIME = 'forces_mae_eV_per_A', 'us_per_atom_step'
BUSY = 90.0
"""A timing is doubted if the processor worked on it for less than this percentage of the wall time."""


def model_rows(table: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return headers and rows of the settings, the fastest first.

    :param table: of :func:`aiida_ionconduct.calculations.functions.models.compare_models`.
    """
    keys = list(dict.fromkeys(key for row in table['rows'] for key in row['settings']))
    ordered = sorted(table['rows'], key=lambda row: (row[TIME] is None, row[TIME] or 0.0, row['label']))
    return ['setting', *keys, *HEADERS], [_cells(row, keys) for row in ordered]


def _cells(row: Mapping[str, Any], keys: list[str]) -> list[str]:
    return [
        row['label'],
        *(level_name(row['settings'][key]) for key in keys),
        str(row['epochs']),
        _number(row[ERROR], 1000),
        _number(row['energy_mae_eV_per_atom'], 1000),
        _number(row[TIME]),
        _number(row['peak_memory_MB']),
        'yes' if row['on_front'] else '',
        f'{row["state"]}: {row["reason"]}' if row['reason'] else row['state'],
    ]


def effect_rows(table: Mapping[str, Any]) -> list[list[str]]:
    """Return setting, value, and the mean changes of force error and time, the setting that matters most first."""
    errors, times = (table['effects'][name] for name in (ERROR, TIME))
    keys = sorted({*errors, *times}, key=lambda key: -spread(errors.get(key, {'': 0.0})))
    return [
        [key, level, _number(errors.get(key, {}).get(level), 1000, '+'), _number(times.get(key, {}).get(level), 1, '+')]
        for key in keys
        for level in (errors.get(key) or times[key])
    ]


EFFECT_HEADERS = ('parameter', 'value', 'forces (meV/Å)', 'µs/atom/step')


def matters_most(table: Mapping[str, Any]) -> list[str]:
    """Return sentences on which parameter changes the force error most, and which the time."""
    lines = []
    for name, what, unit, scale in (
        (ERROR, 'the force error', 'meV/Å', 1000),
        (TIME, 'the time', 'µs per atom and step', 1),
    ):
        effects = table['effects'][name]
        if effects:
            key = max(effects, key=lambda key: spread(effects[key]))
            lines.append(f'{key} changes {what} most: by {scale * spread(effects[key]):.3g} {unit} over its values.')
    return lines


def disturbed_timings(table: Mapping[str, Any]) -> list[str]:
    """Return a sentence on the timings to which the processor gave too small a part of its time, if there are any."""
    uses = {row['label']: row.get('cpu_use_percent') for row in table['rows'] if row[TIME] is not None}
    low = ', '.join(f'{label} ({use:.0f} %)' for label, use in uses.items() if use is not None and use < BUSY)
    if not low:
        return []
    return [
        f'Warning: for less than {BUSY:.0f} % of the time, the processor worked on the timing of {low}. Other programs '
        'ran on the machine, or the run waited, and the time is too long. Repeat the study on a quiet machine with '
        'another number of --steps: then the timings are taken anew, and the trainings come from the cache.'
    ]


def models_text(table: Mapping[str, Any]) -> str:
    """Return what a study of models says: the settings, the main effects, and what was run."""
    headers, rows = model_rows(table)
    epochs = ', '.join(map(str, table['epochs']))
    lines = [
        tabulate(rows, headers=headers, disable_numparse=True),
        '',
        f'Force errors: mean absolute error on the test frames, which decide nothing. Times: LAMMPS, {table["cell"]}.',
        f'Rungs of {epochs} epochs; the fraction that goes on is {table["keep"]:g}. Front: no other setting is both '
        'faster and more accurate.',
        *disturbed_timings(table),
    ]
    effects = effect_rows(table)
    if effects:
        lines += [
            '',
            f'Mean change by each value, of the force error after {table["epochs"][0]} epochs, and of the time:',
            '',
            tabulate(effects, headers=EFFECT_HEADERS, disable_numparse=True),
            '',
            *matters_most(table),
        ]
    return '\n'.join(lines)


def choice_text(choice: Mapping[str, Any]) -> str:
    """Return which setting was chosen.

    :param choice: of :func:`aiida_ionconduct.calculations.functions.models.choose_model`.
    """
    row = choice['row']
    values = ', '.join(f'{key} {level_name(value)}' for key, value in row['settings'].items())
    return (
        f'{choice["criterion"]}: {row["label"]} ({values}), {_number(row[ERROR], 1000)} meV/Å after {row["epochs"]} '
        f'epochs, {_number(row[TIME])} µs per atom and step.'
    )


def overrides_text(choice: Mapping[str, Any]) -> str:
    """Return the section `training` of a choice as a YAML file for ``launch --overrides``."""
    comment = f'# {choice_text(choice)}\n'
    return comment + str(yaml.safe_dump({'training': choice['training']}, sort_keys=False))


def _number(value: float | None, scale: float = 1, sign: str = '') -> str:
    return MISSING if value is None else f'{scale * value:{sign}.3g}'
