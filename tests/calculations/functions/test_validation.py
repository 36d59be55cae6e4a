"""The gate: a good potential passes every check, and each check stops the potential that it is meant for."""

import copy

import numpy as np
import pytest
from aiida import orm

from aiida_ionconduct.calculations.functions.validation import SETTLING_FRAMES, check, dynamics_checks, validate_model
from aiida_ionconduct.data import DatasetData

LIMITS = {
    'forces_mae_eV_per_A': 0.1,
    'energy_mae_eV_per_atom': 0.005,
    'nve_drift_eV_per_atom_per_ps': 1e-3,
    'temperature_fraction': 0.1,
    'energy_band_eV_per_atom': 0.01,
    'distance_fraction': 0.9,
}
TRAINING = {'test_forces_mae_eV_per_A': 0.08, 'test_energy_mae_eV_per_atom': 0.002}
# In the frames below three atoms stand 1.7 Å apart along a diagonal: neighbours 2.94 Å, Li–P 5.89 Å or its image.
RUN = {
    'nve_drift_eV_per_atom_per_ps': -4e-4,
    'mean_temperature_K': 930.0,
    'n_atoms': 3000,
    'mean_potential_energy_eV_per_atom': -5.0,
    'minimum_distances': {'Li-O': 2.9, 'O-P': 2.8},
}


@pytest.fixture
def aimd(make_frame):
    """AIMD at 900 K between -5.02 and -4.98 eV/atom after it has settled, and one rattled frame far above."""
    settling = [make_frame(3 * (-5.6 + 0.02 * i), temperature_K=900.0) for i in range(SETTLING_FRAMES)]
    settled = [make_frame(3 * (-5.02 + 0.01 * i), temperature_K=900.0) for i in range(5)]
    return DatasetData.from_frames([*settling, *settled, make_frame(3 * -4.0)])


@pytest.fixture
def gate(aimd):
    """Return a function that runs the gate on good evidence with some of it changed."""

    def gate(run=None, training=None, runs=None):
        nodes = {label: orm.Dict(values) for label, values in (runs or {'T900': {**RUN, **(run or {})}}).items()}
        nodes |= {'training': orm.Dict({**TRAINING, **(training or {})}), 'dataset': aimd}
        return validate_model(orm.Dict(LIMITS), **nodes).get_dict()

    return gate


def test_good_potential(gate, data_regression):
    outcome = gate()
    assert outcome['passed']
    assert outcome['failed'] == []
    data_regression.check(outcome['checks'], round_digits=6)


@pytest.mark.parametrize('n_atoms', [16, 132])
def test_energy_scatters_in_a_small_cell(n_atoms):
    """The limit allows for chance: energies of 3N harmonic ions, drawn from the canonical ensemble, in units of k."""
    rng, T = np.random.default_rng(1), 900.0
    temperatures = rng.gamma(3 * n_atoms, T, 2000) / (3 * n_atoms)

    def passes(temperature):
        """Return whether a mean temperature passes."""
        run = {**RUN, 'n_atoms': n_atoms, 'mean_temperature_K': temperature}
        return dynamics_checks('900', run, LIMITS)[1]['passed']

    assert np.mean([passes(drawn) for drawn in temperatures]) > 0.99
    assert not passes(1.6 * T)


@pytest.mark.parametrize(
    ('changes', 'failed'),
    [
        # a potential that has left its training data runs on, and its energy falls
        ({'run': {'mean_potential_energy_eV_per_atom': -5.38}}, 'potential_energy_900K'),
        ({'run': {'mean_potential_energy_eV_per_atom': -4.96}}, 'potential_energy_900K'),
        ({'run': {'minimum_distances': {'Li-O': 2.6, 'O-P': 2.8}}}, 'distance_Li-O_900K'),
        ({'run': {'nve_drift_eV_per_atom_per_ps': 2e-3}}, 'nve_drift_900K'),
        ({'run': {'nve_drift_eV_per_atom_per_ps': -2e-3}}, 'nve_drift_900K'),
        ({'run': {'mean_temperature_K': 1100.0}}, 'temperature_900K'),
        ({'run': {'mean_temperature_K': 780.0}}, 'temperature_900K'),
        ({'training': {'test_forces_mae_eV_per_A': 0.12}}, 'forces_mae'),
        ({'training': {'test_energy_mae_eV_per_atom': 0.006}}, 'energy_mae'),
    ],
)
def test_each_check_stops_what_it_is_meant_for(changes, failed, gate):
    outcome = gate(**changes)
    assert not outcome['passed']
    assert outcome['failed'] == [failed]
    assert [row['name'] for row in outcome['checks'] if not row['passed']] == [failed]


def test_energies_before_settling_do_not_count(gate):
    """While AIMD equilibrates its potential energy is low: -5.3 eV/atom is in the frames, but still refused."""
    assert gate(run={'mean_potential_energy_eV_per_atom': -5.3})['failed'] == ['potential_energy_900K']


def test_every_temperature_is_checked(gate):
    cold = copy.deepcopy(RUN) | {'mean_temperature_K': 620.0}
    hot = copy.deepcopy(RUN) | {'mean_temperature_K': 1400.0}
    outcome = gate(runs={'T900': RUN, 'T600': cold, 'T1000_5': hot})
    assert outcome['failed'] == ['temperature_1000.5K']
    names = [row['name'] for row in outcome['checks']]
    assert 'temperature_600K' in names
    assert 'potential_energy_600K' not in names  # no AIMD at that temperature to compare with


def test_a_model_without_training_is_judged_by_its_dynamics():

    outcome = validate_model(orm.Dict(LIMITS), T900=orm.Dict(RUN)).get_dict()
    assert [row['name'] for row in outcome['checks']] == ['nve_drift_900K', 'temperature_900K']
    assert outcome['passed']


def test_a_pair_that_was_never_seen_is_not_judged(gate):
    """A pair of species that no frame holds has no limit."""
    names = [row['name'] for row in gate(run={'minimum_distances': {'S-S': 1.0}})['checks']]
    assert not any(name.startswith('distance') for name in names)


@pytest.mark.parametrize(
    ('value', 'limit', 'passed'),
    [
        (0.5, 1.0, True),
        (-0.5, 1.0, True),
        (1.0, 1.0, True),
        (-1.5, 1.0, False),
        (2.0, [1.0, 3.0], True),
        (0.9, [1.0, 3.0], False),
        (3.1, [1.0, 3.0], False),
        (1e6, [1.0, None], True),
        (0.9, [1.0, None], False),
        (float('nan'), 1.0, False),
    ],
)
def test_limits(value, limit, passed):
    assert check('name', 'label', value, limit=limit, unit='unit')['passed'] is passed
