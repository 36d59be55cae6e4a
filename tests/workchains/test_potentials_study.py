"""The study of potentials: the production of a campaign again with other potentials, over stubs of its stages."""

import io

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_ionconduct.cli.plan import plan
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.data.model import remember_made_here
from aiida_ionconduct.labels import run_label, seed_label
from aiida_ionconduct.workchains.active_learning import ActiveLearningWorkChain
from aiida_ionconduct.workchains.allegro import AllegroWorkChain
from aiida_ionconduct.workchains.conductivity import ConductivityWorkChain
from aiida_ionconduct.workchains.potentials_study import PotentialsStudyWorkChain, potentials_builder
from aiida_ionconduct.workchains.repeat import AllegroCompileWorkChain
from aiida_ionconduct.workchains.seeds import SeedsWorkChain
from random_walk import random_walk
from stub_campaign import STUBS, make_stub

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures('aiida_profile_clean')]

OVERRIDES = {
    'seeds': [1, 2],
    'temperatures_K': [900, 1200],
    'n_atoms_min': 16,
    'rattle': {'n_frames': 4},
    'relabelling': {'n_rounds': 0, 'max_rounds': 0},
}
SPEED = {'seed1': 1.0, 'seed2': 1.5, 'seed3': 2.0, 'seed4': 0.0}
"""How fast the ions walk with a potential, by the seed of its training; with the last one no run ends."""


def potential(seed, filename):
    """Return a stored potential whose label tells the seed of its training."""
    content = io.BytesIO(f'{seed} {filename}'.encode())
    node = AllegroModelData(content, filename=filename, type_names=['Li', 'P', 'O'], r_max=4.5)
    node.label = seed_label(seed)
    node.store()
    remember_made_here(node.sha256)
    return node


class SeededAllegro(AllegroWorkChain):
    """Makes potentials that tell the seed of their training."""

    define = classmethod(make_stub)

    def attach_outputs(self):
        seed = self.inputs.train.parameters.get_dict().get('seed', 1)
        self.out('model', potential(seed, 'model.nequip.zip'))
        self.out('compiled_model', potential(seed, 'model.nequip.pt2'))
        self.out('output_parameters', orm.Dict({'n_epochs': 1}).store())
        self.out('parity', orm.ArrayData(np.zeros(3)).store())


class SeededCompile(AllegroCompileWorkChain):
    """Hands the label of a potential on."""

    define = classmethod(make_stub)

    def attach_outputs(self):
        self.out('model', potential(int(self.inputs.job.model.label.removeprefix('seed')), 'given.nequip.pt2'))


class Learning(ActiveLearningWorkChain):
    """A committee of three, of which the first has run."""

    define = classmethod(make_stub)

    def attach_outputs(self):
        models = {seed_label(seed): potential(seed, 'model.nequip.zip') for seed in (1, 2, 3)}
        self.out('models', models)
        self.out('model', models['seed1'])
        self.out('compiled_model', potential(1, 'model.nequip.pt2'))
        self.out('dataset', self.inputs.dataset)
        self.out('output_parameters', orm.Dict({'n_epochs': 1}).store())
        self.out('parity', orm.ArrayData(np.zeros(3)).store())
        self.out('validation', orm.Dict({'passed': True, 'failed': [], 'checks': []}).store())


class SeededSeeds(SeedsWorkChain):
    """Lets the ions walk as fast as the potential says."""

    define = classmethod(make_stub)

    def attach_outputs(self):
        speed = SPEED[self.inputs.base.md.model.label]
        if not speed:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_MD.format(n_failed=2, n_runs=2)
        for T in self.inputs.temperatures_K:
            for seed in self.inputs.seeds:
                run = random_walk(self.inputs.base.md.structure.get_ase(), T * speed, seed, n_frames=200)
                run.base.attributes.set('temperature_K', float(T))
                self.out(f'trajectories.{run_label(T, seed)}', run.store())
        return None


@pytest.fixture(autouse=True)
def inline(monkeypatch):
    """Run every child at once, a stub in the place of each stage."""
    stubs = {
        **STUBS,
        AllegroWorkChain: SeededAllegro,
        AllegroCompileWorkChain: SeededCompile,
        ActiveLearningWorkChain: Learning,
        SeedsWorkChain: SeededSeeds,
    }

    def submit(self, process, inputs=None, **kwargs):
        return run_get_node(stubs.get(process, process), **{**(inputs or {}), **kwargs}).node

    for chain in (ConductivityWorkChain, PotentialsStudyWorkChain):
        monkeypatch.setattr(chain, 'submit', submit)


@pytest.fixture
def campaign(campaign_builder):
    """Return a function that runs a campaign, with a committee if it is asked for."""

    def make(committee=False, **kwargs):
        overrides = {**OVERRIDES, 'active_learning': {'max_rounds': int(committee)}}
        node = run_get_node(campaign_builder(overrides=overrides, **kwargs)).node
        assert node.is_finished_ok, (node.exit_message, node.exception)
        return node

    return make


def run(builder):
    node = run_get_node(builder).node
    assert not node.is_excepted, node.exception
    return node


def test_potentials_are_trained_with_other_seeds_on_the_same_frames(campaign):
    """Nothing else differs: frames, cell, temperatures, velocity seeds and lengths are those of the campaign."""
    first = campaign()
    study = run(potentials_builder(first, [2, 3]))
    assert study.is_finished_ok, study.exit_message
    called = [child for child in study.called if child.process_label == 'ConductivityWorkChain']
    assert [child.inputs.allegro.train.parameters['seed'] for child in called] == [2, 3]
    for child in called:
        assert child.inputs.dataset.uuid == first.outputs.dataset.uuid
        assert child.outputs.dataset.uuid == first.outputs.dataset.uuid
        assert child.outputs.supercell.uuid == first.outputs.supercell.uuid
        assert child.inputs.md.parameters.get_dict() == first.inputs.md.parameters.get_dict()
        assert child.inputs.md.seeds.get_list() == [1, 2]
        ran = {grandchild.process_label for grandchild in child.called}
        assert ran.isdisjoint({'StubRelax', 'StubAimd', 'StubLabel'})
    assert set(study.outputs.conductivities) == {'T900_seed2', 'T900_seed3', 'T1200_seed2', 'T1200_seed3'}
    assert set(study.outputs.models) == {'seed2', 'seed3'}


def test_the_campaign_itself_is_compared(campaign):
    """The scatter is that of the three conductivities, by numpy."""
    first = campaign()
    study = run(potentials_builder(first, [2, 3], [1200.0]))
    assert set(study.outputs.conductivities) == {'T1200_seed2', 'T1200_seed3'}
    comparison = study.outputs.comparison.get_dict()
    assert list(comparison) == ['T1200']
    nodes = [first.outputs.conductivities['T1200'], *study.outputs.conductivities.values()]
    sigma = np.array([node.base.attributes.get('sigma_full_S_per_cm') for node in nodes])
    assert comparison['T1200']['n'] == 3
    assert comparison['T1200']['scatter'] == pytest.approx(np.std(sigma, ddof=1) / np.mean(sigma))
    assert comparison['T1200']['n_without'] == 0


def test_members_of_the_committee_run(campaign):
    """Those that the production has not used; none is trained again."""
    first = campaign(committee=True)
    study = run(potentials_builder(first, temperatures_K=[1200.0]))
    assert study.is_finished_ok, study.exit_message
    assert set(study.outputs.models) == {'seed2', 'seed3'}
    called = [child for child in study.called if child.process_label == 'ConductivityWorkChain']
    assert [child.inputs.model.label for child in called] == ['seed2', 'seed3']
    assert all('allegro' not in child.inputs for child in called)


@pytest.mark.parametrize(('committee', 'seeds', 'first'), [(False, [2], 'training'), (True, [], 'compilation')])
def test_plan_of_a_potential(campaign, committee, seeds, first):
    """What the command prints before the submission: a potential is trained or only compiled, then it runs."""
    builder = potentials_builder(campaign(committee=committee), seeds)
    assert [stage.name for stage in plan(builder.campaign)] == [first, 'validation', 'production']
    assert 'initial_model' not in builder.campaign.allegro['train']


def test_a_potential_that_fails_leaves_the_others(campaign):
    study = run(potentials_builder(campaign(), [4, 2], [1200.0, 1200.0]))
    assert study.exit_message == '1 of 2 potentials have no conductivity; the others are compared.'
    assert set(study.outputs.conductivities) == {'T1200_seed2'}
    assert study.outputs.comparison['T1200']['n'] == 2


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (([],), 'has no committee: name seeds for further trainings, such as --training-seeds 2,3'),
        (([1],), r'must differ from each other and from 1'),
        (([2, 2],), r'must differ from each other'),
        (([-1],), '`seed` is -1'),
        (([2], [300.0]), 'has no conductivity at 300 K: choose from 900 K, 1200 K'),
    ],
)
def test_refusals(campaign, arguments, message):
    with pytest.raises(ValueError, match=message):
        potentials_builder(campaign(), *arguments)


def test_a_given_potential_has_no_frames(campaign):
    first = campaign(model=potential(1, 'mine.nequip.zip'))
    with pytest.raises(ValueError, match='there are no frames to train others on'):
        potentials_builder(first, [2])


def test_a_campaign_without_a_result_is_refused(child):
    with pytest.raises(ValueError, match='has no conductivity to compare with'):
        potentials_builder(child())
