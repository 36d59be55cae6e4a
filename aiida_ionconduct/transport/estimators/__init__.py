"""Diffusivities from displacements, with intervals that cover the truth as often as they say.

What is averaged over (particles, origins, components) is never taken as independent: errors come from the scatter
between seeds and between long stretches of a seed, or are scaled to it.

``spectral`` (the default), ``covariance``, ``cepstral`` and ``multivariate`` hold the estimator of that name,
``einstein`` the straight lines through displacements and the Green–Kubo integral, ``growth`` whether displacements grow
at all, ``results`` what all of them return.
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
from aiida_ionconduct.transport.displacement import Track, as_track
from aiida_ionconduct.transport.estimators.cepstral import cepstral
from aiida_ionconduct.transport.estimators.covariance import covariance
from aiida_ionconduct.transport.estimators.einstein import block, einstein, green_kubo
from aiida_ionconduct.transport.estimators.growth import CAGED_RESOLVED, RESOLVED, Growth, growth, widened
from aiida_ionconduct.transport.estimators.multivariate import multivariate
from aiida_ionconduct.transport.estimators.results import Estimate, Slope
from aiida_ionconduct.transport.estimators.spectral import spectral
from aiida_ionconduct.transport.observed import Observed, equal_stretches

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
MIN_FRAMES = 20
MANY = 1e9  # degrees of freedom of an error that is known, finite so that JSON can hold it


def diffusivity(
    tracks: Sequence[np.ndarray] | np.ndarray, dt_ps: float, estimator: Estimator = 'auto', **settings: Any
) -> Estimate:
    """Estimate the diffusivity of particles, or of collective coordinates.

    :param tracks: one array per seed, (frames, n, d), unwrapped; only the numbers of frames may differ.
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
    stretches = equal_stretches(tracks)
    if name == 'spectral':
        slope = spectral(tracks, dt_ps, observed.spectra if observed else None)
    else:
        slope = ESTIMATORS[name](stretches, dt_ps, **settings)
        slope = slope._replace(warnings=(*slope.warnings, *_left_out(tracks, stretches, name)))
    seen = growth(stretches, dt_ps, observed.displacements if observed else None)
    slope = slope._replace(plateau=slope.plateau and seen.change == 'none')
    resolved, too_large = _resolved(slope, seen), seen.caged and seen.rises and seen.exceeded_by(slope)
    if seen.caged:
        slope = widened(slope, seen)
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
        'beta': seen.beta,
        'beta_stderr': seen.beta_stderr,
        'caged': seen.caged,
        'ballistic': seen.change == 'rises',
        'scan': slope.scan,
        'warnings': _warnings(slope, seen, n_seeds=len(tracks), resolved=resolved, too_large=too_large),
    }
    value, stderr = (slope.value, slope.stderr) if resolved else (None, None)
    return Estimate(value, stderr, name, min(slope.dof, MANY), diagnostics)


def check_runs(shapes: list[tuple[int, ...]], dt_ps: float) -> None:
    """Check that the seeds have the same atoms, enough frames, and a positive time between frames.

    :raises ValueError: otherwise, saying what to do.
    """
    if not shapes:
        raise ValueError('no seeds were given: give a list with at least one trajectory.')
    if len({shape[1:] for shape in shapes}) > 1:
        raise ValueError(
            f'the seeds have different shapes {shapes}: give the same atoms; numbers of frames may differ.'
        )
    shortest = min(shape[0] for shape in shapes)
    if shortest < MIN_FRAMES:
        raise ValueError(
            f'{shortest} frames are too few for an error estimate: give at least {MIN_FRAMES}, '
            'by running longer or storing more often.'
        )
    if not (math.isfinite(dt_ps) and dt_ps > 0):
        raise ValueError(f'`dt_ps` is {dt_ps}: give the positive time between two frames in ps.')


def _resolved(slope: Slope, seen: Growth) -> bool:
    """Whether a slope is above zero beyond its error, and not that of motion that has yet to turn into diffusion.

    If most of the MSD is motion within cages, the slope must also not be the last of that motion: the MSD still rises
    at the longest lags, and no less than the slope says.
    """
    confidence = CAGED_RESOLVED if seen.caged else RESOLVED
    if slope.mixture is not None:
        above_zero = slope.mixture.below(0.0) < 1 - confidence
    else:
        above_zero = slope.value > stats.t.ppf(confidence, slope.dof) * slope.stderr
    if seen.change == 'rises':
        return False
    return bool(slope.value > 0 and above_zero and not (seen.caged and (not seen.rises or seen.exceeded_by(slope))))


def _left_out(tracks: list[Track], stretches: list[Track], name: str) -> list[str]:
    """Return a warning on the frames of runs of unequal length that an estimator leaves out."""
    frames, used = (sum(track.n_frames for track in part) for part in (tracks, stretches))
    if len({track.n_frames for track in tracks}) == 1 or used == frames:
        return []
    return [
        f'runs of unequal length: `{name}` takes {len(stretches)} stretches of {stretches[0].n_frames} frames, and '
        f'{frames - used} of {frames} frames are left out; the estimator auto takes all'
    ]


def _warnings(slope: Slope, seen: Growth, *, n_seeds: int, resolved: bool, too_large: bool) -> list[str]:
    """Say what a reader has to know before using the number."""
    lag = f'{slope.lag_ps:.3g} ps'
    ballistic = seen.change == 'rises'
    saturates = seen.caged and not resolved and not too_large
    checks = {
        f'not diffusive: the mean-squared displacement saturates (beta = {seen.beta:.2f} at the longest lag)': (
            saturates
        ),
        f'not settled: motion within cages counts in the slope at {lag}, which is above that at the longest lags; '
        'choose a longer lag or run longer': too_large,
        f'not resolved: the slope at {lag} is not above zero beyond its error; run longer or add seeds': (
            not (resolved or saturates or too_large or ballistic)
        ),
        f'not diffusive yet: the mean-squared displacement grows faster than in proportion to time (beta = '
        f'{seen.beta:.2f} at the longest lag), and the data give no upper bound; run longer': ballistic,
        f'slow: most of the mean-squared displacement is motion within cages (beta = {seen.beta:.2f} at the longest '
        'lag), and the number rests on its growth beyond them': resolved and seen.caged,
        f'no plateau: the slope still falls at {lag}; run longer': resolved and not slope.plateau,
        'one seed: the error rests on the parts of a single run; add seeds': n_seeds == 1,
    }
    return [message for message, applies in checks.items() if applies] + list(slope.warnings if resolved else ())
