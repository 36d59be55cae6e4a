"""The conductivity against frequency: its real part, with a band, from the lowest resolved frequency to vibrations.

Re sigma(omega) = 1/(3 V kB T) times the integral of <J(0)·J(t)> cos(omega t) over t > 0 is the power spectrum of the
charge current (Kubo 1957, 10.1143/JPSJ.12.570), and its value at frequency zero is the conductivity. The tracer
conductivity has the spectrum of the velocities of the mobile ions in the same way.

The current is a difference of positions over the time between two frames, dt. It has the spectrum of the velocity times
sinc²(pi f dt), by which is divided here, and motion faster than 1/(2 dt) folds back. Of motion without inertia, whose
spectrum is flat, both cancel before the division. Frequencies up to 1/(4 dt) are given: there the factor is at most
1.23, and at least nine tenths of what folds back is damped.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import fft, stats
from scipy.signal.windows import parzen

from aiida_ionconduct.transport.displacement import Track
from aiida_ionconduct.transport.observed import Observed, equal_stretches
from aiida_ionconduct.transport.spectrum import BINS_PER_OCTAVE, Grid, spectra, spectral_grid

LEVEL = 0.95
NEIGHBOURS = 2 * BINS_PER_OCTAVE  # bins to either side from which the scatter in a bin is known: two octaves
WINDOW_BLOCKS = 64  # lags of the correlation behind the highest frequencies, in units of the blocks of frames
PARZEN_VARIANCE = 0.539  # of a spectrum with Parzen's window, relative, times frames over lags (Priestley 1981, 6.2)


class Band(NamedTuple):
    """A spectrum in the unit of a diffusivity: each (bins,), ``frequency`` in THz, ``low`` to ``high`` the interval."""

    frequency: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


class _Bins(NamedTuple):
    """Spectra of runs in bins of frequencies.

    ``frequency`` (bins,); ``runs`` (runs, bins); ``pairs`` (bins,) independent pairs of real numbers of one component
    in a bin of one run; ``squares`` (bins,) sum over runs and frequencies of the squared relative deviations from the
    mean of the bin, and ``dof`` (bins,) how many of them are independent.
    """

    frequency: np.ndarray
    runs: np.ndarray
    pairs: np.ndarray
    squares: np.ndarray
    dof: np.ndarray


def current_band(tracks: list[Track], dt_ps: float, observed: Observed) -> Band:
    """Return the power spectrum of the current with its 95 % interval.

    :param observed: what :func:`~aiida_ionconduct.transport.observed.observe` returned for the tracks. Of runs of
        unequal length, the stretches of its displacements are taken.
    """
    if len({track.n_frames for track in tracks}) == 1:
        runs, grid = [spectrum[1] for spectrum in observed.spectra], spectral_grid(tracks[0].n_frames, dt_ps)
    else:
        tracks = equal_stretches(tracks)
        grid = spectral_grid(tracks[0].n_frames, dt_ps)
        runs = [spectra(track, grid, (1,))[1] for track in tracks]
    power = np.array([np.einsum('faa->f', run[0, : len(grid.frequency)]) for run in runs]) / tracks[0].dimension
    bins = _periodograms(power, grid, dt_ps)
    if grid.block > 1:
        # Of a single run there are the displacements of its halves.
        squares = observed.displacements.reshape(len(tracks), -1, observed.displacements.shape[1]).mean(axis=1)
        fast = _fast(squares / tracks[0].dimension, grid, dt_ps, tracks[0].n_frames)
        bins = _Bins(*(np.concatenate(pair, axis=-1) for pair in zip(bins, fast, strict=True)))
    return _band(bins, len(tracks[0].particles) * tracks[0].dimension, tracks[0].dimension)


def _periodograms(power: np.ndarray, grid: Grid, dt_ps: float) -> _Bins:
    """Return periodograms (runs, frequencies) in bins, without frequency zero."""
    kept = int(np.searchsorted(grid.frequency, 1 / (4 * dt_ps), side='right'))
    edges = np.unique(np.minimum(grid.edges[1:], kept)) - 1
    frequency = grid.frequency[1:kept]
    # A mean over a block of frames is a boxcar, and its difference that of another one.
    boxcar = np.sinc(frequency * grid.step_ps) / np.sinc(frequency * dt_ps)
    power = power[:, 1:kept] / (boxcar**4 * np.sinc(frequency * dt_ps) ** 2)
    counts = np.diff(edges)
    sums = np.add.reduceat(power, edges[:-1], axis=1)
    mean = np.repeat(sums.mean(axis=0) / counts, counts)
    deviations = ((power / np.where(mean > 0, mean, 1.0) - 1) ** 2).sum(axis=0)
    return _Bins(
        np.add.reduceat(frequency, edges[:-1]) / counts,
        sums / counts,
        counts * 2 * grid.pairs[0],
        np.add.reduceat(deviations, edges[:-1]),
        len(power) * counts - 1.0,
    )


def _fast(displacements: np.ndarray, grid: Grid, dt_ps: float, n_frames: int) -> _Bins:
    """Return the spectra beyond the frequencies of the grid, from the correlation of the steps between frames.

    :param displacements: (runs, lags) mean-squared displacements of one component.
    :param n_frames: of a run.
    """
    lags = min(WINDOW_BLOCKS * grid.block, displacements.shape[1] - 2)
    # The correlation of steps is half the second difference of the displacement, which is even in the lag.
    even = np.concatenate((displacements[:, 1:2], displacements[:, : lags + 2]), axis=1)
    correlation = np.diff(even, 2, axis=1)[:, : lags + 1] / 2 * parzen(2 * lags + 1)[lags:]
    power = fft.dct(correlation, type=1, axis=1) / (2 * dt_ps)
    frequency = np.arange(lags + 1) / (2 * lags * dt_ps)
    limits = [float(grid.frequency[-1])]
    while limits[-1] < 1 / (4 * dt_ps):
        limits.append(limits[-1] * 2 ** (1 / BINS_PER_OCTAVE))
    edges = np.unique(np.searchsorted(frequency, np.minimum(limits, 1 / (4 * dt_ps)), side='right'))
    counts, chosen = np.diff(edges), slice(edges[0], edges[-1])
    starts = edges[:-1] - edges[0]
    power = np.maximum(power, 0.0)[:, chosen] / np.sinc(frequency[chosen] * dt_ps) ** 2
    return _Bins(
        np.add.reduceat(frequency[chosen], starts) / counts,
        np.add.reduceat(power, starts, axis=1) / counts,
        np.maximum(n_frames * dt_ps * counts * frequency[1], n_frames / (PARZEN_VARIANCE * lags)),
        np.zeros(len(counts)),
        np.zeros(len(counts)),
    )


def _band(bins: _Bins, most: int, least: int) -> Band:
    """Return means over runs with intervals.

    Particles that move together are not independent: the number of independent components follows from the scatter of
    the frequencies of a bin and of its neighbours, whose powers are gamma-distributed. What the runs differ by beyond
    that, for instance because of their temperatures, is added with Student's t.

    :param most: components, all independent.
    :param least: components if all particles move together.
    """
    n_runs, mean = len(bins.runs), bins.runs.mean(axis=0)
    positive = np.where(mean > 0, mean, 1.0)
    squares, dof = _of_neighbours(bins.squares), _of_neighbours(bins.dof)
    components = np.clip(dof / np.maximum(squares, 1e-300), 1.0, most)
    components = np.where(dof > 0, components, components[dof > 0][-1] if (dof > 0).any() else least)
    shape = n_runs * bins.pairs * components
    low, high = (shape / stats.gamma.ppf(p, shape) for p in ((1 + LEVEL) / 2, (1 - LEVEL) / 2))
    if n_runs > 1:
        between = (bins.runs / positive).var(axis=0, ddof=1)
        excess = _of_neighbours(bins.pairs * between) - _of_neighbours(1 / components)
        excess = np.maximum(excess, 0.0) / _of_neighbours(bins.pairs)
        reach = stats.t.ppf((1 + LEVEL) / 2, n_runs - 1) * np.sqrt(excess / n_runs)
        low, high = (np.exp(sign * np.hypot(np.log(end), reach)) for sign, end in ((-1, low), (1, high)))
    return Band(bins.frequency, mean, mean * low, mean * high)


def _of_neighbours(values: np.ndarray) -> np.ndarray:
    """Return the sums over each bin and its neighbours."""
    sums: np.ndarray = np.convolve(values, np.ones(2 * NEIGHBOURS + 1))[NEIGHBOURS:-NEIGHBOURS]
    return sums


def spectrum_curves(full: Band, tracer: Band, *, per_charge: float, per_particle: float) -> dict[str, np.ndarray]:
    """Return both spectra as conductivities in S/cm under the names of the stored arrays."""
    return {
        name: values
        for kind, band, scale in (('full', full, per_charge), ('tracer', tracer, per_particle))
        for name, values in named_band(kind, band, scale).items()
    }


def named_band(kind: str, band: Band, scale: float) -> dict[str, np.ndarray]:
    """Return a spectrum as a conductivity in S/cm under the names of the stored arrays.

    :param kind: 'full' or 'tracer'.
    :param scale: conductivity in S/cm of 1 Å²/ps, or of 1 e²Å²/ps.
    """
    return {
        f'spectrum_{kind}_frequency_THz': band.frequency,
        f'spectrum_sigma_{kind}_S_per_cm': band.value * scale,
        f'spectrum_sigma_{kind}_low_S_per_cm': band.low * scale,
        f'spectrum_sigma_{kind}_high_S_per_cm': band.high * scale,
    }
