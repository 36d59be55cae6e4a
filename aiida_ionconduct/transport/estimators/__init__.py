"""Diffusivities from displacements, with intervals that cover the truth as often as they say.

What is averaged over (particles, origins, components) is never taken as independent: errors come from the scatter
between seeds and between long stretches of a seed, or are scaled to it.

``spectral`` (the default), ``covariance``, ``cepstral`` and ``multivariate`` hold the estimator of that name,
``einstein`` the straight lines through displacements and the Green–Kubo integral, ``results`` what all of them return.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from aiida_ionconduct.choices import Estimator
from aiida_ionconduct.transport.constants import CM2_PER_S
from aiida_ionconduct.transport.displacement import Track, as_track, displacement_series
from aiida_ionconduct.transport.estimators.cepstral import cepstral
from aiida_ionconduct.transport.estimators.covariance import covariance
from aiida_ionconduct.transport.estimators.einstein import block, einstein, green_kubo
from aiida_ionconduct.transport.estimators.multivariate import multivariate
from aiida_ionconduct.transport.estimators.results import Estimate, Slope, mean_and_error
from aiida_ionconduct.transport.estimators.spectral import spectral
from aiida_ionconduct.transport.observed import Observed, at_least_two

ESTIMATORS: dict[Estimator, Callable[..., Slope]] = {
    'spectral': spectral,
    'cve': covariance,
    'einstein': einstein,
    'block': block,
    'green-kubo': green_kubo,
    'cepstral': cepstral,
    'multivariate': multivariate,
}
AUTO: Estimator = 'spectral'  # the estimator whose intervals hold: benchmarks/coverage.py
# One-sided confidence that a slope is above zero, without which no number is given.
RESOLVED = 0.90
# At the longest lags the MSD of a caged particle grows with an exponent near 0; below this exponent the growth is no
# diffusion. An exponent between this value and 1 is usual: vibrations add a constant to the MSD.
SATURATED_BETA = 0.5
MIN_FRAMES = 20
MANY = 1e9  # degrees of freedom of an error that is known, finite so that JSON can hold it


def diffusivity(
    tracks: Sequence[np.ndarray] | np.ndarray, dt_ps: float, estimator: Estimator = 'auto', **settings: Any
) -> Estimate:
    """Estimate the diffusivity of particles, or of collective coordinates.

    :param tracks: one array per seed, (frames, n, d), unwrapped, all of one shape.
    :param dt_ps: time between two frames.
    :param estimator: 'auto', which is 'spectral', or one of 'spectral' (fits of the current's spectrum, averaged over
        models), 'cve' (covariance-based, the lag chosen by a plateau scan), 'einstein' (straight line through the
        simple MSD), 'block' (straight line through the MSD of blocks), 'green-kubo', 'cepstral', 'multivariate'; see
        their functions.
    :param settings: of the estimator: ``lag_ps`` of 'cve', ``fit_ps`` of 'einstein', ``block_ps`` and ``origins`` of
        'block', ``time_ps`` of 'green-kubo', ``cutoff_THz`` of 'cepstral' and 'multivariate'.
    :return: D in cm²/s for positions in Å and times in ps; ``value`` is None if the motion is not diffusive.
    :raises ValueError: for bad shapes, values that are not finite, dt_ps <= 0, fewer than 20 frames, an unknown
        estimator or setting.
    """
    if isinstance(tracks, np.ndarray) and tracks.ndim == 3:
        raise ValueError('`tracks` is one array: give a list of arrays (frames, n, d), one per seed.')
    wrapped = [as_track(track, f'tracks[{seed}]') for seed, track in enumerate(tracks)]
    return estimate(wrapped, dt_ps, estimator, **settings).scaled(CM2_PER_S)


def estimate(
    tracks: list[Track],
    dt_ps: float,
    estimator: Estimator = 'auto',
    observed: Observed | None = None,
    **settings: Any,
) -> Estimate:
    """Estimate D in Å²/ps: :func:`diffusivity` on tracks that were checked already.

    :param observed: what :func:`~aiida_ionconduct.transport.observed.observe` returns for the tracks, if it was called.
    """
    name = AUTO if estimator == 'auto' else estimator
    if name not in ESTIMATORS:
        raise ValueError(f"`estimator` is '{estimator}': choose one of auto, {', '.join(ESTIMATORS)}.")
    known = [key for key in inspect.signature(ESTIMATORS[name]).parameters if key not in ('tracks', 'dt_ps', 'runs')]
    if unknown := sorted(set(settings) - set(known)):
        raise ValueError(f"'{name}' has no setting {', '.join(unknown)}: it has {', '.join(known) or 'none'}.")
    check_runs([track.positions.shape for track in tracks], dt_ps)
    n_seeds, halves = len(tracks), at_least_two(tracks)
    if name == 'spectral':
        slope = spectral(tracks, dt_ps, observed.spectra if observed else None)
    else:
        slope = ESTIMATORS[name](halves, dt_ps, **settings)
    beta, beta_stderr, saturated = _growth(halves, observed.displacements if observed else None)
    resolved = slope.value > 0 and not saturated
    if slope.mixture is not None:
        resolved = bool(resolved and slope.mixture.below(0.0) < 1 - RESOLVED)
    else:
        resolved = bool(resolved and slope.value > stats.t.ppf(RESOLVED, slope.dof) * slope.stderr)
    diagnostics = {
        'lag_ps': slope.lag_ps,
        'slope': slope.value,
        'slope_stderr': slope.stderr,
        'blocks': slope.blocks,
        'bias': slope.bias,
        'mixture': slope.mixture,
        'spectral': slope.spectral,
        'tensor': slope.tensor,
        'plateau': slope.plateau,
        'beta': beta,
        'beta_stderr': beta_stderr,
        'scan': slope.scan,
        'warnings': _warnings(slope, n_seeds=n_seeds, resolved=resolved, saturated=saturated, beta=beta),
    }
    value, stderr = (slope.value, slope.stderr) if resolved else (None, None)
    return Estimate(value, stderr, name, min(slope.dof, MANY), diagnostics)


def check_runs(shapes: list[tuple[int, ...]], dt_ps: float) -> None:
    """Check that the seeds have one shape, enough frames, and a positive time between frames.

    :raises ValueError: otherwise, saying what to do.
    """
    if not shapes:
        raise ValueError('no seeds were given: give a list with at least one trajectory.')
    if len(set(shapes)) > 1:
        raise ValueError(
            f'the seeds have different shapes {shapes}: cut them to the same number of frames and give the same atoms.'
        )
    if shapes[0][0] < MIN_FRAMES:
        raise ValueError(
            f'{shapes[0][0]} frames are too few for an error estimate: give at least {MIN_FRAMES}, '
            'by running longer or storing more often.'
        )
    if not (math.isfinite(dt_ps) and dt_ps > 0):
        raise ValueError(f'`dt_ps` is {dt_ps}: give the positive time between two frames in ps.')


def _growth(tracks: list[Track], displacements: np.ndarray | None) -> tuple[float, float, bool]:
    """Return beta = d ln M/d ln t over the octave up to a quarter of the run, its error, and whether M saturates.

    :param displacements: (samples, lags) of :class:`~aiida_ionconduct.transport.observed.Observed`, where it is known.
    """
    lag = max(1, tracks[0].n_frames // 8)
    if displacements is None:
        series = [displacement_series(track, [lag, 2 * lag]) for track in tracks]
        near, far = np.array([[by_lag[k].mean() for k in (lag, 2 * lag)] for by_lag in series]).T
    else:
        near, far = displacements[:, lag], displacements[:, 2 * lag]
    beta, error, dof = log_slope(near, far)
    return beta, error, bool(beta < SATURATED_BETA and beta + stats.t.ppf(0.99, dof) * error < 1)


def log_slope(near: np.ndarray, far: np.ndarray, octaves: float = 1.0) -> tuple[float, float, int]:
    """Return d ln M / d ln t between two lags, its standard error and degrees of freedom.

    :param near: (seeds,) MSD at the shorter lag.
    :param far: (seeds,) MSD at the longer lag.
    :param octaves: log2 of the ratio of the lags.
    """
    if near.mean() <= 0 or far.mean() <= 0:
        return 0.0, 0.0, len(near) - 1
    width = octaves * math.log(2)
    _, error, dof = mean_and_error((far / far.mean() - near / near.mean()) / width)
    return math.log(far.mean() / near.mean()) / width, error, dof


def _warnings(slope: Slope, *, n_seeds: int, resolved: bool, saturated: bool, beta: float) -> list[str]:
    """Say what a reader has to know before using the number."""
    lag = f'{slope.lag_ps:.3g} ps'
    checks = {
        f'not diffusive: the mean-squared displacement saturates (beta = {beta:.2f} at the longest lag)': saturated,
        f'not resolved: the slope at {lag} is not above zero beyond its error; run longer or add seeds': (
            not resolved and not saturated
        ),
        f'no plateau: the slope still falls at {lag}; run longer': resolved and not slope.plateau,
        'one seed: the error rests on the parts of a single run; add seeds': n_seeds == 1,
    }
    return [message for message, applies in checks.items() if applies] + list(slope.warnings if resolved else ())
