"""The gate: a good potential passes every check, and each check stops the potential that it is meant for."""

import copy

import numpy as np
import pytest
from aiida import orm

from aiida_ionconduct.calculations.functions.validation import SETTLING_FRAMES, check, dynamics_checks, validate_model
from aiida_ionconduct.data import DatasetData, IonTrajectoryData

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


# The limit of the drift ----------------------------------------------------------------------------------------------

DERIVED = {**LIMITS, 'nve_drift_eV_per_atom_per_ps': None, 'temperature_drift_fraction': 0.01, 'production_ps': 1000.0}


@pytest.mark.parametrize(
    ('production_ps', 'drift', 'passed'), [(1000, 2e-6, True), (1000, 3e-6, False), (10, 2e-4, True)]
)
def test_drift_is_limited_by_the_length_of_the_production(production_ps, drift, passed):
    """1 % of 900 K over 1 ns are 2.3e-6 eV/atom/ps; a production of 10 ps can bear a hundred times as much."""
    run = {**RUN, 'nve_drift_eV_per_atom_per_ps': drift}
    row = dynamics_checks('900', run, {**DERIVED, 'production_ps': production_ps})[0]
    assert row['passed'] is passed
    assert row['limit'] == pytest.approx(0.01 * 3 * 8.617333e-5 * 900 / production_ps, rel=1e-5)


def test_former_limit_would_have_heated_a_long_production():
    """1e-4 eV/atom/ps over 1 ns are 387 K, and are refused now."""
    heated_K = 1e-4 * 1000 / (3 * 8.617333e-5)
    assert heated_K == pytest.approx(387, abs=1)
    assert not dynamics_checks('900', {**RUN, 'nve_drift_eV_per_atom_per_ps': 1e-4}, DERIVED)[0]['passed']


def test_drift_within_its_error_passes():
    run = {**RUN, 'nve_drift_eV_per_atom_per_ps': 5e-6, 'nve_drift_stderr_eV_per_atom_per_ps': 2e-6}
    assert dynamics_checks('900', run, DERIVED)[0]['passed']


# What could not be asked ---------------------------------------------------------------------------------------------


def reasons(outcome):
    return {row['name']: row['reason'] for row in outcome['not_asked']}


def test_a_comparison_without_aimd_is_named(gate):
    outcome = gate(runs={'T900': RUN, 'T600': {**RUN, 'mean_temperature_K': 610.0}})
    assert reasons(outcome)['potential_energy_600K'] == 'no AIMD at 600 K in the training set'
    assert 'potential_energy_900K' not in reasons(outcome)
    assert reasons(outcome)['rdf_600K'] == 'rdf_difference is null: the protocol does not ask'
    assert all(row['label'].endswith(' K') for row in outcome['not_asked'])


@pytest.mark.parametrize(
    ('n_frames', 'reason'),
    [(SETTLING_FRAMES, f'only {SETTLING_FRAMES} frames of AIMD, which needs {SETTLING_FRAMES} to settle'), (0, None)],
)
def test_too_few_frames_are_named(n_frames, reason, make_frame):
    frames = [make_frame(-15.0, temperature_K=900.0) for _ in range(n_frames)] or [make_frame(-15.0)]
    outcome = validate_model(orm.Dict(LIMITS), T900=orm.Dict(RUN), dataset=DatasetData.from_frames(frames)).get_dict()
    assert reasons(outcome)['potential_energy_900K'] == (reason or 'no AIMD at 900 K in the training set')


def test_a_model_without_a_training_set_is_compared_with_nothing():
    outcome = validate_model(
        orm.Dict({**LIMITS, 'rdf_difference': 0.1, 'msd_factor': 2.0, 'mobile': 'Li'}), T900=orm.Dict(RUN)
    ).get_dict()
    assert reasons(outcome) == {
        'potential_energy_900K': 'no training set',
        'rdf_900K': 'no AIMD at 900 K',
        'msd_Li_900K': 'no AIMD at 900 K',
    }


def test_an_exploded_run_is_compared_with_nothing(aimd):
    limits = {**LIMITS, 'md': {'timestep_fs': 1.0, 'production_steps': 100}}
    outcome = validate_model(
        orm.Dict(limits),
        T900=orm.Dict({'explosion': 'at step 10', 'n_steps': 10}),
        temperatures_K=orm.List([900]),
        dataset=aimd,
    ).get_dict()
    assert outcome['failed'] == ['stability_900K']
    assert reasons(outcome)['potential_energy_900K'] == 'the run of the potential did not come to its end'


# Temperatures of AIMD ------------------------------------------------------------------------------------------------


def reference_at(temperature_K, n_frames=60):
    """Return AIMD of three atoms that vibrate, with the temperature it had."""
    rng = np.random.default_rng(4)
    positions = np.array([(0, 0, 0), (1.7, 1.7, 1.7), (3.4, 3.4, 3.4)]) + 0.05 * rng.normal(size=(n_frames, 3, 3))
    trajectory = orm.TrajectoryData()
    trajectory.set_trajectory(
        symbols=['Li', 'O', 'P'],
        positions=positions,
        cells=np.repeat(10 * np.eye(3)[None], n_frames, 0),
        times=0.01 * np.arange(n_frames),
        stepids=np.arange(n_frames),
        pbc=(True, True, True),
    )
    trajectory.set_array('temperature', np.full(n_frames, temperature_K))
    return trajectory


@pytest.mark.parametrize(('aimd_K', 'value'), [(930.0, 0.0), (780.0, -1.5 * 8.617333e-5 * 150)])
def test_energy_is_compared_at_the_temperature_of_aimd(aimd_K, value, aimd):
    """The run at 930 K has 3/2 k a kelvin more than AIMD at 780 K: as much is taken off."""
    outcome = validate_model(
        orm.Dict(LIMITS), T900=orm.Dict(RUN), dataset=aimd, reference_T900=reference_at(aimd_K)
    ).get_dict()
    row = next(row for row in outcome['checks'] if row['name'] == 'potential_energy_900K')
    assert row['value'] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(('aimd_K', 'factor'), [(930.0, 2.0), (800.0, 2.0 * np.exp(5802.26 * (1 / 800 - 1 / 930)))])
def test_displacements_and_peaks_may_differ_with_the_temperature(aimd_K, factor):
    """AIMD of a small cell at 800 instead of 900 K: the limits are wider by what 130 K do."""
    limits = {**LIMITS, 'rdf_difference': 0.1, 'msd_factor': 2.0, 'mobile': 'Li'}
    reference = reference_at(aimd_K)
    run = IonTrajectoryData(
        positions=reference.get_positions(), centres_of_mass=np.zeros((1, 3, 3)), thermo=np.zeros((1, 1)),
        symbols=['Li', 'O', 'P'], species=['Li', 'O', 'P'], cell=10 * np.eye(3), temperature_K=900.0, seed=1,
        frame_interval_ps=0.01, thermo_columns=['step'],
    )  # fmt: skip
    outcome = validate_model(
        orm.Dict(limits), T900=orm.Dict(RUN), trajectory_T900=run, reference_T900=reference
    ).get_dict()
    rows = {row['name']: row for row in outcome['checks']}
    assert rows['msd_Li_900K']['limit'] == pytest.approx([1 / factor, factor], rel=1e-4)
    halves = validate_model(
        orm.Dict({**limits, 'rdf_difference': 1e-9}), T900=orm.Dict(RUN), trajectory_T900=run,
        reference_T900=reference_at(930.0),
    ).get_dict()  # fmt: skip
    noise = next(row['limit'] for row in halves['checks'] if row['name'] == 'rdf_Li-O_900K')
    assert rows['rdf_Li-O_900K']['limit'] == pytest.approx(0.1 + noise + 0.5 * (930 / aimd_K - 1), abs=1e-6)
