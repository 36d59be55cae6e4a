"""The result of a campaign as plain text for the terminal."""

from __future__ import annotations

import textwrap

from tabulate import tabulate

from aiida_ionconduct.report.graph.campaign import Campaign
from aiida_ionconduct.report.tables.rows import (
    EXTRAPOLATION_WARNING,
    arrhenius_rows,
    conductivity_rows,
    precision_rows,
    sampling_rows,
    validation_rows,
    warnings,
)
from aiida_ionconduct.report.verdict import Verdict, verdict

WIDTH = 100
MARKS = {True: 'yes', False: 'NO', None: '?'}


def campaign_verdict(data: Campaign) -> Verdict:
    """Return the verdict on a campaign."""
    return verdict(data.attributes, data.validation, data.process.get('protocol'), data.training, data.process['state'])


def summary_tables(data: Campaign, judged: bool = True) -> str:
    """Write one table per temperature, the Arrhenius line, the validation gate, and what the numbers are worth.

    :param data: as :func:`aiida_ionconduct.report.graph.campaign.collect` returns it.
    :param judged: whether a campaign with its protocol and validation stands behind the numbers. If not, only what the
        runs themselves say is said.
    """
    sections = [_temperature(one) for one in data.attributes]
    if rows := arrhenius_rows(data.arrhenius):
        table = tabulate(rows, headers=('Arrhenius', 'value', '95 % interval'), disable_numparse=True)
        sections.append(f'{table}\n{_wrap(EXTRAPOLATION_WARNING)}')
    if rows := precision_rows(data.outcome):
        headers = (f'target {data.outcome["target_relative_error"]:.2g}', 'ending', 'relative error', 'MD (ns)')
        sections.append(tabulate(rows, headers=headers, disable_numparse=True))
    if data.validation:
        rows = [
            (label, value, allowed, MARKS[passed]) for label, value, allowed, passed in validation_rows(data.validation)
        ]
        sections.append(tabulate(rows, headers=('Validation', 'value', 'allowed', 'passed'), disable_numparse=True))
    if texts := warnings(data.attributes, data.arrhenius):
        sections.append('\n'.join(['Warnings', *(_wrap(text, '- ') for text in texts)]))
    return '\n\n'.join([*sections, _statement(campaign_verdict(data)) if judged else _own_statement(data)])


def _temperature(one: dict) -> str:
    sampling = ', '.join(f'{label}: {value}' for label, value in sampling_rows(one))
    rows = conductivity_rows(one)
    table = tabulate(
        rows, headers=(f'{one["temperature_K"]:g} K', 'value ± std. error', '95 % interval'), disable_numparse=True
    )
    return f'{table}\n{_wrap(sampling)}'


def _statement(judged: Verdict) -> str:
    numbers = [
        f'σ at {temperature}: {", ".join(filter(None, (value, limits)))}'
        for temperature, value, limits in judged.numbers
    ]
    criteria = [(criterion.label, MARKS[criterion.passed], criterion.detail) for criterion in judged.criteria]
    evidence = [f'{label}: {value}' for label, value in judged.evidence]
    table = tabulate(criteria, headers=('criterion', 'met', ''), disable_numparse=True, maxcolwidths=[None, None, 44])
    return '\n'.join([_wrap(judged.sentence), *numbers, '', table, *(_wrap(text) for text in evidence)])


def _own_statement(data: Campaign) -> str:
    lines = []
    for one in data.attributes:
        state = 'converged' if one['converged'] else 'not converged'
        lines.append(f'{one["temperature_K"]:g} K: {state} (σ known to 20 %, both slopes on a plateau)')
    return '\n'.join(lines)


def _wrap(text: str, mark: str = '') -> str:
    return textwrap.fill(text, WIDTH, initial_indent=mark, subsequent_indent=' ' * len(mark))
