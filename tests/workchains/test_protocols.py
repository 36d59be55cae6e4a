"""Protocols are complete and consistent, and wrong overrides are refused."""

import pathlib
import typing

import pytest
import yaml

from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.engines.schedulers import job_options
from aiida_ionconduct.lammps.parameters import MdParameters
from aiida_ionconduct.workchains import protocols
from aiida_ionconduct.workchains.aimd import THERMOSTATS
from aiida_ionconduct.workchains.protocols import load, protocol_inputs
from aiida_ionconduct.workchains.protocols.parameters import (
    ConductivityParameters,
    JobResources,
    MdResources,
    OtherPwResources,
    PwThermostat,
    TrainingResources,
)

NAMES = ('quickstart', 'fast', 'balanced', 'stringent', 'talk', 'screen', 'overnight')


def test_names():
    assert tuple(load('conductivity')['protocols']) == NAMES
    assert all(protocol['description'].endswith('.') for protocol in load('conductivity')['protocols'].values())


def test_keys_are_documented():
    """Every key of the file is described, and every described key has a default in the file or in its class."""
    documented = {key.path: key for key in list(ConductivityParameters.keys())}
    stated = set(flat(load('conductivity')['default_inputs']))
    assert stated <= set(documented)
    assert all(key.description for key in documented.values())
    assert {path for path, key in documented.items() if not key.default} <= stated


def flat(section, path=''):
    """Return the paths of all keys of nested sections; an empty section has none."""
    for key, value in section.items():
        yield from flat(value, f'{path}{key}.') if isinstance(value, dict) else [path + key]


@pytest.mark.parametrize('name', NAMES)
def test_a_protocol_lists_only_what_differs(name):
    """No value of a protocol is the same as in the defaults."""
    data = load('conductivity')

    def repeated(changes, defaults, path=''):
        for key, value in changes.items():
            if isinstance(value, dict) and isinstance(defaults.get(key), dict):
                yield from repeated(value, defaults[key], f'{path}{key}.')
            elif key in defaults and value == defaults[key]:
                yield path + key

    changes = {key: value for key, value in data['protocols'][name].items() if key != 'description'}
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
    """Overrides replace values of the protocol, and all other values stay."""
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
        ({'temperature_K': [300]}, r'unknown key `temperature_K`: did you mean `temperatures_K`\?'),
        ({'md': {'timestep': 1}}, r'unknown key `md\.timestep`: did you mean `md\.timestep_fs`\?'),
        (
            {'resources': {'pw': {'num_machine': 1}}},
            r'`resources\.pw\.num_machine`: did you mean `resources\.pw\.num_machines`\?',
        ),
        ({'zzz': 1}, 'unknown key `zzz`: known are temperatures_K, seeds,'),
        ({'md': 5}, '`md` is 5, but must be a mapping of keys'),
    ],
)
def test_misspelt_overrides(overrides, message):
    with pytest.raises(ValueError, match=message):
        protocol_inputs('conductivity', 'fast', overrides)


def test_numbers_are_numbers():
    """YAML reads 1e-9 as a text, so no number is written in this way."""

    def texts(value):
        if isinstance(value, dict):
            return [text for item in value.values() for text in texts(item)]
        return [value] if isinstance(value, str) else []

    for path in pathlib.Path(protocols.__file__).parent.glob('*.yaml'):
        for text in texts(yaml.safe_load(path.read_text())):
            assert not text[0].isdigit(), text


def test_all_complaints_at_once():
    """A wrong type, a misspelt key and a value out of range are found together, each with a line of its own."""
    overrides = {'md': {'timestep_fs': 'slow'}, 'training': {'lmax': 3}, 'seeds': [0], 'aimd': {'sampling_ps': 1e-3}}
    with pytest.raises(ValueError, match='must be a valid number') as complaint:
        protocol_inputs('conductivity', 'fast', overrides)
    begins = [line.split('`')[1] for line in str(complaint.value).splitlines()]
    assert begins == ['seeds.0', 'aimd', 'training.lmax', 'md.timestep_fs']


def test_split_leaves_frames_for_the_training():
    with pytest.raises(ValueError, match='`dataset`: validation and test together must be less than 1'):
        protocol_inputs('conductivity', 'fast', {'dataset': {'validation': 0.5, 'test': 0.5}})


def test_ensemble_of_a_campaign():
    """A run in npt is refused, because it has no trajectory."""
    with pytest.raises(ValueError, match=r'md\.ensemble is npt, but must be nve'):
        protocol_inputs('conductivity', 'fast', {'md': {'ensemble': 'npt'}})


@pytest.mark.parametrize('name', NAMES)
def test_production_is_held_at_its_temperature(name):
    md = protocol_inputs('conductivity', name)['md']
    assert (md['ensemble'], md['production_thermostat']) == ('nvt', 'csvr')


@pytest.mark.parametrize('name', NAMES)
def test_aimd_has_the_temperatures_of_the_production(name):
    """Otherwise the gate has nothing to compare with."""
    p = protocol_inputs('conductivity', name)
    assert p['aimd']['temperatures_K'] == p['temperatures_K']


@pytest.mark.parametrize(
    ('overrides', 'expected'),
    [
        ({'temperatures_K': [700]}, [700]),
        ({'temperatures_K': [1200, 700, 850, 1000]}, [700, 1000, 1200]),
        ({'temperatures_K': [700], 'aimd': {'temperatures_K': [900]}}, [900]),
    ],
)
def test_temperatures_of_aimd_follow_the_overrides(overrides, expected):
    assert protocol_inputs('conductivity', 'fast', overrides)['aimd']['temperatures_K'] == expected


def test_constant_energy_is_still_allowed():
    assert protocol_inputs('conductivity', 'fast', {'md': {'ensemble': 'nve'}})['md']['ensemble'] == 'nve'


def test_thermostats_are_those_of_aimd():
    assert set(typing.get_args(PwThermostat)) == set(THERMOSTATS)


def test_values_stay_as_they_are_written():
    """The stored values are as the user has written them, not as the check converts them."""
    assert protocol_inputs('conductivity', 'fast', {'temperatures_K': [700]})['temperatures_K'][0].__class__ is int


# Keys of a protocol ------------------------------------------------------------------------------------------------

REQUESTS = {
    'partition': 'short', 'account': 'ab12', 'qos': 'high', 'constraint': 'a&b', 'max_memory_kb': 2**20,
    'directives': ['--exclusive'], 'num_machines': 2, 'num_mpiprocs_per_machine': 8, 'max_wallclock_seconds': 60,
    'threads': 4, 'gpus': 2, 'gpu_type': 'h100',
}  # fmt: skip
"""A value for every key with which a section of ``resources`` asks for something, other than in the request below."""
LEAST = {'num_machines': 1, 'num_mpiprocs_per_machine': 1, 'max_wallclock_seconds': 3600, 'gpus': 1}


@pytest.mark.parametrize('section', [JobResources, OtherPwResources, TrainingResources, MdResources])
def test_no_key_of_a_protocol_is_dropped(section):
    """Whatever a section of ``resources`` may say changes what a job asks for."""
    for key in set(section.model_fields) - {'kokkos', 'mliap'}:
        assert job_options('core.slurm', {**LEAST, key: REQUESTS[key]}) != job_options('core.slurm', LEAST), key
