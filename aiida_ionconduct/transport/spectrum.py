"""Power spectra of block-averaged currents, and what to expect of them for motion with a known displacement.

The current is the displacement over a step, divided by the step: it does not alias as subsampled velocities do. Spectra
are two-sided and in units of a diffusivity, Å²/ps (e²Å²/ps for charge): white noise of diffusivity D has the value D at
every frequency, so the diffusivity is the value at frequency zero.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import fft
from scipy.signal.windows import tukey

from aiida_ionconduct.transport import _kernels
from aiida_ionconduct.transport.displacement import Track

# Frames are averaged in blocks until fewer than twice this many are left: faster motion tells nothing of diffusion. A
# boxcar average damps the fast vibrations that its sampling would alias.
MAX_FRAMES = 8192
# Share of the run over which the taper rises and falls: the ends are averages over some picoseconds, not two frames in
# the middle of a vibration.
TAPER = 0.05
BINS_PER_OCTAVE = 4
SEGMENTS = (1, 2, 4, 8)  # numbers of equal parts that a run is cut into, for the scatter
TIMES_PER_OCTAVE = 10  # a coarser grid of times would bias the fit of a spectrum that is known well


class Grid(NamedTuple):
    """Frequencies of a run of a certain length, and the spectra expected on them.

    ``block`` frames are averaged into one, which leaves ``frames``; ``frequency`` (F,) in THz; ``edges`` (bins + 1,)
    of nearly logarithmic bins of frequencies; ``top`` (bins,) highest frequency of each; ``pairs`` (bins,) independent
    pairs of real numbers in each; ``white`` (bins,) the spectrum of Brownian motion with D = 1; ``times`` (n,)
    relaxation times in ps; ``relaxation`` (n, bins) the spectrum of motion with the mean-squared displacement
    2 times (1 - exp(-t/times)), which rises from 0 to 1 at the frequency 1/(2 pi times).
    """

    block: int
    frames: int
    step_ps: float
    frequency: np.ndarray
    edges: np.ndarray
    top: np.ndarray
    pairs: np.ndarray
    white: np.ndarray
    times: np.ndarray
    relaxation: np.ndarray

    def binned(self, spectrum: np.ndarray) -> np.ndarray:
        """Average a spectrum over bins, along its last axis."""
        sums: np.ndarray = np.add.reduceat(spectrum[..., : len(self.frequency)], self.edges[:-1], axis=-1)
        return sums / np.diff(self.edges)


def spectral_grid(n_frames: int, dt_ps: float, longest_frames: int = 0) -> Grid:
    """Return the frequencies and the expected spectra of a run.

    The expectations are exact for a run of this length with its taper and its block average, so that neither leakage
    from the ends nor aliasing biases a fit (Sykulski et al. 2019, 10.1093/biomet/asy071).

    :param n_frames: frames in the run.
    :param dt_ps: time between two frames.
    :param longest_frames: frames in the longest of several runs, which gives the relaxation times; those in this run by
        default.
    """
    return _spectral_grid(n_frames, dt_ps, max(n_frames, longest_frames))


@lru_cache(maxsize=32)
def _spectral_grid(n_frames: int, dt_ps: float, longest_frames: int) -> Grid:
    """Return :func:`spectral_grid`, once for all calls that mean the same."""
    block = max(1, n_frames // MAX_FRAMES)
    steps = n_frames // block - 1
    # The upper half of the frequencies is where the block average damps, so it is left out.
    n_frequencies = (steps // 2 if block == 1 else steps // 4) + 1
    frequency = np.arange(n_frequencies) / (steps * block * dt_ps)
    limits, ratio = [0, 1], 2 ** (1 / BINS_PER_OCTAVE)
    while limits[-1] < n_frequencies:
        limits.append(min(n_frequencies, max(limits[-1] + 1, round(limits[-1] * ratio))))
    edges = np.array(limits)
    pairs = np.diff(edges).astype(float)
    pairs[0] = 0.5  # the zero frequency is real
    taper = _tapering(steps)
    loss = (taper**4).sum() * steps / (taper**2).sum() ** 2
    times = _relaxation_times(longest_frames, dt_ps)
    grid = Grid(
        block=block,
        frames=steps + 1,
        step_ps=block * dt_ps,
        frequency=frequency,
        edges=edges,
        top=frequency[edges[1:] - 1],
        pairs=pairs / loss,
        white=np.ones(1),
        times=times,
        relaxation=np.ones(1),
    )
    pairs_at_lag = _tapered_pairs(taper)
    white = grid.binned(_expected_spectrum(_brownian_steps(block, steps, dt_ps), pairs_at_lag, block * dt_ps))
    relaxation = [
        grid.binned(
            2 * time * _expected_spectrum(_relaxing_steps(dt_ps / time, block, steps), pairs_at_lag, block * dt_ps)
        )
        for time in times
    ]
    return grid._replace(white=white, relaxation=np.array(relaxation))


def _relaxation_times(n_frames: int, dt_ps: float) -> np.ndarray:
    """Return the relaxation times in ps that are considered for a run, the longest being the length of the run."""
    block = max(1, n_frames // MAX_FRAMES)
    length, shortest = (n_frames // block - 1) * block * dt_ps, block * dt_ps / 8
    return np.geomspace(shortest, length, max(2, round(np.log2(length / shortest) * TIMES_PER_OCTAVE) + 1))


def _tapering(steps: int) -> np.ndarray:
    """Return the taper (steps,): flat, with cosine ends, nowhere zero."""
    taper: np.ndarray = tukey(steps + 2, TAPER)[1:-1]
    return taper


def _brownian_steps(block: int, n: int, dt_ps: float) -> np.ndarray:
    """Return the covariance (n,) at all lags of the steps of block-averaged Brownian motion with D = 1."""
    triangle = np.convolve(np.ones(block), np.ones(block)) / block
    covariance = np.zeros(n)
    covariance[0] = 2 * dt_ps * (triangle**2).sum()
    if n > 1:
        covariance[1] = 2 * dt_ps * (triangle[block:] * triangle[: block - 1]).sum()
    return covariance


def _relaxing_steps(rate: float, block: int, n: int) -> np.ndarray:
    """Return the covariance (n,) of the steps of block-averaged motion with M(t) = 1 - exp(-t).

    :param rate: time between two frames over the relaxation time.
    """
    decay = np.exp(-rate * np.arange(block))
    lags = np.arange(1, n + 1)
    positions = np.empty(n + 1)
    positions[0] = (block + 2 * ((block - np.arange(1, block)) * decay[1:]).sum()) / (2 * block**2)
    positions[1:] = np.exp(-rate * (lags * block - (block - 1))) * (decay.sum() / block) ** 2 / 2
    steps = np.empty(n)
    steps[0] = 2 * (positions[0] - positions[1])
    steps[1:] = 2 * positions[1:-1] - positions[:-2] - positions[2:]
    return steps


def _tapered_pairs(taper: np.ndarray) -> np.ndarray:
    """Return how much the pairs of steps at each lag (n,) count, the pairs at lag zero counting 1."""
    n = len(taper)
    length = fft.next_fast_len(2 * n, real=True)
    pairs: np.ndarray = fft.irfft(np.abs(fft.rfft(taper, length)) ** 2, length)[:n]
    pairs /= pairs[0]
    return pairs


def _expected_spectrum(covariance: np.ndarray, pairs_at_lag: np.ndarray, step_ps: float) -> np.ndarray:
    """Return the expectation of :func:`spectra` for steps of a known covariance (n,).

    :param pairs_at_lag: (n,), of :func:`_tapered_pairs`.
    """
    weighted = covariance * pairs_at_lag
    weighted[1:] += weighted[1:][::-1]  # lags beyond n fold back at the frequencies of a run of n steps
    spectrum: np.ndarray = fft.rfft(weighted).real / (2 * step_ps)
    return spectrum


def spectra(track: Track, grid: Grid, segments: tuple[int, ...]) -> dict[int, np.ndarray]:
    """Return the periodograms of a run cut into equal segments, one entry for each number of segments.

    :param segments: numbers of segments.
    :return: by number of segments, (segments, frequencies, d, d): the real parts of the products of the current's
        components, averaged over particles.
    """
    (sums,) = track.sums(spectrum_sums(track, grid, segments))
    return dict(zip(segments, sums, strict=True))


def spectrum_sums(track: Track, grid: Grid, segments: tuple[int, ...]) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Return the function that :func:`spectra` gives to :meth:`Track.sums`."""
    n, d = track.n_frames // grid.block, track.dimension
    tapers = {count: _tapering(n // count - 1) for count in segments}

    def sums(rows: np.ndarray) -> list[np.ndarray]:
        coarse = np.empty((len(rows), n))
        _kernels.block_means(rows, grid.block, coarse)
        return [products(coarse, count, taper) for count, taper in tapers.items()]

    def products(coarse: np.ndarray, count: int, taper: np.ndarray) -> np.ndarray:
        steps = np.empty((len(coarse), count, len(taper)))
        _kernels.tapered_steps(coarse, taper, steps)
        power = np.zeros((count, d, d, len(taper) // 2 + 1))
        _kernels.add_products(fft.rfft(steps, axis=2).view(float), power)
        later, earlier = np.tril_indices(d, -1)
        power[:, later, earlier] = power[:, earlier, later]
        power /= 2 * grid.step_ps * (taper**2).sum() * len(track.particles)
        return np.moveaxis(power, 3, 1)

    return sums
