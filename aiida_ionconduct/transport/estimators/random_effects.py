"""How much the values of runs, or of segments of runs, scatter in excess of what their spectra say."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

STEP = 0.3  # of the logarithm of the variance
LEAST_RANGE = 30.0  # the variance is considered up to that of theory times this factor, or further
# Probability that there is no excess, in units of that of a factor e of the variance. With it, intervals of normal
# samples hold the truth in 93 to 99 % (95 % intervals) and 65 to 77 % (68 % intervals) of cases, for 3 to 10 samples
# and any true excess; without it nearly always if there is none.
NO_EXCESS = 2.0


class Scatter(NamedTuple):
    """Squared deviations of samples: their sum has the expectation ``degrees`` times the variance of the mean."""

    squares: float
    degrees: int


class Excess(NamedTuple):
    """The distribution of the variance of a mean in excess of theory: ``variance`` (n,) and ``probability`` (n,).

    ``dof`` are the degrees of freedom with which the variance, excess and theory together, is known.
    """

    variance: np.ndarray
    probability: np.ndarray
    dof: float

    def scaled(self, factor: float) -> Excess:
        """Return the distribution of the variance times a factor."""
        return self._replace(variance=self.variance * factor)

    @property
    def median(self) -> float:
        """Median of the excess variance."""
        return float(self.variance[int(np.searchsorted(np.cumsum(self.probability), 0.5))])


def excess_variance(within: Scatter, between: Scatter, theory: float, largest: float) -> Excess:
    """Return the distribution of the variance of a mean in excess of theory.

    The variance between stretches of a run is at least that of theory: hops are few and sudden, and their number in a
    stretch raises or lowers the whole spectrum. The variance between runs is at least that between stretches of a run:
    runs differ in their temperature, or in what their ions have found. Beyond these limits all orders of magnitude are
    equally probable beforehand, which gives Student's t with the samples' degrees of freedom where the excess is large.

    :param within: of stretches about the mean of their run.
    :param between: of runs.
    :param theory: variance of the mean by theory.
    :param largest: largest variance possible.
    """
    logarithm = np.arange(0.0, math.log(max(largest / theory, LEAST_RANGE)) + STEP, STEP)
    variance = theory * np.exp(logarithm)
    probability = np.exp(_log_likelihood(within, variance)) * _prior(len(variance)) if within.degrees else None
    if between.degrees:
        likelihood = np.exp(_log_likelihood(between, variance))
        floors = [1.0] if probability is None else probability
        probability = np.zeros(len(variance))
        for first, share in enumerate(floors):
            probability[first:] += share * likelihood[first:] * _prior(len(variance) - first)
    if probability is None:
        probability = np.eye(1, len(variance))[0]
    keep = probability > 1e-5 * probability.max()
    kept, precision = probability[keep] / probability[keep].sum(), np.exp(-logarithm[keep])
    spread = float(kept @ (precision - kept @ precision) ** 2)
    dof = 2 * float(kept @ precision) ** 2 / max(spread, 1e-9)
    return Excess((np.exp(logarithm[keep]) - 1) * theory, kept, dof)


def _log_likelihood(scatter: Scatter, variance: np.ndarray) -> np.ndarray:
    """Return the logarithm of the likelihood of variances, the largest being zero."""
    likelihood: np.ndarray = -0.5 * (scatter.degrees * np.log(variance) + scatter.squares / variance)
    relative: np.ndarray = likelihood - likelihood.max()
    return relative


def _prior(n: int) -> np.ndarray:
    """Return the prior probabilities of n variances, the first of which is the least possible one."""
    prior = np.ones(n)
    prior[0] = 0.5 + NO_EXCESS / STEP
    normalised: np.ndarray = prior / prior.sum()
    return normalised
