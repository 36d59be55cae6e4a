"""The thermostats of our input script in the real LAMMPS, with a pair style that runs in seconds."""

import subprocess

import numpy as np
import pytest
from ase.build import bulk

from aiida_ionconduct.lammps.log import read_log, replica_thermo
from aiida_ionconduct.lammps.parameters import MdParameters
from aiida_ionconduct.lammps.script import Start, langevin_heating, md_script, thermo_columns
from aiida_ionconduct.lammps.structure import data_file, species_order
from aiida_ionconduct.transport.temperature import trend

pytestmark = pytest.mark.integration

TEMPERATURE_K = 300.0
CSVR = {'ensemble': 'nvt', 'production_thermostat': 'csvr', 'production_damping_fs': 20.0}


@pytest.fixture
def crystal():
    """Return 32 atoms of argon's crystal, every second with the mass of lithium, the others with that of iodine."""
    atoms = bulk('Ar', 'fcc', a=5.4, cubic=True) * (2, 2, 2)
    atoms.symbols = ['Li', 'I'] * (len(atoms) // 2)
    return atoms


@pytest.fixture
def run(tmp_path, executable, crystal):
    """Return a function that runs the script and returns the thermodynamic columns of every seed."""

    def run(production_steps=20000, masses=None, start=None, **parameters):
        md = MdParameters(
            temperature_K=TEMPERATURE_K, timestep_fs=2.0, production_steps=production_steps, frame_stride=500,
            thermo_stride=5, com_stride=500, restart_stride=0,
            **{'seeds': [1], 'equilibration_steps': 2000, **parameters},
        )  # fmt: skip
        text = md_script(species_order(crystal.symbols), len(crystal), md, masses=masses, start=start)
        lines = [line for line in text.splitlines() if not line.startswith('pair_')]
        at = lines.index('neigh_modify every 1 delay 0 check yes')
        lines[at:at] = ['pair_style lj/cut 7.0', 'pair_coeff * * 0.0104 3.4', 'pair_modify shift yes']
        (tmp_path / 'lammps.in').write_text('\n'.join(lines))
        seeds = md.seeds if len(md.seeds) > 1 else ()
        (tmp_path / 'structure.data').write_text(data_file(crystal, seeds, md.first_temperature_K))
        command = [executable('lmp'), '-in', 'lammps.in', '-log', 'lammps.log', '-screen', 'none']
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        tables = replica_thermo(read_log((tmp_path / 'lammps.log').read_text()).production.thermo, len(md.seeds))
        return [dict(zip(thermo_columns(md), table.T, strict=True)) for table in tables]

    return run


def assert_at(thermo, temperature_K):
    """Assert that the mean temperature of a run is right within four standard errors, which are at most 2 %."""
    temperature = trend(thermo['step'] * 0.002, thermo['temperature_K'])
    assert temperature.mean_stderr < 0.02 * temperature_K
    assert abs(temperature.mean - temperature_K) < 4 * temperature.mean_stderr


def test_velocity_rescaling_holds_the_temperature_and_conserves_what_it_should(run):
    """Two replicas: total energy and thermostat energy together drift by less than a thousandth of kT a ps."""
    for thermo in run(seeds=[1, 2], **CSVR):
        assert_at(thermo, TEMPERATURE_K)
        conserved = thermo['total_energy_eV'] + thermo['thermostat_energy_eV']
        assert np.ptp(thermo['thermostat_energy_eV']) > 10 * np.ptp(conserved)
        drift = trend(thermo['step'] * 0.002, conserved / 32).drift_per_ps
        assert abs(drift) < 1e-3 * 8.617e-5 * TEMPERATURE_K


def test_rescaled_kinetic_energy_is_canonical(run):
    """Its variance is 2/(3N - 3) of its square; with 40 ps this is known to some per cent."""
    (thermo,) = run(**CSVR)
    kinetic = thermo['kinetic_energy_eV']
    assert np.var(kinetic) / np.mean(kinetic) ** 2 == pytest.approx(2 / (3 * 31), rel=0.15)


def test_a_rescaled_run_goes_on_from_its_restart_file(run, tmp_path):
    """The sum of thermostat energy and total energy goes on where it was, and so does the temperature."""
    (first,) = run(production_steps=5000, **CSVR)
    (tmp_path / 'production.restart').rename(tmp_path / 'start.bin')
    (second,) = run(production_steps=10000, start=Start('production', 5000), **CSVR)
    ends = [thermo['total_energy_eV'] + thermo['thermostat_energy_eV'] for thermo in (first, second)]
    assert second['step'][0] == 5000
    assert ends[1][0] == pytest.approx(ends[0][-1], abs=1e-6)
    assert second['temperature_K'][0] == pytest.approx(first['temperature_K'][-1], rel=1e-6)


def test_langevin_dynamics_of_unequal_masses_are_at_their_temperature(run, crystal):
    """Uncorrected, masses of 7 and 127 u heat the crystal by 13 %, as the formula says."""
    masses, heating = crystal.get_masses(), langevin_heating(crystal.get_masses())
    assert heating == pytest.approx(1.13, abs=0.01)
    (corrected,) = run(ensemble='nvt', masses=masses, production_steps=60000)
    assert_at(corrected, TEMPERATURE_K)
    (uncorrected,) = run(ensemble='nvt', production_steps=60000)
    assert_at(uncorrected, heating * TEMPERATURE_K)
