"""The crystal of a campaign: its cell, and what was substituted where when the cell was made."""

from __future__ import annotations

from aiida import orm
from aiida.common.links import LinkType

from aiida_ionconduct.labels import RELAX, in_namespace
from aiida_ionconduct.report.graph.call_tree import linked
from aiida_ionconduct.report.result import CrystalCell
from aiida_ionconduct.structures.site_table import SiteRow, compared_sites

ALLOY, SUBSTITUTION = 'alloy_structures', 'substitute_structure'
"""The calculation functions that make cells, by the labels of their processes."""


def crystal_of(node: orm.WorkChainNode) -> CrystalCell | None:
    """Return the cell that the molecular dynamics of a campaign is built of: relaxed, if it was relaxed.

    The sites are those of the cell before its relaxation, which moves the atoms a little off them.
    """
    outputs = {link.label: link.node for link in linked([node], 'outgoing', LinkType.RETURN)}
    inputs = {link.label: link.node for link in linked([node], 'incoming', LinkType.INPUT_WORK)}
    start = inputs.get('structure')
    if 'candidates' in outputs:
        chosen = outputs['candidates'].base.attributes.get('lowest', '').removeprefix(f'{RELAX}_')
        start = in_namespace('candidates', inputs).get(chosen, start)
    cell = outputs.get('structure', start)
    if not isinstance(cell, orm.StructureData) or not cell.sites:
        return None
    rows = sites_of(start) if isinstance(start, orm.StructureData) else []
    change = None
    if isinstance(start, orm.StructureData) and cell.uuid != start.uuid:
        change = cell.get_cell_volume() / start.get_cell_volume() - 1
    return {**cell_of(cell), 'rows': rows, 'volume_change': change}


def cell_of(structure: orm.StructureData) -> CrystalCell:
    """Return the cell of a stored structure; vacancies are what is missing from a site."""
    kinds = {kind.name: dict(zip(kind.symbols, kind.weights, strict=True)) for kind in structure.kinds}
    return {
        'cell': structure.cell,
        'positions': [list(site.position) for site in structure.sites],
        'sites': [kinds[site.kind_name] for site in structure.sites],
        'rows': [],
        'volume_change': None,
    }


def sites_of(structure: orm.StructureData) -> list[SiteRow]:
    """Return what was substituted where when a structure was made; an empty list if the graph does not say."""
    creator = structure.creator
    label = '' if creator is None else creator.process_label
    if creator is None or label not in (ALLOY, SUBSTITUTION):
        return []
    if label == SUBSTITUTION:
        inputs = linked([creator], 'incoming', LinkType.INPUT_CALC, kind=orm.StructureData)
        parent = inputs[0].node if inputs else None
        return compared_sites(parent.get_ase(), structure.get_ase()) if isinstance(parent, orm.StructureData) else []
    made = {link.label: link.node for link in linked([creator], 'outgoing', LinkType.CREATE)}
    sites = made['scores'].base.attributes.get('sites', []) if 'scores' in made else []
    index = next((link for link, other in made.items() if other.uuid == structure.uuid), '').rpartition('_')[2]
    return [SiteRow(**row) for row in sites[int(index)]] if index.isdigit() and int(index) < len(sites) else []
