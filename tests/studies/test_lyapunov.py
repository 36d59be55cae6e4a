"""Exponents of systems whose exponent is known: Lorenz' equations (published) and Arnold's map (exact)."""

import math

import numpy as np
import pytest

from aiida_ionconduct.studies.lyapunov import divergence

LORENZ = 0.9056  # Sprott, Chaos and Time-Series Analysis (2003), for sigma = 10, rho = 28, beta = 8/3


def lorenz(state, steps, dt):
    """Return states (steps + 1, …, 3) by Runge and Kutta's method of fourth order."""

    def rate(s):
        x, y, z = s[..., 0], s[..., 1], s[..., 2]
        return np.stack((10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z), axis=-1)

    out = [state]
    for _ in range(steps):
        s = out[-1]
        k1 = rate(s)
        k2 = rate(s + dt / 2 * k1)
        k3 = rate(s + dt / 2 * k2)
        out.append(s + dt / 6 * (k1 + 2 * k2 + 2 * k3 + rate(s + dt * k3)))
    return np.array(out)


def arnold(state, steps):
    """Return points (steps + 1, n, 2) of Arnold's map of the torus, x' = 2x + y, y' = x + y modulo 1."""
    out = [state]
    for _ in range(steps):
        out.append(out[-1] @ np.array([[2, 1], [1, 1]]) % 1.0)
    return np.array(out)


@pytest.fixture(scope='module')
def lorenz_pairs():
    """Forty pairs, 1e-9 apart at the start; each run is a moving atom and an atom at rest."""
    rng, dt = np.random.default_rng(0), 0.01
    start = lorenz(rng.normal(0, 1, (40, 3)) + np.array([1.0, 1.0, 20.0]), 2000, dt)[-1]
    runs = [lorenz(state, 3500, dt) for state in (start, start + 1e-9 * rng.normal(size=start.shape))]
    return [[np.stack((run[:, k], np.zeros_like(run[:, k])), axis=1) for k in range(40)] for run in runs], dt


def test_lorenz(lorenz_pairs):
    """The exponent is within 10 % of the published value, and within its own error."""
    (references, twins), dt = lorenz_pairs
    result = divergence(references, twins, dt, stored_A=1e-12)
    assert result.exponent_per_ps == pytest.approx(LORENZ, rel=0.1)
    assert abs(result.exponent_per_ps - LORENZ) < 3 * result.stderr
    assert result.ci95[0] < result.exponent_per_ps < result.ci95[1]
    assert result.doubling_ps == pytest.approx(math.log(2) / result.exponent_per_ps)
    # Nine to ten decades from the kick to the size of the attractor.
    assert result.horizon_ps == pytest.approx(math.log(1e10) / LORENZ, rel=0.2)
    assert len(result.exponents) == len(result.windows_ps) == 40


def test_arnold():
    """The exponent is known exactly: the logarithm of the larger eigenvalue."""
    rng, size = np.random.default_rng(1), (30, 2)
    references, twins = [], []
    for _ in range(5):
        start = rng.random(size)
        kicked = start + 1e-11 * rng.normal(size=size)
        pair = [np.pad(arnold(points, 40), ((0, 0), (0, 0), (0, 1))) for points in (start, kicked)]
        # Points on either side of an edge of the torus are close: the difference is taken between nearest images.
        references.append(pair[0])
        apart = pair[1] - pair[0]
        twins.append(pair[0] + apart - np.round(apart))
    result = divergence(references, twins, 1.0, stored_A=1e-15)
    assert result.exponent_per_ps == pytest.approx(math.log((3 + math.sqrt(5)) / 2), rel=0.01)


def test_single_precision(lorenz_pairs):
    """Positions in single precision give the same exponent once the difference is resolved, and else an error."""
    (references, twins), dt = lorenz_pairs
    late = [[run[700:].astype(np.float32) for run in side] for side in (references, twins)]
    result = divergence(*late, dt)
    assert result.exponent_per_ps == pytest.approx(LORENZ, rel=0.15)
    tiny = [[run[:400].astype(np.float32) for run in side] for side in (references, twins)]
    with pytest.raises(ValueError, match='is the same run twice: kick the twin'):
        divergence(*tiny, dt)


def test_no_divergence():
    """Two oscillators stay as far apart as they were: there is no exponent, and a warning says why."""
    time = 0.05 * np.arange(400)
    run = np.stack([np.stack((np.cos(time + phase), np.sin(time), 0 * time), axis=1) for phase in (0, 1, 2)], axis=1)
    twin = run + 1e-6 * np.sin(time)[:, None, None] * np.array([1.0, -1.0, 0.0])[None, :, None]
    result = divergence([run], [twin], 0.05, stored_A=1e-12)
    assert result.exponent_per_ps is None or abs(result.exponent_per_ps) < 0.1
    assert result.warnings


def test_drift_is_no_divergence():
    """Crystals whose centres of mass move apart in proportion to time count as the same run."""
    rng = np.random.default_rng(2)
    run = rng.normal(size=(100, 5, 3))
    twin = run + 1e-3 * np.arange(100)[:, None, None]
    with pytest.raises(ValueError, match='is the same run twice'):
        divergence([run], [twin], 0.1)


@pytest.mark.parametrize(
    ('references', 'twins', 'message'),
    [
        ([], [], 'at least one pair'),
        ([np.zeros((9, 2, 3))], [], 'as many of each'),
        ([np.zeros((9, 2, 3))], [np.zeros((8, 2, 3))], 'pair 0: shapes'),
        (
            [np.zeros((50, 2, 3))],
            [np.random.default_rng(0).normal(size=(50, 2, 3))],
            'both must begin at the same point',
        ),
    ],
)
def test_pairs_that_cannot_be_compared_are_refused(references, twins, message):
    with pytest.raises(ValueError, match=message):
        divergence(references, twins, 0.1)
