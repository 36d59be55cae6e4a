"""Any result in words, or as plain data: what ``aiida-ionconduct show`` prints."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from aiida import orm
from tabulate import tabulate

from aiida_ionconduct.data import ConductivityData
from aiida_ionconduct.queries import campaigns_of, trajectories_of
from aiida_ionconduct.report.graph.campaign import Campaign, collect, collect_conductivity
from aiida_ionconduct.report.tables.studies import block_sizes_text, density_text, sizes_text, twins_text
from aiida_ionconduct.report.tables.text import campaign_verdict, summary_tables

STUDIES = {
    'compare_block_sizes': ('result', block_sizes_text),
    'compare_sizes': ('result', sizes_text),
    'mobile_density': ('statistics', density_text),
}
"""Calculation functions of studies: the output that has the numbers, and how they are said."""


def describe(node: orm.Node, temperature_K: float | None = None) -> str:
    """Return a result in words: a campaign or another work chain, a conductivity, a study, a model, a trajectory.

    :param temperature_K: only this temperature of a campaign.
    :raises ValueError: if there is nothing at that temperature, or the node is nothing that this package makes.
    """
    if isinstance(node, orm.WorkChainNode) and 'lyapunov' in node.base.links.get_outgoing().all_link_labels():
        return twins_text(node.outputs.lyapunov.get_dict())
    if isinstance(node, (orm.WorkChainNode, ConductivityData)):
        data = gather(node, temperature_K)
        lines = [summary_tables(data)]
        if isinstance(node, ConductivityData):
            lines += ['', origin(node)]
        return '\n'.join(lines)
    if text := study(node):
        return text
    if '.ionconduct.' in node.node_type:
        rows = [(key, value) for key, value in node.base.attributes.all.items() if not isinstance(value, (list, dict))]
        return tabulate(rows, headers=(type(node).__name__, node.pk), disable_numparse=True)
    raise ValueError(f'node {node.pk} is a {type(node).__name__}: give a campaign, a conductivity, a study or a model.')


def gather(node: orm.Node, temperature_K: float | None = None) -> Campaign:
    """Return the results below a work chain, or a conductivity with the campaign that it is of.

    :raises ValueError: if there is nothing at that temperature.
    """
    if isinstance(node, orm.WorkChainNode):
        data = collect(node)
    else:
        owner = campaigns_of().get(node.pk)
        campaign = collect(orm.load_node(owner)) if owner else Campaign(process={'state': 'finished'})
        data = replace(campaign, conductivities=[collect_conductivity(node)], arrhenius={}, outcome={})
    if temperature_K is None:
        return data
    chosen = [one for one in data.conductivities if abs(one.temperature_K - temperature_K) < 0.5]
    if not chosen:
        known = ', '.join(f'{one.temperature_K:g}' for one in data.conductivities) or 'none'
        raise ValueError(f'there is no conductivity at {temperature_K:g} K; temperatures: {known}.')
    return replace(data, conductivities=chosen, arrhenius={}, outcome={})


def as_data(node: orm.Node, temperature_K: float | None = None) -> dict[str, Any]:
    """Return a result as data that JSON can hold, arguments and errors as of :func:`describe`."""
    if not isinstance(node, (orm.WorkChainNode, ConductivityData)):
        return {'pk': node.pk, 'uuid': str(node.uuid), **node.base.attributes.all}
    data = gather(node, temperature_K)
    judged = campaign_verdict(data)
    return {
        'process': data.process,
        'verdict': judged.level,
        'criteria': [{'criterion': one.label, 'met': one.passed, 'detail': one.detail} for one in judged.criteria],
        'conductivities': [{'pk': one.pk, 'uuid': one.uuid, **one.attributes} for one in data.conductivities],
        'arrhenius': data.arrhenius,
        'validation': data.validation,
    }


def origin(node: ConductivityData) -> str:
    """Return what a conductivity comes from."""
    runs, owner = trajectories_of(node), campaigns_of().get(node.pk)
    source = f'Result of campaign {owner}' if owner else 'Of no campaign in this profile'
    pks = ', '.join(str(run.pk) for _, run in sorted(runs.items()))
    return f'{source}, from {len(runs)} trajectories: {pks}.' if runs else f'{source}; its trajectories are not stored.'


def study(node: orm.Node) -> str | None:
    """Return a study in words, by one of its outputs or by the process that made it; None for anything else."""
    process = node if isinstance(node, orm.CalcFunctionNode) else getattr(node, 'creator', None)
    if process is None or process.process_label not in STUDIES:
        return None
    label, text = STUDIES[process.process_label]
    return text(dict(process.outputs[label].base.attributes.all))


def to_json(data: dict) -> str:
    """Return data as JSON."""
    return json.dumps(data, indent=2, ensure_ascii=False, default=str)
