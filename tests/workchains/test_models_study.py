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


def failed_child(parent, label, message=None, exception=None):
    """Return a stored child that has failed with a message, or by an exception."""
    node = orm.WorkChainNode()
    node.base.links.add_incoming(parent, LinkType.CALL_WORK, label)
    node.set_process_state(ProcessState.EXCEPTED if exception else ProcessState.FINISHED)
    if exception:
        node.set_exception(exception)
    else:
        node.set_exit_status(411)
        node.set_exit_message(message)
    return node.store()


def with_failures(node, failures):
    """Add children that have failed to a batch, by label with the message."""
    for label, message in dict(failures).items():
        failed_child(node, label, message)
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
    rows = run.node.outputs.table['rows']
    assert [row['reason'] for row in rows] == ['', '', 'The run exploded.', 'The training diverged.']
    assert [row['state'] for row in rows[2:]] == ['failed in timing', 'failed in training, rung 0']
    assert sorted(run.node.outputs.models) == ['model_001', 'model_002']


@pytest.mark.slow
def test_a_model_that_cannot_be_compiled_is_a_row(run_study, batch, timings, model):
    """The error of its training is in the row, and the reason names the exception of the job."""
    first = batch(dict.fromkeys(LABELS[:3], 0.3))
    failed = failed_child(first, 'model_004', 'The compilation failed: The sub process excepted.')
    trace = 'Traceback:\n  File "x.py"\nOSError: the disk is full\n(Background on this error)\n'
    failed_child(failed, 'compile', exception=trace)
    model('model_004.nequip.zip').base.links.add_incoming(failed, LinkType.RETURN, 'model')
    training(0.2).store().base.links.add_incoming(first, LinkType.RETURN, 'output_parameters__model_004')
    timed = timings(dict.fromkeys(LABELS[:3], 10))
    run = run_study({'rung_0': first, 'timing': timed}, epochs=[10])
    assert run.node.is_finished_ok, run.node.exit_message
    row = run.node.outputs.table['rows'][3]
    assert (row['state'], row['forces_mae_eV_per_A']) == ('failed in compilation', 0.2)
    assert row['reason'] == 'The compilation failed: The sub process excepted: OSError: the disk is full'


@pytest.mark.slow
@pytest.mark.parametrize('rung', [0, 1])
def test_a_study_in_which_all_fail(run_study, batch, timings, rung):
    """The exit message names the first failure, and the table has the reasons of all."""
    failed = batch({}, rung=rung, failures=dict.fromkeys(LABELS, 'The device ran out of memory.'))
    ended = {'rung_0': batch(dict.fromkeys(LABELS, 0.3)), 'timing': timings(dict.fromkeys(LABELS, 10))}
    run = run_study({**(ended if rung else {}), f'rung_{rung}': failed}, keep=1)
    assert run.node.exit_status == 401
    assert run.node.exit_message == (
        'All 4 settings have failed, see the output `table`. The first is model_001, in '
        f'training, rung {rung}: The device ran out of memory.'
    )
    rows = run.node.outputs.table['rows']
    assert [row['reason'] for row in rows] == ['The device ran out of memory.'] * 4
    assert [row['us_per_atom_step'] for row in rows] == ([pytest.approx(10 * 136 / 64)] * 4 if rung else [None] * 4)


@pytest.mark.slow
def test_the_reason_is_the_message_of_the_job(run_study, batch):
    """A work chain that runs a job again says no more than that the job has failed."""
    failed = batch({})
    for label in LABELS:
        training_chain = failed_child(failed, label, 'The process failed with an unhandled failure.')
        failed_child(training_chain, 'iteration_01', 'The training wrote no metrics.')
    run = run_study({'rung_0': failed})
    assert {row['reason'] for row in run.node.outputs.table['rows']} == {
        'The process failed with an unhandled failure: The training wrote no metrics.'
    }


@pytest.mark.slow
def test_a_batch_that_was_ended(run_study, child):
    """What its children had made is not known: every setting is a row that names the end of the batch."""
    node = orm.WorkChainNode()
    node.set_process_state(ProcessState.EXCEPTED)
    node.set_exception('sqlite3.OperationalError: database is locked')
    run = run_study({'rung_0': node.store()})
    assert run.node.exit_status == 401
    assert {row['reason'] for row in run.node.outputs.table['rows']} == {
        'it was ended by an exception: sqlite3.OperationalError: database is locked'
    }


@pytest.mark.slow
def test_trainings_attach_what_a_failed_compilation_leaves(builder, generate_workchain, child):
    """The error of the training is known although there is no compiled model."""
    inputs = builder()._inputs(prune=True)
    given = {'allegro': {**inputs['allegro'], 'dataset': inputs['dataset']}, 'settings': inputs['settings']}
    process = generate_workchain(ModelTrainingsWorkChain, given)
    process.ctx.finished, process.ctx.failed = {}, ['model_001', 'model_002']
    process.ctx.child_model_001 = child(410, output_parameters=training(0.3))
    process.ctx.child_model_002 = child(411)
    process.results()
    assert list(process.outputs['output_parameters']) == ['model_001']


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
