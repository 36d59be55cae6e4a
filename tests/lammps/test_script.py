"""The input script and the check of its parameters."""

import pytest

from aiida_ionconduct.lammps.script import PARAMETERS, check_parameters, md_script

REQUIRED = {
    'temperature_K': 900,
    'timestep_fs': 2.0,
    'equilibration_steps': 1000,
    'production_steps': 20000,
    'seed': 2**31 - 1,
}


def test_script(file_regression):
    file_regression.check(md_script(['Li', 'Si', 'P', 'O'], REQUIRED, timeout_s=3420), extension='.in')


def test_no_equilibration():
    """Production starts from the drawn velocities, nothing of the thermostat is left."""
    script = md_script(['Li', 'O'], {**REQUIRED, 'equilibration_steps': 0, 'velocity_temperature_K': 1800})
    assert 'langevin' not in script
    assert 'reset_timestep' not in script
    assert 'timer' not in script
    assert 'velocity all create 1800 2147483647' in script
    assert 'v_temperature > 5400 error hard' in script


@pytest.mark.parametrize('seed', [1, 899_999_000, 900_000_000, 2**31 - 1])
def test_thermostat_seed(seed):
    """Every seed gives one that fix langevin accepts: 1 to 900000000."""
    line = next(line for line in md_script(['Li'], {**REQUIRED, 'seed': seed}).splitlines() if 'langevin' in line)
    assert 0 < int(line.split()[-3]) < 900_000_000


def test_defaults():
    checked = check_parameters(REQUIRED)
    assert checked.keys() == PARAMETERS.keys()
    assert checked['velocity_temperature_K'] == 900
    assert checked['com_stride'] == 5


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'temperatur_K': 900}, 'unknown parameters temperatur_K; known are temperature_K'),
        ({'temperature_K': 0}, 'temperature_K is 0, but must be a positive temperature'),
        ({'temperature_K': float('nan')}, 'temperature_K'),
        ({'temperature_K': '900'}, 'temperature_K'),
        ({'velocity_temperature_K': -1}, 'velocity_temperature_K'),
        ({'timestep_fs': -1.0}, 'timestep_fs'),
        ({'production_steps': 0}, 'production_steps'),
        ({'production_steps': 100.5}, 'production_steps'),
        ({'equilibration_steps': -1}, 'equilibration_steps'),
        ({'frame_stride': True}, 'frame_stride'),
        ({'seed': 0}, 'integer from 1 to 2147483647'),
        ({'seed': 2**31}, 'integer from 1 to 2147483647'),
    ],
)
def test_bad_parameters(changes, message):
    with pytest.raises(ValueError, match=message):
        check_parameters({**REQUIRED, **changes})


@pytest.mark.parametrize('name', REQUIRED)
def test_missing_parameter(name):
    with pytest.raises(ValueError, match=f'the parameter {name} is missing'):
        check_parameters({key: value for key, value in REQUIRED.items() if key != name})
