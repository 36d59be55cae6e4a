"""From the process node of a campaign to plain data, whatever part of the campaign exists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from aiida import orm
from aiida.common.links import LinkType
from ase.data import chemical_symbols

from aiida_ionconduct.labels import in_namespace
from aiida_ionconduct.queries import campaigns_of, stored_pk
from aiida_ionconduct.report.graph.call_tree import CallTree, linked
from aiida_ionconduct.report.graph.costs import stage_costs
from aiida_ionconduct.report.graph.error_sources import collect_error_sources
from aiida_ionconduct.report.graph.inputs import flat_inputs
from aiida_ionconduct.report.graph.speed import md_speeds
from aiida_ionconduct.report.graph.stages import collect_stages, process_state, wall_time_s
from aiida_ionconduct.report.result import Campaign, Conductivity

ENGINE_VERSIONS = {'creator_version': 'Quantum ESPRESSO', 'lammps_version': 'LAMMPS'}
"""Keys of the output parameters of jobs, and the programs whose versions they state."""


def collect_result(node: orm.Node, temperature_K: float | None = None) -> Campaign:
    """Return the results below a work chain, or a conductivity with the campaign that it belongs to.

    :param temperature_K: only this temperature.
    :raises ValueError: if there is no conductivity at that temperature.
    """
    if isinstance(node, orm.WorkChainNode):
        data = collect(node)
    else:
        owner = campaigns_of().get(stored_pk(node))
        process = orm.load_node(owner) if owner else None
        campaign = collect(process) if isinstance(process, orm.WorkChainNode) else Campaign({'state': 'finished'})
        data = replace(campaign, conductivities=[collect_conductivity(node)], arrhenius={}, outcome={})
    if temperature_K is None:
        return data
    chosen = [result for result in data.conductivities if abs(result.temperature_K - temperature_K) < 0.5]
    if not chosen:
        known = ', '.join(f'{result.temperature_K:g}' for result in data.conductivities) or 'none'
        raise ValueError(f'there is no conductivity at {temperature_K:g} K; temperatures: {known}.')
    return replace(data, conductivities=chosen, arrhenius={}, outcome={})


def collect(node: orm.WorkChainNode) -> Campaign:
    """Gather the outputs and the call tree of a :class:`ConductivityWorkChain`.

    Outputs that are missing, because the chain failed, is running or skipped a stage, leave their field empty.
    """
    state = _state(node)  # before anything else: a chain that has ended by now has all its outputs
    outputs = {link.link_label: link.node for link in node.base.links.get_outgoing(link_type=LinkType.RETURN)}
    inputs = {link.link_label: link.node for link in node.base.links.get_incoming(link_type=LinkType.INPUT_WORK)}
    results = list(in_namespace('conductivities', outputs).values())
    conductivities = [collect_conductivity(result) for result in results]
    dataset = outputs.get('dataset', inputs.get('dataset'))
    tree = CallTree(node)
    stages, flows = collect_stages(node, tree)
    jobs = tree.jobs(node)
    fields: dict[str, Any] = {name: read(outputs[name]) for name, read in OUTPUT_READERS.items() if name in outputs}
    return Campaign(
        process={**_process(node, tree), **state},
        composition=_composition(
            outputs.get('structure', inputs.get('structure')),
            list(in_namespace('trajectories', outputs).values()),
            outputs.get('supercell'),
        ),
        dataset=dict(dataset.base.attributes.all) if dataset else {},
        conductivities=sorted(conductivities, key=lambda result: result.temperature_K),
        stages=stages,
        flows=flows,
        costs=stage_costs(node, tree),
        error_sources=collect_error_sources(node, results),
        expansion={label: _dictionary(cell) for label, cell in in_namespace('expansion', outputs).items()},
        speeds=md_speeds(node, tree),
        codes=_codes(jobs),
        versions=_versions([node, *jobs]),
        inputs=flat_inputs(node),
        **fields,
    )


def collect_conductivity(node: orm.Node) -> Conductivity:
    """Return a stored conductivity."""
    return Conductivity(array_attributes(node), arrays(node), node.pk, str(node.uuid))


def array_attributes(node: orm.Node) -> dict[str, Any]:
    """Return the attributes of an array node without the shapes of its arrays, which it keeps among them."""
    return {key: value for key, value in node.base.attributes.all.items() if not key.startswith('array|')}


def arrays(node: orm.Node) -> dict[str, np.ndarray]:
    """Return the arrays of an array node by name; no array of any other node."""
    return {name: node.get_array(name) for name in node.get_arraynames()} if isinstance(node, orm.ArrayData) else {}


def repetitions(cell: Sequence | np.ndarray, supercell: Sequence | np.ndarray) -> list[int] | list[list[int]] | None:
    """Return how often each vector of a cell is repeated in a supercell.

    :param cell: 3×3 cell vectors as rows, Å.
    :param supercell: likewise.
    :return: three numbers; for other vectors of the same lattice the 3×3 integers, the rows in units of the cell's
        vectors; None for a cell of another lattice.
    """
    matrix = np.asarray(supercell) @ np.linalg.inv(cell)
    integers = np.rint(matrix).astype(int)
    if not np.allclose(matrix, integers, atol=0.05) or np.linalg.det(integers) < 0.5:
        return None
    counts = np.diag(integers)
    is_repetition = np.array_equal(integers, np.diag(counts)) and counts.min() > 0
    return counts.tolist() if is_repetition else integers.tolist()


def _state(node: orm.WorkChainNode) -> dict[str, str]:
    ending = 'finished' if node.is_finished_ok else 'failed'
    return {
        'state': ending if node.is_terminated else 'running',
        'state_text': process_state(node),
        'message': node.exit_message or (node.exception or '').strip().rpartition('\n')[2],
    }


def _process(node: orm.WorkChainNode, tree: CallTree) -> dict[str, Any]:
    return {
        'pk': node.pk,
        'uuid': str(node.uuid),
        'class': node.process_label,
        'protocol': node.base.extras.get('protocol', None),
        'started': node.ctime.isoformat(sep=' ', timespec='seconds'),
        'wall_time_s': wall_time_s(tree.whole(node)),
    }


def _composition(
    structure: orm.Node | None, trajectories: Sequence[orm.Node], supercell: orm.Node | None
) -> dict[str, Any]:
    """Return the formula and, where an MD cell is known, how the MD cell is built from the crystal's cell.

    :param supercell: before its thermal expansion; None if it is not known, which leaves the cell of the runs.
    """
    if not isinstance(structure, orm.StructureData):
        return {}
    composition: dict[str, Any] = {
        'formula': structure.get_formula(mode='count_compact'),
        'n_atoms': len(structure.sites),
        'pk': structure.pk,
    }
    if trajectories:
        attributes = trajectories[0].base.attributes
        composition['n_atoms_md'] = attributes.get('n_atoms')
        if (every := attributes.get('thinned_every', 1)) > 1:
            composition['thinned_every'] = every
        cell = supercell.cell if isinstance(supercell, orm.StructureData) else attributes.get('cell')
        composition['supercell'] = repetitions(structure.cell, cell)
    return composition


def _dictionary(node: orm.Node) -> dict[str, Any]:
    return dict(node.base.attributes.all)


def _parity(node: orm.Node) -> dict[str, Any]:
    """Return the arrays, and a chemical symbol per row of the forces where the node has atomic ``numbers``."""
    columns: dict[str, Any] = dict(arrays(node))
    if 'numbers' in columns:
        columns['symbols'] = [chemical_symbols[number] for number in columns.pop('numbers')]
    return columns


OUTPUT_READERS: Mapping[str, Callable[[orm.Node], dict[str, Any]]] = {
    'teacher': _dictionary,
    'training': _dictionary,
    'validation': _dictionary,
    'arrhenius': _dictionary,
    'outcome': _dictionary,
    'disorder': _dictionary,
    'parity': _parity,
}
"""Outputs that are a field of the campaign of the same name, and how each is read."""


def _codes(jobs: Iterable[orm.CalcJobNode]) -> list[dict[str, str]]:
    """Return each code that ran, once; without paths and computers, which say nothing about a result."""
    links = linked(jobs, 'incoming', LinkType.INPUT_CALC, kind=orm.AbstractCode, label='code')
    codes = {
        link.node.uuid: {'label': link.node.label, 'plugin': link.node.default_calc_job_plugin or ''}
        for link in links
        if isinstance(link.node, orm.AbstractCode)
    }
    return sorted(codes.values(), key=lambda code: code['label'])


def _versions(processes: Sequence[orm.ProcessNode]) -> dict[str, str]:
    """Return the versions that the processes recorded when they ran: aiida-core, the plugins and the engines."""
    versions = {}
    for process in processes:
        recorded = process.base.attributes.get('version', {})
        if 'core' in recorded:
            versions['aiida-core'] = recorded['core']
        entry_point = (process.process_type or '').partition(':')[2]
        if 'plugin' in recorded and entry_point:
            versions[f'aiida-{entry_point.partition(".")[0]}'] = recorded['plugin']
    for link in linked(processes, 'outgoing', LinkType.CREATE, kind=orm.Dict, label='output_parameters'):
        for key, program in ENGINE_VERSIONS.items():
            if version := link.node.base.attributes.get(key, None):
                versions[program] = str(version)
    return versions
