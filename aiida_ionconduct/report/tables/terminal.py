"""The result of a campaign as plain text for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from aiida_ionconduct.report.result import Campaign
from aiida_ionconduct.report.tables.arrhenius import EXTRAPOLATION_WARNING, arrhenius_rows
from aiida_ionconduct.report.tables.conductivity import (
    assumption_rows,
    conductivity_rows,
    disorder_rows,
    note_texts,
    onsager_rows,
    sampling_rows,
    warning_texts,
)
from aiida_ionconduct.report.tables.error_budget import COLUMNS, error_budget_rows
from aiida_ionconduct.report.tables.error_target import target_rows
from aiida_ionconduct.report.tables.expansion import HEADERS, expansion_rows, expansion_texts
from aiida_ionconduct.report.tables.potential import validation_rows
from aiida_ionconduct.report.verdict import Verdict, campaign_verdict

WIDTH = 100
MARKS = {True: 'yes', False: 'NO', None: '?'}


def summary_tables(data: Campaign, judged: bool = True) -> str:
    """Write one table per temperature, the Arrhenius line, the validation gate, and what the numbers are worth.

    :param data: as :func:`aiida_ionconduct.report.graph.campaign.collect` returns it.
    :param judged: whether the numbers come from a campaign, with its protocol and validation. If not, the text says
        only what follows from the runs themselves.
    """
    sections = [_temperature(attributes) for attributes in data.attributes]
    if len(data.attributes) == 1 and (coefficients := onsager_rows(data.attributes[0])):
        sections.append(_table(coefficients, 'Onsager (S/cm)', 'value ± std. error', '95 % interval'))
    if fit := arrhenius_rows(data.arrhenius):
        sections.append(f'{_table(fit, "Arrhenius", "value", "95 % interval")}\n{_wrap(EXTRAPOLATION_WARNING)}')
    if data.disorder:
        headers = ('Ordering', 'electrostatic (meV/atom)', 'DFT (meV/atom)', 'seeds')
        sections.append(_table(disorder_rows(data.disorder), *headers))
    if cells := expansion_rows(data.expansion):
        means = [_wrap(text, '- ') for text in expansion_texts(data.expansion)]
        sections.append('\n'.join([_table(cells, *HEADERS), *means]))
    if target := target_rows(data.outcome):
        title = f'target {data.outcome["target_relative_error"]:.2g}'
        sections.append(_table(target, title, 'ending', 'relative error', 'MD (ns)'))
    if data.validation:
        checks = [
            (label, outcome.value, outcome.allowed, MARKS[outcome.passed])
            for label, outcome in validation_rows(data.validation)
        ]
        sections.append(_table(checks, 'Validation', 'value', 'allowed', 'passed'))
    if judged and (budget := error_budget_rows(data)):
        sections.append(tabulate(budget, headers=COLUMNS, disable_numparse=True, maxcolwidths=[24, 26, None, 34]))
    if rows := assumption_rows(data.attributes):
        sections.append(
            tabulate(rows, headers=('Assumptions', '', 'from'), disable_numparse=True, maxcolwidths=[None, 50, 40])
        )
    if texts := note_texts(data.attributes):
        sections.append('\n'.join(['Notes', *(_wrap(text, '- ') for text in texts)]))
    if texts := warning_texts(data.attributes, data.arrhenius):
        sections.append('\n'.join(['Warnings', *(_wrap(text, '- ') for text in texts)]))
    return '\n\n'.join([*sections, _statement(campaign_verdict(data)) if judged else _own_statement(data)])


def _temperature(attributes: Mapping[str, Any]) -> str:
    sampling = ', '.join(f'{label}: {value}' for label, value in sampling_rows(attributes))
    title = f'{attributes["temperature_K"]:g} K'
    return f'{_table(conductivity_rows(attributes), title, "value ± std. error", "95 % interval")}\n{_wrap(sampling)}'


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
    for attributes in data.attributes:
        state = 'converged' if attributes['converged'] else 'not converged'
        lines.append(f'{attributes["temperature_K"]:g} K: {state} (σ known to 20 %, both slopes on a plateau)')
    return '\n'.join(lines)


def _table(rows: Sequence[tuple[str, ...]], *headers: str) -> str:
    return tabulate(rows, headers=headers, disable_numparse=True)


def _wrap(text: str, mark: str = '') -> str:
    return textwrap.fill(text, WIDTH, initial_indent=mark, subsequent_indent=' ' * len(mark))
