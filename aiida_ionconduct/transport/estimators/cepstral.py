"""Cepstral analysis (Ercole, Marcolongo, Baroni 2017, 10.1038/s41598-017-15843-2)."""

from __future__ import annotations

import math

import numpy as np
from scipy import fft
from scipy.special import polygamma, psi

from aiida_ionconduct.transport.displacement import Track
from aiida_ionconduct.transport.estimators.lengths import trace
from aiida_ionconduct.transport.estimators.results import Slope
from aiida_ionconduct.transport.estimators.spectral import at_rest, independent_components
from aiida_ionconduct.transport.spectrum import spectra, spectral_grid

CUTOFF_THZ = 1.0


def cepstral(tracks: list[Track], dt_ps: float, cutoff_THz: float = CUTOFF_THZ) -> Slope:
    """Filter the logarithm of the averaged periodogram, with as many coefficients as Akaike's criterion asks for.

    :param cutoff_THz: highest frequency used.
    """
    grid = spectral_grid(tracks[0].n_frames, dt_ps)
    last = min(max(int(np.searchsorted(grid.frequency, cutoff_THz)), 8), len(grid.frequency))
    power = np.array([trace(spectra(track, grid, (1,))[1][0, : len(grid.frequency)]) for track in tracks])
    if not power.max() > 0:
        return at_rest(len(tracks), dt_ps)
    most = len(tracks[0].particles) * tracks[0].dimension
    components = independent_components(power, grid.binned(power).mean(axis=0), grid, most)
    power = power[:, :last]
    value, stderr, n_coefficients = _filtered(power.mean(axis=0), components * len(tracks))
    seeds = np.array([_filtered(row, components, n_coefficients)[0] for row in power])
    lag = n_coefficients / (2 * grid.frequency[last - 1])
    scan = {'lag_ps': np.array([lag]), 'value': np.array([value]), 'stderr': np.array([stderr])}
    return Slope(value, stderr, math.inf, seeds[:, None], 0.0, float(lag), True, scan)


def _filtered(power: np.ndarray, components: float, n_coefficients: int | None = None) -> tuple[float, float, int]:
    """Return the spectrum at zero, its standard error and the number of coefficients.

    :param power: (frequencies,), an average over a number of independent ``components``.
    """
    log_power = np.log(np.maximum(power, 1e-300)) - psi(components) + math.log(components)
    n = 2 * (len(power) - 1)
    coefficients = fft.irfft(log_power, n)[: len(power)]
    variance = float(polygamma(1, components))
    if n_coefficients is None:
        left_out = np.append(np.cumsum(coefficients[:0:-1] ** 2)[::-1], 0.0)
        n_coefficients = int((n / variance * left_out + 2 * np.arange(1, len(power) + 1)).argmin()) + 1
    value = math.exp(coefficients[0] + 2 * coefficients[1:n_coefficients].sum())
    return value, value * math.sqrt(variance * (4 * n_coefficients - 2) / n), n_coefficients
