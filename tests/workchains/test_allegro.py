"""`AllegroWorkChain`: split, train in as many jobs as it takes, compile."""

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from plumpy import ProcessState

from aiida_ionconduct.calculations.allegro_train import AllegroTrainCalculation
from aiida_ionconduct.workchains.repeat import AllegroCompileWorkChain, AllegroEvaluateWorkChain

pytestmark = pytest.mark.slow

EXIT_CODES = AllegroTrainCalculation.exit_codes


@pytest.fixture
def allegro(campaign_inputs, generate_workchain, dataset):
    """Return a function that makes the work chain for 20 frames, set up, with further parameters of the training."""

    def make(parameters=None, **train):
        inputs = campaign_inputs()['allegro']
        inputs['train'] |= train
        inputs['train']['parameters'] = orm.Dict({**inputs['train']['parameters'].get_dict(), **(parameters or {})})
        process = generate_workchain('ionconduct.allegro', {**inputs, 'dataset': dataset()})
        process.setup()
        return process

    return make


@pytest.fixture
def job(aiida_profile, model):
    """Return a function that makes a training job that has ended, with the epoch it has come to."""

    def make(exit_code=None, epoch=None):
        node = orm.CalcJobNode()
        node.set_process_label('AllegroTrainCalculation')
        node.set_process_state(ProcessState.FINISHED)
        node.set_exit_status(exit_code.status if exit_code else 0)
        node.set_exit_message(exit_code.message if exit_code else None)
        node.store()
        outputs = {'output_parameters': orm.Dict({'n_epochs': (epoch or 0) + 1})}
        if epoch is not None:
            outputs['checkpoint'] = orm.FolderData()
            outputs['checkpoint'].base.attributes.set_many({'epoch': epoch, 'epochs': []})
        if exit_code is None:
            outputs |= {'model': model(f'{node.pk}.nequip.zip'), 'parity': orm.ArrayData()}
        for label, output in outputs.items():
            if output.is_stored:
                continue
            output.base.links.add_incoming(node, LinkType.CREATE, label)
            output.store()
        if exit_code is None:
            outputs['model'].base.links.add_incoming(node, LinkType.CREATE, 'model')
        return node

    return make


@pytest.fixture
def go(monkeypatch):
    """Return a function that lets the work chain run jobs that end as given; return its exit code and the inputs."""

    def go(process, *jobs):
        exit_code, inputs = None, []
        monkeypatch.setattr(process, 'submit', lambda _, **given: inputs.append(given) or orm.WorkChainNode().store())
        for node in jobs:
            assert exit_code is None or exit_code.status == 0
            assert process.should_run_process()
            process.run_process()
            process.ctx.setdefault('children', []).append(node)
            exit_code = process.inspect_process()
        return exit_code, inputs

    return go


def test_train(allegro, submitted):
    process = allegro()
    assert process.should_run_process()
    process.run_process()
    ((process_class, inputs),) = submitted
    assert process_class is AllegroTrainCalculation
    assert inputs.metadata.call_link_label == 'iteration_01'
    assert inputs.metadata.options.max_wallclock_seconds == 3600
    assert inputs.monitors.progress['entry_point'] == 'ionconduct.training'
    parts = [inputs[name] for name in ('train', 'validation', 'test')]
    assert [part.n_frames for part in parts] == [16, 2, 2]
    energies = [frame.get_potential_energy() for part in parts for frame in part.get_frames()]
    assert sorted(energies) == list(range(20))


def test_initial_model(allegro, submitted, model):
    """A later round starts from the weights of the round before."""
    first = model()
    allegro(initial_model=first).run_process()
    assert submitted[0][1].initial_model.uuid == first.uuid


def test_energies_of_atoms_are_fitted_anew(allegro, submitted, model, child):
    """The initial model is evaluated on the training frames without its own, and the training gets the fitted ones."""
    process = allegro(initial_model=model())
    assert not process.should_fit_shifts()  # unless it is asked for
    process.run_evaluation()
    ((process_class, inputs),) = submitted
    assert process_class is AllegroEvaluateWorkChain
    assert inputs.job.without_shifts.value
    assert inputs.job.frames.n_frames == 16
    assert inputs.job.metadata.options.parser_name == 'ionconduct.allegro.evaluate'
    assert inputs.job.metadata.options.max_wallclock_seconds == 3600
    predictions = orm.ArrayData()
    predictions.set_array('energies_initial', np.zeros(16))
    process.ctx.evaluation = child(predictions=predictions)
    assert process.inspect_evaluation() is None
    mean = np.mean([frame.get_potential_energy() for frame in process.ctx.inputs.train.get_frames()])
    shifts = process.ctx.inputs.energy_shifts['shifts_eV']
    symbols = process.ctx.inputs.train.get_frames()[0].symbols
    assert sum(shifts[symbol] for symbol in symbols) == pytest.approx(mean)
    process.run_process()
    assert submitted[-1][1].energy_shifts['shifts_eV'] == shifts


def test_initial_model_that_cannot_be_evaluated(allegro, model, child):
    process = allegro(initial_model=model())
    process.ctx.evaluation = child(exit_status=410, exit_message='no GPU was found')
    exit_code = process.inspect_evaluation()
    assert exit_code.status == 414
    assert 'no GPU was found' in exit_code.message


def test_results(allegro, go, job):
    process, node = allegro(), job(epoch=34)
    assert go(process, node)[0] is None
    assert not process.should_run_process()
    process.results()
    names = ('model', 'output_parameters', 'checkpoint', 'parity')
    assert {name: process.outputs[name].pk for name in names} == {name: node.outputs[name].pk for name in names}


def test_compile(allegro, submitted, child, model, go, job):
    process = allegro()
    go(process, job())
    process.results()
    submitted.clear()
    process.submit = type(process).submit.__get__(process)
    process.run_compile()
    ((process_class, inputs),) = submitted
    assert process_class is AllegroCompileWorkChain
    assert inputs.job.model.uuid == process.outputs['model'].uuid
    assert inputs.metadata.call_link_label == 'compile'
    assert inputs.job.check.frame.uuid == process.ctx.inputs.test.uuid
    assert {'train_code', 'lammps_code'} <= set(inputs.job.check)
    process.ctx.compile = child(model=model('model.nequip.pt2'))
    assert process.inspect_compile() is None
    assert process.outputs['compiled_model'].model_format == 'aotinductor'


def test_compilation_failed(allegro, go, job, child):
    """The packaged model is kept."""
    process = allegro()
    go(process, job())
    process.results()
    process.ctx.compile = child(exit_status=310, exit_message='No model.')
    exit_code = process.inspect_compile()
    assert exit_code.status == 410
    assert 'The compilation failed: No model.' in exit_code.message
    assert 'model' in process.outputs


def test_walltime_is_no_failure(allegro, go, job):
    """There may be more segments than iterations; each starts from the checkpoint before, and all are numbered."""
    process = allegro()
    cut = [job(EXIT_CODES.ERROR_OUT_OF_WALLTIME, epoch=4 * index) for index in range(6)]
    exit_code, inputs = go(process, *cut, job(epoch=34))
    assert exit_code is None
    assert 'checkpoint' not in inputs[0]
    assert [given['checkpoint'].pk for given in inputs[1:]] == [node.outputs.checkpoint.pk for node in cut]
    labels = [given['metadata']['call_link_label'] for given in inputs]
    assert labels == [f'iteration_{index:02d}' for index in range(1, 8)]


def test_walltime_without_progress(allegro, go, job):
    process = allegro()
    exit_code, _ = go(
        process, job(EXIT_CODES.ERROR_OUT_OF_WALLTIME, epoch=3), job(EXIT_CODES.ERROR_OUT_OF_WALLTIME, epoch=3)
    )
    assert exit_code.status == 413
    assert 'raise max_wallclock_seconds' in exit_code.message
    assert 'output_parameters' in process.outputs


def test_killed(allegro, go, job):
    """The training goes on from the last epoch; a job that was killed before its first epoch is repeated."""
    killed = EXIT_CODES.ERROR_INCOMPLETE
    early, late = job(killed), job(killed, epoch=7)
    exit_code, inputs = go(allegro(), early, late, job(killed, epoch=7), job(epoch=34))
    assert exit_code is None
    assert [given['checkpoint'].pk if 'checkpoint' in given else None for given in inputs] == [
        None,
        None,
        late.outputs.checkpoint.pk,
        late.outputs.checkpoint.pk,
    ]


def test_no_package(allegro, go, job):
    """The package is made again from the last epoch, once; a second time in a row is a failure."""
    none = [job(EXIT_CODES.ERROR_OUTPUT_MODEL_MISSING, epoch=34) for _ in range(2)]
    exit_code, inputs = go(allegro(), none[0], job(epoch=34))
    assert exit_code is None
    assert inputs[1]['checkpoint'].pk == none[0].outputs.checkpoint.pk
    process = allegro()
    assert go(process, *none)[0].status == 402
    assert 'checkpoint' in process.outputs


def test_killed_too_often(allegro, go, job):
    process = allegro()
    exit_code, inputs = go(process, *[job(EXIT_CODES.ERROR_INCOMPLETE, epoch=index) for index in range(5)])
    assert exit_code.status == 401
    assert len(inputs) == process.inputs.max_iterations.value == 5
    assert process.outputs['checkpoint'].base.attributes.get('epoch') == 4


def test_out_of_memory(allegro, go, job):
    """The batch is halved, down to a single frame, and the training goes on from its last epoch."""
    full = EXIT_CODES.ERROR_OUT_OF_MEMORY
    first = job(full, epoch=2)
    exit_code, inputs = go(allegro({'batch_size': 5}), first, job(full), job(full))
    assert [given['parameters']['batch_size'] for given in inputs] == [5, 2, 1]
    assert inputs[1]['checkpoint'].pk == first.outputs.checkpoint.pk
    assert exit_code.status == 412
    assert 'fewer features' in exit_code.message


def test_diverged(allegro, go, job):
    """The training begins again at a lower rate, twice; then the message names the lowest rate."""
    nan = EXIT_CODES.ERROR_DIVERGED
    process = allegro({'learning_rate': 0.01})
    exit_code, inputs = go(process, job(EXIT_CODES.ERROR_INCOMPLETE, epoch=3), job(nan), job(nan), job(nan))
    rates = [given['parameters']['learning_rate'] for given in inputs]
    assert rates == pytest.approx([0.01, 0.01, 0.003, 0.0009])
    assert ['checkpoint' in given for given in inputs] == [False, True, False, False]
    assert exit_code.status == 411
    assert 'down to 0.0009' in exit_code.message
    assert 'output_parameters' in process.outputs


def test_lowered_once(allegro, go, job):
    assert go(allegro(), job(EXIT_CODES.ERROR_DIVERGED), job(epoch=34))[0] is None
