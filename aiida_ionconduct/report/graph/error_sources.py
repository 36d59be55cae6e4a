"""What a profile knows of errors beyond the statistical error of its conductivities."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from aiida import orm
from aiida.common.links import LinkType

from aiida_ionconduct.data import AllegroModelData, ConductivityData
from aiida_ionconduct.queries import trajectories_behind

COMPILATION = 'aiida.calculations:ionconduct.allegro.compile'


def collect_error_sources(node: orm.WorkChainNode, conductivities: Iterable[orm.Node]) -> dict[str, Any]:
    """Return what the error budget needs beyond the campaign's own numbers.

    :param node: the campaign.
    :param conductivities: its results.
    :return: ``sizes``, the studies of cell sizes of this material; ``potentials``, by temperature in K, conductivities
        of the same cell with their standard errors, one for each potential; ``functionals`` of the DFT of the campaign,
        and ``given_labels``, whether the training set was given.
    """
    inputs = {link.link_label: link.node for link in node.base.links.get_incoming(link_type=LinkType.INPUT_WORK)}
    results = [result for result in conductivities if isinstance(result, ConductivityData)]
    given = any(label in inputs for label in ('dataset', 'model'))
    return {
        'sizes': size_studies({result.base.attributes.get('reduced_composition', None) for result in results}),
        'potentials': {f'{result.temperature_K:g}': of_potentials(result) for result in results},
        'functionals': [] if given else functionals(inputs),
        'given_labels': 'dataset' in inputs,
    }


def size_studies(compositions: Iterable[str | None]) -> list[dict[str, Any]]:
    """Return the studies of cell sizes of some materials, oldest first, each with its ``pk``."""
    known = [composition for composition in compositions if composition]
    if not known:
        return []
    query = orm.QueryBuilder()
    query.append(ConductivityData, filters={'attributes.reduced_composition': {'in': known}}, tag='size')
    filters = {'attributes.process_label': 'compare_sizes', 'attributes.exit_status': 0}
    query.append(orm.CalcFunctionNode, filters=filters, with_incoming='size', project='id', tag='study')
    query.append(orm.Dict, with_incoming='study', project='attributes')
    studies = {pk: {**attributes, 'pk': pk} for pk, attributes in query.iterall()}
    return [studies[pk] for pk in sorted(studies)]


def of_potentials(result: ConductivityData) -> list[tuple[float, float]]:
    """Return the conductivities at a temperature in cells of one size, the newest of each potential, with errors."""
    attributes = result.base.attributes.all
    if not result.is_stored or 'reduced_composition' not in attributes:
        return []
    temperature = attributes['temperature_K']
    filters: dict[str, Any] = {
        'attributes.reduced_composition': attributes['reduced_composition'],
        'attributes.n_atoms': attributes.get('n_atoms'),
        'and': [
            {'attributes.temperature_K': {'>': temperature - 0.5}},
            {'attributes.temperature_K': {'<': temperature + 0.5}},
        ],
    }
    query = orm.QueryBuilder().append(ConductivityData, filters=filters, project='*')
    newest: dict[str, tuple[float, float]] = {}
    for node in sorted(query.all(flat=True), key=lambda node: node.pk or 0):
        sigma, stderr = (node.base.attributes.get(name, None) for name in ('sigma_full_S_per_cm', 'sigma_full_stderr'))
        if sigma and sigma > 0 and stderr and (potential := _potential_of(node)):
            newest[potential] = (sigma, stderr)
    return list(newest.values())


def _potential_of(result: ConductivityData) -> str | None:
    """Return the checksum of the potential behind a conductivity, before it was compiled; None if it is not stored."""
    pks = set(trajectories_behind(result)['model'].dropna())
    if len(pks) != 1:
        return None
    model = orm.load_node(int(pks.pop()))
    if model.creator is not None and model.creator.process_type == COMPILATION:
        packages = model.creator.base.links.get_incoming(AllegroModelData).all_nodes()
        model = packages[0] if packages else model
    return model.base.attributes.get('sha256', str(model.uuid))


def functionals(inputs: Mapping[str, orm.Node]) -> list[str]:
    """Return the density functionals of the inputs of a campaign: of pw.x, or of its pseudopotentials.

    :param inputs: by the label of the link.
    """
    parameters = [node.get_dict() for node in inputs.values() if isinstance(node, orm.Dict)]
    names = {str(part['SYSTEM']['input_dft']) for part in parameters if 'input_dft' in part.get('SYSTEM', {})}
    if names:
        return sorted(names)
    for label, node in inputs.items():
        if '__pseudos__' in label and isinstance(node, orm.SinglefileData):
            match = re.search(r'functional\s*=\s*"([^"]+)"', node.get_content('r'))
            names |= {' '.join(match.group(1).split())} if match else set()
    return sorted(names)
