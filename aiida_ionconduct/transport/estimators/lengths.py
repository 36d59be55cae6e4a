"""Spectra of runs of one length or of several, seen together: their bins, and the scatter of their segments."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aiida_ionconduct.transport.displacement import Track
from aiida_ionconduct.transport.estimators.random_effects import Scatter
from aiida_ionconduct.transport.observed import run_spectra
from aiida_ionconduct.transport.spectrum import SEGMENTS, Grid, spectral_grid

# Least sum of frequencies in a segment, weighted as in the value, for its value to be independent and normal.
INDEPENDENT = 6
# Runs of a length whose weight in the value is below this share say nothing of its scatter.
LEAST_SHARE = 0.05


class Group(NamedTuple):
    """The runs of one length: their grid, and the spectra of each by the number of segments."""

    grid: Grid
    runs: list[dict[int, np.ndarray]]

    def spectra(self, segments: int) -> np.ndarray:
        """Return the spectra (seeds, segments, frequencies, d, d) of the runs cut into segments."""
        return np.array([run[segments] for run in self.runs])


class Bins(NamedTuple):
    """The bins of all lengths of runs, ascending in frequency, and the spectra expected in them; see :class:`Grid`.

    ``lowest`` is the first bin above frequency zero.
    """

    top: np.ndarray
    white: np.ndarray
    times: np.ndarray
    relaxation: np.ndarray
    lowest: int


class Samples(NamedTuple):
    """Independent samples of one quantity: ``values`` (n, d, d), and the ``shares`` (n,) in which they make it up."""

    values: np.ndarray
    shares: np.ndarray

    def variance(self, values: np.ndarray) -> np.ndarray:
        """Return the variance of the mean of values (n, …), whose own variances are inverse to the shares."""
        residuals = values - np.tensordot(self.shares, values, 1)
        variance: np.ndarray = np.tensordot(self.shares, residuals**2, 1) / (len(values) - 1)
        return variance

    def error(self) -> np.ndarray:
        """Return the standard error (d, d) of the mean."""
        error: np.ndarray = np.sqrt(self.variance(self.values))
        return error


def groups_by_length(tracks: list[Track], dt_ps: float, runs: list[dict[int, np.ndarray]] | None = None) -> list[Group]:
    """Return the runs grouped by their length, short to long.

    :param runs: the spectra of the tracks, where they are known.
    """
    lengths = [track.n_frames for track in tracks]
    runs = runs or run_spectra(tracks, dt_ps)
    return [
        Group(
            spectral_grid(length, dt_ps, max(lengths)),
            [run for run, n_frames in zip(runs, lengths, strict=True) if n_frames == length],
        )
        for length in sorted(set(lengths))
    ]


def _ascending(groups: list[Group]) -> np.ndarray:
    """Return the order of all bins, those of one group after those of the other, in which their frequencies ascend."""
    return np.argsort(np.concatenate([group.grid.top for group in groups]), kind='stable')


def join(groups: list[Group], parts: list[np.ndarray]) -> np.ndarray:
    """Return values in the bins of each group, (…, bins), in the order of :class:`Bins`."""
    joined: np.ndarray = np.concatenate(parts, axis=-1)[..., _ascending(groups)]
    return joined


def split(groups: list[Group], joined: np.ndarray) -> list[np.ndarray]:
    """Return values (bins,) in the order of :class:`Bins` as those of each group."""
    values = np.empty_like(joined)
    values[_ascending(groups)] = joined
    return np.split(values, np.cumsum([len(group.grid.top) for group in groups])[:-1])


def join_bins(groups: list[Group]) -> Bins:
    """Return the bins of all groups."""
    grids = [group.grid for group in groups]
    return Bins(
        join(groups, [grid.top for grid in grids]),
        join(groups, [grid.white for grid in grids]),
        grids[-1].times,
        join(groups, [grid.relaxation for grid in grids]),
        len(groups),
    )


def trace(matrices: np.ndarray) -> np.ndarray:
    """Return the mean over components of (…, d, d)."""
    mean: np.ndarray = np.trace(matrices, axis1=-2, axis2=-1) / matrices.shape[-1]
    return mean


def averaged_matrices(groups: list[Group], weights: np.ndarray) -> tuple[np.ndarray, Samples]:
    """Return the weighted spectrum of all runs, (d, d), and that of their segments.

    :param weights: (bins,) of the spectrum in the value.
    """
    value = sum(
        np.einsum('ijb,b->ij', group.grid.binned(np.moveaxis(group.spectra(1).mean(axis=0)[0], 0, 2)), own)
        for group, own in zip(groups, split(groups, weights), strict=True)
    )
    return np.asarray(value), segment_samples(groups, weights)


def segment_samples(groups: list[Group], weights: np.ndarray) -> Samples:
    """Return the values of segments of the runs that are independent, at least two.

    The weights of the best estimate are inverse to variances. Hence the variance of the value of a segment is taken as
    inverse to its share in the whole value.

    :param weights: (bins,) of the spectrum in the value.
    """
    width, parts = _bandwidth(groups, weights), split(groups, weights)
    shares = np.array([part @ group.grid.white for group, part in zip(groups, parts, strict=True)])
    shares /= shares.sum()
    chosen = [number for number in range(len(groups)) if shares[number] > LEAST_SHARE]
    least = 1 if sum(len(groups[number].runs) for number in chosen) > 1 else 2
    values, own = [], []
    for number in chosen:
        grid = groups[number].grid
        count = _segments(width / grid.frequency[1], least)
        samples = _segment_values(groups[number].spectra(count), parts[number], grid) / shares[number]
        values.append(samples.reshape(-1, *samples.shape[2:]))
        own.append(np.full(len(values[-1]), shares[number] / len(values[-1])))
    together = np.concatenate(own)
    return Samples(np.concatenate(values), together / together.sum())


def run_levels(groups: list[Group], weights: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the level of each run, (runs,), those of one length after those of the other, and the shares (runs,).

    :param weights: (bins,) of the spectrum in the level.
    :param expected: (bins,), the spectrum of which the level is one.
    """
    levels, shares = [], []
    for group, own, fitted in zip(groups, split(groups, weights), split(groups, expected), strict=True):
        share = float(own @ fitted)
        power = group.grid.binned(trace(group.spectra(1)[:, 0, : len(group.grid.frequency)]))
        levels.append(power @ own / share if share else np.ones(len(group.runs)))
        shares.append(np.full(len(group.runs), share / len(group.runs)))
    together = np.concatenate(shares)
    return np.concatenate(levels), together / together.sum()


def scatter_within_runs(groups: list[Group], weights: np.ndarray, expected: np.ndarray) -> Scatter:
    """Return the scatter of the levels of stretches of runs about the level of their run; nothing of too short ones.

    :param weights: (bins,) of the spectrum in the level.
    :param expected: (bins,), the spectrum of which the level is one.
    """
    squares, degrees = 0.0, 0
    single = sum(len(group.runs) for group in groups) == 1
    width, parts = _bandwidth(groups, weights), split(groups, weights)
    levels = [float(part @ fitted) for part, fitted in zip(parts, split(groups, expected), strict=True)]
    for group, own, level in zip(groups, parts, levels, strict=True):
        share = level / sum(levels) / len(group.runs)
        count = _segments(width / group.grid.frequency[1], 2 if single else 1)
        if share * len(group.runs) > LEAST_SHARE and count > 1:
            values = trace(_segment_values(group.spectra(count), own, group.grid)) / level
            squares += share * float(values.var(axis=1).sum())
            degrees += len(values) * (count - 1)
    return Scatter(squares, degrees)


def _segments(frequencies: float, least: int) -> int:
    """Return into how many segments a run can be cut whose values are independent.

    :param frequencies: number of frequencies that the value rests on.
    """
    return max([n for n in SEGMENTS if n > least and frequencies / n >= INDEPENDENT], default=least)


def _bandwidth(groups: list[Group], weights: np.ndarray) -> float:
    """Return the width in THz of the band that the value rests on, from the runs with the largest weight."""
    parts = split(groups, weights)
    grid, own = max(
        ((group.grid, part) for group, part in zip(groups, parts, strict=True)),
        key=lambda pair: float(pair[1] @ pair[0].white),
    )
    size = np.diff(grid.edges)
    return float(own.sum() ** 2 / (own**2 / size).sum() * grid.frequency[1])


def band_lag_ps(groups: list[Group], weights: np.ndarray) -> float:
    """Return the time in ps from which on motion counts as diffusion: half a period of the band's width."""
    return 1 / (2 * _bandwidth(groups, weights))


def _segment_values(runs: np.ndarray, weights: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the value of each segment of each run, (seeds, segments, d, d).

    :param runs: spectra (seeds, segments, frequencies, d, d).
    :param weights: (bins,) of the spectrum in the value.
    """
    size = np.diff(grid.edges)
    density = np.repeat(weights / size, size)
    density[0] = density[min(1, len(density) - 1)]
    segments, n_frequencies = runs.shape[1:3]
    frequency = np.arange(n_frequencies) / ((grid.frames // segments - 1) * grid.step_ps)
    share = np.interp(frequency, grid.frequency, density, right=0.0)
    share[0] *= 0.5
    values: np.ndarray = np.einsum('nsfij,f->nsij', runs, share) * frequency[1] / grid.frequency[1]
    return values
