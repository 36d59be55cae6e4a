"""Studies as calculation functions: the numbers are those of the library, and bad input is refused."""

import numpy as np
import pytest
from aiida import orm

from aiida_ionconduct.calculations.functions.decisions import decide_next, decision_settings
from aiida_ionconduct.calculations.functions.studies import (
    compare_block_sizes,
    compare_sizes,
    compare_twins,
    mobile_density,
)
from aiida_ionconduct.data import ConductivityData, IonTrajectoryData
from aiida_ionconduct.density import density, percolation
from aiida_ionconduct.studies.block_size import block_size_study
from aiida_ionconduct.studies.error_target import Known, PrecisionTarget, decide
from aiida_ionconduct.transport import mobile_positions

SYMBOLS = ['Li'] * 4 + ['Cl'] * 4
CHARGES = {'Li': 1, 'Cl': -1}
CELL = 12 * np.eye(3)


def run(seed, temperature_K=900.0, positions=None):
    """Return a run in which lithium walks at random through a lattice at rest."""
    rng = np.random.default_rng(seed)
    if positions is None:
        walk = np.cumsum(rng.normal(scale=0.4, size=(401, 4, 3)), axis=0)
        lattice = np.random.default_rng(99).uniform(0, 12, (4, 3))
        positions = np.concatenate((walk, np.broadcast_to(lattice, (len(walk), 4, 3))), axis=1)
    return IonTrajectoryData(
        positions=positions,
        centres_of_mass=np.zeros((1, 2, 3)),
        thermo=np.zeros((1, 1)),
        symbols=SYMBOLS,
        species=['Li', 'Cl'],
        cell=CELL,
        temperature_K=temperature_K,
        timestep_fs=1.0,
        frame_interval_ps=0.1,
        com_interval_ps=0.1,
        seed=seed,
        thermo_columns=['step'],
    )


def stored(value):
    """Return plain data as they come back from the database, which keeps fourteen digits."""
    return orm.Dict({'value': value}).store()['value']


@pytest.fixture
def runs(aiida_profile):
    """Return four seeds of one state."""
    return {f'run_{seed}': run(seed) for seed in (1, 2, 3, 4)}


def test_block_sizes_are_those_of_the_library(runs):
    node = compare_block_sizes(orm.Dict({'charges': CHARGES, 'mobile': 'Li', 'block_ps': [10.0, 40.0]}), **runs)
    positions = [runs[label].positions for label in sorted(runs)]
    study = block_size_study(positions, SYMBOLS, CHARGES, CELL, temperature_K=900.0, dt_ps=0.1, block_ps=[10.0, 40.0])
    assert node.base.attributes.get('rows') == stored(study.rows)
    assert node.base.attributes.get('statement') == study.statement
    for name, curve in study.curves.items():
        np.testing.assert_array_equal(node.get_array(name), curve)


def test_density_is_that_of_the_library(runs):
    made = mobile_density(orm.Dict({'mobile': 'Li', 'spacing_A': 1.0}), **runs)
    seeds = [mobile_positions(runs[label].positions, SYMBOLS) for label in sorted(runs)]
    values = density(seeds, CELL, 1.0)
    np.testing.assert_allclose(made['density'].get_array('density'), values)
    assert made['statistics']['percolation'] == stored(percolation(values, 900.0))
    assert made['statistics']['n_jumps'] == made['density'].get_array('jumps').sum()
    assert made['cube'].get_content().splitlines()[2].split()[0] == '8'  # atoms
    assert 0 < made['statistics']['filled_share'] < 1


def test_an_unknown_setting_of_the_density_is_refused(runs):
    with pytest.raises(ValueError, match='unknown parameters grid: choose from mobile, spacing_A'):
        mobile_density(orm.Dict({'grid': 3}), **runs)


@pytest.mark.parametrize('function', [compare_block_sizes, mobile_density])
def test_runs_of_different_states_are_refused(function, runs):
    with pytest.raises(ValueError, match='differ in temperature_K'):
        function(orm.Dict({'mobile': 'Li'}), **runs, hot=run(9, 1200.0))


def test_twins(aiida_profile):
    """Differences that double every 0.2 ps have that doubling time."""
    rng = np.random.default_rng(0)
    runs = {}
    for seed in (1, 2, 3):
        base = rng.uniform(0, 1, (1, 8, 3)) + np.cumsum(rng.normal(0, 0.02, (200, 8, 3)), axis=0)
        size = np.minimum(1e-5 * 2 ** (np.arange(200) / 2), 1.0)
        way = rng.normal(size=(1, 8, 3))
        runs[f'reference_s{seed}'] = run(seed, positions=base)
        runs[f'twin_s{seed}'] = run(
            seed, positions=base + size[:, None, None] * (way - way.mean(axis=1, keepdims=True))
        )
    made = compare_twins(orm.Dict({'momentum_epsilon': 1e-3}), **runs)
    lyapunov = made['lyapunov'].get_dict()
    assert lyapunov['exponent_per_ps'] == pytest.approx(np.log(2) / 0.2, rel=0.02)
    assert lyapunov['doubling_ps'] == pytest.approx(0.2, rel=0.02)
    assert (lyapunov['n_pairs'], lyapunov['momentum_epsilon']) == (3, 1e-3)
    assert made['divergence'].get_array('difference_A').shape == (3, 200)


def test_a_run_without_a_twin_is_refused(runs):
    with pytest.raises(ValueError, match='no run has a twin'):
        compare_twins(orm.Dict({}), reference_s1=runs['run_1'])


def conductivity(n_atoms, sigma, **changes):
    """Return a conductivity with the attributes that the study reads."""
    node = ConductivityData()
    node.base.attributes.set_many(
        {
            'temperature_K': 900.0, 'reduced_composition': 'LiCl', 'n_atoms': n_atoms, 'sigma_full_S_per_cm': sigma,
            'sigma_full_stderr': 0.03 * sigma, 'sigma_full_dof': 30.0, **changes,
        }
    )  # fmt: skip
    return node


def test_sizes_are_compared_in_their_order(aiida_profile):
    study = compare_sizes(large=conductivity(1056, 1.0), small=conductivity(132, 1.01)).get_dict()
    assert study['answer'] == 'no effect'
    assert study['n_atoms'] == [132, 1056]
    assert study['temperature_K'] == 900.0


def test_sizes_at_different_temperatures_are_refused(aiida_profile):
    with pytest.raises(ValueError, match='differ in temperature_K'):
        compare_sizes(a=conductivity(132, 1.0), b=conductivity(264, 1.0, temperature_K=800.0))


def test_decision_is_that_of_the_library(aiida_profile):
    """It rests on the attributes of the node, and on the decisions before."""
    node = conductivity(
        132, 1.0, sigma_full_stderr=0.3, n_seeds=4, total_time_ps=400.0, sigma_full_upper_S_per_cm=1.7, plateau=True,
        beta=0.98, beta_stderr=0.05,
    )  # fmt: skip
    target = PrecisionTarget(
        target_relative_error=0.1, max_md_ns=50.0, max_iterations=8, equilibration_ps=10.0, quantum_ps=0.1
    )
    known = {'T900': Known(4, 100.0, 1.0, 0.3, 30.0, 1.7, True)}
    first = decide_next(decision_settings(target), T900=node)
    assert first.get_dict() == stored(decide(known, target))
    second = decide_next(decision_settings(target, lost_ns=0.5), T900=node, round_01=first)
    assert second.get_dict() == stored(decide(known, target, earlier=[first.get_dict()], lost_ns=0.5))
    assert second['round'] == 2


def test_decision_settings_are_stored_under_these_names(aiida_profile):
    """Stored decisions of earlier versions have the same keys, so that caching finds them."""
    target = PrecisionTarget(
        target_relative_error=0.1, max_md_ns=50.0, max_iterations=8, equilibration_ps=10.0, quantum_ps=0.1
    )
    assert decision_settings(target, lost_ns=0.5).get_dict() == {
        'target': 0.1,
        'max_md_ns': 50.0,
        'max_iterations': 8,
        'equilibration_ps': 10.0,
        'quantum_ps': 0.1,
        'lost_ns': 0.5,
    }
