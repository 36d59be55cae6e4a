"""The study of models: rungs that go on from checkpoints, timings, failures that are rows, the table."""

import pytest
from aiida import orm
from aiida.common.links import LinkType
from plumpy import ProcessState

from aiida_ionconduct.allegro.grid import parse_grid
from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.workchains.allegro import AllegroWorkChain
from aiida_ionconduct.workchains.lammps_base import LammpsMdBaseWorkChain
from aiida_ionconduct.workchains.model_inputs import models_builder, training_parameters
from aiida_ionconduct.workchains.model_trainings import ModelTimingsWorkChain, ModelTrainingsWorkChain
from aiida_ionconduct.workchains.models_study import ModelsStudyWorkChain
from aiida_ionconduct.workchains.protocols import protocol_inputs
from model_study import timing, training

GRID = [('r_max', '4,5'), ('l_max', '1,2')]


@pytest.fixture
def builder(codes, dataset):
    """Return a function that makes the builder of a study of four settings on 20 frames."""

    def make(words=GRID, overrides=None, data=None, **kwargs):
        p = protocol_inputs('conductivity', 'quickstart', overrides)
        given = {'epochs': [10, 30, 90], 'keep': 0.5, 'n_atoms_min': 60, 'n_steps': 100, **kwargs}
        return models_builder(codes, data or dataset(), p, grid=parse_grid(words), **given)

    return make


@pytest.fixture
def batch(child, model):
    """Return a function that stores a batch of trainings that has ended, with the failures of some settings."""

    def make(errors, rung=0, failures=()):
        outputs = {}
        for label, error in errors.items():
            checkpoint = orm.FolderData()
            checkpoint.base.attributes.set('epoch', rung)
            outputs |= {
                f'output_parameters__{label}': training(error),
                f'checkpoint__{label}': checkpoint,
                f'model__{label}': model(f'{label}_{rung}.nequip.zip'),
            }
            if not rung:
                outputs[f'compiled_model__{label}'] = model(f'{label}.nequip.pt2')
        return with_failures(child(**outputs), failures)

    return make


def with_failures(node, failures):
    """Add children that have failed to a batch, by label with the message."""
    for label, message in dict(failures).items():
        failed = orm.WorkChainNode()
        failed.base.links.add_incoming(node, LinkType.CALL_WORK, label)
        failed.set_process_state(ProcessState.FINISHED)
        failed.set_exit_status(411)
        failed.set_exit_message(message)
        failed.store()
    return node


@pytest.fixture
def timings(child):
    """Return a function that stores a batch of timings that has ended."""
    return lambda times: child(**{f'output_parameters__{label}': timing(us) for label, us in times.items()})


@pytest.fixture
def run_study(run_chain, builder):
    """Return a function that lets the engine run a study over batches that have ended."""
    return lambda children, **kwargs: run_chain(ModelsStudyWorkChain, builder(**kwargs)._inputs(prune=True), children)


LABELS = [f'model_00{number}' for number in (1, 2, 3, 4)]


@pytest.mark.slow
def test_a_study(run_study, batch, timings):
    """All are timed once; those that are good or fast go on from their checkpoints, with the same schedule."""
    first = batch(dict(zip(LABELS, (0.4, 0.3, 0.5, 0.35), strict=True)))
    second = batch({'model_001': 0.3, 'model_002': 0.2}, rung=1)
    third = batch({'model_002': 0.1}, rung=2)
    timed = timings(dict(zip(LABELS, (10, 20, 30, 40), strict=True)))
    run = run_study({'rung_0': first, 'timing': timed, 'rung_1': second, 'rung_2': third})
    assert run.node.is_finished_ok, run.node.exit_message
    assert run.labels == ['rung_0', 'timing', 'rung_1', 'rung_2']
    assert list(run.inputs_of('timing').models) == LABELS
    assert 'compile' in run.inputs_of('rung_0').allegro
    assert 'compile' not in run.inputs_of('rung_1').allegro
    settings = run.inputs_of('rung_1').settings.get_dict()
    assert settings == {
        'model_001': {'r_max': 4.0, 'l_max': 1, 'max_epochs': 30, 'schedule_epochs': 90},
        'model_002': {'r_max': 4.0, 'l_max': 2, 'max_epochs': 30, 'schedule_epochs': 90},
    }
    checkpoints = run.inputs_of('rung_1').checkpoints
    assert checkpoints['model_002'].uuid == first.outputs.checkpoint['model_002'].uuid
    assert run.inputs_of('rung_2').checkpoints['model_002'].uuid == second.outputs.checkpoint['model_002'].uuid
    table = run.node.outputs.table
    assert [row['state'] for row in table['rows']] == [
        'stopped after rung 1', 'trained in full', 'stopped after rung 0', 'stopped after rung 0'
    ]  # fmt: skip
    assert table.creator.process_label == 'compare_models'
    assert list(run.node.outputs.models) == ['model_002']
    decisions = run.node.outputs.decisions
    assert [decisions[f'rung_{rung}']['kept'] for rung in (0, 1)] == [['model_002', 'model_001'], ['model_002']]


@pytest.mark.slow
def test_failures_are_rows(run_study, batch, timings):
    """A training that diverges and a run that explodes do not end the study."""
    first = batch(dict.fromkeys(LABELS[:3], 0.3), failures={'model_004': 'The training diverged.'})
    timed = with_failures(timings({'model_001': 10, 'model_002': 20}), {'model_003': 'The run exploded.'})
    run = run_study({'rung_0': first, 'timing': timed}, epochs=[10])
    assert run.node.is_finished_ok, run.node.exit_message
    assert list(run.inputs_of('timing').models) == LABELS[:3]
    reasons = [row['reason'] for row in run.node.outputs.table['rows']]
    assert reasons == ['', '', 'The run exploded.', 'The training diverged.']
    assert sorted(run.node.outputs.models) == ['model_001', 'model_002']


@pytest.mark.slow
def test_a_study_in_which_all_fail(run_study, batch):
    run = run_study({'rung_0': batch({}, failures=dict.fromkeys(LABELS, 'The device ran out of memory.'))})
    assert run.node.exit_status == 401
    assert 'The device ran out of memory.' in run.node.exit_message


@pytest.mark.slow
def test_trainings_run_the_cheapest_first(builder, generate_workchain, submitted):
    """Settings of a similar cost share a batch; each has its parameters and its checkpoint."""
    inputs = builder()._inputs(prune=True)
    checkpoint = orm.FolderData()
    allegro = {**inputs['allegro'], 'dataset': inputs['dataset']}
    given = {'allegro': allegro, 'settings': inputs['settings'], 'checkpoints': {'model_003': checkpoint}}
    process = generate_workchain(ModelTrainingsWorkChain, given)
    process.setup()
    assert process.ctx.pending == ['model_001', 'model_003', 'model_002', 'model_004']
    child_inputs = process.child_inputs('model_003')
    assert child_inputs.train.parameters['r_max'] == 5.0
    assert child_inputs.train.parameters['num_scalar_features'] == 48
    assert child_inputs.train.checkpoint.uuid == checkpoint.uuid
    assert 'checkpoint' not in process.child_inputs('model_001').train


@pytest.mark.slow
def test_timings_run_every_model(builder, generate_workchain, model, generate_structure):
    inputs = builder()._inputs(prune=True)
    base = {**inputs['md'], 'md': {**inputs['md']['md'], 'structure': generate_structure()}}
    models = {label: model(f'{label}.nequip.pt2') for label in LABELS}
    process = generate_workchain(ModelTimingsWorkChain, {'base': base, 'models': models})
    process.setup()
    assert process.ctx.pending == LABELS
    child_inputs = process.child_inputs('model_002')
    assert child_inputs.md.model.uuid == models['model_002'].uuid
    assert child_inputs.md.settings['report_memory']
    assert child_inputs.md.parameters['production_steps'] == 100


@pytest.mark.slow
def test_inputs(builder):
    """The models of a study are not compared in LAMMPS; timings run one at a time on a machine without a scheduler."""
    made = builder()
    assert len(made.settings.get_dict()) == 4
    assert 'train_code' not in made.allegro['compile'].get('check', {})
    assert (made.max_concurrent.value, made.max_timings.value) == (2, 1)
    assert {p['l_max'] for p in training_parameters(made).values()} == {1, 2}
    assert AllegroWorkChain.spec().inputs.validate({}) is not None  # the children check what is left
    assert LammpsMdBaseWorkChain.spec().inputs.validate({}) is not None


@pytest.mark.slow
def test_stress_that_is_missing(builder, dataset):
    """The frames of the fixture have no stress."""
    with pytest.raises(ValueError, match='not all frames of the dataset have a stress'):
        builder([('stress_coefficient', '0,1')])
    with pytest.raises(ValueError, match='not all frames of the dataset have a stress'):
        builder(overrides={'training': {'stress_coefficient': 1.0}})


@pytest.mark.slow
def test_too_few_frames(builder, dataset):
    with pytest.raises(ValueError, match='2 frames are too few'):
        builder(data=DatasetData.from_frames(dataset().get_frames()[:2]))


@pytest.mark.parametrize(
    'halving', [{'epochs': [10, 10], 'keep': 0.5}, {'epochs': [], 'keep': 0.5}, {'epochs': [1], 'keep': 0}]
)
def test_rungs_that_do_not_grow(halving):
    port = ModelsStudyWorkChain.spec().inputs['halving']
    assert port.validate(orm.Dict(halving)) is not None
    assert port.validate(orm.Dict({'epochs': [10, 30], 'keep': 0.5})) is None
