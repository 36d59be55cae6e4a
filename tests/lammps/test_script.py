"""The input script of a run."""

import numpy as np
import pytest

from aiida_ionconduct.lammps.parameters import MdParameters
from aiida_ionconduct.lammps.script import (
    Start,
    langevin_heating,
    md_script,
    single_point_script,
    thermo_columns,
)

REQUIRED = {
    'temperature_K': 900,
    'timestep_fs': 2.0,
    'equilibration_steps': 1000,
    'production_steps': 20000,
    'seeds': [2**31 - 1],
}
RUN = MdParameters.check(REQUIRED)


def script(start=None, **parameters):
    """Return the script for a crystal of 12 atoms."""
    return md_script(['Li', 'O'], 12, MdParameters.check({**REQUIRED, **parameters}), start=start)


def test_script(file_regression):
    """The script of one seed with a wall time, line by line."""
    file_regression.check(md_script(['Li', 'Si', 'P', 'O'], 17, RUN, timeout_s=3420), extension='.in')


def test_replicas(file_regression):
    """The script of two replicas, line by line."""
    file_regression.check(script(seeds=[3, 5]), extension='.in')


def test_single_point():
    """The pair style and its file follow the format of the model; energy and forces are written with all digits."""
    lines = single_point_script(['Li', 'O']).splitlines()
    assert 'pair_style allegro' in lines
    assert 'pair_coeff * * model.nequip.pt2 Li O' in lines
    assert 'print "$(v_energy:%.16g)" file energy.txt' in lines
    assert 'pair_style mliap unified model.nequip.lmp.pt 0' in single_point_script(['Li'], 'mliap').splitlines()


def test_no_equilibration():
    """Production starts from the drawn velocities, without a thermostat."""
    text = script(equilibration_steps=0, velocity_temperature_K=1800)
    assert 'langevin' not in text
    assert 'reset_timestep' not in text
    assert 'timer' not in text
    assert 'velocity all create 1800 2147483647' in text
    assert 'v_temperature_all > 5400 error hard' in text


@pytest.mark.parametrize('seed', [1, 899_999_000, 900_000_000, 2**31 - 1])
def test_thermostat_seed(seed):
    """Every seed of a run gives a seed that fix langevin accepts: 1 to 900000000."""
    line = next(line for line in script(seeds=[seed]).splitlines() if 'langevin' in line)
    assert 0 < int(line.split()[-3]) < 900_000_000


def test_continued_production():
    """Positions, velocities and box come from the restart file, and the equilibration is not repeated."""
    text = script(start=Start('production', 1500))
    assert text.startswith('read_restart start.bin\nreset_timestep 1500\n')
    for gone in ('read_data', 'velocity', 'langevin', 'equilibration', 'reset_timestep 0', 'atom_style'):
        assert gone not in text
    assert 'run 20000 upto\nwrite_restart production.restart\n' in text


def test_continued_equilibration():
    """The thermostat of a continued equilibration draws other random numbers."""
    lines = [script(start=start).splitlines() for start in (None, Start('equilibration', 400))]
    seeds = [next(int(line.split()[-3]) for line in text if 'langevin' in line) for text in lines]
    assert seeds[1] - seeds[0] == 400
    assert 'run 1000 upto' in lines[1]
    assert 'run 20000 upto' in lines[1]
    assert not any(line.startswith('velocity') for line in lines[1])


def test_nose_hoover():
    assert 'fix thermostat_all all nvt temp 900 900 0.1' in script(thermostat='nose-hoover')


def test_nvt_draws_random_forces_of_its_own():
    """The random forces of the equilibration do not come again in the production."""
    nvt = script(ensemble='nvt')
    first, second = (int(line.split()[-3]) for line in nvt.splitlines() if 'langevin' in line)
    assert first != second


def test_npt_writes_the_cell_and_no_trajectory():
    npt = script(ensemble='npt', pressure_bar=1000, pressure_coupling='tri')
    assert 'fix integrate all npt temp 900 900 0.1 tri 1000 1000 1\n' in npt
    assert 'change_box all triclinic' in npt
    assert 'dump' not in npt
    columns = thermo_columns(MdParameters.check({**REQUIRED, 'ensemble': 'npt'}))
    assert columns[-6:] == ['cell_lx_A', 'cell_ly_A', 'cell_lz_A', 'cell_xy_A', 'cell_xz_A', 'cell_yz_A']


def test_mliap():
    text = md_script(['Li', 'O'], 12, RUN, model_format='mliap')
    assert 'pair_style mliap unified model.nequip.lmp.pt 0\npair_coeff * * Li O\n' in text


def test_no_restart_files():
    assert 'restart 10000 production.restart.1 production.restart.2' in script()
    assert '\nrestart ' not in script(restart_stride=0)


# Twins --------------------------------------------------------------------------------------------------------------


def test_kick():
    """Every component of every momentum changes, after the equilibration and before the production."""
    text = script(momentum_epsilon=1e-4)
    kicks = [line for line in text.splitlines() if 'kicked' in line]
    assert len(kicks) == 4
    assert kicks[0].startswith('variable kicked_x atom vx*(1+0.0001*normal(0,1,')
    kick = text.index('velocity all set v_kicked_x')
    assert text.index('reset_timestep 0') < kick < text.rindex('fix integrate all nve')
    assert 'kicked' not in script()


def test_kicked_once():
    """A segment that continues the production is not kicked again; a segment of the equilibration still will be."""
    assert 'kicked' not in script(start=Start('production', 0), momentum_epsilon=1e-4)
    assert 'kicked' in script(start=Start('equilibration', 500), momentum_epsilon=1e-4)


# Thermostats --------------------------------------------------------------------------------------------------------

CSVR = {'ensemble': 'nvt', 'production_thermostat': 'csvr', 'production_damping_fs': 20.0}


def test_velocity_rescaling_is_of_the_production_alone():
    """The equilibration keeps its Langevin dynamics, with its own damping time."""
    text = script(**CSVR)
    equilibration, production = text.split('reset_timestep 0')
    assert 'langevin 900 900 0.1 ' in equilibration
    assert 'temp/csvr' not in equilibration
    assert 'fix integrate all nve\nfix thermostat_all all temp/csvr 900 900 0.02 ' in production
    assert 'langevin' not in production


def test_energy_of_the_thermostat_is_printed():
    """It is 0 before the production, where the thermostat does not exist yet."""
    text = script(**CSVR, seeds=[3, 5])
    assert text.index('variable thermostat_energy_seed5 equal 0') < text.index('thermo_style')
    assert text.index('fix thermostat_seed5 seed5 temp/csvr') < text.index(
        'variable thermostat_energy_seed5 equal f_thermostat_seed5'
    )
    columns = thermo_columns(MdParameters.check({**REQUIRED, **CSVR, 'seeds': [3, 5]}))
    keywords = next(line for line in text.splitlines() if line.startswith('thermo_style')).split()[2:]
    assert len(keywords) == 1 + 2 * (len(columns) - 1)
    assert keywords[len(columns) - 1] == 'v_thermostat_energy_seed3'
    assert columns[-1] == 'thermostat_energy_eV'


def test_production_without_a_thermostat_of_its_own():
    """Stored inputs of earlier versions run as before, with the thermostat of the equilibration."""
    text = script(ensemble='nvt')
    assert text.count('langevin 900 900 0.1 ') == 2
    assert 'thermostat_energy' not in text


def test_a_continued_production_draws_other_random_numbers():
    lines = [
        next(line for line in script(start=start, **CSVR).splitlines() if 'temp/csvr' in line)
        for start in (None, Start('production', 1500))
    ]
    assert int(lines[1].split()[-1]) - int(lines[0].split()[-1]) == 1500


def test_langevin_heating_of_equal_masses():
    assert langevin_heating([7.0] * 12) == pytest.approx(1.0)
    assert langevin_heating([7.0]) == 1.0


def test_langevin_heating_is_that_of_the_projected_noise():
    """Power of random forces with their mean subtracted, drawn 200000 times, over what the friction takes out."""
    masses, rng = np.array([6.94, 6.94, 28.1, 16.0, 127.0]), np.random.default_rng(5)
    forces = rng.normal(size=(200_000, len(masses))) * np.sqrt(masses)
    forces -= forces.mean(axis=1, keepdims=True)
    power = (forces**2 / masses).sum(axis=1).mean() / (len(masses) - 1)
    assert langevin_heating(masses) == pytest.approx(power, rel=5e-3)
    assert langevin_heating(masses) > 1.1


def test_langevin_is_given_the_corrected_temperature():
    masses = [6.94] * 8 + [16.0] * 4
    text = md_script(['Li', 'O'], 12, RUN, masses=masses)
    given = next(float(line.split()[4]) for line in text.splitlines() if 'langevin' in line)
    assert given == pytest.approx(900 / langevin_heating(masses))
    assert given < 900


def test_options_of_the_pair_style():
    text = md_script(['Li', 'O'], 12, RUN, pair_options=' edges skin pad yes')
    assert 'pair_style allegro edges skin pad yes\npair_coeff' in text


def test_memory_is_reported_at_the_end_if_it_is_asked_for():
    assert 'info memory' not in md_script(['Li', 'O'], 12, RUN)
    text = md_script(['Li', 'O'], 12, RUN, report_memory=True)
    assert text.index('run ') < text.index('info memory out log') < text.index('label end')
