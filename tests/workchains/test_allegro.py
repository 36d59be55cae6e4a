"""`AllegroWorkChain`: split, train, compile."""

import pytest
from aiida import orm

from aiida_ionconduct.calculations.allegro_compile import AllegroCompileCalculation
from aiida_ionconduct.calculations.allegro_train import AllegroTrainCalculation


@pytest.fixture
def allegro(campaign_inputs, generate_workchain, dataset):
    """Return a function that makes the work chain for 20 frames, with further inputs of the training."""

    def make(**train):
        inputs = campaign_inputs()['allegro']
        inputs['train'] |= train
        return generate_workchain('ionconduct.allegro', {**inputs, 'dataset': dataset()})

    return make


def test_train(allegro, submitted):
    allegro().run_train()
    ((process_class, inputs),) = submitted
    assert process_class is AllegroTrainCalculation
    assert inputs.metadata.call_link_label == 'train'
    assert inputs.metadata.options.max_wallclock_seconds == 3600
    parts = [inputs[name] for name in ('train', 'validation', 'test')]
    assert [part.n_frames for part in parts] == [16, 2, 2]
    energies = [frame.get_potential_energy() for part in parts for frame in part.get_frames()]
    assert sorted(energies) == list(range(20))


def test_continue(allegro, submitted, model):
    first = model()
    allegro(initial_model=first).run_train()
    assert submitted[0][1].initial_model.uuid == first.uuid


def trained(child, model):
    """Return a training that has ended well."""
    outputs = {'model': model(), 'output_parameters': orm.Dict({'n_epochs': 3}), 'parity': orm.ArrayData()}
    return child(node_class=orm.WorkChainNode, **outputs)


def test_compile(allegro, submitted, child, model):
    process = allegro()
    process.ctx.train = trained(child, model)
    assert process.inspect_train() is None
    assert set(process.outputs) == {'model', 'output_parameters', 'parity'}
    process.run_compile()
    ((process_class, inputs),) = submitted
    assert process_class is AllegroCompileCalculation
    assert inputs.model.uuid == process.ctx.train.outputs.model.uuid
    assert inputs.metadata.call_link_label == 'compile'
    process.ctx.compile = child(model=model('model.nequip.pt2'))
    assert process.inspect_compile() is None
    assert process.outputs['compiled_model'].model_format == 'aotinductor'


def test_training_failed(allegro, child):
    process = allegro()
    process.ctx.train = child(exit_status=400, exit_message='The training diverged.')
    exit_code = process.inspect_train()
    assert exit_code.status == 401
    assert exit_code.message == 'The training failed: The training diverged.'
    assert not process.outputs


def test_compilation_failed(allegro, child, model):
    """The model itself is kept."""
    process = allegro()
    process.ctx.train, process.ctx.compile = trained(child, model), child(exit_status=310, exit_message='No model.')
    process.inspect_train()
    exit_code = process.inspect_compile()
    assert exit_code.status == 402
    assert 'The compilation failed: No model.' in exit_code.message
    assert 'model' in process.outputs
