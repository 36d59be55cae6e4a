"""How much a conductivity depends on the ordering of a disordered crystal, beside its scatter between velocity seeds.

Every seed has one ordering: value = mean + ordering + seed, a one-way model with random effects. The mean squares of
the analysis of variance estimate both scatters (Searle, Casella, McCulloch, Variance Components, 1992, chapter 3). With
few orderings their scatter is hardly known, and an estimate of zero means little. The error of the mean is therefore
averaged over all ratios of the two scatters, with their probabilities under a half-Cauchy prior (Gelman 2006,
10.1214/06-BA117A): not knowing the ratio widens the interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from aiida_ionconduct.transport.estimators.results import Mixture

N_RATIOS = 400  # ratios of the scatters that are averaged over
ONE_SIGMA = 0.84135  # probability below one standard error
PRIOR_SCALE = 2.0  # median of the prior of scatter between orderings over scatter between seeds


class OrderingScatter(NamedTuple):
    """The scatter of a value between orderings, and between the seeds of an ordering.

    ``between`` and ``within`` are standard deviations with ``between_dof`` and ``within_dof`` degrees of freedom;
    ``between`` is zero where the orderings differ no more than their seeds let them. ``p_value`` is the probability of
    such a difference, or a larger one, if the orderings did not matter. ``within`` and ``p_value`` are None where every
    ordering has one seed. ``stderr`` of the mean over all runs has both parts; ``dof`` and ``mixture`` belong to it.
    """

    between: float
    between_dof: int
    within: float | None
    within_dof: int
    p_value: float | None
    stderr: float
    dof: float
    mixture: Mixture

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of the mean, which is not below zero."""
        low, high = (self.mixture.quantile(0.5 + sign * level / 2) for sign in (-1, 1))
        return max(low, 0.0), high


def ordering_scatter(
    values: Sequence[float], orderings: Sequence[str], *, mean: float, stderr: float, dof: float
) -> OrderingScatter | None:
    """Split the scatter of the values of runs into that between orderings and that between seeds.

    :param values: one for each run.
    :param orderings: the ordering of each run, by any label.
    :param mean: the number that all runs together give.
    :param stderr: its standard error from the runs alone, as if there were one ordering.
    :param dof: degrees of freedom of that error.
    :return: None with fewer than two orderings.
    """
    y, labels = np.asarray(values, dtype=float), list(dict.fromkeys(orderings))
    k, n = len(labels), len(y)
    if k < 2:
        return None
    groups = [y[[ordering == label for ordering in orderings]] for label in labels]
    sizes, means = np.array([len(group) for group in groups]), np.array([group.mean() for group in groups])
    ss_within = float(sum(((group - group.mean()) ** 2).sum() for group in groups))
    ss_between = float((sizes * (means - y.mean()) ** 2).sum())
    n_effective = (n - (sizes**2).sum() / n) / (k - 1)
    ms_between = ss_between / (k - 1)
    if n == k:  # the scatter of the runs is that of orderings and seeds together
        total = math.hypot(stderr, math.sqrt(ms_between / n))
        mixture = Mixture(np.ones(1), np.array([mean]), np.array([total]), float(min(dof, k - 1)))
        return OrderingScatter(math.sqrt(ms_between), k - 1, None, 0, None, total, float(min(dof, k - 1)), mixture)
    ms_within = ss_within / (n - k)
    # Variances between orderings over variances between seeds, at equal steps of the prior's probability.
    ratios = (PRIOR_SCALE * np.tan(np.pi / 2 * (np.arange(N_RATIOS) + 0.5) / N_RATIOS)) ** 2
    weights = sizes / (1 + sizes * ratios[:, None])
    centres = (weights * means).sum(axis=1) / weights.sum(axis=1)
    squares = ss_within + (weights * (means - centres[:, None]) ** 2).sum(axis=1)
    squares = np.maximum(squares, 1e-300)
    score = -0.5 * np.log1p(sizes * ratios[:, None]).sum(axis=1) - 0.5 * np.log(weights.sum(axis=1))
    score -= 0.5 * (n - 1) * np.log(squares)
    probability = np.exp(score - score.max())
    probability /= probability.sum()
    from_orderings = squares / (n - 1) * ratios * (sizes**2).sum() / n**2
    widths = np.sqrt(stderr**2 + from_orderings)
    part = float(from_orderings[np.searchsorted(np.cumsum(probability), 0.5)])  # the median
    total_dof = (stderr**2 + part) ** 2 / (stderr**4 / dof + part**2 / (n - 1))  # Satterthwaite 1946, 10.2307/3002019
    keep = probability > 1e-9
    mixture = Mixture(
        probability[keep] / probability[keep].sum(), np.full(int(keep.sum()), mean), widths[keep], float(total_dof)
    )
    p_value = float(stats.f.sf(ms_between / ms_within, k - 1, n - k)) if ms_within > 0 else 0.0
    total = max(mixture.stderr / float(stats.t.ppf(ONE_SIGMA, total_dof)), stderr)
    part = total**2 - stderr**2
    return OrderingScatter(
        between=math.sqrt(max(ms_between - ms_within, 0.0) / n_effective),
        between_dof=k - 1,
        within=math.sqrt(ms_within),
        within_dof=n - k,
        p_value=p_value,
        stderr=total,
        dof=float(total**4 / (stderr**4 / dof + part**2 / (k - 1))),
        mixture=mixture,
    )
