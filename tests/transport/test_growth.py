"""Is it diffusion? The verdict follows from the slope and its error, not from the exponent alone."""

import json

import numpy as np
import pytest
from scipy.signal import lfilter

from aiida_ionconduct.transport import analyse, diffusivity
from aiida_ionconduct.transport.verdict import diffusion

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


def fractional(number, alpha, n_ions=50, seeds=4, frames=1000):
    """Return fractional Brownian motion, whose MSD grows as the power alpha of the time, without end."""
    rng = np.random.default_rng(number)
    lags = np.arange(frames)
    covariance = ((lags + 1.0) ** alpha - 2.0 * lags**alpha + np.abs(lags - 1.0) ** alpha) / 2
    ring = np.concatenate((covariance, covariance[1:-1][::-1]))
    power = np.fft.fft(ring).real.clip(0)
    shape = (seeds * n_ions * 3, len(ring))
    noise = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    steps = np.fft.fft(np.sqrt(power / len(ring)) * noise, axis=1)[:, :frames].real
    return list(np.cumsum(steps, axis=1).reshape(seeds, n_ions, 3, frames).transpose(0, 3, 1, 2))


def inertial(number, D, tau_ps, n_ions=50, seeds=4, frames=1000):
    """Return motion that is ballistic up to a time and diffusive beyond it."""
    rng = np.random.default_rng(number)
    decay = np.exp(-DT_PS / tau_ps)
    noise = rng.normal(0, np.sqrt(1 - decay**2), (seeds, frames, n_ions, 3))
    noise[:, 0] /= np.sqrt(1 - decay**2)
    return list(np.cumsum(lfilter([1], [1, -decay], noise, axis=1), axis=1) * np.sqrt(D / tau_ps) * DT_PS)


@pytest.mark.parametrize('alpha', [0.4, 0.6])
def test_subdiffusion_without_end_is_no_diffusion_yet(alpha):
    """The slope falls by a quarter and more from octave to octave: no number, or one that is said to be no plateau.

    What the motion will become is unknown, so the interval reaches far below the slope.
    """
    for number in range(3):
        estimate = diffusivity(fractional(number, alpha), DT_PS)
        warnings, resolved = estimate.diagnostics['warnings'], estimate.value is not None
        assert not estimate.diagnostics['plateau']
        assert diffusion(resolved=resolved, plateau=False) != 'yes'
        assert any(('the slope still falls' if resolved else 'not diffusive') in text for text in warnings)
        assert estimate.interval()[0] < 0.6 * estimate.diagnostics['slope']
        assert estimate.upper > estimate.diagnostics['slope']


@pytest.mark.parametrize('tau_ps', [25.0, 150.0])
@pytest.mark.parametrize('estimator', ['auto', 'cve', 'einstein', 'block'])
def test_motion_that_is_still_ballistic_has_neither_number_nor_bound(tau_ps, estimator):
    """Nothing in such a run tells how far the ions would fly: any bound could be too low."""
    estimate = diffusivity(inertial(1, 0.5, tau_ps), DT_PS, estimator)
    assert estimate.value is None
    assert estimate.interval() == (0.0, np.inf)
    assert estimate.upper is None
    assert any('grows faster than in proportion' in text for text in estimate.diagnostics['warnings'])


def test_inertia_of_a_start_is_no_obstacle():
    """Ions that are ballistic for 2 of 100 ps have their number."""
    held = [diffusivity(inertial(number, 0.5, 2.0), DT_PS).interval(0.99) for number in range(6)]
    assert all(low < 0.5e-4 < high for low, high in held)


def test_a_result_without_a_bound_can_be_stored():
    """JSON has no infinity: the bound is None, and the warning says that there is none."""
    ions = np.array(inertial(2, 0.5, 150.0))
    rest = np.random.default_rng(3).normal(0, 0.05, ions.shape)
    seeds = list(np.concatenate((ions, rest), axis=2))
    symbols, charges = ['Li'] * 50 + ['Cl'] * 50, {'Li': 1, 'Cl': -1}
    result = analyse(seeds, symbols, charges, 30 * np.eye(3), temperature_K=600.0, dt_ps=DT_PS)
    attributes = json.loads(json.dumps(result.attributes(), allow_nan=False))
    assert attributes['sigma_full_S_per_cm'] is None
    assert attributes['sigma_full_upper_S_per_cm'] is None
    assert 'no full conductivity: no upper bound either' in attributes['warnings']


def test_the_verdict_follows_from_the_estimate():
    """Resolved and on a plateau: nothing else, in particular not the exponent, enters."""
    assert diffusion(resolved=True, plateau=True) == 'yes'
    assert diffusion(resolved=True, plateau=False) == 'not yet'
    assert diffusion(resolved=False, plateau=True) == 'no'


@pytest.mark.parametrize('tau_ps', [1.0, 10.0])
def test_the_bound_of_cages_with_rare_hops_holds(tau_ps):
    """Of 30 replicas with D = 1e-8 cm²/s, at least 26 bounds are above it (chance of failure below 2 %)."""
    bounds = [
        diffusivity(caged(number, 1e-4, tau_ps, n_ions=20, length_ps=100.0), DT_PS).interval(0.95)[1]
        for number in range(30)
    ]
    assert np.mean(np.array(bounds) > 1e-8) > 26 / 30 - 1e-9
