"""Any result in words, or as plain data: what ``aiida-ionconduct show`` prints."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from aiida import orm
from tabulate import tabulate

from aiida_ionconduct.data import ConductivityData
from aiida_ionconduct.queries import MODELS_STUDY, campaigns_of, stored_pk, trajectories_of
from aiida_ionconduct.report.graph.campaign import collect_result
from aiida_ionconduct.report.tables.error_budget import error_budget_rows
from aiida_ionconduct.report.tables.models import choice_text, models_text
from aiida_ionconduct.report.tables.studies import (
    block_sizes_text,
    density_text,
    potentials_text,
    sizes_text,
    twins_text,
)
from aiida_ionconduct.report.tables.terminal import summary_tables
from aiida_ionconduct.report.verdict import campaign_verdict

ERROR_KEYS = ('source', 'size', 'in_intervals', 'basis')
STUDIES: Mapping[str | None, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    'compare_block_sizes': ('result', block_sizes_text),
    'compare_sizes': ('result', sizes_text),
    'compare_potentials': ('result', potentials_text),
    'mobile_density': ('statistics', density_text),
    'compare_models': ('result', models_text),
    'choose_model': ('result', choice_text),
}
"""Calculation functions of studies: the output that has the numbers, and how the numbers are written."""
WORK_CHAIN_STUDIES = {'lyapunov': twins_text, 'comparison': potentials_text}
"""The same for work chains, by the output."""


def describe(node: orm.Node, temperature_K: float | None = None) -> str:
    """Return a result in words: a campaign or another work chain, a conductivity, a study, a model, a trajectory.

    :param temperature_K: only this temperature of a campaign.
    :raises ValueError: if there is nothing at that temperature, or if this package does not make such nodes.
    """
    if isinstance(node, orm.WorkChainNode):
        for name, write in WORK_CHAIN_STUDIES.items():
            if name in node.outputs:
                return write(node.outputs[name].get_dict())
    if isinstance(node, orm.WorkChainNode) and node.process_type == MODELS_STUDY:
        return _models_study(node)
    if isinstance(node, (orm.WorkChainNode, ConductivityData)):
        lines = [summary_tables(collect_result(node, temperature_K))]
        if isinstance(node, ConductivityData):
            lines += ['', _origin(node)]
        return '\n'.join(lines)
    if text := _study(node):
        return text
    if '.ionconduct.' in node.node_type:
        rows = [(key, value) for key, value in node.base.attributes.all.items() if not isinstance(value, (list, dict))]
        return tabulate(rows, headers=(type(node).__name__, str(node.pk)), disable_numparse=True)
    raise ValueError(f'node {node.pk} is a {type(node).__name__}: give a campaign, a conductivity, a study or a model.')


def as_data(node: orm.Node, temperature_K: float | None = None) -> dict[str, Any]:
    """Return a result as data that JSON can hold; arguments and errors are those of :func:`describe`."""
    if isinstance(node, orm.WorkChainNode) and node.process_type == MODELS_STUDY and 'table' in node.outputs:
        node = node.outputs.table
    if not isinstance(node, (orm.WorkChainNode, ConductivityData)):
        return {'pk': node.pk, 'uuid': str(node.uuid), **node.base.attributes.all}
    data = collect_result(node, temperature_K)
    judged = campaign_verdict(data)
    return {
        'process': data.process,
        'verdict': judged.level,
        'criteria': [
            {'criterion': criterion.label, 'met': criterion.passed, 'detail': criterion.detail}
            for criterion in judged.criteria
        ],
        'conductivities': [
            {'pk': result.pk, 'uuid': result.uuid, **result.attributes} for result in data.conductivities
        ],
        'arrhenius': data.arrhenius,
        'error_budget': [dict(zip(ERROR_KEYS, row, strict=True)) for row in error_budget_rows(data)],
        'validation': data.validation,
    }


def to_json(data: Mapping[str, Any]) -> str:
    """Return data as JSON."""
    return json.dumps(data, indent=2, ensure_ascii=False, default=str)


def _models_study(node: orm.WorkChainNode) -> str:
    """Return a study of models in words, or how far it is."""
    if 'table' in node.outputs:
        failure = f'\n\nThe study has failed: {node.exit_message}' if node.exit_message else ''
        return models_text(node.outputs.table.get_dict()) + failure
    why = f' ({node.exit_message})' if node.exit_message else ''
    return f'Study of models {node.pk} has no table yet{why}: aiida-ionconduct status {node.pk}'


def _origin(node: ConductivityData) -> str:
    """Return a sentence on the campaign and the trajectories of a conductivity."""
    runs, owner = trajectories_of(node), campaigns_of().get(stored_pk(node))
    source = f'Result of campaign {owner}' if owner else 'Of no campaign in this profile'
    pks = ', '.join(str(run.pk) for _, run in sorted(runs.items()))
    return f'{source}, from {len(runs)} trajectories: {pks}.' if runs else f'{source}; its trajectories are not stored.'


def _study(node: orm.Node) -> str | None:
    """Return a study in words, by one of its outputs or by the process that made it; None for any other node."""
    process = node if isinstance(node, orm.CalcFunctionNode) else getattr(node, 'creator', None)
    if process is None or process.process_label not in STUDIES:
        return None
    label, text = STUDIES[process.process_label]
    return text(dict(process.outputs[label].base.attributes.all))
