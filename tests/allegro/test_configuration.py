"""The training configuration: what is written, and which parameters reach it."""

import pytest

from aiida_ionconduct.allegro.configuration import DEFAULTS, evaluation_configuration, nequip_configuration

TYPES = ['Li', 'O', 'P']


def leaves(section, path=()):
    """Return the values of a nested configuration by their paths."""
    if isinstance(section, (dict, list)):
        items = section.items() if isinstance(section, dict) else enumerate(section)
        return {key: value for name, item in items for key, value in leaves(item, (*path, name)).items()}
    return {path: section}


def test_defaults(data_regression):
    data_regression.check(nequip_configuration({}, TYPES))


@pytest.mark.parametrize('name', sorted(DEFAULTS))
def test_every_parameter_matters(name):
    """A parameter that changes nothing is a promise not kept."""
    default = DEFAULTS[name]
    changed = {bool: lambda: not default, str: lambda: f'another {default}'}.get(type(default), lambda: default + 7)()
    assert nequip_configuration({name: changed}, TYPES) != nequip_configuration({}, TYPES)


def test_sections_agree():
    """The cutoff of the neighbour list is the model's, the order of the types is the same everywhere, one seed."""
    values = leaves(nequip_configuration({'r_max': 4.25, 'seed': 99, 'early_stopping_patience': 5}, TYPES))
    assert [value for path, value in values.items() if path[-1] == 'r_max'] == [4.25, 4.25]
    assert [value for path, value in values.items() if path[-1] == 'seed'] == [99, 99, 99]
    for name in ('model_type_names', 'type_names', 'chemical_symbols', 'chemical_species'):
        lists = [value for path, value in values.items() if name in path]
        assert lists
        assert lists == TYPES * (len(lists) // len(TYPES))
    assert {value for path, value in values.items() if path[-1] == 'monitor'} == {'val0_epoch/weighted_sum'}


def callbacks(parameters=None, **how):
    """Return the callbacks by the last word of their class, the second of a name with a number."""
    found = {}
    for callback in nequip_configuration(parameters or {}, TYPES, **how)['trainer']['callbacks']:
        name = callback['_target_'].split('.')[-1]
        found[name if name not in found else f'{name}_2'] = callback
    return found


def test_early_stopping():
    """Without a patience it stops at nothing but a loss that is no number."""
    assert callbacks({'max_epochs': 70})['EarlyStopping']['patience'] == 70
    assert callbacks({'early_stopping_patience': 20})['EarlyStopping']['patience'] == 20


def test_resumed():
    """From the last epoch, with callbacks that find the best one beside it and measure their own job alone."""
    first, resumed = nequip_configuration({}, TYPES), nequip_configuration({}, TYPES, resume=True, max_time_s=60.0)
    assert resumed.pop('ckpt_path') == 'last.ckpt'
    assert 'ckpt_path' not in first
    found = callbacks(resume=True, max_time_s=60.0)
    for name in ('ModelCheckpoint', 'ModelCheckpoint_2', 'Timer'):
        assert found[name]['_target_'].startswith('allegro_resume.')
    assert found['Timer']['duration'] == {'seconds': 60.0}
    assert found['Timer']['interval'] == 'epoch'
    names = [found[name]['filename'] for name in ('ModelCheckpoint', 'ModelCheckpoint_2')]
    assert names == ['best', 'last']
    assert 'monitor' not in found['ModelCheckpoint_2']  # every epoch, not the best alone
    assert 'Timer' not in callbacks()
    assert resumed['data'].pop('_target_') == 'allegro_resume.ASEDataModule'  # goes on with the shuffles
    assert first['data'].pop('_target_') == 'nequip.data.datamodule.ASEDataModule'
    assert {**resumed, 'trainer': None} == {**first, 'trainer': None}


def test_stress():
    section = nequip_configuration({'stress_coefficient': 2.0}, TYPES)['training_module']
    assert section['loss']['_target_'] == 'nequip.train.EnergyForceStressLoss'
    assert section['loss']['coeffs']['stress'] == 2.0
    assert section['val_metrics']['coeffs']['stress_mae'] == 2.0
    assert (
        'stress'
        in callbacks({'stress_coefficient': 2.0})['TestTimeXYZFileWriter']['output_fields_from_original_dataset']
    )


def test_embedding_of_its_own():
    """The two-body MLP has the depth and width of the layers unless it is given its own."""
    model = nequip_configuration({'mlp_depth': 3, 'mlp_width': 1024}, TYPES)['training_module']['model']
    assert model['scalar_embed_mlp_hidden_layers_depth'] == model['allegro_mlp_hidden_layers_depth'] == 3
    own = {'mlp_depth': 3, 'mlp_width': 1024, 'embed_mlp_depth': 4, 'embed_mlp_width': 512}
    model = nequip_configuration(own, TYPES)['training_module']['model']
    assert (model['scalar_embed_mlp_hidden_layers_depth'], model['scalar_embed_mlp_hidden_layers_width']) == (4, 512)
    assert (model['allegro_mlp_hidden_layers_depth'], model['allegro_mlp_hidden_layers_width']) == (3, 1024)


def test_evaluation():
    """A test of the model on frames whose labels are not looked at, without a logger."""
    configuration = evaluation_configuration(['Li', 'O'], 4.5, 'seed1.nequip.zip', 'seed1', 'cpu')
    assert configuration['run'] == ['test']
    assert configuration['training_module']['model']['package_path'] == 'seed1.nequip.zip'
    assert {configuration['data'][f'{name}_file_path'] for name in ('train', 'val', 'test')} == {'frames.extxyz'}
    (writer,) = configuration['trainer']['callbacks']
    assert writer['out_file'] == 'seed1'


def test_initial_model():
    """A packaged model brings its own architecture; all else is as for a new one."""
    new, continued = nequip_configuration({}, TYPES), nequip_configuration({}, TYPES, 'initial.nequip.zip')
    assert continued['training_module'].pop('model') == {
        '_target_': 'nequip.model.ModelFromPackage',
        'package_path': 'initial.nequip.zip',
    }
    del new['training_module']['model']
    assert continued == new


def test_unknown_parameters():
    with pytest.raises(ValueError, match=r'unknown training parameters lmax, rmax: choose from accelerator, .*l_max'):
        nequip_configuration({'rmax': 5.0, 'lmax': 1, 'seed': 1}, TYPES)
