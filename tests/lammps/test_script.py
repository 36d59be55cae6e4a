"""The input script and the check of its parameters."""

import pytest

from aiida_ionconduct.lammps.script import (
    MAX_REPLICAS,
    PARAMETERS,
    Start,
    check_parameters,
    md_script,
    thermo_columns,
    with_half_timestep,
)

REQUIRED = {
    'temperature_K': 900,
    'timestep_fs': 2.0,
    'equilibration_steps': 1000,
    'production_steps': 20000,
    'seeds': [2**31 - 1],
}


def script(start=None, **parameters):
    """Return the script for a crystal of 12 atoms."""
    return md_script(['Li', 'O'], 12, {**REQUIRED, **parameters}, start=start)


def test_script(file_regression):
    file_regression.check(md_script(['Li', 'Si', 'P', 'O'], 17, REQUIRED, timeout_s=3420), extension='.in')


def test_replicas(file_regression):
    file_regression.check(script(seeds=[3, 5]), extension='.in')


def test_no_equilibration():
    """Production starts from the drawn velocities, nothing of the thermostat is left."""
    text = script(equilibration_steps=0, velocity_temperature_K=1800)
    assert 'langevin' not in text
    assert 'reset_timestep' not in text
    assert 'timer' not in text
    assert 'velocity all create 1800 2147483647' in text
    assert 'v_temperature_all > 5400 error hard' in text


@pytest.mark.parametrize('seed', [1, 899_999_000, 900_000_000, 2**31 - 1])
def test_thermostat_seed(seed):
    """Every seed gives one that fix langevin accepts: 1 to 900000000."""
    line = next(line for line in script(seeds=[seed]).splitlines() if 'langevin' in line)
    assert 0 < int(line.split()[-3]) < 900_000_000


def test_continued_production():
    """Positions, velocities and box come from the restart file, and what is done is not done again."""
    text = script(start=Start('production', 1500))
    assert text.startswith('read_restart start.bin\nreset_timestep 1500\n')
    for gone in ('read_data', 'velocity', 'langevin', 'equilibration', 'reset_timestep 0', 'atom_style'):
        assert gone not in text
    assert 'run 20000 upto\nwrite_restart production.restart\n' in text


def test_continued_equilibration():
    """The thermostat goes on with random numbers of its own."""
    lines = [script(start=start).splitlines() for start in (None, Start('equilibration', 400))]
    seeds = [next(int(line.split()[-3]) for line in text if 'langevin' in line) for text in lines]
    assert seeds[1] - seeds[0] == 400
    assert 'run 1000 upto' in lines[1]
    assert 'run 20000 upto' in lines[1]
    assert not any(line.startswith('velocity') for line in lines[1])


def test_ensembles():
    assert 'fix thermostat_all all nvt temp 900 900 0.1' in script(thermostat='nose-hoover')
    nvt = script(ensemble='nvt')
    first, second = (int(line.split()[-3]) for line in nvt.splitlines() if 'langevin' in line)
    assert first != second  # the same random forces must not come twice
    npt = script(ensemble='npt', pressure_bar=1000, pressure_coupling='tri')
    assert 'fix integrate all npt temp 900 900 0.1 tri 1000 1000 1\n' in npt
    assert 'change_box all triclinic' in npt
    assert 'dump' not in npt
    columns = thermo_columns({**REQUIRED, 'ensemble': 'npt'})
    assert columns[-6:] == ['cell_lx_A', 'cell_ly_A', 'cell_lz_A', 'cell_xy_A', 'cell_xz_A', 'cell_yz_A']


def test_mliap():
    text = md_script(['Li', 'O'], 12, REQUIRED, model_format='mliap')
    assert 'pair_style mliap unified model.nequip.lmp.pt 0\npair_coeff * * Li O\n' in text


def test_no_restart_files():
    assert 'restart 10000 production.restart.1 production.restart.2' in script()
    assert '\nrestart ' not in script(restart_stride=0)


def test_half_timestep():
    """The same run in time: frames at the same times, the same length."""
    halved = check_parameters(with_half_timestep(REQUIRED))
    whole = check_parameters(REQUIRED)
    assert halved['timestep_fs'] == 1.0
    for name in ('equilibration_steps', 'production_steps', 'frame_stride', 'com_stride', 'thermo_stride'):
        assert halved[name] * halved['timestep_fs'] == whole[name] * whole['timestep_fs']
    assert halved['thermostat_damping_fs'] == whole['thermostat_damping_fs']


def test_defaults():
    checked = check_parameters(REQUIRED)
    assert checked.keys() == PARAMETERS.keys()
    assert checked['velocity_temperature_K'] == 900
    assert checked['com_stride'] == 5
    assert checked['ensemble'] == 'nve'


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
        ({'seeds': 1}, 'seeds is 1, but must be a list'),
        ({'seeds': []}, 'seeds'),
        ({'seeds': [0]}, 'integers from 1 to 2147483647'),
        ({'seeds': [2**31]}, 'integers from 1 to 2147483647'),
        ({'seeds': [1, 1]}, 'different'),
        ({'seeds': list(range(1, MAX_REPLICAS + 2))}, '1 to 31'),
        ({'ensemble': 'nph'}, 'one of nve, nvt, npt'),
        ({'thermostat': 'berendsen'}, 'one of langevin, nose-hoover'),
        ({'ensemble': 'npt', 'seeds': [1, 2]}, 'replicas share one cell: give one seed'),
        ({'restart_stride': -1}, '0 for no restart files'),
    ],
)
def test_bad_parameters(changes, message):
    with pytest.raises(ValueError, match=message):
        check_parameters({**REQUIRED, **changes})


@pytest.mark.parametrize('name', REQUIRED)
def test_missing_parameter(name):
    with pytest.raises(ValueError, match=f'the parameter {name} is missing'):
        check_parameters({key: value for key, value in REQUIRED.items() if key != name})


# Twins --------------------------------------------------------------------------------------------------------------


def test_kick():
    """Of every component of every momentum, after the equilibration and before the production."""
    text = script(momentum_epsilon=1e-4)
    kicks = [line for line in text.splitlines() if 'kicked' in line]
    assert len(kicks) == 4
    assert kicks[0].startswith('variable kicked_x atom vx*(1+0.0001*normal(0,1,')
    kick = text.index('velocity all set v_kicked_x')
    assert text.index('reset_timestep 0') < kick < text.rindex('fix integrate all nve')
    assert 'kicked' not in script()


def test_kicked_once():
    """A segment that continues the production is not kicked again; one of the equilibration is yet to be."""
    assert 'kicked' not in script(start=Start('production', 0), momentum_epsilon=1e-4)
    assert 'kicked' in script(start=Start('equilibration', 500), momentum_epsilon=1e-4)
