"""Campaigns whose seeds are spread over orderings, run by AiiDA's engine over stubs of their stages."""

import io

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import run_get_node

from aiida_ionconduct.cli.plan import plan, plan_table
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.data.model import remember_made_here
from aiida_ionconduct.labels import ordering_of_seed, run_label
from aiida_ionconduct.report.graph.campaign import collect
from aiida_ionconduct.report.tables.terminal import summary_tables
from aiida_ionconduct.structures import crystal
from aiida_ionconduct.workchains.conductivity import ConductivityWorkChain
from aiida_ionconduct.workchains.precision import PrecisionWorkChain
from aiida_ionconduct.workchains.relax import RelaxWorkChain
from aiida_ionconduct.workchains.repeat import AllegroCompileWorkChain
from aiida_ionconduct.workchains.seeds import SeedsWorkChain, seed_groups
from random_walk import random_walk
from stub_campaign import STUBS, make_stub

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures('aiida_profile_clean')]

OVERRIDES = {
    'orderings': 2,
    'seeds': [1, 2, 3, 4],
    'temperatures_K': [1200],
    'n_atoms_min': 16,
    'rattle': {'n_frames': 4},
    'relabelling': {'n_rounds': 1, 'max_rounds': 1},
}
SPEED = {'ordering_01': 1.0, 'ordering_02': 2.0}


class OrderedRelax(RelaxWorkChain):
    """Makes the last of the candidates the lowest in energy."""

    define = classmethod(make_stub)

    def attach_outputs(self):
        label = self.inputs.metadata.call_link_label
        self.out('output_structure', self.inputs.structure)
        self.out('output_parameters', orm.Dict({'energy': -float(label[-2:])}).store())


class OrderedSeeds(SeedsWorkChain):
    """Lets the ions walk the faster the later their ordering."""

    define = classmethod(make_stub)

    def attach_outputs(self):
        orderings = self.inputs.get('orderings', {})
        for T in self.inputs.temperatures_K:
            for seed in self.inputs.seeds:
                label = ordering_of_seed(seed, len(orderings)) if orderings else 'ordering_01'
                cell = orderings.get(label, self.inputs.base.md.structure)
                run = random_walk(cell.get_ase(), T * SPEED[label], seed, n_frames=200)
                run.base.attributes.set('temperature_K', float(T))
                self.out(f'trajectories.{run_label(T, seed)}', run.store())


class OrderedCompile(AllegroCompileWorkChain):
    """Makes a file that nothing reads."""

    define = classmethod(make_stub)

    def attach_outputs(self):
        content = io.BytesIO(b'compiled')
        model = AllegroModelData(content, filename='model.nequip.pt2', type_names=['Li', 'P', 'O'], r_max=4.5).store()
        remember_made_here(model.sha256)
        self.out('model', model)


@pytest.fixture
def inline(monkeypatch):
    """Run every child at once, a stub in the place of each stage."""
    stubs = {
        **STUBS,
        RelaxWorkChain: OrderedRelax,
        SeedsWorkChain: OrderedSeeds,
        AllegroCompileWorkChain: OrderedCompile,
    }

    def submit(self, process, inputs=None, **kwargs):
        return run_get_node(stubs.get(process, process), **{**(inputs or {}), **kwargs}).node

    for chain in (ConductivityWorkChain, PrecisionWorkChain):
        monkeypatch.setattr(chain, 'submit', submit)


@pytest.fixture
def cells():
    """Three stored cells of Li3PO4, in the place of orderings: a lithium ion stands elsewhere in each."""
    nodes = []
    for index in range(3):
        atoms = crystal('beta-Li3PO4')
        atoms.positions[0, 0] += 0.1 * index
        nodes.append(orm.StructureData(ase=atoms).store())
    return nodes


@pytest.fixture
def builder(campaign_builder, cells):
    """Return a function that gives the builder of a campaign on the orderings."""

    def build(overrides=None, **kwargs):
        changes = {**OVERRIDES, **(overrides or {})}
        return campaign_builder(structure=cells[0], candidates=cells, overrides=changes, **kwargs)

    return build


def finished(builder):
    """Run a campaign and return its node, which has ended well."""
    node = run_get_node(builder).node
    assert node.is_finished_ok, (node.exit_message, node.exception)
    return node


def calls(node, label):
    """Return the children with a label."""
    return node.base.links.get_outgoing(link_type=LinkType.CALL_WORK, link_label_filter=label).all_nodes()


# Before anything runs ------------------------------------------------------------------------------------------------


def test_relaxed_are_at_least_as_many_candidates_as_there_are_orderings(builder):
    inputs = builder()
    assert inputs.n_orderings.value == 2
    assert list(inputs.candidates) == ['candidate_00', 'candidate_01']
    assert len(builder({'n_candidates': 3}).candidates) == 3


def test_without_a_relaxation_the_orderings_are_taken_as_they_are(builder, cells):
    inputs = builder(relaxed=True)
    assert [cell.uuid for cell in inputs.orderings.values()] == [cell.uuid for cell in cells[:2]]
    assert inputs.n_orderings is None


def test_one_ordering_is_the_default(builder):
    inputs = builder({'orderings': 1})
    assert inputs.n_orderings is None
    assert len(inputs.orderings) == 0


@pytest.mark.parametrize(
    ('changes', 'says'),
    [
        ({'orderings': 4, 'seeds': list(range(1, 9))}, 'only 3 different orderings.*set orderings to 3'),
        ({'seeds': [1, 2, 3]}, 'fewer than two seeds.*--seeds 1,2,3,4'),
        ({'seeds': [2, 4, 6, 8]}, 'fewer than two seeds'),
        ({'orderings': 0}, 'orderings'),
    ],
)
def test_what_cannot_be_spread_is_refused(builder, changes, says):
    with pytest.raises(ValueError, match=says):
        builder(changes)


def test_crystal_with_one_ordering_is_refused(campaign_builder):
    with pytest.raises(ValueError, match='the crystal has one ordering: set orderings to 1'):
        campaign_builder(overrides=OVERRIDES)


def test_seeds_of_different_orderings_do_not_share_a_run():
    assert seed_groups([1, 2, 3, 4, 5, 6], 3, 2) == [[1, 3, 5], [2, 4, 6]]
    assert seed_groups([1, 2], 31, 2) == [[1], [2]]


def test_plan_says_which_seeds_start_from_which_ordering(builder):
    inputs = builder({'resources': {'atoms_per_run': 10_000}})
    assert 'spread over 2 orderings (1: seeds 1, 3; 2: seeds 2, 4)' in plan_table(inputs, 'quickstart')
    (production,) = [stage for stage in plan(inputs) if stage.name == 'production']
    assert production.jobs == 2  # one run cannot hold two orderings
    assert 'orderings' not in plan_table(builder({'orderings': 1}), 'quickstart')


# The engine ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def campaign(inline, builder):
    """A campaign over two orderings that has ended."""
    return finished(builder({'n_candidates': 3}))


def test_campaign_spreads_its_seeds_over_the_lowest_orderings(campaign, cells):
    """DFT has the last candidate lowest: the orderings are the third and the second candidate."""
    orderings = campaign.outputs.orderings
    assert [orderings[f'ordering_0{number}'].uuid for number in (1, 2)] == [cells[2].uuid, cells[1].uuid]
    assert campaign.outputs.structure.uuid == cells[2].uuid
    table = campaign.outputs.disorder.get_dict()
    assert [(row['candidate'], row['dft_energy_eV'], row['seeds']) for _, row in sorted(table.items())] == [
        ('relax_candidate_02', -2.0, [1, 3]), ('relax_candidate_01', -1.0, [2, 4])
    ]  # fmt: skip


def test_every_run_starts_from_its_ordering_in_cells_of_one_shape(campaign):
    (production,) = calls(campaign, 'md')
    supercells = production.inputs.orderings
    assert len({len(cell.sites) for cell in supercells.values()}) == 1
    for label, run in campaign.outputs.trajectories.items():
        ordering = ordering_of_seed(int(label[-1]), 2)
        start = supercells[ordering].get_ase().positions
        assert np.abs(run.positions[0] - start).max() < 4  # the first step of the walk


def test_result_carries_both_scatters_and_the_page_and_the_table_show_them(campaign):
    """The ions of the second ordering go twice as far, so that their conductivity is four times as large."""
    a = campaign.outputs.conductivities.T1200.base.attributes.all
    assert a['orderings'] == {'ordering_01': [1, 3], 'ordering_02': [2, 4]}
    assert a['sigma_tracer_orderings_p_value'] < 0.05  # 0.027 with two seeds for each ordering
    assert a['sigma_tracer_scatter_orderings'] > a['sigma_tracer_scatter_seeds']
    assert (a['sigma_tracer_scatter_orderings_dof'], a['sigma_tracer_scatter_seeds_dof']) == (1, 2)
    for name in ('sigma_tracer', 'sigma_full'):
        parts = (a[f'{name}_seeds_stderr'], a[f'{name}_orderings_stderr'])
        assert a[f'{name}_stderr'] == pytest.approx(np.hypot(*parts))
    printed = summary_tables(collect(campaign))
    assert 'σ between orderings' in printed
    assert '1, 3' in printed


def test_rattled_frames_are_of_all_orderings(campaign):
    (labelling,) = calls(campaign, 'label_rattled')
    creator = labelling.inputs.frames.creator
    assert creator.process_label == 'rattle_orderings'
    labels = [link.link_label for link in creator.base.links.get_incoming(link_type=LinkType.INPUT_CALC).all()]
    assert {'ordering_01', 'ordering_02'} <= set(labels)


def test_same_inputs_are_found_in_the_cache_and_another_spread_is_not(builder):
    """The hash of the production follows from its cells."""
    first, second, other = builder(relaxed=True), builder(relaxed=True), builder({'orderings': 1}, relaxed=True)
    assert [cell.uuid for cell in first.orderings.values()] == [cell.uuid for cell in second.orderings.values()]
    assert len(other.orderings) == 0


def test_extension_keeps_orderings_and_seeds(inline, builder):
    """Seeds that are added go round the same orderings."""
    target = {'precision': {'target_relative_error': 0.5, 'max_md_ns': 0.2, 'max_iterations': 1}}
    node = finished(builder(target))
    extension = ConductivityWorkChain.get_builder_extending(node, max_md_ns=5.0, max_iterations=2)
    assert [extension.orderings[label].uuid for label in ('ordering_01', 'ordering_02')] == [
        node.outputs.orderings[label].uuid for label in ('ordering_01', 'ordering_02')
    ]
    assert extension.n_orderings is None
    extended = finished(extension)
    before, after = (campaign.outputs.disorder.get_dict() for campaign in (node, extended))
    for label, row in before.items():
        assert set(row['seeds']) <= set(after[label]['seeds'])
        assert after[label]['electrostatic_energy_eV'] == pytest.approx(row['electrostatic_energy_eV'])
    assert extended.outputs.conductivities.T1200.base.attributes.get('n_orderings') == 2
