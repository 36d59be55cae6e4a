"""Estimates: known answers, units, and motion that gives no number."""

import itertools

import numpy as np
import pytest
from scipy import stats

from aiida_ionconduct import choices
from aiida_ionconduct.transport import diffusivity, mean_squared_displacement
from aiida_ionconduct.transport.displacement import as_track
from aiida_ionconduct.transport.estimators import ESTIMATORS
from aiida_ionconduct.transport.estimators.covariance import scan_slopes

NAMES = ['auto', *ESTIMATORS]


@pytest.fixture(scope='module')
def walks():
    """Four seeds of eight Brownian particles, D = 1 Å²/ps, 0.1 ps between 1000 frames."""
    steps = np.random.default_rng(0).normal(0, np.sqrt(0.2), (4, 1000, 8, 3))
    return list(np.cumsum(steps, axis=1))


def test_every_choice_is_an_estimator():
    """The command line offers the estimators that there are, in their order."""
    assert ('auto', *ESTIMATORS) == choices.ESTIMATORS


@pytest.mark.parametrize('name', NAMES)
def test_brownian_motion(walks, name):
    """The estimate is the known D within four errors, inside its own interval."""
    estimate = diffusivity(walks, 0.1, name)
    assert abs(estimate.value - 1e-4) < 4 * estimate.stderr
    assert 0 < estimate.stderr < 0.5e-4
    low, high = estimate.interval(0.95)
    assert 0 < low < estimate.value < high


@pytest.mark.parametrize('name', NAMES)
def test_units_scale(walks, name):
    """At the same lag in frames, twice the length gives four times D, and twice the time gives half of D."""
    reference = diffusivity(walks, 4.0, name)
    larger = diffusivity([2 * walk for walk in walks], 4.0, name)
    slower = diffusivity(walks, 8.0, name)
    assert larger.value == pytest.approx(4 * reference.value, rel=1e-9)
    # What is known of the times of vibrations and back-hops, in ps, is part of the spectral estimate.
    rel = 0.05 if name in ('auto', 'spectral') else 1e-9
    assert slower.value == pytest.approx(reference.value / 2, rel=rel)
    assert slower.stderr == pytest.approx(reference.stderr / 2, rel=4 * rel)


def test_slope_equals_covariance_formula():
    """D = <d²>/(2 lag) + <d_n d_{n+1}>/lag over all origins (Vestergaard et al. 2014)."""
    walk = np.cumsum(np.random.default_rng(1).normal(size=(64, 3, 2)), axis=0)
    scan = scan_slopes([as_track(walk)])
    for index, lag in enumerate(scan.lags):
        first, second = walk[lag:-lag] - walk[: -2 * lag], walk[2 * lag :] - walk[lag:-lag]
        squares = 0.5 * (first**2 + second**2) / (2 * lag) + first * second / lag
        edges = np.linspace(0, len(first), 9).astype(int)
        expected = [squares[start:stop].mean() for start, stop in itertools.pairwise(edges)]
        np.testing.assert_allclose(scan.slopes[index, 0], expected, rtol=1e-9, atol=1e-12)


def test_einstein_is_the_line_through_the_displacement(walks):
    lags = np.arange(33, 100)
    slopes = [np.polyfit(lags * 0.1, mean_squared_displacement(walk)[lags], 1)[0] / 6e4 for walk in walks]
    estimate = diffusivity(walks, 0.1, 'einstein')
    assert estimate.value == pytest.approx(np.mean(slopes), rel=1e-9)
    assert estimate.stderr == pytest.approx(np.std(slopes, ddof=1) / 2, rel=1e-9)
    assert estimate.dof == 3


def test_interval_is_students_t_of_the_logarithm(walks):
    estimate = diffusivity(walks, 0.1, 'cve')
    half = stats.t.ppf(0.84, estimate.dof) * estimate.stderr / estimate.value
    np.testing.assert_allclose(np.log(estimate.interval(0.68)), np.log(estimate.value) + np.array([-half, half]))
    with pytest.raises(ValueError, match='probability'):
        estimate.interval(95)


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('seeds', [1, 4])
@pytest.mark.parametrize('amplitude', [0.0, 0.2])
def test_no_diffusion_no_number(name, seeds, amplitude):
    """Particles at rest or in a cage give an upper bound and a warning."""
    tracks = np.random.default_rng(5).normal(0, 1, (seeds, 200, 16, 3)) * amplitude
    estimate = diffusivity(list(tracks), 0.05, name)
    assert estimate.value is None
    assert estimate.stderr is None
    assert any(text.startswith(('not diffusive', 'not resolved')) for text in estimate.diagnostics['warnings'])
    low, high = estimate.interval(0.95)
    assert low == 0
    assert np.isfinite(high)
    # The bound is at most what particles would have that walk their amplitude within the lag.
    assert high <= 100 * amplitude**2 / estimate.diagnostics['lag_ps'] * 1e-4


def test_one_seed_is_less_certain(walks):
    single = diffusivity([walks[0][:100]], 0.1)
    four = diffusivity([walk[:100] for walk in walks], 0.1)
    assert any('one seed' in warning for warning in single.diagnostics['warnings'])
    assert np.ptp(np.log(four.interval(0.95))) < 1.5
    low, high = single.interval(0.95)
    assert low == 0 or np.log(high / low) > 1.2 * np.ptp(np.log(four.interval(0.95)))


def test_twenty_frames_are_enough(walks):
    for name in NAMES:
        low, high = diffusivity([walk[:20] for walk in walks[:1]], 0.1, name).interval()
        assert np.isfinite(high)
        assert 0 <= low <= high


def test_a_picosecond_of_one_seed_is_no_number(walks):
    """With half the lag below one frame nothing tells vibration from diffusion."""
    estimate = diffusivity([walks[0][:20]], 0.05)
    assert estimate.value is None
    assert estimate.interval()[1] > 1e-4


@pytest.mark.parametrize(
    ('tracks', 'dt_ps', 'name', 'message'),
    [
        ([], 0.1, 'auto', 'no seeds'),
        (np.zeros((30, 1, 3)), 0.1, 'auto', 'give a list'),
        ([np.zeros((19, 1, 3))], 0.1, 'auto', '19 frames are too few'),
        ([np.zeros((30, 1, 3)), np.zeros((30, 2, 3))], 0.1, 'auto', 'different shapes'),
        ([np.zeros((30, 1, 3))], 0.0, 'auto', '`dt_ps` is 0.0'),
        ([np.zeros((30, 1, 3))], float('nan'), 'auto', '`dt_ps` is nan'),
        ([np.zeros((30, 1, 3))], 0.1, 'magic', 'choose one of auto, spectral, cve'),
        ([np.zeros((30, 1, 3)), np.full((30, 1, 3), np.nan)], 0.1, 'auto', r'`tracks\[1\]`.*frame 0'),
    ],
)
def test_bad_input_is_refused(tracks, dt_ps, name, message):
    with pytest.raises(ValueError, match=message):
        diffusivity(tracks, dt_ps, name)
