"""The Arrhenius fit against lines with known parameters and NumPy's covariance."""

import json

import numpy as np
import pytest
from scipy import constants as codata

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
