"""The diffusivity as the power spectrum of the current at frequency zero, averaged over models of the spectrum.

From zero up to a cutoff, the spectrum is described as white (diffusion), as white and one relaxation (vibrations and
back-hops, which raise it beyond their frequency; inertia, which lowers it), or as inertia alone. Every model at
every relaxation time and cutoff is fitted by maximum likelihood, the periodogram being gamma-distributed about the
spectrum, and all are averaged with their probabilities (Hoeting et al. 1999, 10.1214/ss/1009212519). So neither the
caging time nor a cutoff has to be known, and not knowing them is part of the interval. The use of spectra follows
Toraman, Verstraelen et al. 2025 (STACIE, 10.1021/acs.jcim.5c01475), the gamma likelihood Whittle's.
"""

from __future__ import annotations

import math
from typing import NamedTuple

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
    segment_samples,
    trace,
)
from aiida_ionconduct.transport.estimators.results import Mixture, Slope, SpectralWeights
from aiida_ionconduct.transport.spectrum import USUAL_TIME_PS, Grid

MIN_BINS = 6  # in a fit
# Ions always vibrate and hop back within picoseconds, so the spectrum is taken as white below this frequency only: a
# small rise beyond it would not be seen and would be averaged in.
WHITE_THZ = 0.1
INERTIA_PRIOR = 1.5  # logarithm of its prior probability over that of the other models: it has one parameter less
# Logarithm of the probability gained by each octave that a model describes. A fit that is wrong by an error of the
# octave loses about as much.
OCTAVE_GAIN = 1.0
AMPLITUDE = 2.0  # scale of the prior of a relaxation's amplitude, in units of the spectrum
# No model is true to better than this, however much data there are.
TOLERANCE = 0.03
# Beyond the frequency at which the spectrum has risen or fallen by this factor, it tells nothing of its value at zero.
RANGE = 100.0
# The scatter of few segments is known badly: theory counts as this many segments.
THEORY_DOF = 30
# The scatter of segments is somewhat below theory; from the coverage of the intervals (benchmarks/coverage.py).
VARIANCE_FACTOR = 0.9
PLATEAU = 0.25  # largest rise of the spectrum from zero to the lowest frequency of the run


class Models(NamedTuple):
    """All models at all relaxation times and cutoffs, with what their fits gave.

    ``score`` the logarithm of the probability, not normalised; ``value`` D; ``variance`` of it; ``weights`` (models,
    bins): value = weights @ spectrum; ``cut`` the number of bins used; ``lowest`` the fit at the lowest frequency above
    zero.
    """

    score: np.ndarray
    value: np.ndarray
    variance: np.ndarray
    weights: np.ndarray
    cut: np.ndarray
    lowest: np.ndarray


def spectral(tracks: list[Track], dt_ps: float, runs: list[dict[int, np.ndarray]] | None = None) -> Slope:
    """Estimate D from the averaged models; the error from the scatter of segments and the spread of the models.

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
    dof = 1 / (1 / samples_of_bins + TOLERANCE**2)
    models = _fit_models(mean, dof, bins)
    probability = np.exp(models.score - models.score.max())
    probability /= probability.sum()
    weights = probability @ models.weights
    value = float(probability @ models.value)

    tensor, sampled = averaged_matrices(groups, weights)
    values = trace(sampled.values)
    cutoff = float(bins.top[round(probability @ models.cut) - 1])
    shot = _shot_noise(groups, mean**2 / samples_of_bins, cutoff)
    theory = float((weights**2 * mean**2 / dof).sum()) + shot
    scatter = float(sampled.variance(values))
    scatter_dof = values.size - 1
    ratio = (scatter_dof * scatter + THEORY_DOF * theory) / ((scatter_dof + THEORY_DOF) * theory)
    blocks = values.reshape(len(tracks) if len(groups) == 1 else 1, -1)
    lag_ps = band_lag_ps(groups, weights)
    if max(track.n_frames for track in tracks) * dt_ps < USUAL_TIME_PS:
        # All of it may be vibration.
        return Slope(value, abs(value), 1, blocks, abs(value), lag_ps, False, _cutoff_scan(models, bins))
    keep = probability > 1e-6
    mixture = Mixture(
        probability[keep] / probability[keep].sum(),
        models.value[keep],
        np.sqrt(VARIANCE_FACTOR * ratio * (models.variance[keep] + shot)),
        scatter_dof + THEORY_DOF,
    )
    stderr = mixture.stderr
    return Slope(
        value=value,
        stderr=stderr,
        dof=mixture.dof,
        blocks=blocks + value - blocks.mean(),
        bias=math.sqrt(max(stderr**2 - ratio * theory, 0.0)),
        lag_ps=lag_ps,
        plateau=bool(probability @ models.lowest < (1 + PLATEAU) * value),
        scan=_cutoff_scan(models, bins),
        mixture=mixture,
        spectral=SpectralWeights(weights, mean**2 / dof, shot),
        tensor=(tensor, sampled.error()),
    )


def matrix(tracks: list[Track], dt_ps: float, spectral: SpectralWeights) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix (d, d) of the components' coefficients in Å²/ps, and its standard error.

    The matrix is the same average over the spectrum as the value of another estimate: where the sum of the coordinates
    is the coordinate of that estimate, the sum of the elements is its value. The error is the scatter of segments.

    :param tracks: one per seed, of as many frames as the tracks of that estimate.
    :param spectral: how that estimate averages over the spectrum.
    """
    value, sampled = matrix_samples(tracks, dt_ps, spectral)
    return value, sampled.error()


def matrix_samples(tracks: list[Track], dt_ps: float, spectral: SpectralWeights) -> tuple[np.ndarray, Samples]:
    """Return the matrix (d, d) of :func:`matrix`, and that of each segment of each run."""
    return averaged_matrices(groups_by_length(tracks, dt_ps), spectral.weights)


def at_rest(n_seeds: int, dt_ps: float) -> Slope:
    """Return the result for particles that do not move at all."""
    scan = {'lag_ps': np.array([dt_ps]), 'value': np.zeros(1), 'stderr': np.zeros(1)}
    return Slope(0.0, 0.0, math.inf, np.zeros((n_seeds, 2)), 0.0, dt_ps, True, scan)


def independent_components(power: np.ndarray, mean: np.ndarray, grid: Grid, most: int) -> float:
    """Return how many independent components the power of one run is the average of.

    The relative variance of a periodogram is the inverse of the number of components that it averages. Particles that
    move together, and components that hardly move, count for less than one each. Only variation within a run counts:
    what its frequencies share is ``_shot_noise``.

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


def _fit_models(mean: np.ndarray, dof: np.ndarray, grid: Bins) -> Models:
    """Fit all models up to all cutoffs, about two for each octave."""
    parts, inertia = [], grid.white - grid.relaxation
    # A relaxation longer than usual is less probable, in proportion.
    prior = -np.log(np.maximum(grid.times / USUAL_TIME_PS, 1.0))
    prior -= np.log(np.exp(prior).sum())
    cuts = _cutoffs(mean, grid)
    for cut in cuts:
        phase = 2 * np.pi * grid.times * grid.top[cut - 1]
        families = []
        if grid.top[cut - 1] <= WHITE_THZ or cut == cuts[0]:
            families.append((grid.white[None, :, None], np.zeros(1)))
        visible, halved = phase > 0.35, phase > 1.0
        relaxing = np.stack(np.broadcast_arrays(grid.white, grid.relaxation[visible]), axis=2)
        families.append((relaxing, prior[visible]))
        families.append((inertia[halved][:, :, None], prior[halved] + INERTIA_PRIOR))
        parts += [
            _fit(mean, dof, design, cut=cut, grid=grid, log_prior=log_prior)
            for design, log_prior in families
            if len(design)
        ]
    return Models(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _cutoffs(mean: np.ndarray, grid: Bins) -> list[int]:
    """Return numbers of bins, from the fewest that can be fitted to the last before the spectrum leaves its range."""
    smooth = np.convolve(np.pad(mean, 1, mode='edge'), np.full(3, 1 / 3), mode='valid')
    spread = np.maximum.accumulate(smooth) / np.maximum(np.minimum.accumulate(smooth), 1e-300)
    last = max(int(np.searchsorted(spread > RANGE, True)), min(MIN_BINS + 2, len(mean)))
    cuts: list[int] = []
    for cut in range(min(MIN_BINS, last), last + 1):
        if not cuts or grid.top[cut - 1] >= 1.37 * grid.top[cuts[-1] - 1] or cut == last:
            cuts.append(cut)
    return cuts


def _fit(
    mean: np.ndarray, dof: np.ndarray, design: np.ndarray, *, cut: int, grid: Bins, log_prior: np.ndarray
) -> Models:
    """Fit models that are linear in their parameters, D the first, to the lowest bins by Fisher scoring.

    :param mean: (bins,) spectrum.
    :param dof: (bins,) shape of its gamma distribution.
    :param design: (models, bins, parameters).
    :param cut: number of bins that are fitted.
    :param log_prior: (models,), logarithm of the prior probability.
    """
    power, shape = mean[:cut], dof[:cut]
    design = design[:, :cut] / np.abs(design[:, :cut]).max(axis=1, keepdims=True)
    floor = np.maximum(0.02 * power, 1e-300)
    fitted = np.broadcast_to(np.maximum(power, 1e-6 * power.max()), design.shape[:2])
    for _ in range(8):
        weighted = design * (shape / fitted**2)[..., None]
        information = np.einsum('mbp,mbq->mpq', weighted, design)
        size = np.trace(information, axis1=1, axis2=2)[:, None, None]
        covariance = np.linalg.inv(information + 1e-12 * size * np.eye(design.shape[2]))
        parameters = np.einsum('mpq,mbq,b->mp', covariance, weighted, power)
        raw = np.einsum('mbp,mp->mb', design, parameters)
        fitted = np.maximum(raw, floor)
    ratio = np.maximum(power, floor) / fitted
    deviance = 2 * (shape * (ratio - 1 - np.log(ratio))).sum(axis=1)
    # A spectrum is positive: a fit that is not is made improbable.
    deviance += np.where((raw <= floor).any(axis=1), 50.0, 0.0)
    occam = np.log(
        np.minimum(1.0, np.sqrt(2 * np.pi * covariance[:, [1], [1]]) / (AMPLITUDE * np.median(power)))
        if design.shape[2] > 1
        else np.ones((len(design), 1))
    ).sum(axis=1)
    octaves = math.log2(grid.top[cut - 1] / grid.top[grid.lowest])
    weights = np.zeros((len(design), len(mean)))
    # `white` is scaled to a maximum of one like the others: undo that for D.
    white = np.abs(grid.white[:cut]).max()
    weights[:, :cut] = np.einsum('mp,mbp->mb', covariance[:, 0], weighted) / white
    return Models(
        -0.5 * (deviance - cut) + OCTAVE_GAIN * octaves + log_prior + occam,
        parameters[:, 0] / white,
        covariance[:, 0, 0] / white**2,
        weights,
        np.full(len(design), cut),
        fitted[:, grid.lowest],
    )


def _shot_noise(groups: list[Group], variance: np.ndarray, cutoff: float) -> float:
    """Return the variance of the value that all its frequencies share, and that no band averages away.

    How many hops a run holds makes its whole spectrum higher or lower. It shows in the scatter of the mean over a band
    from segment to segment, beyond what a Gaussian process with that spectrum would have.

    :param variance: (bins,) variance of the mean of all runs' spectra for a Gaussian process.
    :param cutoff: highest frequency of the band, THz.
    """
    bands = [np.where(group.grid.top <= cutoff, np.diff(group.grid.edges) * len(group.runs), 0.0) for group in groups]
    total = sum(band.sum() for band in bands)
    band = join(groups, [part / total for part in bands])
    sampled = segment_samples(groups, band)
    return max(float(sampled.variance(trace(sampled.values))) - float(band**2 @ variance), 0.0)


def _cutoff_scan(models: Models, grid: Bins) -> dict[str, np.ndarray]:
    """Return the value that each cutoff alone gives, against the time that it resolves."""
    rows = []
    for cut in np.unique(models.cut)[::-1]:
        here = models.cut == cut
        probability = np.exp(models.score[here] - models.score[here].max())
        probability /= probability.sum()
        value = probability @ models.value[here]
        variance = probability @ (models.variance[here] + (models.value[here] - value) ** 2)
        rows.append((1 / (2 * grid.top[cut - 1]), value, math.sqrt(variance)))
    lag, value, stderr = np.array(rows).T
    return {'lag_ps': lag, 'value': value, 'stderr': stderr}
