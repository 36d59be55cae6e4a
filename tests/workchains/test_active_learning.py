"""`CommitteeWorkChain` and `ActiveLearningWorkChain`: what is submitted in a round, and why the loop ends."""

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
    """Return a function that makes an evaluation in which the members differ on one atom, by a force in eV/Å."""

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
    """Return a function that plays a round up to its last decision; the members differ by a force in eV/Å."""

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


@pytest.fixture
def first_round(learning, submitted, play):
    """The loop at the end of a round with frames to label, and the inputs of its children by label."""
    process = learning(max_disagreement_eV_per_A=50.0, distance_fraction=0.0)
    assert play(process, 4.0) is None
    process.run_labelling()
    return process, {inputs.metadata.call_link_label: inputs for _, inputs in submitted}


def test_first_committee_starts_from_scratch(first_round):
    _, children = first_round
    assert children['train_1'].seeds.get_list() == [1, 2]
    assert not children['train_1'].get('initial_models')


def test_exploration_runs_the_first_member(first_round):
    process, children = first_round
    exploration = children['explore_1']
    assert exploration.base.md.model.uuid == process.ctx.training.outputs.compiled_model.uuid
    assert exploration.temperatures_K.get_list() == process.ctx.p['temperatures_K']
    assert exploration.parameters['production_steps'] == 20000


def test_gate_judges_the_same_potential_in_a_larger_cell(first_round):
    _, children = first_round
    gate, exploration = children['validate_1'], children['explore_1']
    assert gate.base.md.model.uuid == exploration.base.md.model.uuid
    assert len(gate.base.md.structure.sites) > len(exploration.base.md.structure.sites)
    assert gate.training.get_dict() == {'n_epochs': 3}
    assert gate.dataset.n_frames == 20


def test_every_member_evaluates_the_frames(first_round):
    _, children = first_round
    assert set(children['evaluate_1'].job.models) == {'seed1', 'seed2'}
    assert children['evaluate_1'].job.frames.numsteps == N_FRAMES


def test_chosen_frames_are_labelled(first_round, child, dataset):
    """As many frames as a round allows are labelled; the number of the round is part of their source."""
    process, children = first_round
    assert children['label_1'].frames.numsteps == 2
    assert children['label_1'].parameters['source'] == 'active_1'
    process.ctx.labelling = child(dataset=dataset(n_frames=2, first=50, source='active_1'))
    assert process.inspect_labelling() is None
    assert process.ctx.dataset.base.attributes.get('sources') == {'active_1': 2, 'aimd': 20}


@pytest.fixture
def two_rounds(learning_inputs, run_chain, trained, evaluated, ion_trajectory, child, dataset):
    """A loop as the engine runs it: the members disagree in the first round and agree in the second."""
    inputs = learning_inputs(max_disagreement_eV_per_A=50.0, distance_fraction=0.0)
    children = {'label_1': child(dataset=dataset(n_frames=2, first=50, source='active_1'))}
    for number, dispute in ((1, 4.0), (2, 0.0)):
        children |= {
            f'train_{number}': trained(),
            f'explore_{number}': child(trajectories__T600_seed201=ion_trajectory()),
            f'validate_{number}': child(exit_status=420, validation=orm.Dict({'passed': False})),
            f'evaluate_{number}': evaluated(dispute),
        }
    return run_chain(ActiveLearningWorkChain, inputs, children)


def test_children_of_two_rounds(two_rounds):
    """In the second round no frame is labelled, because the committee has nothing more to learn."""
    assert {label: process_class for label, (process_class, _) in two_rounds.children.items()} == {
        'train_1': CommitteeWorkChain,
        'explore_1': SeedsWorkChain,
        'validate_1': ValidationWorkChain,
        'evaluate_1': AllegroEvaluateWorkChain,
        'label_1': LabelWorkChain,
        'train_2': CommitteeWorkChain,
        'explore_2': SeedsWorkChain,
        'validate_2': ValidationWorkChain,
        'evaluate_2': AllegroEvaluateWorkChain,
    }
    assert two_rounds.labels.index('label_1') < two_rounds.labels.index('train_2')


def test_second_committee_goes_on_from_the_weights_of_the_first(two_rounds):
    committee = two_rounds.inputs_of('train_2')
    assert set(committee.initial_models) == {'seed1', 'seed2'}
    assert committee.allegro.train.parameters['max_epochs'] == 100
    assert committee.allegro.dataset.n_frames == 22


def test_outputs_of_two_rounds(two_rounds):
    outputs = two_rounds.node.outputs
    assert two_rounds.node.is_finished_ok
    assert outputs.report['ended_by'] == 'disagreement'
    assert set(outputs.reports) == {'round_1', 'round_2'}
    assert outputs.dataset.n_frames == 22
    assert {'model', 'compiled_model', 'output_parameters', 'parity', 'models'} <= set(outputs)


@pytest.mark.parametrize('budget', [{'max_rounds': 1}, {'max_frames': 2}])
def test_budget(learning, submitted, play, child, dataset, budget):
    """The loop ends with its budget of rounds or of labels; the last potential was trained on all frames."""
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
    """The loop ends when the potential passes the gate, even if the committee disagrees on hotter frames."""
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


def test_only_unphysical_frames(learning, submitted, play):
    """If all frames are unphysical, none can be labelled: the loop ends with an exit code."""
    exit_code = play(learning(), 1000.0)
    assert exit_code.status == 402


def test_exploded_runs_are_candidates(learning, trained, child, ion_trajectory):
    """The frames of a run up to its explosion are candidates; if no run has left a frame, the loop ends."""
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


@pytest.fixture
def committee(learning_inputs, run_chain, model, child, dataset):
    """A committee of two, run by the engine; the second starts from given weights, and its training fails."""
    outputs = {'model': model(), 'output_parameters': orm.Dict({}), 'parity': orm.ArrayData()}
    children = {'seed7': child(**outputs, compiled_model=model('model.nequip.pt2')), 'seed8': child(exit_status=411)}
    inputs = learning_inputs()['committee']
    inputs['allegro']['dataset'] = dataset()
    inputs |= {'seeds': orm.List([7, 8]), 'initial_models': {'seed8': model('first.nequip.zip')}}
    return run_chain(CommitteeWorkChain, inputs, children)


def test_members_differ_in_their_seeds(committee):
    """They also differ in the weights that are given for a seed; the same frames are held out."""
    first, second = committee.inputs_of('seed7'), committee.inputs_of('seed8')
    assert {process_class for process_class, _ in committee.children.values()} == {AllegroWorkChain}
    assert (first.train.parameters['seed'], second.train.parameters['seed']) == (7, 8)
    assert first.split.uuid == second.split.uuid
    assert 'initial_model' not in first.train
    assert second.train.initial_model.filename == 'first.nequip.zip'


def test_only_the_first_member_is_compiled(committee):
    """The others only judge frames."""
    assert 'compile' in committee.inputs_of('seed7')
    assert 'compile' not in committee.inputs_of('seed8')
    assert committee.node.outputs.compiled_model.model_format == 'aotinductor'


def test_member_that_failed(committee):
    """The committee fails, and keeps the members that were trained."""
    assert committee.node.exit_status == 401
    assert '1 of 2 trainings failed' in committee.node.exit_message
    assert set(committee.node.outputs.model) == {'seed7'}
