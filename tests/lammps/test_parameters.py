"""The parameters of an MD run: defaults, what is refused, the half time step and the limits of an explosion."""

import pytest
from ase import units

from aiida_ionconduct.lammps.parameters import (
    MAX_REPLICAS,
    CommandLine,
    MdParameters,
    RunParameters,
    with_half_timestep,
)

REQUIRED = {
    'temperature_K': 900,
    'timestep_fs': 2.0,
    'equilibration_steps': 1000,
    'production_steps': 20000,
    'seeds': [2**31 - 1],
}


def test_defaults():
    run = MdParameters.check(REQUIRED)
    assert run.first_temperature_K == 900
    assert run.com_stride == 5
    assert run.ensemble == 'nve'


def test_protocol_states_neither_temperature_nor_seeds():
    """A protocol states the parameters that all runs share."""
    assert MdParameters.model_fields.keys() - RunParameters.model_fields.keys() == {'temperature_K', 'seeds'}


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'temperatur_K': 900}, 'unknown key `temperatur_K`: did you mean `temperature_K`?'),
        ({'temperature_K': 0}, '`temperature_K` is 0, but must be greater than 0'),
        ({'temperature_K': float('nan')}, 'temperature_K'),
        ({'temperature_K': '900'}, 'temperature_K'),
        ({'velocity_temperature_K': -1}, 'velocity_temperature_K'),
        ({'timestep_fs': -1.0}, 'timestep_fs'),
        ({'production_steps': 0}, 'production_steps'),
        ({'production_steps': 100.5}, 'production_steps'),
        ({'equilibration_steps': -1}, 'equilibration_steps'),
        ({'frame_stride': True}, 'frame_stride'),
        ({'pressure_bar': float('inf')}, 'pressure_bar'),
        ({'momentum_epsilon': 0.1}, '`momentum_epsilon` is 0.1, but must be less than 0.1'),
        ({'seeds': 1}, '`seeds` is 1, but must be a valid list'),
        ({'seeds': []}, 'seeds'),
        ({'seeds': [0]}, 'integers from 1 to 2147483647'),
        ({'seeds': [2**31]}, 'integers from 1 to 2147483647'),
        ({'seeds': [1, 1]}, 'different'),
        ({'seeds': list(range(1, MAX_REPLICAS + 2))}, '1 to 31'),
        ({'ensemble': 'nph'}, "'nve', 'nvt' or 'npt'"),
        ({'thermostat': 'berendsen'}, "'langevin' or 'nose-hoover'"),
        ({'ensemble': 'npt', 'seeds': [1, 2]}, 'replicas share one cell: give one seed'),
        ({'restart_stride': -1}, '0 for no restart files'),
    ],
)
def test_bad_parameters(changes, message):
    with pytest.raises(ValueError, match=message):
        MdParameters.check({**REQUIRED, **changes})


@pytest.mark.parametrize('name', REQUIRED)
def test_missing_parameter(name):
    with pytest.raises(ValueError, match=f'`{name}` is missing: give it'):
        MdParameters.check({key: value for key, value in REQUIRED.items() if key != name})


def test_half_timestep():
    """The same run in time: frames at the same times, the same length."""
    halved = MdParameters.check(with_half_timestep(REQUIRED))
    whole = MdParameters.check(REQUIRED)
    assert halved.timestep_fs == 1.0
    for name in ('equilibration_steps', 'production_steps', 'frame_stride', 'com_stride', 'thermo_stride'):
        assert getattr(halved, name) * halved.timestep_fs == getattr(whole, name) * whole.timestep_fs
    assert halved.thermostat_damping_fs == whole.thermostat_damping_fs


def test_half_timestep_keeps_what_is_given():
    """Numbers that are not halved are stored as they were given, an integer as an integer."""
    temperature = with_half_timestep(REQUIRED)['temperature_K']
    assert temperature == 900
    assert isinstance(temperature, int)


def test_explosion_follows_the_highest_temperature():
    """Three times the highest temperature, and the energy by which a crystal gets there."""
    assert MdParameters.check(REQUIRED).explosion_temperature_K == 2700
    hot = MdParameters.check({**REQUIRED, 'velocity_temperature_K': 1800})
    assert hot.explosion_temperature_K == 5400
    assert hot.explosion_energy_eV == pytest.approx(3 * units.kB * 4500)


def test_command_line_refuses_no_gpus():
    with pytest.raises(ValueError, match='`kokkos_gpus` is 0, but must be greater than or equal to 1'):
        CommandLine.check({'kokkos_gpus': 0})


@pytest.mark.parametrize(
    ('settings', 'options'),
    [
        ({}, ''),
        ({'edges': 'device'}, ' edges device'),
        ({'pad': False}, ' pad no'),
        ({'edges': 'skin', 'pad': True}, ' edges skin pad yes'),
    ],
)
def test_options_of_the_pair_style(settings, options):
    """Nothing stands behind the pair style where nothing is stated, so that any `pair_style allegro` can be used."""
    assert CommandLine.check(settings).options == options
