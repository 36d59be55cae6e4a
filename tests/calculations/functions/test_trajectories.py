"""The description of a run: its temperature and the energy that it conserves."""

import numpy as np
import pytest

from aiida_ionconduct.calculations.functions.trajectories import (
    describe_trajectory,
    mean_temperature_K,
    temperature_trend,
)
from aiida_ionconduct.data import IonTrajectoryData

N_ROWS, T_K = 400, 900.0
COLUMNS = ['step', 'temperature_K', 'potential_energy_eV', 'kinetic_energy_eV', 'total_energy_eV']


@pytest.fixture
def run(aiida_profile):
    """Return a function that makes a run of two atoms whose thermostat has taken out what the total energy lacks."""

    def run(thermostat, drift_per_row=0.0):
        rng = np.random.default_rng(1)
        taken = np.cumsum(rng.normal(scale=0.01, size=N_ROWS))
        temperature = T_K + rng.normal(scale=50, size=N_ROWS)
        conserved = -9.0 + drift_per_row * np.arange(N_ROWS)
        kinetic = 0.1 * np.ones(N_ROWS)
        total = conserved - taken if thermostat else conserved
        thermo = [100.0 * np.arange(N_ROWS), temperature, total - kinetic, kinetic, total, taken]
        columns = [*COLUMNS, 'thermostat_energy_eV']
        n = len(columns) if thermostat else len(COLUMNS)
        positions = np.array([[[0.0, 0, 0], [2, 2, 2]]] * N_ROWS)
        return IonTrajectoryData(
            positions=positions, centres_of_mass=np.zeros((1, 2, 3)), thermo=np.column_stack(thermo[:n]),
            symbols=['Li', 'Cl'], species=['Li', 'Cl'], cell=6 * np.eye(3), temperature_K=1000.0, timestep_fs=1.0,
            frame_interval_ps=0.1, seed=1, thermo_columns=columns[:n], ensemble='NVT' if thermostat else 'NVE',
        )  # fmt: skip

    return run


def test_with_a_thermostat_the_sum_of_both_energies_is_conserved(run):
    """Two atoms gain 2e-5 eV every 0.1 ps: 1e-4 eV/atom/ps, although the total energy wanders."""
    described = describe_trajectory(run(True, drift_per_row=2e-5))
    assert described['conserved_drift_eV_per_atom_per_ps'] == pytest.approx(1e-4, rel=1e-6)
    assert not any(key.startswith('nve') for key in described)


def test_at_constant_energy_the_total_energy_is_conserved(run):
    described = describe_trajectory(run(False, drift_per_row=2e-5))
    assert described['nve_drift_eV_per_atom_per_ps'] == pytest.approx(1e-4, rel=1e-6)
    assert described['nve_drift_stderr_eV_per_atom_per_ps'] == pytest.approx(0, abs=1e-10)


def test_mean_temperature_and_drift_have_errors(run):
    described = describe_trajectory(run(True))
    assert described['mean_temperature_stderr_K'] == pytest.approx(50 / N_ROWS**0.5, rel=0.3)
    assert abs(described['temperature_drift_K_per_ps']) < 4 * described['temperature_drift_stderr_K_per_ps']


def test_the_measured_temperature_is_not_the_one_on_the_label(run):
    assert mean_temperature_K([run(True), run(False)]) == pytest.approx(T_K, abs=10)


def test_the_beginning_can_be_left_out(run):
    assert temperature_trend(run(True), discard_ps=20.0).length_ps == pytest.approx(19.9)
