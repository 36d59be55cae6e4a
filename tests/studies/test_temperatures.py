"""Breaks in an Arrhenius line, the order of a sublattice, the Haven ratio: found where they are, and only there."""

import math

import numpy as np
import pytest

from aiida_ionconduct.studies.temperatures import haven_ratios, order_change, prefactor, transition
from aiida_ionconduct.transport import arrhenius
from aiida_ionconduct.transport.constants import BOLTZMANN_EV_PER_K

T = np.array([500.0, 600.0, 700.0, 800.0, 900.0, 1000.0])


def line(Ea=0.3, A=1e3, temperatures=T):
    """Return sigma of an Arrhenius law of sigma T."""
    return A * np.exp(-Ea / (BOLTZMANN_EV_PER_K * temperatures)) / temperatures


def noisy(sigma, seed, error=0.08):
    """Return conductivities with a relative error, and the errors."""
    rng = np.random.default_rng(seed)
    return sigma * np.exp(rng.normal(0, error, len(sigma))), error * sigma


def test_one_line_is_left_alone():
    """False alarms in 200 lines are as rare as the probability says."""
    alarms = sum(transition(T, *noisy(line(), seed))['between_K'] is not None for seed in range(200))
    assert alarms <= 20


def test_a_jump_is_found():
    """A superionic transition between 700 and 800 K that raises the conductivity tenfold."""
    sigma = np.where(T > 750, 10 * line(), line())
    change = transition(T, *noisy(sigma, 1), dofs=[20] * 6)
    assert change['between_K'] == [700.0, 800.0]
    assert change['p'] < 1e-3
    assert change['jump'] == pytest.approx(10, rel=0.5)
    assert 'between 700 and 800 K' in change['warning']


def test_a_change_of_slope_is_found():
    low, high = line(0.6), line(0.2)
    middle = np.exp(np.interp(750, T, np.log(high / low)))
    change = transition(T, *noisy(np.where(T > 750, high, low * middle), 2, 0.03))
    assert change['between_K'] == [700.0, 800.0]
    assert change['kind'] == 'two lines'
    assert change['activation_energies_eV'] == pytest.approx([0.6, 0.2], abs=0.1)


def test_bad_errors_are_not_trusted():
    """The same break is less significant if the errors have two degrees of freedom only."""
    sigma, stderr = noisy(np.where(T > 750, 1.5 * line(), line()), 3)
    assert transition(T, sigma, stderr)['p'] < transition(T, sigma, stderr, [2] * 6)['p']


def test_too_few_temperatures():
    assert transition(T[:3], line()[:3], 0.1 * line()[:3])['tested'] == 0
    missing = [None, *line()[1:4]]
    assert transition(T[:4], missing, [None, *0.1 * line()[1:4]])['tested'] == 0


def test_interval_of_the_prefactor_covers_the_truth():
    held = 0
    for seed in range(100):
        low, high = prefactor(arrhenius(T, *noisy(line(), seed)))['prefactor_ci95']
        held += low <= 1e3 <= high
    assert 88 <= held <= 100


def test_prefactor():
    """It is exact on a straight line, and None without a line."""
    exact = prefactor(arrhenius(T, line(), 0.01 * line()))
    assert exact['prefactor_S_K_per_cm'] == pytest.approx(1e3, rel=1e-6)
    assert prefactor(arrhenius(T[:1], line()[:1], line()[:1]))['prefactor_ci95'] is None


def test_order():
    """A smooth rise is no melting; a jump by half between 700 and 800 K is."""
    smooth = 0.02 * np.exp((T - 500) / 800)
    noise = np.exp(np.random.default_rng(0).normal(0, 0.02, 6))
    assert order_change(T, smooth * noise, 0.02 * smooth)['between_K'] is None
    change = order_change(T, np.where(T > 750, 1.5 * smooth, smooth) * noise, 0.02 * smooth)
    assert change['between_K'] == [700.0, 800.0]
    assert change['factor'] == pytest.approx(1.5, rel=0.15)
    assert order_change(T[:3], smooth[:3], smooth[:3])['tested'] == 0


def test_constant_haven_ratio():
    """Scatter about 0.5 is a constant ratio without a slope."""
    constant = haven_ratios(T, 0.5 + np.random.default_rng(0).normal(0, 0.02, 6), [0.02] * 6)
    assert constant['mean'] == pytest.approx(0.5, abs=0.03)
    assert math.isfinite(constant['mean_stderr'])
    assert constant['p_constant'] > 0.01
    assert abs(constant['slope_eV']) < 3 * constant['slope_stderr_eV']


def test_falling_haven_ratio():
    """The slope of the logarithm is the difference of the two activation energies."""
    falling = haven_ratios(T, line(0.35) / line(0.3), 0.01 * line(0.35) / line(0.3))
    assert falling['slope_eV'] == pytest.approx(-0.05, abs=1e-6)
    assert falling['p_constant'] < 1e-6


def test_no_haven_ratio():
    assert haven_ratios([300.0], [None], [None])['mean'] is None
