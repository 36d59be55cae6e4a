"""Straight lines through mean-squared displacements, and the running integral that is their slope."""

from __future__ import annotations

import numpy as np

from aiida_ionconduct.transport.displacement import Track, block_displacements, simple_displacement
from aiida_ionconduct.transport.estimators.results import Slope, mean_and_error


def einstein(tracks: list[Track], dt_ps: float, fit_ps: tuple[float, float] | None = None) -> Slope:
    """Fit a straight line to the simple MSD, one slope per seed.

    :param fit_ps: first and last lag of the fit; 1/30 and 1/10 of the run by default.
    """
    n = tracks[0].n_frames
    first, last = (n // 30, n // 10) if fit_ps is None else (round(lag / dt_ps) for lag in fit_ps)
    first = max(1, first)
    lags = np.arange(first, min(max(last, first + 3), n))
    curves = np.array([simple_displacement(track) for track in tracks]) / (2 * tracks[0].dimension)
    return _over_seeds(_fitted_slopes(curves, lags), curves, lags[-1], dt_ps)


def block(tracks: list[Track], dt_ps: float, block_ps: float | None = None, origins: int | None = None) -> Slope:
    """Fit a straight line to the MSD of the block method, from 1/10 of a block to its end, averaged within a seed.

    :param block_ps: length of a block; a quarter of the run by default.
    :param origins: sliding origins per block (variant B2); the block's first frame alone by default (variant B1).
    """
    n = tracks[0].n_frames
    length = (n - 1) // 4 if block_ps is None else round(block_ps / dt_ps)
    lags = np.arange(max(1, length // 10), length + 1)
    curves = np.array([block_displacements(track, length, origins).mean(axis=0) for track in tracks])
    curves /= 2 * tracks[0].dimension
    return _over_seeds(_fitted_slopes(curves, lags), curves, length, dt_ps)


def green_kubo(tracks: list[Track], dt_ps: float, time_ps: float | None = None) -> Slope:
    """Integrate the autocorrelation of block-averaged currents up to where it is lost in its noise.

    With currents that are displacements over a step, the integral up to a time is the slope of the MSD there, to the
    last digit, so that is how it is computed. The value is its mean from that time to twice it.

    :param time_ps: where to stop; by default where the autocorrelation first is below its standard error over seeds.
    """
    curves = np.array([simple_displacement(track) for track in tracks]) / (2 * tracks[0].dimension)
    half = curves.shape[1] // 2
    if time_ps is None:
        correlation = np.diff(curves, n=2, axis=1)[:, : half // 2]
        noise = correlation.std(axis=0, ddof=1) / np.sqrt(len(curves))
        lost = np.abs(correlation.mean(axis=0)) < noise
        lag = int(lost.argmax()) + 1 if lost.any() else half // 2
    else:
        lag = round(time_ps / dt_ps)
    lag = min(max(lag, 1), max(half - 1, 1))
    return _over_seeds((curves[:, 2 * lag] - curves[:, lag]) / lag, curves, lag, dt_ps)


def _fitted_slopes(curves: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Return the slopes (seeds,) of straight lines through curves (seeds, lags)."""
    slopes: np.ndarray = np.polyfit(lags, curves[:, lags].T, 1)[0]
    return slopes


def _over_seeds(slopes: np.ndarray, curves: np.ndarray, lag: int, dt_ps: float) -> Slope:
    """Return the mean of the seeds' slopes (seeds,), their error, and how the slope changes with the lag.

    :param curves: (seeds, lags), MSD over 2 d.
    """
    value, error, dof = mean_and_error(slopes)
    lags = [2**power for power in range(curves.shape[1].bit_length()) if 2 ** (power + 1) < curves.shape[1]]
    scan = np.array([mean_and_error((curves[:, 2 * k] - curves[:, k]) / k)[:2] for k in lags]) / dt_ps
    table = {'lag_ps': np.array(lags) * dt_ps, 'value': scan[:, 0], 'stderr': scan[:, 1]}
    return Slope(value / dt_ps, error / dt_ps, dof, slopes[:, None] / dt_ps, 0.0, float(lag * dt_ps), True, table)
