"""Is it diffusion? The verdict follows from the slope and its error, not from the exponent alone."""

import numpy as np
import pytest
from scipy.signal import lfilter

from aiida_ionconduct.transport import analyse, diffusivity

DT_PS = 0.1


def caged(number, D, tau_ps=1.0, n_ions=100, seeds=4, length_ps=200.0):
    """Return ions in cages of MSD 1 Å² (Ornstein and Uhlenbeck), which also diffuse with D in Å²/ps."""
    rng = np.random.default_rng(number)
    size = (seeds, round(length_ps / DT_PS) + 1, n_ions, 3)
    decay = np.exp(-DT_PS / tau_ps)
    noise = rng.normal(0, np.sqrt((1 - decay**2) / 6), size)
    noise[:, 0] = rng.normal(0, np.sqrt(1 / 6), noise[:, 0].shape)
    cages = lfilter([1], [1, -decay], noise, axis=1)
    return list(cages + np.cumsum(rng.normal(0, np.sqrt(2 * D * DT_PS), size), axis=1))


@pytest.fixture(scope='module')
def slow():
    """Return the slow conductor: 400 ions and 4 seeds, D = 3e-7 cm²/s."""
    return caged(1, 3e-3, n_ions=400)


@pytest.mark.parametrize('estimator', ['auto', 'cve', 'einstein', 'block'])
def test_a_slow_conductor_has_a_number(slow, estimator):
    """The exponent is 0.39 at 50 ps, and the slope is known to a few percent."""
    estimate = diffusivity(slow, DT_PS, estimator)
    assert estimate.diagnostics['beta'] < 0.5
    assert estimate.value == pytest.approx(3e-7, abs=0.25e-7)
    low, high = estimate.interval(0.99)
    assert low < 3e-7 < high
    assert any(text.startswith('slow: most of') for text in estimate.diagnostics['warnings'])


@pytest.mark.parametrize('estimator', ['auto', 'cve', 'einstein', 'block'])
@pytest.mark.parametrize(('tau_ps', 'number'), [(1.0, 0), (1.0, 1), (5.0, 2), (5.0, 3)])
def test_cages_alone_have_no_number(estimator, tau_ps, number):
    """Not with the straight line either that is fitted where the cages are still explored."""
    estimate = diffusivity(caged(number, 0.0, tau_ps), DT_PS, estimator)
    assert estimate.value is None
    assert any(text.startswith(('not diffusive', 'not settled')) for text in estimate.diagnostics['warnings'])


@pytest.mark.parametrize('estimator', ['auto', 'cve', 'einstein', 'block'])
@pytest.mark.parametrize('tau_ps', [1.0, 5.0])
@pytest.mark.parametrize('D', [1e-4, 3e-4])
def test_the_bound_without_a_number_is_above_the_truth(estimator, tau_ps, D):
    for number in range(3):
        estimate = diffusivity(caged(number, D, tau_ps), DT_PS, estimator)
        assert estimate.interval(0.95)[1] > D * 1e-4


def test_no_estimate_within_cages_passes_for_diffusion():
    """Cages that take 5 ps to explore: the line from 7 to 20 ps is too steep, and is given as a bound only."""
    estimate = diffusivity(caged(1, 3e-3, 5.0), DT_PS, 'einstein')
    assert estimate.diagnostics['slope'] > 4e-7
    assert estimate.value is None
    assert any('choose a longer lag' in text for text in estimate.diagnostics['warnings'])


def test_both_conductivities_of_a_slow_conductor(slow):
    """The verdict of the analysis is that of the diffusivity."""
    rng = np.random.default_rng(2)
    rest = rng.uniform(0, 60, (1, 1, 400, 3)) + rng.normal(0, 0.1, (4, 2001, 400, 3))
    seeds = list(np.concatenate((np.array(slow), rest), axis=2))
    symbols, charges = ['Li'] * 400 + ['Cl'] * 400, {'Li': 1, 'Cl': -1}
    result = analyse(seeds, symbols, charges, 60 * np.eye(3), temperature_K=600.0, dt_ps=DT_PS)
    assert result.diffusive
    assert result.attributes()['diffusive'] is True
    assert not any('saturates' in text for text in result.warnings if text.startswith('tracer'))
