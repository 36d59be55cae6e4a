"""Rows on the potential: the validation gate, errors on held-out frames, where the training set comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from aiida_ionconduct.labels import read_numbered
from aiida_ionconduct.report.number_format import MISSING, format_number

NOT_ASKED = 'not asked'
SOURCES = {
    'aimd': 'AIMD',
    'rattled': 'rattled cells',
    'pretrained_md': 'MD of the pretrained potential',
    'strained': 'MD in strained cells',
    'orderings': 'MD in other orderings',
    'hops': 'ions on their way',
    'sampled': 'sampled by the pretrained potential',
}
"""What a source of training frames is called."""
ERRORS = (
    ('Energy', 'energy_{}_eV_per_atom', 'meV/atom'),
    ('Forces', 'forces_{}_eV_per_A', 'meV/Å'),
    ('Stress', 'stress_{}_eV_per_A3', 'meV/Å³'),
)
"""What is predicted, the name of its error in eV, and the unit in which the error is shown."""


class Outcome(NamedTuple):
    """The outcome of a check of the gate: its value, the allowed values, and whether it passed.

    Of a comparison that could not be made, ``allowed`` is the reason and ``passed`` is None.
    """

    value: str
    allowed: str
    passed: bool | None


def validation_rows(validation: Mapping[str, Any]) -> list[tuple[str, Outcome]]:
    """Return label and outcome of every check of the gate, then of the comparisons that could not be made."""
    asked = [
        (
            check.get('label') or check['name'],
            Outcome(
                format_number(check.get('value'), unit=check.get('unit') or ''), _allowed(check), bool(check['passed'])
            ),
        )
        for check in validation.get('checks', [])
    ]
    left_out = validation.get('not_asked') or []
    return asked + [(row['label'], Outcome(NOT_ASKED, str(row['reason']), None)) for row in left_out]


def validation_table(validation: Mapping[str, Any]) -> tuple[list[str], list[tuple[str, list[Outcome | None]]]]:
    """Return the gate with a column for each temperature, so that it stays short.

    :return: the temperatures; and rows of a label and the outcome at each temperature, None where there was no check.
        A check without a temperature has a single outcome.
    """
    cells: dict[str, dict[str, Outcome]] = {}
    for label, outcome in validation_rows(validation):
        match = re.fullmatch(r'(.*), ([\d.]+) K', label)
        name, temperature = match.groups() if match else (label, '')
        cells.setdefault(name, {})[temperature] = outcome
    columns = sorted({temperature for row in cells.values() for temperature in row if temperature}, key=float)
    return columns, [
        (name, [row['']] if '' in row else [row.get(column) for column in columns]) for name, row in cells.items()
    ]


def error_rows(training: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return what is predicted, and mean absolute and root-mean-square errors on held-out frames, where known."""
    kinds = ('mae', 'rmse')
    rows = [(label, [training.get(f'test_{key.format(kind)}') for kind in kinds], unit) for label, key, unit in ERRORS]
    absolute, squared = (training.get(f'test_forces_{kind}_by_element') or {} for kind in kinds)
    rows += [(f'Forces on {symbol}', [mae, squared.get(symbol)], 'meV/Å') for symbol, mae in absolute.items()]
    texts = [
        (label, [format_number(None if value is None else 1000 * value, unit=unit) for value in values])
        for label, values, unit in rows
        if values[0] is not None
    ]
    return [(label, mae, rmse) for label, (mae, rmse) in texts]


def source_words(sources: Mapping[str, int]) -> str:
    """Return how many frames of a training set come from where, in words.

    :param sources: numbers of frames by source, such as ``aimd`` or, of a round of active learning, ``active_1``.
    """
    return ', '.join(f'{count} {_source_title(source)}' for source, count in sources.items())


def _source_title(source: str) -> str:
    name, number = read_numbered(source)
    return SOURCES.get(source, name if number is None else f'{name} in round {number}')


def _allowed(check: Mapping[str, Any]) -> str:
    """Return the values of a check that pass, in words."""
    unit, limit = check.get('unit') or '', check.get('limit')
    if not isinstance(limit, (list, tuple)):
        return MISSING if limit is None else f'at most {format_number(limit, unit=unit)}'
    low, high = limit
    if high is None:
        return f'at least {format_number(low, unit=unit)}'
    return f'{format_number(low)} to {format_number(high, unit=unit)}'
