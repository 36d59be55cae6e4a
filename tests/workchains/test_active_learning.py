"""`CommitteeWorkChain` and `ActiveLearningWorkChain`: what is submitted in a round, and by what the loop ends."""

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType

from aiida_ionconduct.workchains.active_learning import ActiveLearningWorkChain
from aiida_ionconduct.workchains.allegro import AllegroWorkChain
from aiida_ionconduct.workchains.committee import CommitteeWorkChain
from aiida_ionconduct.workchains.conductivity import ConductivityWorkChain
from aiida_ionconduct.workchains.label import LabelWorkChain
from aiida_ionconduct.workchains.repeat import AllegroEvaluateWorkChain
from aiida_ionconduct.workchains.seeds import SeedsWorkChain
from aiida_ionconduct.workchains.validation import ValidationWorkChain

pytestmark = pytest.mark.slow
N_FRAMES = 4
LEARNING = {'n_candidates': N_FRAMES, 'n_frames': 2, 'max_rounds': 2, 'committee_seeds': [1, 2]}


@pytest.fixture
def learning_inputs(campaign_inputs, generate_workchain, dataset):
    """Return a function that gives the inputs which a campaign hands to the active learning."""

    def make(**parameters):
        overrides = {'active_learning': {**LEARNING, **parameters}}
        campaign = generate_workchain(ConductivityWorkChain, campaign_inputs('balanced', overrides=overrides))
        campaign.setup()
        campaign.ctx.dataset = dataset(n_frames=20, source='aimd')
        return campaign.active_learning_inputs()

    return make


@pytest.fixture
def learning(learning_inputs, generate_workchain):
    """Return a function that makes the loop, set up."""

    def make(**parameters):
        process = generate_workchain(ActiveLearningWorkChain, learning_inputs(**parameters))
        process.setup()
        return process

    return make


@pytest.fixture
def trained(child, model):
    """Return a function that makes a committee that has ended well."""

    def make(spread=0.1):
        outputs = {'compiled_model': model('model.nequip.pt2')}
        for index, label in enumerate(('seed1', 'seed2')):
            parity = orm.ArrayData()
            parity.set_array('forces_reference', np.zeros((16, 3)))
            # off by as much as the members are apart: the factor is one
            parity.set_array('forces_predicted', np.full((16, 3), spread * (np.sqrt(0.5) + index - 0.5) / np.sqrt(3)))
            outputs |= {
                f'model__{label}': model(f'{label}.nequip.zip'),
                f'output_parameters__{label}': orm.Dict({'n_epochs': 3}),
                f'parity__{label}': parity,
            }
        return child(**outputs)

    return make


@pytest.fixture
def evaluated(child):
    """Return a function that makes an evaluation in which the members differ by so much on one atom."""

    def make(dispute):
        predictions = orm.ArrayData()
        for index, label in enumerate(('seed1', 'seed2')):
            forces = np.zeros((N_FRAMES, 16, 3))
            forces[:, 0, 0] = index * dispute
            predictions.set_array(f'forces_{label}', forces)
        return child(node_class=orm.CalcJobNode, predictions=predictions)

    return make


def names(submitted):
    """Return the classes and link labels of what was submitted."""
    return [(process_class, inputs.metadata.call_link_label) for process_class, inputs in submitted]


@pytest.fixture
def play(trained, evaluated, ion_trajectory, child, dataset):
    """Return a function that plays a round up to the question whether it goes on, with a dispute in eV/Å."""

    def play(process, dispute, passed=False):
        process.run_training()
        process.ctx.training = trained()
        assert process.inspect_training() is None
        process.run_exploration()
        process.ctx.exploration = child(trajectories__T600_seed201=ion_trajectory())
        process.ctx.gate = child(exit_status=0 if passed else 420, validation=orm.Dict({'passed': passed}))
        assert process.inspect_exploration() is None
        process.run_evaluation()
        process.ctx.evaluation = evaluated(dispute)
        return process.inspect_evaluation()

    return play


def test_round(learning, submitted, play, child, dataset):
    process = learning(max_disagreement_eV_per_A=50.0, distance_fraction=0.0)
    assert play(process, 4.0) is None
    assert process.has_more_to_learn()
    process.run_labelling()
    assert names(submitted) == [
        (CommitteeWorkChain, 'train_1'),
        (SeedsWorkChain, 'explore_1'),
        (ValidationWorkChain, 'validate_1'),
        (AllegroEvaluateWorkChain, 'evaluate_1'),
        (LabelWorkChain, 'label_1'),
    ]
    committee, exploration, gate, evaluation, labelling = (inputs for _, inputs in submitted)
    assert committee.seeds.get_list() == [1, 2]
    assert not committee.get('initial_models')
    assert exploration.base.md.model.uuid == process.ctx.training.outputs.compiled_model.uuid
    assert exploration.temperatures_K.get_list() == process.ctx.p['temperatures_K']
    assert exploration.parameters['production_steps'] == 20000
    assert gate.base.md.model.uuid == exploration.base.md.model.uuid
    assert len(gate.base.md.structure.sites) > len(exploration.base.md.structure.sites)
    assert gate.training.get_dict() == {'n_epochs': 3}
    assert gate.dataset.n_frames == 20
    assert set(evaluation.job.models) == {'seed1', 'seed2'}
    assert evaluation.job.frames.numsteps == N_FRAMES
    assert labelling.frames.numsteps == 2
    assert labelling.parameters['source'] == 'active_1'
    process.ctx.labelling = child(dataset=dataset(n_frames=2, first=50, source='active_1'))
    assert process.inspect_labelling() is None
    assert process.ctx.dataset.base.attributes.get('sources') == {'active_1': 2, 'aimd': 20}

    submitted.clear()
    assert play(process, 0.0) is None
    (_, committee), *_ = submitted
    assert set(committee.initial_models) == {'seed1', 'seed2'}
    assert committee.allegro.train.parameters['max_epochs'] == process.ctx.p['training']['max_epochs']
    assert committee.allegro.dataset.n_frames == 22
    assert not process.has_more_to_learn()
    process.results()
    assert process.outputs['report']['ended_by'] == 'disagreement'
    assert set(process.outputs['reports']) == {'round_1', 'round_2'}
    assert process.outputs['dataset'].n_frames == 22
    assert {'model', 'compiled_model', 'output_parameters', 'parity', 'models'} <= set(process.outputs)


@pytest.mark.parametrize('budget', [{'max_rounds': 1}, {'max_frames': 2}])
def test_budget(learning, submitted, play, child, dataset, budget):
    """Of rounds or of labels; the last potential has seen all the frames."""
    process = learning(max_disagreement_eV_per_A=50.0, distance_fraction=0.0, **budget)
    play(process, 4.0)
    process.run_labelling()
    process.ctx.labelling = child(dataset=dataset(n_frames=2, first=50, source='active_1'))
    process.inspect_labelling()
    assert process.has_more_to_learn()
    assert play(process, 4.0) is None
    assert not process.has_more_to_learn()
    process.results()
    assert process.outputs['report']['ended_by'] == 'budget'
    assert submitted[-4][1].allegro.dataset.n_frames == 22


def test_gate(learning, submitted, play):
    """A potential that passes ends the loop, whatever the committee says of hotter frames; the judgement is kept."""
    process = learning(max_disagreement_eV_per_A=50.0, distance_fraction=0.0)
    assert play(process, 4.0, passed=True) is None
    assert not process.has_more_to_learn()
    process.results()
    assert process.outputs['report']['ended_by'] == 'gate'
    assert process.outputs['validation']['passed']


def test_without_gate(learning_inputs, generate_workchain, submitted, trained, child):
    inputs = learning_inputs()
    del inputs['gate']
    process = generate_workchain(ActiveLearningWorkChain, inputs)
    process.setup()
    process.ctx.round, process.ctx.training = 1, trained()
    process.run_exploration()
    assert names(submitted) == [(SeedsWorkChain, 'explore_1')]
    assert not process.gate_is_passed()


def test_nothing_but_rubbish(learning, submitted, play):
    """Frames that have left physics cannot be labelled: it ends, and keeps what there is."""
    exit_code = play(learning(), 1000.0)
    assert exit_code.status == 402


def test_exploded_runs_are_candidates(learning, trained, child, ion_trajectory):
    """What a run that exploded has left counts; if no run has left anything, it ends."""
    process = learning()
    process.ctx.training, process.ctx.exploration = trained(), child(exit_status=401)
    assert process.inspect_exploration().status == 402
    assert 'model' in process.outputs
    exploration, run = orm.WorkChainNode().store(), orm.WorkChainNode()
    run.base.links.add_incoming(exploration, LinkType.CALL_WORK, 'T600_seed201')
    run.set_exit_status(410)
    run.set_process_state('finished')
    run.store()
    ion_trajectory().base.links.add_incoming(run, LinkType.RETURN, 'trajectories__seed201')
    process.ctx.exploration = exploration
    assert process.inspect_exploration() is None
    assert list(process.ctx.trajectories) == [f'exploded_{run.pk}_seed201']


@pytest.mark.parametrize(('stage', 'status'), [('training', 401), ('evaluation', 403), ('labelling', 404)])
def test_failures(learning, child, stage, status):
    process = learning()
    process.ctx[stage] = child(exit_status=300)
    assert getattr(process, f'inspect_{stage}')().status == status
    assert 'dataset' in process.outputs


def test_committee(learning_inputs, generate_workchain, submitted, model, child, dataset):
    """The seed tells the members apart; the first alone is compiled, as it alone runs."""
    inputs = learning_inputs()['committee']
    inputs['allegro']['dataset'] = dataset()
    first = model('first.nequip.zip')
    process = generate_workchain(
        CommitteeWorkChain, {**inputs, 'seeds': orm.List([7, 8]), 'initial_models': {'seed8': first}}
    )
    process.setup()
    process.has_pending()
    process.run_batch()
    assert names(submitted) == [(AllegroWorkChain, 'seed7'), (AllegroWorkChain, 'seed8')]
    first_training, second_training = (inputs for _, inputs in submitted)
    assert (first_training.train.parameters['seed'], second_training.train.parameters['seed']) == (7, 8)
    assert first_training.split.uuid == second_training.split.uuid
    assert 'compile' in first_training
    assert 'compile' not in second_training
    assert second_training.train.initial_model.uuid == first.uuid
    outputs = {'model': model(), 'output_parameters': orm.Dict({}), 'parity': orm.ArrayData()}
    process.ctx.child_seed7 = child(**outputs, compiled_model=model('model.nequip.pt2'))
    process.ctx.child_seed8 = child(exit_status=411)
    process.inspect_batch()
    exit_code = process.results()
    assert exit_code.status == 401
    assert '1 of 2 trainings failed' in exit_code.message
    assert set(process.outputs['model']) == {'seed7'}
    assert process.outputs['compiled_model'].model_format == 'aotinductor'
