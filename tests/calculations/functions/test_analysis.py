"""The transport analysis as calculation functions: the numbers are those of the library."""

import numpy as np
import pytest
from aiida import orm

from aiida_ionconduct.calculations.functions.analysis import analyse_trajectories, fit_arrhenius
from aiida_ionconduct.data import ConductivityData, IonTrajectoryData
from aiida_ionconduct.transport import analyse, arrhenius, mobile_positions

SYMBOLS = ['Li'] * 6 + ['Cl'] * 6
PARAMETERS = {'charges': {'Li': 1, 'Cl': -1}, 'mobile': 'Li'}


def md_run(seed, temperature_K=900.0, measured_K=None):
    """Return a run in which lithium walks at random.

    :param measured_K: temperature that the run had, which is stored every 0.1 ps; by default none is stored.
    """
    thermo, columns, more = np.zeros((1, 1)), ['step'], {}
    if measured_K is not None:
        noise = np.random.default_rng(seed + 100).normal(scale=0.02 * measured_K, size=300)
        thermo = np.column_stack((100 * np.arange(300), measured_K + noise - noise.mean()))
        columns, more = ['step', 'temperature_K'], {'timestep_fs': 1.0, 'ensemble': 'NVE'}
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(scale=temperature_K / 3000, size=(300, 6, 3)), axis=0)
    return IonTrajectoryData(
        positions=np.concatenate((walk, rng.normal(scale=0.05, size=(300, 6, 3))), axis=1),
        centres_of_mass=np.zeros((1, 2, 3)),
        thermo=thermo,
        symbols=SYMBOLS,
        species=['Li', 'Cl'],
        cell=12 * np.eye(3),
        temperature_K=temperature_K,
        frame_interval_ps=0.1,
        seed=seed,
        thermo_columns=columns,
        **more,
    )


@pytest.fixture
def runs():
    """Return three seeds, not in their order."""
    return {f'T900_seed{seed}': md_run(seed) for seed in (3, 1, 2)}


def test_analysis_is_that_of_the_library(runs):
    node = analyse_trajectories(orm.Dict(PARAMETERS), **runs)
    positions = [runs[label].positions for label in ('T900_seed1', 'T900_seed2', 'T900_seed3')]
    result = analyse(positions, SYMBOLS, cell=12 * np.eye(3), temperature_K=900.0, dt_ps=0.1, **PARAMETERS)
    for name, value in result.attributes().items():
        stored = node.base.attributes.get(name)
        assert stored == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else stored), name
    assert node.base.attributes.get('sigma_full_S_per_cm') == pytest.approx(result.sigma_full.value, rel=1e-12)
    np.testing.assert_array_equal(node.get_array('msd_A2'), result.curves['msd_A2'])


def test_material_seeds_and_runs_are_stated(runs):
    """The attributes state material and seeds, the graph the runs."""
    node = analyse_trajectories(orm.Dict(PARAMETERS), **runs)
    attributes = node.base.attributes.all
    assert attributes['seeds'] == [1, 2, 3]
    assert attributes['reduced_composition'] == 'LiCl'
    assert attributes['composition'] == 'Li6Cl6'
    linked = {link.link_label: link.node for link in node.creator.base.links.get_incoming()}
    assert {label: node.uuid for label, node in linked.items() if label != 'parameters'} == {
        label: run.uuid for label, run in runs.items()
    }


def test_arrhenius_is_that_of_the_library():
    """Temperatures come in the order of their values, whatever their labels."""
    nodes = {
        f'T{T}': analyse_trajectories(orm.Dict(PARAMETERS), a=md_run(1, T), b=md_run(2, T)) for T in (1200, 600, 900)
    }
    fit = fit_arrhenius(**nodes).get_dict()
    columns = ('temperature_K', 'sigma_full_S_per_cm', 'sigma_full_stderr', 'sigma_full_dof')
    ordered = [nodes[label].base.attributes for label in ('T600', 'T900', 'T1200')]
    expected = arrhenius(*([attributes.get(column) for attributes in ordered] for column in columns))
    further = {'prefactor_S_K_per_cm', 'prefactor_ci95', 'transition', 'order_change', 'haven_ratio'}
    assert set(fit) == set(expected) | further
    assert fit['haven_ratio']['temperatures_K'] == [600.0, 900.0, 1200.0]
    low, high = fit['prefactor_ci95']
    assert fit['prefactor_S_K_per_cm'] == pytest.approx(np.exp(fit['ln_prefactor']))
    assert low < fit['prefactor_S_K_per_cm'] < high
    for name, value in expected.items():
        if isinstance(value, float):
            assert fit[name] == pytest.approx(value, rel=1e-12)
    assert fit['activation_energy_eV'] == pytest.approx(expected['activation_energy_eV'])


def test_share_that_the_ions_fill(runs):
    """It is the mean over seeds of the share that the density of each seed fills."""
    attributes = analyse_trajectories(orm.Dict(PARAMETERS), **runs).base.attributes
    shares = []
    for run in runs.values():
        moving = mobile_positions(run.positions, SYMBOLS)
        counts = np.histogramdd((moving.reshape(-1, 3) / 12) % 1, 40 * np.ones(3, int), [(0, 1)] * 3)[0]
        shares.append(counts.sum() ** 2 / (counts.size * (counts**2).sum()))
    assert attributes.get('filled_share') == pytest.approx(np.mean(shares), rel=1e-3)
    assert attributes.get('filled_share_stderr') == pytest.approx(np.std(shares, ddof=1) / 3**0.5, rel=0.02)


@pytest.mark.parametrize(('jump', 'longest_ps', 'between'), [(1.0, 20, None), (1.8, 20, [700, 800]), (1.8, 40, None)])
def test_order_of_the_sublattice_is_a_warning(jump, longest_ps, between):
    """A jump of the order is a warning, even if the conductivity does not jump; runs of other lengths do not count."""
    nodes = {}
    for T in (500, 600, 700, 800, 900, 1000):
        sigma = 100 / T * np.exp(-0.3 / (8.617e-5 * T))
        share = 0.02 * np.exp((T - 500) / 800) * (jump if T > 750 else 1)
        node = ConductivityData()
        node.base.attributes.set_many(
            {
                'temperature_K': float(T),
                'sigma_full_S_per_cm': sigma,
                'sigma_full_stderr': 0.05 * sigma,
                'sigma_full_dof': 20.0,
                'haven_ratio': 0.5,
                'haven_ratio_stderr': 0.05,
                'filled_share': share,
                'filled_share_stderr': 0.02 * share,
                'n_seeds': 4,
                'total_time_ps': 4.0 * (longest_ps if T == 1000 else 20),
            }
        )
        nodes[f'T{T}'] = node
    fit = fit_arrhenius(**nodes).get_dict()
    assert fit['order_change']['between_K'] == between
    assert any('sublattice' in text for text in fit['warnings']) == (between is not None)
    assert fit['transition']['between_K'] is None


# The temperature that the runs had ----------------------------------------------------------------------------------


@pytest.fixture
def at_other_temperatures():
    """Return the conductivity of two seeds at "900 K" that had 880 and 980 K."""
    return analyse_trajectories(
        orm.Dict(PARAMETERS), T900_seed1=md_run(1, measured_K=880.0), T900_seed2=md_run(2, measured_K=980.0)
    ).base.attributes.all


def test_conductivity_is_that_of_the_measured_temperature(at_other_temperatures, runs):
    attributes, positions = at_other_temperatures, [runs[f'T900_seed{seed}'].positions for seed in (1, 2)]
    assert attributes['temperature_K'] == 900.0
    assert attributes['measured_temperature_K'] == pytest.approx(930.0)
    result = analyse(positions, SYMBOLS, cell=12 * np.eye(3), temperature_K=930.0, dt_ps=0.1, **PARAMETERS)
    assert attributes['sigma_full_S_per_cm'] == pytest.approx(result.sigma_full.value, rel=1e-9)


def test_temperature_and_drift_of_every_seed_are_stored(at_other_temperatures):
    attributes = at_other_temperatures
    assert attributes['seed_temperatures_K'] == pytest.approx([880.0, 980.0])
    assert attributes['seed_temperatures_stderr'] == pytest.approx(
        [880 * 0.02 / 300**0.5, 980 * 0.02 / 300**0.5], rel=0.2
    )
    assert attributes['measured_temperature_stderr'] == pytest.approx(50.0)
    for drift, error in zip(
        attributes['seed_temperature_drifts_K_per_ps'], attributes['seed_temperature_drifts_stderr'], strict=True
    ):
        assert abs(drift) < 4 * error


def test_seeds_at_another_temperature_are_warned_of(at_other_temperatures):
    (text,) = (text for text in at_other_temperatures['warnings'] if 'mean temperatures' in text)
    assert text.startswith('mean temperatures are not 900 K: 880 ± 1 K (seed 1), 980 ± 1 K (seed 2); ')
    assert 'temperature_warnings' not in at_other_temperatures


def test_runs_without_stored_temperatures_are_taken_at_their_label(runs):
    attributes = analyse_trajectories(orm.Dict(PARAMETERS), **runs).base.attributes.all
    assert 'measured_temperature_K' not in attributes


def test_arrhenius_fit_is_against_the_measured_temperatures():
    """Label and truth differ by 10 % at the upper end; the errors of the temperatures widen the interval."""
    nodes = {}
    for T, measured in ((600, 600.0), (900, 900.0), (1200, 1320.0)):
        node = ConductivityData()
        sigma = 100 / measured * np.exp(-0.3 / (8.617333e-5 * measured))
        node.base.attributes.set_many(
            {
                'temperature_K': float(T), 'measured_temperature_K': measured, 'measured_temperature_stderr': 12.0,
                'sigma_full_S_per_cm': sigma, 'sigma_full_stderr': 0.02 * sigma, 'sigma_full_dof': 20.0,
                'haven_ratio': 0.5, 'haven_ratio_stderr': 0.05, 'n_seeds': 4, 'total_time_ps': 80.0,
            }
        )  # fmt: skip
        nodes[f'T{T}'] = node
    fit = fit_arrhenius(**nodes).get_dict()
    assert fit['activation_energy_eV'] == pytest.approx(0.3, rel=1e-4)
    names = ('measured_temperature_K', 'sigma_full_S_per_cm', 'sigma_full_stderr')
    columns = [[node.base.attributes.get(name) for node in nodes.values()] for name in names]
    assert fit['activation_energy_stderr'] > 1.5 * arrhenius(*columns)['activation_energy_stderr']


def test_a_temperature_without_a_number_enters_the_fit_with_its_bound():
    """Before, it dropped out; a bound of zero, of ions at rest, still does."""
    nodes = {}
    for T, upper in ((500, 0.0), (600, 1e-6), (900, None), (1200, None)):
        node, sigma = ConductivityData(), 100 / T * np.exp(-0.3 / (8.617333e-5 * T))
        number = None if upper is not None else sigma
        node.base.attributes.set_many(
            {
                'temperature_K': float(T), 'sigma_full_S_per_cm': number, 'sigma_full_upper_S_per_cm': upper,
                'sigma_full_stderr': number and 0.1 * sigma, 'sigma_full_dof': 20.0, 'haven_ratio': None,
                'haven_ratio_stderr': None, 'n_seeds': 4, 'total_time_ps': 80.0,
            }
        )  # fmt: skip
        nodes[f'T{T}'] = node
    fit = fit_arrhenius(**nodes).get_dict()
    assert (fit['n_temperatures'], fit['n_bounds']) == (2, 1)
    assert fit['activation_energy_eV'] > 0.5


# The conductivity against frequency -----------------------------------------------------------------------------------


def with_centres_of_mass(seed, every=4):
    """Return a run whose centres of mass are stored ``every`` times as often as its frames."""
    rng = np.random.default_rng(seed)
    n_fine = 299 * every + 1
    walk = np.cumsum(rng.normal(scale=0.3 / every**0.5, size=(n_fine, 6, 3)), axis=0)
    atoms = np.concatenate((walk, np.zeros_like(walk)), axis=1)
    return IonTrajectoryData(
        positions=atoms[::every],
        centres_of_mass=np.stack((walk.mean(axis=1), np.zeros((n_fine, 3))), axis=1),
        thermo=np.zeros((1, 1)),
        symbols=SYMBOLS,
        species=['Li', 'Cl'],
        cell=12 * np.eye(3),
        temperature_K=900.0,
        frame_interval_ps=0.1,
        com_interval_ps=0.1 / every,
        seed=seed,
        thermo_columns=['step'],
    )


def test_the_full_spectrum_is_that_of_the_centres_of_mass():
    """They are stored more often than positions, so that the full conductivity reaches faster motion than the tracer.

    At low frequencies it is the same as from the positions.
    """
    runs = {f'T900_seed{seed}': with_centres_of_mass(seed) for seed in (1, 2)}
    node = analyse_trajectories(orm.Dict(PARAMETERS), **runs)
    highest = {kind: node.get_array(f'spectrum_{kind}_frequency_THz')[-1] for kind in ('full', 'tracer')}
    assert 0.8 * 2.5 < highest['tracer'] <= 2.5
    assert 0.8 * 10 < highest['full'] <= 10
    of_frames = analyse(
        [runs[label].positions for label in sorted(runs)], SYMBOLS, cell=12 * np.eye(3), temperature_K=900.0,
        dt_ps=0.1, **PARAMETERS,
    )  # fmt: skip
    name = 'spectrum_sigma_full_S_per_cm'
    np.testing.assert_allclose(node.get_array(name)[:4], of_frames.curves[name][:4], rtol=0.02)


def test_centres_of_mass_as_rare_as_frames_are_not_used(runs):
    node = analyse_trajectories(orm.Dict(PARAMETERS), **runs)
    full, tracer = (node.get_array(f'spectrum_{kind}_frequency_THz') for kind in ('full', 'tracer'))
    np.testing.assert_array_equal(full, tracer)
