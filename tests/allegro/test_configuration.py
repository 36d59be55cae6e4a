"""The configuration of nequip-train: what is written, and which parameters reach it."""

import pytest

from aiida_ionconduct.allegro.configuration import evaluation_configuration, nequip_configuration
from aiida_ionconduct.allegro.parameters import TrainingParameters

TYPES = ['Li', 'O', 'P']
ANOTHER = {'model_dtype': 'float64', 'accelerator': 'cpu', 'ema_decay': 0.5}
"""Values where adding to the default does not give a valid value."""


def configuration(parameters=None, **how):
    """Return the configuration of a training with some parameters changed."""
    return nequip_configuration(TrainingParameters.check(parameters or {}), TYPES, **how)


def leaves(section, path=()):
    """Return the values of a nested configuration by their paths."""
    if isinstance(section, (dict, list)):
        items = section.items() if isinstance(section, dict) else enumerate(section)
        return {key: value for name, item in items for key, value in leaves(item, (*path, name)).items()}
    return {path: section}


def test_defaults(data_regression):
    data_regression.check(configuration())


@pytest.mark.parametrize('name', sorted(TrainingParameters.model_fields))
def test_every_parameter_matters(name):
    """Every parameter changes the configuration."""
    default = TrainingParameters.model_fields[name].default
    changed = not default if isinstance(default, bool) else ANOTHER[name] if name in ANOTHER else default + 7
    assert configuration({name: changed}) != configuration()


def test_sections_agree():
    """The cutoff of the neighbour list is the model's, the order of the types is the same everywhere, one seed."""
    values = leaves(configuration({'r_max': 4.25, 'seed': 99, 'early_stopping_patience': 5}))
    assert [value for path, value in values.items() if path[-1] == 'r_max'] == [4.25, 4.25]
    assert [value for path, value in values.items() if path[-1] == 'seed'] == [99, 99, 99]
    for name in ('model_type_names', 'type_names', 'chemical_symbols', 'chemical_species'):
        lists = [value for path, value in values.items() if name in path]
        assert lists
        assert lists == TYPES * (len(lists) // len(TYPES))
    assert {value for path, value in values.items() if path[-1] == 'monitor'} == {'val0_epoch/weighted_sum'}


def callbacks(parameters=None, **how):
    """Return the callbacks by the last word of their class, the second of a name with a number."""
    named = {}
    for callback in configuration(parameters, **how)['trainer']['callbacks']:
        name = callback['_target_'].split('.')[-1]
        named[name if name not in named else f'{name}_2'] = callback
    return named


def test_early_stopping():
    """Without a patience, the training stops early only at a loss that is not finite."""
    assert callbacks({'max_epochs': 70})['EarlyStopping']['patience'] == 70
    assert callbacks({'early_stopping_patience': 20})['EarlyStopping']['patience'] == 20


def test_callbacks_of_a_resumed_training():
    """The callbacks find the best checkpoint beside the last one and measure the time of their own job alone."""
    resumed = callbacks(resume=True, max_time_s=60.0)
    for name in ('ModelCheckpoint', 'ModelCheckpoint_2', 'Timer'):
        assert resumed[name]['_target_'].startswith('allegro_resume.')
    names = [resumed[name]['filename'] for name in ('ModelCheckpoint', 'ModelCheckpoint_2')]
    assert names == ['best', 'last']
    assert 'monitor' not in resumed['ModelCheckpoint_2']  # written at every epoch, not at the best alone


def test_time_limit():
    """A training with a time limit stops after an epoch; without a limit, no time is measured."""
    timer = callbacks(resume=True, max_time_s=60.0)['Timer']
    assert timer['duration'] == {'seconds': 60.0}
    assert timer['interval'] == 'epoch'
    assert 'Timer' not in callbacks()


def test_resumed():
    """A resumed training goes on from the last epoch and with the shuffles; all else is as for a new training."""
    first, resumed = configuration(), configuration(resume=True, max_time_s=60.0)
    assert resumed.pop('ckpt_path') == 'last.ckpt'
    assert 'ckpt_path' not in first
    assert resumed['data'].pop('_target_') == 'allegro_resume.ASEDataModule'
    assert first['data'].pop('_target_') == 'nequip.data.datamodule.ASEDataModule'
    assert {**resumed, 'trainer': None} == {**first, 'trainer': None}


def test_stress():
    section = configuration({'stress_coefficient': 2.0})['training_module']
    assert section['loss']['_target_'] == 'nequip.train.EnergyForceStressLoss'
    assert section['loss']['coeffs']['stress'] == 2.0
    assert section['val_metrics']['coeffs']['stress_mae'] == 2.0
    assert (
        'stress'
        in callbacks({'stress_coefficient': 2.0})['TestTimeXYZFileWriter']['output_fields_from_original_dataset']
    )


def test_embedding_of_its_own():
    """The two-body MLP has the depth and width of the layers unless it is given its own."""
    model = configuration({'mlp_depth': 3, 'mlp_width': 1024})['training_module']['model']
    assert model['scalar_embed_mlp_hidden_layers_depth'] == model['allegro_mlp_hidden_layers_depth'] == 3
    own = {'mlp_depth': 3, 'mlp_width': 1024, 'embed_mlp_depth': 4, 'embed_mlp_width': 512}
    model = configuration(own)['training_module']['model']
    assert (model['scalar_embed_mlp_hidden_layers_depth'], model['scalar_embed_mlp_hidden_layers_width']) == (4, 512)
    assert (model['allegro_mlp_hidden_layers_depth'], model['allegro_mlp_hidden_layers_width']) == (3, 1024)


def test_evaluation():
    """An evaluation is a test of the model on the frames alone."""
    evaluation = evaluation_configuration(
        ['Li', 'O'], r_max=4.5, package='seed1.nequip.zip', predictions='seed1', accelerator='cpu'
    )
    assert evaluation['run'] == ['test']
    assert evaluation['training_module']['model']['package_path'] == 'seed1.nequip.zip'
    assert {evaluation['data'][f'{name}_file_path'] for name in ('train', 'val', 'test')} == {'frames.extxyz'}
    (writer,) = evaluation['trainer']['callbacks']
    assert writer['out_file'] == 'seed1'


def test_initial_model():
    """A packaged model brings its own architecture; all else is as for a new model."""
    new, continued = configuration(), configuration(initial_model='initial.nequip.zip')
    assert continued['training_module'].pop('model') == {
        '_target_': 'nequip.model.ModelFromPackage',
        'package_path': 'initial.nequip.zip',
    }
    del new['training_module']['model']
    assert continued == new


def test_schedule_of_a_training_that_another_goes_on_with():
    """The learning rate falls over the epochs of both; the first does not stop early because it has fewer."""
    values = leaves(configuration({'max_epochs': 10, 'schedule_epochs': 90}))
    by_name = {path[-1]: value for path, value in values.items()}
    assert (by_name['max_epochs'], by_name['T_max'], by_name['patience']) == (10, 90, 90)
