"""From the process node of a campaign to plain data: all that the page and the tables show, whatever is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiida import orm
from aiida.common.links import LinkType
from ase.data import chemical_symbols

from aiida_ionconduct.report.graph.calls import CallTree, linked
from aiida_ionconduct.report.graph.inputs import flat_inputs
from aiida_ionconduct.report.graph.stages import Flow, Stage, collect_stages, process_state, wall_time_s


@dataclass
class Conductivity:
    """The result at one temperature: flat attributes, and curves (1-d arrays)."""

    attributes: dict[str, Any]
    curves: dict[str, np.ndarray] = field(default_factory=dict)
    pk: int | None = None
    uuid: str | None = None

    @property
    def temperature_K(self) -> float:
        """Temperature."""
        return self.attributes['temperature_K']


@dataclass
class Campaign:
    """What one campaign made. Every field but the first may be empty: a page of half a campaign is still a page."""

    process: dict[str, Any]
    composition: dict[str, Any] = field(default_factory=dict)
    dataset: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    validation: dict[str, Any] = field(default_factory=dict)
    parity: dict[str, Any] = field(default_factory=dict)
    conductivities: list[Conductivity] = field(default_factory=list)
    arrhenius: dict[str, Any] = field(default_factory=dict)
    outcome: dict[str, Any] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)
    codes: list[dict[str, str]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)
    """Of :func:`aiida_ionconduct.report.graph.runs.look_into`, which only the page asks for."""

    @property
    def attributes(self) -> list[dict[str, Any]]:
        """Attributes of the conductivities, cold to hot."""
        return [one.attributes for one in self.conductivities]


def collect(node: orm.WorkChainNode) -> Campaign:
    """Gather the outputs and the call tree of a :class:`ConductivityWorkChain`.

    Outputs that are missing, because the chain failed, is running or skipped a stage, leave their field empty.
    """
    state = _state(node)  # before anything else: a chain that has ended by now has all its outputs
    outputs = {link.link_label: link.node for link in node.base.links.get_outgoing(link_type=LinkType.RETURN)}
    inputs = {link.link_label: link.node for link in node.base.links.get_incoming(link_type=LinkType.INPUT_WORK)}
    results = [one for label, one in outputs.items() if label.startswith('conductivities__')]
    conductivities = [collect_conductivity(one) for one in results]
    trajectories = [one for label, one in outputs.items() if label.startswith('trajectories__')]
    structure = outputs.get('structure', inputs.get('structure'))
    dataset = outputs.get('dataset', inputs.get('dataset'))
    tree = CallTree(node)
    stages, flows = collect_stages(node, tree)
    jobs = tree.jobs(node)
    return Campaign(
        process={**_process(node, tree), **state},
        composition=_composition(structure, trajectories),
        dataset=dict(dataset.base.attributes.all) if dataset else {},
        conductivities=sorted(conductivities, key=lambda one: one.temperature_K),
        stages=stages,
        flows=flows,
        codes=_codes(jobs),
        versions=_versions([node, *jobs]),
        inputs=flat_inputs(node),
        **{name: read(outputs[name]) for name, read in OUTPUT_READERS.items() if name in outputs},
    )


def _state(node: orm.WorkChainNode) -> dict[str, str]:
    if not node.is_terminated:
        state = 'running'
    else:
        state = 'finished' if node.is_finished_ok else 'failed'
    return {
        'state': state,
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


def _composition(structure: orm.StructureData | None, trajectories: list[orm.Data]) -> dict[str, Any]:
    """Return the formula and, where an MD cell is known, how it is built from the crystal's cell."""
    if structure is None:
        return {}
    n_atoms = len(structure.sites)
    composition = {'formula': structure.get_formula(mode='count_compact'), 'n_atoms': n_atoms, 'pk': structure.pk}
    if trajectories:
        attributes = trajectories[0].base.attributes
        composition['n_atoms_md'] = attributes.get('n_atoms')
        composition['supercell'] = repetitions(structure.cell, attributes.get('cell'))
    return composition


def repetitions(cell, supercell) -> list[int] | None:
    """Return how often each vector of a cell is repeated in a supercell; None if it is no such repetition.

    :param cell: 3×3 cell vectors as rows, Å, and so is ``supercell``.
    """
    matrix = np.asarray(supercell) @ np.linalg.inv(cell)
    counts = np.rint(np.diag(matrix)).astype(int)
    return counts.tolist() if np.allclose(matrix, np.diag(counts), atol=0.05) and counts.min() > 0 else None


def collect_conductivity(node: orm.ArrayData) -> Conductivity:
    """Return a stored conductivity."""
    curves = {name: node.get_array(name) for name in node.get_arraynames()}
    # The array node keeps the shapes of its arrays among the attributes.
    attributes = {key: value for key, value in node.base.attributes.all.items() if not key.startswith('array|')}
    return Conductivity(attributes, curves, node.pk, str(node.uuid))


def _parity(node: orm.ArrayData) -> dict[str, Any]:
    """Return the arrays, and a chemical symbol per row of the forces where the node has atomic ``numbers``."""
    arrays = {name: node.get_array(name) for name in node.get_arraynames()}
    if 'numbers' in arrays:
        arrays['symbols'] = [chemical_symbols[number] for number in arrays.pop('numbers')]
    return arrays


ENGINE_VERSIONS = {'creator_version': 'Quantum ESPRESSO', 'lammps_version': 'LAMMPS'}
"""Keys of the output parameters of jobs, and the programs whose versions they state."""
OUTPUT_READERS: Mapping[str, Callable[[orm.Data], dict]] = {
    'training': orm.Dict.get_dict,
    'validation': orm.Dict.get_dict,
    'arrhenius': orm.Dict.get_dict,
    'outcome': orm.Dict.get_dict,
    'parity': _parity,
}


def _codes(jobs: list[orm.CalcJobNode]) -> list[dict[str, str]]:
    """Return each code that ran, once; no paths and computers, which belong to a place and not to a result."""
    codes = {}
    for row in linked(jobs, 'incoming', LinkType.INPUT_CALC, kind=orm.AbstractCode, label='code'):
        plugin = row.node.default_calc_job_plugin or ''
        codes[row.node.uuid] = {'label': row.node.label, 'plugin': plugin}
    return sorted(codes.values(), key=lambda code: code['label'])


def _versions(processes: list[orm.ProcessNode]) -> dict[str, str]:
    """Return the versions that the processes recorded when they ran: aiida-core and the plugins."""
    versions = {}
    for process in processes:
        recorded = process.base.attributes.get('version', {})
        if 'core' in recorded:
            versions['aiida-core'] = recorded['core']
        entry_point = (process.process_type or '').partition(':')[2]
        if 'plugin' in recorded and entry_point:
            versions[f'aiida-{entry_point.partition(".")[0]}'] = recorded['plugin']
    for row in linked(processes, 'outgoing', LinkType.CREATE, kind=orm.Dict, label='output_parameters'):
        for key, program in ENGINE_VERSIONS.items():
            if version := row.node.base.attributes.get(key, None):
                versions[program] = str(version)
    return versions
