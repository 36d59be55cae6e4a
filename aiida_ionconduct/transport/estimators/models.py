"""Models of a spectrum near frequency zero, and their average.

Motion without inertia has a spectrum that rises from its value at zero by a sum of terms with positive weights, each
with a relaxation time. A model is the white spectrum of diffusion and none, one or two such terms, or diffusion with
inertia, up to a cutoff beyond which nothing is assumed. Every model is fitted at all relaxation times and cutoffs by
maximum likelihood, the periodogram being gamma-distributed about the spectrum (Whittle), and all are averaged with
their probabilities (Hoeting et al. 1999, 10.1214/ss/1009212519).

What is assumed before the data are seen, and why:

- Relaxation times are equally probable on a logarithmic scale, from a fraction of the time between frames to the length
  of the run. The spectrum of the longest has risen by 97.5 % at the lowest frequency: slower relaxation is diffusion as
  far as any run can tell.
- The weight of a relaxation is a share of the spectrum at its own frequency; all orders of magnitude of the share from
  1 to :data:`LEAST_WEIGHT` are equally probable. A smaller weight hardly changes the value at zero.
- None, one and two relaxations, and inertia, are equally probable.
- A model gains :data:`OCTAVE_GAIN` in the logarithm of its probability with each octave that it describes, which is
  about what a fit loses that is wrong by its error in that octave.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import special

from aiida_ionconduct.transport import _kernels
from aiida_ionconduct.transport.estimators.lengths import Bins

MIN_BINS = 6  # in a fit
OCTAVE_GAIN = 1.0
LEAST_WEIGHT = 0.02
SLOW_STEP = 5  # of the slower of two relaxations, every such time is taken
NODES = {1: 6, 2: 4}  # values of each weight that represent its distribution
VISIBLE, HALVED = 0.35, 1.0  # cutoff times 2 pi times relaxation time from which on a rise, or a fall, is seen
CUTOFF_RATIO = 1.37
# Beyond the frequency at which the spectrum has risen or fallen by this factor, it tells nothing of its value at zero.
RANGE = 100.0
NEGLIGIBLE = 9.0  # models less probable than the best by this logarithm are left out


class Average(NamedTuple):
    """The fits of all models at all times and cutoffs, each by several values of its relaxations' weights.

    ``probability`` (n,), normalised; ``value`` (n,) at frequency zero; ``variance`` (n,) of it; ``cut`` (n,) number of
    bins; ``weights`` (bins,) of the spectrum in the mean value; ``fitted`` (bins,), the mean of the fits that describe
    a bin.
    """

    probability: np.ndarray
    value: np.ndarray
    variance: np.ndarray
    cut: np.ndarray
    weights: np.ndarray
    fitted: np.ndarray


class _Fits(NamedTuple):
    """Fits of models with equally many terms up to one cutoff; see :class:`Average`.

    ``score`` (models, nodes), logarithm of the probability, not normalised; ``weights`` and ``fitted`` (models, cut).
    """

    cut: int
    score: np.ndarray
    value: np.ndarray
    variance: np.ndarray
    weights: np.ndarray
    fitted: np.ndarray


def average_models(spectrum: np.ndarray, shape: np.ndarray, bins: Bins) -> Average:
    """Fit all models to a spectrum and average them.

    :param spectrum: (bins,).
    :param shape: (bins,) shape of its gamma distribution.
    """
    terms = np.ascontiguousarray(np.concatenate((bins.white[None], bins.relaxation, bins.white - bins.relaxation)))
    level = _smoothed(spectrum, shape)
    fits, best = [], -math.inf
    for cut in cutoffs(spectrum, bins):
        for chosen, log_prior in _families(bins, cut):
            fit = _fit(spectrum, shape, terms, chosen, cut=cut, level=level, bins=bins, worst=best - NEGLIGIBLE)
            fit = fit._replace(score=fit.score + log_prior)
            best = max(best, _log_sum(fit.score))
            fits.append(fit)
    total = _log_sum(np.concatenate([fit.score.ravel() for fit in fits]))
    weights, fitted, described = np.zeros(len(spectrum)), np.zeros(len(spectrum)), np.zeros(len(spectrum))
    for fit in fits:
        probability = np.exp(fit.score - total).sum(axis=1)
        weights[: fit.cut] += probability @ fit.weights
        fitted[: fit.cut] += probability @ fit.fitted
        described[: fit.cut] += probability.sum()
    return Average(
        np.exp(np.concatenate([fit.score.ravel() for fit in fits]) - total),
        np.concatenate([fit.value.ravel() for fit in fits]),
        np.concatenate([fit.variance.ravel() for fit in fits]),
        np.concatenate([np.full(fit.score.size, fit.cut) for fit in fits]),
        weights,
        fitted / np.maximum(described, 1e-300),
    )


def _log_sum(logarithms: np.ndarray) -> float:
    """Return the logarithm of a sum."""
    largest = float(logarithms.max())
    return largest + math.log(float(np.exp(logarithms - largest).sum()))


def cutoffs(spectrum: np.ndarray, bins: Bins) -> list[int]:
    """Return numbers of bins, from the fewest that can be fitted to the last before the spectrum leaves its range."""
    smooth = np.convolve(np.pad(spectrum, 1, mode='edge'), np.full(3, 1 / 3), mode='valid')
    spread = np.maximum.accumulate(smooth) / np.maximum(np.minimum.accumulate(smooth), 1e-300)
    outside = spread > RANGE
    last = max(int(outside.argmax()) if outside.any() else len(spectrum), min(MIN_BINS + 2, len(spectrum)))
    cuts: list[int] = []
    for cut in range(min(MIN_BINS, last), last + 1):
        if not cuts or bins.top[cut - 1] >= CUTOFF_RATIO * bins.top[cuts[-1] - 1] or cut == last:
            cuts.append(cut)
    return cuts


def _smoothed(spectrum: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Return the spectrum averaged over five neighbouring bins."""
    sums = [np.convolve(np.pad(values, 2), np.ones(5), mode='valid') for values in (spectrum * shape, shape)]
    smoothed: np.ndarray = sums[0] / sums[1]
    return smoothed


def _families(bins: Bins, cut: int) -> list[tuple[np.ndarray, float]]:
    """Return the models up to a cutoff: numbers of their terms (models, parameters), and log prior of each."""
    n_times, phase = len(bins.times), 2 * np.pi * bins.times * bins.top[cut - 1]
    first, halved = int(np.searchsorted(phase, VISIBLE)), np.flatnonzero(phase > HALVED)
    singles = np.arange(1 + first, 1 + n_times)
    families = [np.zeros((1, 1), dtype=np.intp), np.column_stack((np.zeros_like(singles), singles))]
    if cut >= MIN_BINS + 2:
        families.append(_pairs(first, n_times))
    families.append(1 + n_times + halved[:, None])
    return [(chosen, -math.log(len(chosen))) for chosen in families if len(chosen)]


@lru_cache(maxsize=256)
def _pairs(first: int, n_times: int) -> np.ndarray:
    """Return the terms of the sums of white and two relaxations, (models, 3).

    The faster relaxation takes all times: vibrations are far above the value at zero and known well, and one of a wrong
    time would take up the other relaxation. The slower one is less well known, and takes some, the longest included.
    """
    slow_times = range(n_times - 1, first, -SLOW_STEP)
    pairs = [(0, 1 + fast, 1 + slow) for slow in slow_times for fast in range(first, slow - SLOW_STEP // 2)]
    return np.array(pairs, dtype=np.intp).reshape(-1, 3)


def _fit(
    spectrum: np.ndarray,
    shape: np.ndarray,
    terms: np.ndarray,
    chosen: np.ndarray,
    *,
    cut: int,
    level: np.ndarray,
    bins: Bins,
    worst: float,
) -> _Fits:
    """Fit models to the lowest bins.

    :param terms: (terms, bins).
    :param chosen: (models, parameters), the terms of each model.
    :param level: (bins,) the smoothed spectrum.
    :param worst: score below which a model is left out.
    """
    models, size = chosen.shape
    parameters, covariance = np.empty((models, size)), np.empty((models, size, size))
    deviance, weights, fitted = np.empty(models), np.empty((models, cut)), np.empty((models, cut))
    power = np.maximum(spectrum[:cut], 1e-6 * spectrum[:cut].max())
    results = (parameters, covariance, deviance, weights, fitted)
    _kernels.fit_spectra(power, np.ascontiguousarray(shape[:cut]), terms, chosen, *results)
    octaves = math.log2(bins.top[cut - 1] / bins.top[bins.lowest])
    score = -0.5 * (deviance - cut) + OCTAVE_GAIN * octaves
    if size == 1:
        variance = covariance[:, 0, 0] + np.gradient(parameters[:, 0]) ** 2 / 12 if models > 1 else covariance[:, 0, 0]
        return _Fits(cut, score[:, None], parameters, variance[:, None], weights, fitted)
    # The weight of a relaxation is its rise within the band.
    rise = np.abs(terms[:, :cut]).max(axis=1)[chosen[:, 1:]]
    frequency = 1 / bins.times[chosen[:, 1:] - 1]
    largest = level[np.minimum(np.searchsorted(bins.top, frequency), cut - 1)] / rise
    spread = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)[:, 1:])
    keep = score + np.log(np.minimum(spread / largest / LEAST_WEIGHT, 1.0)).sum(axis=1) > worst - math.log(models)
    keep[int(score.argmax())] = True
    value, variance, log_share = _marginal(parameters[keep], covariance[keep], largest[keep], NODES[size - 1])
    if size == 2 and keep.sum() > 1:
        variance = variance + (np.gradient(parameters[keep, 0]) ** 2 / 12)[:, None]
    return _Fits(cut, score[keep, None] + log_share, value, variance, weights[keep], fitted[keep])


def _marginal(
    parameters: np.ndarray, covariance: np.ndarray, largest: np.ndarray, nodes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Integrate over the weights of the relaxations, which are positive.

    :param parameters: (models, 1 + weights) of normal distributions, the value first.
    :param covariance: (models, 1 + weights, 1 + weights).
    :param largest: (models, weights), the range of each weight.
    :param nodes: number of equally probable values of each weight.
    :return: mean and variance of the value given each combination of weights, (models, combinations), and the logarithm
        of the probability of the combination.
    """
    models, size = parameters.shape
    means, log_share, within = parameters[:, None, :], np.zeros((models, 1)), np.zeros((models, 1))
    for index in range(size - 1, 0, -1):
        width, top = np.sqrt(covariance[:, index, index])[:, None], largest[:, index - 1, None]
        places, missing, log_mass = truncated(means[..., index] / width, top / width, nodes)
        prior = np.log(places * (width / top)[..., None] + LEAST_WEIGHT)
        prior += math.log(math.log((1 + LEAST_WEIGHT) / LEAST_WEIGHT))
        log_share = (log_share + log_mass + np.log(math.sqrt(2 * math.pi) * width / top / nodes))[..., None] - prior
        log_share = log_share.reshape(models, -1)
        slope = covariance[:, :index, index] / covariance[:, index, index, None]
        off = (places * width[..., None] - means[..., index, None])[..., None]
        means = (means[:, :, None, :index] + slope[:, None, None] * off).reshape(models, -1, index)
        within = within + slope[:, :1] ** 2 * width**2 * missing
        within = np.repeat(within, nodes, axis=1)
        covariance = covariance[:, :index, :index] - slope[:, :, None] * covariance[:, None, :index, index]
    return means[..., 0], covariance[:, 0, :1] + within, log_share


def truncated(centre: np.ndarray, top: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return equally probable places of unit normal distributions between 0 and ``top``.

    :param centre: (…,) of the distributions.
    :return: places (…, nodes), the variance (…,) that the places lack, and the log of the masses (…,).
    """
    low, high = -centre, top - centre
    below, mass = special.ndtr(low), np.maximum(special.ndtr(high) - special.ndtr(low), 1e-300)
    quantiles = (np.arange(nodes) + 0.5) / nodes
    cumulative = np.clip(below[..., None] + quantiles * mass[..., None], 1e-300, 1 - 1e-16)
    places = centre[..., None] + special.ndtri(cumulative)
    tail = -np.log1p(-quantiles) / np.maximum(low, 1.0)[..., None]  # far below zero the tail is exponential
    places = np.clip(np.where(low[..., None] > 6, tail, places), 0.0, top[..., None])
    scale = math.sqrt(2 * math.pi) * np.where(low > 6, 1.0, mass)
    at_low, at_high = (np.exp(-0.5 * end**2) / scale for end in (low, high))
    variance = 1 + low * at_low - high * at_high - (at_low - at_high) ** 2
    variance = np.where(low > 6, np.minimum(1 / np.maximum(low, 6.0) ** 2, top**2 / 12), variance)
    return places, np.clip(variance - places.var(axis=-1), 0.0, 1.0), np.log(mass)
