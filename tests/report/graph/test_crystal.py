"""The cell of a campaign, and what was substituted where, read from the graph."""

import pytest
from aiida import orm
from aiida.common.links import LinkType

from aiida_ionconduct.calculations.functions.structures import alloy_structures, substitute_structure
from aiida_ionconduct.cli.submit import QUICKSTART, load_cells
from aiida_ionconduct.report.graph.crystal import cell_of, crystal_of, sites_of
from aiida_ionconduct.structures import crystal, read_structure
from aiida_ionconduct.structures.crystals import CRYSTALS
from aiida_ionconduct.structures.site_table import SiteRow

pytestmark = pytest.mark.usefixtures('aiida_profile_clean')


@pytest.fixture
def candidates():
    """Return stored ordered cells of Li3PO4 with silicon on half of the sites of phosphorus."""
    parameters = orm.Dict({'substitute': {'P': 'Si'}, 'fraction': 0.5, 'n_best': 2})
    made = alloy_structures(orm.StructureData(ase=crystal('beta-Li3PO4')), parameters)
    return [made[f'candidate_0{index}'] for index in range(2)]


def stored_campaign(inputs, outputs):
    """Store a work chain with inputs and outputs by link label."""
    node = orm.WorkChainNode()
    for label, value in inputs.items():
        node.base.links.add_incoming(value, LinkType.INPUT_WORK, label)
    node.store()
    for label, value in outputs.items():
        value.store().base.links.add_incoming(node, LinkType.RETURN, label)
    return node


def test_each_candidate_tells_what_stands_on_its_sites(candidates):
    for cell in candidates:
        rows = sites_of(cell)
        assert sum(sum(row.in_cell.values()) for row in rows) == len(cell.sites)
        assert {'Si': 1, 'P': 1} in [row.in_cell for row in rows]


def test_structure_that_nobody_made_here_tells_nothing():
    assert sites_of(orm.StructureData(ase=crystal('beta-Li3PO4')).store()) == []


def test_scores_of_before_have_no_sites(candidates):
    """Cells that an earlier version has made have no table, and no error."""
    creator = candidates[0].creator
    old = orm.CalcFunctionNode()
    old.set_process_label(creator.process_label)
    old.store()
    cell = orm.StructureData(ase=crystal('beta-Li3PO4'))
    cell.base.links.add_incoming(old, LinkType.CREATE, 'candidate_00')
    assert sites_of(cell.store()) == []


def test_cell_of_the_quickstart_is_compared_with_its_parent():
    parent = orm.StructureData(ase=crystal('beta-Li3PO4'))
    rows = sites_of(substitute_structure(parent, orm.Dict(QUICKSTART)))
    assert SiteRow('interstitial', '–', 1, {'Li': 1}) in rows


def test_launch_keeps_the_labels_of_the_file():
    cells = load_cells(
        structure='Li10GeP2S12',
        substitute=(),
        fraction=0.0,
        formula_units=None,
        compensate=None,
        charges={},
        store=True,
    ).cells
    assert {row.label for row in sites_of(cells[0])} == {'Li1', 'Li2', 'Li3', 'P1', 'P2', 'S1', 'S2', 'S3'}


def test_campaign_shows_the_relaxed_cell_with_the_sites_of_the_chosen_candidate(candidates):
    relaxed = orm.StructureData(ase=candidates[1].get_ase())
    relaxed.set_cell([[1.01 * x for x in row] for row in candidates[1].cell])
    inputs = {'structure': candidates[0], **{f'candidates__candidate_0{i}': cell for i, cell in enumerate(candidates)}}
    outputs = {'structure': relaxed, 'candidates': orm.Dict({'lowest': 'relax_candidate_01'})}
    shown = crystal_of(stored_campaign(inputs, outputs))
    assert shown['volume_change'] == pytest.approx(1.01**3 - 1)
    assert shown['cell'][0][0] == pytest.approx(1.01 * candidates[1].cell[0][0])
    assert shown['rows'] == sites_of(candidates[1])


def test_campaign_without_outputs_shows_its_input(candidates):
    shown = crystal_of(stored_campaign({'structure': candidates[0]}, {}))
    assert shown['volume_change'] is None
    assert len(shown['sites']) == len(candidates[0].sites)


def test_cell_keeps_partial_occupancies():
    shown = cell_of(orm.StructureData(pymatgen=read_structure(CRYSTALS['Li10GeP2S12']).structure))
    assert {'Li': pytest.approx(0.691)} in shown['sites']
    assert any(set(site) == {'Ge', 'P'} for site in shown['sites'])
