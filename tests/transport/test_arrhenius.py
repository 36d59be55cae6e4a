"""The Arrhenius fit against lines with known parameters and NumPy's covariance."""

import json

import numpy as np
import pytest
from scipy import constants as codata
from scipy import stats

from aiida_ionconduct.transport import arrhenius

KB = codata.k / codata.e


def line(T, Ea=0.3, ln_A=9.0):
    """Return sigma of an Arrhenius law of sigma T."""
    return np.exp(ln_A - Ea / (KB * np.asarray(T))) / np.asarray(T)


def test_exact_line():
    T = [600.0, 800.0, 1000.0, 1200.0]
    fit = arrhenius(T, line(T), 0.1 * line(T))
    assert fit['activation_energy_eV'] == pytest.approx(0.3, rel=1e-9)
    assert fit['ln_prefactor'] == pytest.approx(9.0, rel=1e-9)
    assert fit['extrapolated_300K_S_per_cm'] == pytest.approx(line(300.0), rel=1e-8)
    assert fit['chi2_reduced'] == pytest.approx(0.0, abs=1e-12)
    json.dumps(fit, allow_nan=False)


def test_errors_are_those_of_the_conductivities():
    T = np.array([600.0, 900.0, 1200.0])
    relative = np.array([0.3, 0.1, 0.05])
    fit = arrhenius(T, line(T), relative * line(T))
    _, covariance = np.polyfit(-1 / (KB * T), np.log(line(T) * T), 1, w=1 / relative, cov='unscaled')
    np.testing.assert_allclose(np.array(fit['covariance'])[::-1, ::-1], covariance, rtol=1e-9)
    assert fit['activation_energy_stderr'] == pytest.approx(covariance[0, 0] ** 0.5)
    assert fit['ln_prefactor_stderr'] == pytest.approx(covariance[1, 1] ** 0.5)


def test_scatter_enlarges_the_errors():
    T = np.array([600.0, 800.0, 1000.0])
    sigma = line(T) * np.array([1.0, 2.0, 1.0])
    fit = arrhenius(T, sigma, 0.05 * sigma)
    assert fit['chi2_reduced'] > 10
    calm = arrhenius(T, line(T), 0.05 * line(T))['activation_energy_stderr']
    assert fit['activation_energy_stderr'] == pytest.approx(calm * fit['chi2_reduced'] ** 0.5)


@pytest.mark.parametrize('dof', [np.inf, 3])
def test_coverage_of_the_activation_energy(dof):
    """The 95 % interval holds the truth with errors that are known, and with errors of few degrees of freedom."""
    rng, T, relative, hits = np.random.default_rng(0), np.array([700.0, 900.0, 1200.0]), 0.2, 0
    for _ in range(400):
        sigma = line(T) * np.exp(relative * rng.normal(size=3))
        seen = relative * (1.0 if np.isinf(dof) else np.sqrt(rng.chisquare(dof, 3) / dof))
        low, high = arrhenius(T, sigma, sigma * seen, dofs=[dof] * 3)['activation_energy_ci95']
        hits += low < 0.3 < high
    assert 0.92 < hits / 400 < 0.99


TEMPERATURES = {
    3: [700.0, 900.0, 1200.0],
    4: [700.0, 850.0, 1000.0, 1200.0],
    6: [600.0, 700.0, 800.0, 900.0, 1050.0, 1200.0],
}


def unresolved(rng, sigma, relative):
    """Return the upper bound of a conductivity that is known to a relative error, among values that stay unresolved."""
    while True:
        value = sigma * (1 + relative * rng.normal())
        if value < 1.645 * relative * sigma:
            return max(value, 0.0) + 1.96 * relative * sigma


def coverage(n, *, too_small=1.0, bound=False, replicas=200, relative=0.2):
    """Return how often 95 % intervals hold the activation energy, and sigma T at the lowest temperature.

    :param too_small: factor by which the stated errors are too small.
    :param bound: whether the lowest temperature is unresolved, with a relative error of 0.9.
    """
    rng, T, hits = np.random.default_rng(n), np.array(TEMPERATURES[n]), np.zeros(2)
    at_lowest = np.array([1.0, -1 / (KB * T[0])])
    for _ in range(replicas):
        sigma = line(T) * np.exp(relative * rng.normal(size=n))
        numbers, errors = list(sigma), list(relative / too_small * sigma)
        uppers = [None] * n
        if bound:
            numbers[0], errors[0], uppers[0] = None, None, unresolved(rng, line(T[0]), 0.9)
        fit = arrhenius(T, numbers, errors, uppers=uppers)
        low, high = fit['activation_energy_ci95']
        reach = (high - low) / 2 / fit['activation_energy_stderr']
        half = reach * (at_lowest @ np.array(fit['covariance']) @ at_lowest) ** 0.5
        there = at_lowest @ [fit['ln_prefactor'], fit['activation_energy_eV']]
        hits += low < 0.3 < high, abs(there - np.log(line(T[0]) * T[0])) < half
    return hits / replicas


@pytest.mark.parametrize('bound', [False, True])
@pytest.mark.parametrize('n', [3, 4, 6])
def test_coverage_with_errors_that_are_right(n, bound):
    """Ea and sigma at the lowest temperature lie within their 95 % intervals in 92 to 99.5 of 100 cases.

    1000 replicas gave 0.96 to 0.986; of 200, fewer than 0.92 happen by chance once in 100 runs at 0.96.
    """
    for hits in coverage(n, bound=bound):
        assert 0.92 < hits <= 0.995


@pytest.mark.parametrize(
    ('n', 'bound', 'least'), [(3, False, 0.80), (4, False, 0.88), (4, True, 0.88), (6, False, 0.90), (6, True, 0.90)]
)
def test_coverage_with_errors_that_are_too_small_by_two(n, bound, least):
    """Scatter that the errors do not explain widens the intervals.

    1000 replicas gave 0.93 for four and 0.95 for six temperatures, against 0.86 and 0.89 without Student's t. Three
    have one degree of freedom, and points that lie on a line by chance look as if their errors were right: 0.85, 0.82.
    """
    for hits in coverage(n, too_small=2.0, bound=bound):
        assert hits > least


def test_three_points_off_the_line_are_warned_of():
    """One degree of freedom says little of the scatter: the interval is that of Student's t, with advice."""
    T = np.array([600.0, 800.0, 1000.0])
    sigma = line(T) * np.array([1.0, 1.5, 1.0])
    fit = arrhenius(T, sigma, 0.05 * sigma)
    low, high = fit['activation_energy_ci95']
    assert (high - low) / 2 / fit['activation_energy_stderr'] == pytest.approx(stats.t.ppf(0.975, 1), rel=1e-6)
    assert any('another temperature narrows it' in warning for warning in fit['warnings'])


def test_a_bound_below_the_line_makes_it_steeper():
    """A temperature without a number enters with its upper bound."""
    T, sigma = [700.0, 900.0, 1200.0], line([700.0, 900.0, 1200.0])
    numbers, errors = [None, *sigma[1:]], [None, *(0.2 * sigma[1:])]
    free = arrhenius(T, numbers, errors)
    bound = arrhenius(T, numbers, errors, uppers=[0.3 * sigma[0], None, None])
    assert bound['activation_energy_eV'] > free['activation_energy_eV'] + 0.05
    there = np.exp(bound['ln_prefactor'] - bound['activation_energy_eV'] / (KB * T[0])) / T[0]
    assert there < 0.6 * sigma[0]
    assert (free['n_bounds'], bound['n_bounds']) == (0, 1)
    assert any('700 K enters with its upper bound' in warning for warning in bound['warnings'])
    json.dumps(bound, allow_nan=False)


def test_a_bound_far_above_the_line_changes_nothing():
    T, sigma = [700.0, 900.0, 1200.0], line([700.0, 900.0, 1200.0])
    numbers, errors = [None, *sigma[1:]], [None, *(0.1 * sigma[1:])]
    free, bound = (arrhenius(T, numbers, errors, uppers=uppers) for uppers in (None, [100 * sigma[0], None, None]))
    for name in ('activation_energy_eV', 'activation_energy_stderr', 'ln_prefactor'):
        assert bound[name] == pytest.approx(free[name], rel=1e-2)


def test_errors_of_temperatures_enter():
    """A relative error of T is an error of ln(sigma T) by Ea/kT times as much."""
    T = np.array([700.0, 900.0, 1200.0])
    exact = arrhenius(T, line(T), 1e-6 * line(T), temperature_stderrs_K=0.02 * T)
    relative = 0.3 / (KB * T) * 0.02
    equal = arrhenius(T, line(T), relative * line(T))
    assert exact['activation_energy_stderr'] == pytest.approx(equal['activation_energy_stderr'], rel=1e-3)
    assert exact['activation_energy_eV'] == pytest.approx(0.3, rel=1e-6)


@pytest.mark.parametrize('below', [1e-1, 1e-4, 1e-12])
def test_a_line_with_bounds_is_that_of_least_squares(below):
    """Bounds far below the points do not stop the fit short of the least sum of squares, which is convex."""
    T, bounded = np.array([800.0, 1000.0, 1200.0]), np.array([500.0, 650.0])
    relative, errors = 0.1, below * line(bounded)
    fit = arrhenius([*bounded, *T], [None, None, *line(T)], [None, None, *(relative * line(T))],
                    uppers=[*(1.96 * errors), None, None, None])  # fmt: skip

    def squares(parameters):
        of_points = (parameters[0] - parameters[1] / (KB * T) - np.log(line(T) * T)) / relative
        of_bounds = np.exp(parameters[0] - parameters[1] / (KB * bounded)) / (errors * bounded)
        return (of_points**2).sum() + (of_bounds**2).sum()

    best = [fit['ln_prefactor'], fit['activation_energy_eV']]
    for step in ([1e-3, 0.0], [0.0, 1e-4], [1e-3, 1e-4], [1e-3, -1e-4]):
        assert squares(np.add(best, step)) > squares(best) < squares(np.subtract(best, step))


def test_bounds_that_are_not_positive_are_refused():
    with pytest.raises(ValueError, match='upper bound'):
        arrhenius([600, 900, 1200], [None, 1, 1], [None, 1, 1], uppers=[0.0, None, None])


def test_two_temperatures():
    """They give a line that is not tested, and warnings."""
    fit = arrhenius([900, 1200], line([900, 1200]), [1e-4, 1e-4])
    assert fit['chi2_reduced'] is None
    assert any('not tested' in warning for warning in fit['warnings'])
    assert any('300 K lies' in warning for warning in fit['warnings'])


@pytest.mark.parametrize('temperatures', [[600.0, 900.0], [900.0, 900.0]])
def test_too_few_temperatures(temperatures):
    sigmas = [None, 0.01] if temperatures[0] == 600 else [0.01, 0.02]
    fit = arrhenius(temperatures, sigmas, [None, 0.001] if sigmas[0] is None else [0.001, 0.001])
    assert fit['activation_energy_eV'] is None
    assert fit['extrapolated_300K_ci95'] is None
    assert any('fewer than two' in warning for warning in fit['warnings'])


@pytest.mark.parametrize(
    'arguments',
    [([0, 900], [1, 1], [1, 1]), ([600, 900], [-1, 1], [1, 1]), ([600, 900], [1, 1], [0, 1]), ([600], [1, 1], [1, 1])],
)
def test_bad_input_is_refused(arguments):
    with pytest.raises(ValueError, match=r'positive|length'):
        arrhenius(*arguments)


# Errors of the temperature ------------------------------------------------------------------------------------------


def test_errors_of_temperature_widen_the_interval_as_much_as_they_should():
    """The activation energies of 2000 fits, with 1 % of error in T, scatter as much as the stated error, within 5 %."""
    rng, labels = np.random.default_rng(3), np.array([700.0, 850.0, 1000.0, 1200.0])
    energies, errors = [], []
    for _ in range(2000):
        measured = labels * (1 + 0.01 * rng.normal(size=4))
        sigma = 1e4 / labels * np.exp(-0.5 / (KB * labels)) * np.exp(0.02 * rng.normal(size=4))
        # sigma T is what is measured: the conductivity is computed with the measured temperature
        sigma *= labels / measured
        fit = arrhenius(measured, sigma, 0.02 * sigma, temperature_stderrs_K=0.01 * labels)
        energies.append(fit['activation_energy_eV'])
        errors.append(fit['activation_energy_stderr'] / max(1.0, fit['chi2_reduced']) ** 0.5)
    assert np.mean(errors) == pytest.approx(np.std(energies), rel=0.05)


def test_exact_temperatures_change_nothing():
    columns = ([600, 800, 1000], [1e-3, 1e-2, 4e-2], [1e-4, 1e-3, 4e-3])
    assert arrhenius(*columns, temperature_stderrs_K=[0, 0, 0]) == arrhenius(*columns)


def test_errors_of_temperature_are_as_many_as_temperatures():
    with pytest.raises(ValueError, match='errors must be of the same length'):
        arrhenius([600, 800], [1e-3, 1e-2], [1e-4, 1e-3], temperature_stderrs_K=[1.0])
