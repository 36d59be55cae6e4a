"""Protocols: complete, consistent, and strict about what they are asked for."""

import pathlib

import pytest
import yaml

from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.lammps.parameters import MdParameters
from aiida_ionconduct.workchains import protocols
from aiida_ionconduct.workchains.protocols import load, protocol_inputs

NAMES = ('quickstart', 'fast', 'balanced', 'stringent', 'talk')


def keys(section, path=''):
    """Return the paths of all keys; what is below a free section does not count."""
    found = set()
    for key, value in section.items():
        found.add(path + key)
        if isinstance(value, dict) and key not in protocols.FREE_SECTIONS:
            found |= keys(value, f'{path}{key}.')
    return found


def test_names():
    assert tuple(load('conductivity')['protocols']) == NAMES
    assert all(protocol['description'].endswith('.') for protocol in load('conductivity')['protocols'].values())


@pytest.mark.parametrize('name', NAMES)
def test_all_have_the_same_keys(name):
    assert keys(protocol_inputs('conductivity', name)) == keys(load('conductivity')['default_inputs'])


@pytest.mark.parametrize('name', NAMES)
def test_a_protocol_lists_only_what_differs(name):
    """Every value of a protocol is one that the defaults do not have, and under a key that they do have."""
    data = load('conductivity')

    def repeated(changes, defaults, path=''):
        for key, value in changes.items():
            if isinstance(value, dict) and isinstance(defaults.get(key), dict):
                yield from repeated(value, defaults[key], f'{path}{key}.')
            elif key in defaults and value == defaults[key]:
                yield path + key

    changes = {key: value for key, value in data['protocols'][name].items() if key != 'description'}
    protocols.check_keys(changes, data['default_inputs'])
    assert list(repeated(changes, data['default_inputs'])) == []


@pytest.mark.parametrize('name', NAMES)
def test_values_are_those_the_jobs_take(name):
    """The parameters of training and of molecular dynamics, as the jobs check them."""
    p = protocol_inputs('conductivity', name)
    assert set(p['training']) | set(p['relabelling']['training']) <= set(TrainingParameters.model_fields)
    MdParameters.check({**p['md'], 'temperature_K': p['temperatures_K'][0], 'seeds': p['seeds'][:1]})
    assert len(p['seeds']) >= 4
    assert len(p['temperatures_K']) >= 2
    assert p['dataset']['stride'] < p['aimd']['sampling_ps'] * 1e3 / p['aimd']['timestep_fs']


def test_default():
    assert protocol_inputs('conductivity') == protocol_inputs('conductivity', 'balanced')


def test_overrides():
    """The user's word is the last, and what is not named stays."""
    before = protocol_inputs('conductivity', 'fast')
    overrides = {'md': {'timestep_fs': 0.5}, 'training': {'l_max': 3}, 'temperatures_K': [700]}
    after = protocol_inputs('conductivity', 'fast', overrides)
    assert after['md'] == {**before['md'], 'timestep_fs': 0.5}
    assert after['training'] == {**before['training'], 'l_max': 3}
    assert after['temperatures_K'] == [700]
    assert after['dft'] == before['dft']
    assert protocol_inputs('conductivity', 'fast') == before


def test_unknown_protocol():
    with pytest.raises(
        ValueError, match='unknown protocol `precise`: choose one of quickstart, fast, balanced, stringent'
    ):
        protocol_inputs('conductivity', 'precise')


@pytest.mark.parametrize(
    ('overrides', 'message'),
    [
        ({'temperature_K': [300]}, r'unknown override `temperature_K`: did you mean `temperatures_K`\?'),
        ({'md': {'timestep': 1}}, r'unknown override `md\.timestep`: did you mean `md\.timestep_fs`\?'),
        (
            {'resources': {'pw': {'num_machine': 1}}},
            r'`resources\.pw\.num_machine`: did you mean `resources\.pw\.num_machines`\?',
        ),
        ({'zzz': 1}, 'unknown override `zzz`: known are temperatures_K, seeds,'),
        ({'md': 5}, 'the override `md` must be a mapping of timestep_fs,'),
    ],
)
def test_misspelt_overrides(overrides, message):
    with pytest.raises(ValueError, match=message):
        protocol_inputs('conductivity', 'fast', overrides)


def test_numbers_are_numbers():
    """YAML takes 1e-9 for a text: no number is written so."""

    def texts(value):
        if isinstance(value, dict):
            return [text for item in value.values() for text in texts(item)]
        return [value] if isinstance(value, str) else []

    for path in pathlib.Path(protocols.__file__).parent.glob('*.yaml'):
        for text in texts(yaml.safe_load(path.read_text())):
            assert not text[0].isdigit(), text
