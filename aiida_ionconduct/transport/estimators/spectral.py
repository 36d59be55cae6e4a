"""The diffusivity as the power spectrum of the current at frequency zero, averaged over models of the spectrum.

:mod:`~aiida_ionconduct.transport.estimators.models` says which models, so that neither relaxation times nor a cutoff
have to be known, and not knowing them is part of the interval. The use of spectra follows Toraman, Verstraelen et al.
2025 (STACIE, 10.1021/acs.jcim.5c01475). The scatter of the runs in excess of what the spectrum says is added
(:mod:`~aiida_ionconduct.transport.estimators.random_effects`).
"""

from __future__ import annotations

import math

import numpy as np

from aiida_ionconduct.transport.displacement import Track
from aiida_ionconduct.transport.estimators.lengths import (
    Bins,
    Group,
    Samples,
    averaged_matrices,
    band_lag_ps,
    groups_by_length,
    join,
    join_bins,
    run_levels,
    scatter_within_runs,
    trace,
)
from aiida_ionconduct.transport.estimators.models import Average, average_models
from aiida_ionconduct.transport.estimators.random_effects import Excess, Scatter, excess_variance
from aiida_ionconduct.transport.estimators.results import Mixture, Slope, SpectralWeights
from aiida_ionconduct.transport.spectrum import Grid

# Atoms vibrate within picoseconds, so that all motion in a shorter run may be vibration.
SHORTEST_RUN_PS = 4.0
PLATEAU = 0.25  # largest rise of the spectrum from zero to the lowest frequency of the run
SLOW_RANGE = 1.5  # within which the spectrum is that of slow motion, as a factor
PLACES, WIDTHS = 120, 6  # numbers of classes of values and of widths into which models are gathered


def spectral(tracks: list[Track], dt_ps: float, runs: list[dict[int, np.ndarray]] | None = None) -> Slope:
    """Estimate D from the averaged models.

    Runs of several lengths are fitted together, each with the spectra that a run of its length is expected to show.

    :param runs: the spectra of the tracks, where they are known.
    """
    groups = groups_by_length(tracks, dt_ps, runs)
    powers = [trace(group.spectra(1)[:, 0, : len(group.grid.frequency)]) for group in groups]  # (seeds, frequencies)
    means = [group.grid.binned(power).mean(axis=0) for group, power in zip(groups, powers, strict=True)]
    if not max(mean.max() for mean in means) > 0:
        return at_rest(len(tracks), dt_ps)
    bins, mean = join_bins(groups), join(groups, means)
    independent = _pooled_components(powers, means, groups, len(tracks[0].particles) * tracks[0].dimension)
    samples_of_bins = independent * join(groups, [len(group.runs) * group.grid.pairs for group in groups])
    average = average_models(mean, samples_of_bins, bins)
    models = _gathered(average)
    variance = average.fitted**2 / samples_of_bins
    band = _band(average.fitted, samples_of_bins, bins)
    levels, shares = run_levels(groups, band, average.fitted)
    square = float(average.probability @ average.value) ** 2
    theory = square * float(band**2 @ variance)  # of the level of all runs, in the unit of the value
    between = Scatter(float(shares @ (levels - shares @ levels) ** 2), len(levels) - 1)
    within = scatter_within_runs(groups, band, average.fitted)
    excess = excess_variance(within, between, theory / square, largest=1.0).scaled(square)
    mixture = with_excess(models, excess)
    value, stderr = mixture.quantile(0.5), mixture.stderr
    # The same average over any other spectrum gives its part in the value.
    weights = average.weights * (value / float(average.weights @ mean))
    tensor, sampled = averaged_matrices(groups, weights)
    blocks = trace(sampled.values).reshape(len(tracks) if len(groups) == 1 else 1, -1)
    lag_ps = band_lag_ps(groups, weights)
    scan = _cutoff_scan(average, bins)
    if max(track.n_frames for track in tracks) * dt_ps < SHORTEST_RUN_PS:
        return Slope(value, abs(value), 1, blocks, abs(value), lag_ps, False, scan)
    scatter = float(average.weights**2 @ variance) + excess.median
    return Slope(
        value=value,
        stderr=stderr,
        dof=excess.dof * max(stderr**2 / (theory + excess.median), 1.0) ** 2,
        blocks=blocks + value - blocks.mean(),
        bias=math.sqrt(max(stderr**2 - scatter, 0.0)),
        lag_ps=lag_ps,
        plateau=bool(average.fitted[bins.lowest] < (1 + PLATEAU) * value),
        scan=scan,
        mixture=mixture,
        spectral=SpectralWeights(weights, variance, band, levels, shares, models, excess.median),
        tensor=(tensor, np.maximum(sampled.error(), _gaussian_error(tensor, float(average.weights**2 @ variance)))),
    )


def _gaussian_error(tensor: np.ndarray, variance: float) -> np.ndarray:
    """Return the standard error (d, d) of a tensor that a Gaussian process of independent samples would have.

    The elements are Wishart-distributed: var T_ij = c (T_ii T_jj + T_ij²)/2, and so var trace T = c sum T_ij². The
    scatter of few segments can be smaller by chance.

    :param variance: of the mean of the diagonal.
    """
    relative = variance * len(tensor) ** 2 / float(np.sum(tensor**2))
    diagonal = np.maximum(np.diagonal(tensor), 0.0)
    error: np.ndarray = np.sqrt(relative * (np.outer(diagonal, diagonal) + tensor**2) / 2)
    return error


def _band(fitted: np.ndarray, samples: np.ndarray, bins: Bins) -> np.ndarray:
    """Return the weights (bins,) of the spectrum in the level of a run, the spectrum over the fitted one.

    Runs that differ in their temperature, or hold more or fewer hops, differ in the whole spectrum of slow motion. Its
    level is seen best in all frequencies together at which the spectrum has not yet become that of other motion.
    """
    ratio = fitted / fitted[bins.lowest]
    alike = (ratio < SLOW_RANGE) & (ratio > 1 / SLOW_RANGE)
    slow = np.logical_and.accumulate(alike | (np.arange(len(ratio)) < bins.lowest))
    weights = np.asarray(np.where(slow, samples / np.maximum(fitted, 1e-300), 0.0))
    return weights / float(weights @ fitted)


def _gathered(average: Average) -> Mixture:
    """Return the distribution of the value, with models of nearly equal values and widths taken together."""
    centre = float(average.probability @ average.value)
    spread = math.sqrt(float(average.probability @ (average.variance + (average.value - centre) ** 2)))
    places = np.clip((average.value - centre) / spread * 10 + PLACES / 2, 0, PLACES - 1).astype(int)
    widths = np.clip(np.log2(average.variance / spread**2) + WIDTHS - 1, 0, WIDTHS - 1).astype(int)
    classes = places * WIDTHS + widths
    sums = [
        np.bincount(classes, average.probability * moment, PLACES * WIDTHS)
        for moment in (1.0, average.value, average.variance + average.value**2)
    ]
    keep = sums[0] > 1e-6
    probability, value, square = (moment[keep] for moment in sums)
    mean, mean_square = value / probability, square / probability
    widths = np.sqrt(np.maximum(mean_square - mean**2, 1e-12 * mean**2))
    return Mixture(probability / probability.sum(), mean, widths)


def with_excess(models: Mixture, excess: Excess) -> Mixture:
    """Return a distribution with the excess variance of the runs."""
    weights, values, widths = models[:3]
    return Mixture(
        np.outer(weights, excess.probability).ravel(),
        np.repeat(values, len(excess.variance)),
        np.sqrt(widths[:, None] ** 2 + excess.variance).ravel(),
    )


def matrix_samples(tracks: list[Track], dt_ps: float, spectral: SpectralWeights) -> tuple[np.ndarray, Samples]:
    """Return the matrix (d, d) of the components' coefficients in Å²/ps, and that of each segment of each run.

    The matrix is the same average over the spectrum as the value of another estimate: where the sum of the coordinates
    is the coordinate of that estimate, the sum of the elements is its value.

    :param tracks: one per seed, of as many frames as the tracks of that estimate.
    :param spectral: how that estimate averages over the spectrum.
    """
    return averaged_matrices(groups_by_length(tracks, dt_ps), spectral.weights)


def at_rest(n_seeds: int, dt_ps: float) -> Slope:
    """Return the result for particles that do not move at all."""
    scan = {'lag_ps': np.array([dt_ps]), 'value': np.zeros(1), 'stderr': np.zeros(1)}
    return Slope(0.0, 0.0, math.inf, np.zeros((n_seeds, 2)), 0.0, dt_ps, True, scan)


def independent_components(power: np.ndarray, mean: np.ndarray, grid: Grid, most: int) -> float:
    """Return how many independent components the power of one run is the average of.

    The relative variance of a periodogram is the inverse of the number of components that it averages. Particles that
    move together, and components that hardly move, count for less than one each. Only variation within a run counts:
    what its frequencies share is the scatter of the level of runs and of their segments.

    :param power: (seeds, frequencies).
    :param mean: (bins,), the mean of the seeds.
    :param most: particles times components.
    """
    return _components(*_relative_variance(power, mean, grid), most)


def _pooled_components(powers: list[np.ndarray], means: list[np.ndarray], groups: list[Group], most: int) -> float:
    """Return :func:`independent_components` of runs of several lengths."""
    sums = [
        _relative_variance(power, mean, group.grid) for power, mean, group in zip(powers, means, groups, strict=True)
    ]
    totals, degrees = zip(*sums, strict=True)
    return _components(sum(totals), sum(degrees), most)


def _components(total: float, degrees: float, most: int) -> float:
    """Return the inverse of the relative variance, a total over degrees of freedom, as a number of components."""
    return float(np.clip(degrees / total if total else 1.0, 1.0, most))


def _relative_variance(power: np.ndarray, mean: np.ndarray, grid: Grid) -> tuple[float, float]:
    """Return the relative variances of a power (seeds, frequencies) within bins: their sum, and the sum of weights."""
    total = degrees = 0.0
    for low, high, level in zip(grid.edges[1:-1], grid.edges[2:], mean[1:], strict=True):
        if high - low > 1 and level > 0:
            samples = power[:, low:high] / level
            weight = min(samples.size - len(samples), 40)
            total += weight * samples.var(axis=1, ddof=1).mean()
            degrees += weight
    return total, degrees


def _cutoff_scan(average: Average, bins: Bins) -> dict[str, np.ndarray]:
    """Return the value that each cutoff alone gives, against the time that it resolves."""
    rows = []
    for cut in np.unique(average.cut)[::-1]:
        here = average.cut == cut
        probability = average.probability[here] / max(average.probability[here].sum(), 1e-300)
        value = probability @ average.value[here]
        variance = probability @ (average.variance[here] + (average.value[here] - value) ** 2)
        rows.append((1 / (2 * bins.top[cut - 1]), value, math.sqrt(variance)))
    lag, value, stderr = np.array(rows).T
    return {'lag_ps': lag, 'value': value, 'stderr': stderr}
