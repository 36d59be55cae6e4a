"""The training configuration: what is written, and which parameters reach it."""

import pytest

from aiida_ionconduct.calculations.allegro_config import DEFAULTS, nequip_configuration

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


def test_early_stopping():
    """Without a patience it stops at nothing but a loss that is no number."""
    for parameters, patience in (({'max_epochs': 70}, 70), ({'early_stopping_patience': 20}, 20)):
        stopping = nequip_configuration(parameters, TYPES)['trainer']['callbacks'][-1]
        assert stopping['_target_'] == 'lightning.pytorch.callbacks.EarlyStopping'
        assert stopping['patience'] == patience


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
