"""The same state with several potentials of one training set, and what the potential adds to the error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

UPPER = 0.95


class PotentialScatter(NamedTuple):
    """How conductivities scatter between potentials. All but ``n`` and ``p_equal`` are relative to the mean."""

    n: int
    """The number of potentials."""
    mean_S_per_cm: float
    scatter: float
    """The standard deviation between the potentials, the errors of their runs included."""
    runs: float
    """The standard error of the runs of a single potential, as root mean square."""
    between: float
    """The standard deviation that is left to the potentials when the runs are taken off; 0 if nothing is left."""
    between_upper: float
    """The upper limit of ``between``, which holds in 95 %: with few potentials far above the estimate."""
    p_equal: float
    """The probability of so large a scatter if all potentials had one conductivity."""


def potential_scatter(
    sigmas_S_per_cm: Sequence[float], stderrs: Sequence[float], dofs: Sequence[float] | None = None
) -> PotentialScatter:
    """Return how conductivities of one state scatter between potentials, beyond the errors of their runs.

    The potentials are a random effect: the variance between n values is the sum of that between potentials and that of
    the runs, and (n - 1) times it over that sum follows χ² with n - 1 degrees of freedom (Searle, Casella, McCulloch,
    *Variance Components*, chapter 3). The errors of the runs are taken as equal, with their root mean square.

    :param sigmas_S_per_cm: shape (n,), one for each potential.
    :param stderrs: their standard errors, in the same unit.
    :param dofs: degrees of freedom of the standard errors; by default the errors are taken as exactly known.
    :raises ValueError: for fewer than two potentials, or a mean that is not above zero.
    """
    sigma, stderr = np.asarray(sigmas_S_per_cm, dtype=float), np.asarray(stderrs, dtype=float)
    n, mean = len(sigma), float(sigma.mean()) if len(sigma) else 0.0
    if n < 2 or not mean > 0:
        raise ValueError(f'{n} conductivities with a mean of {mean:g} S/cm: at least two above zero are needed.')
    variance, within = float(sigma.var(ddof=1)), float((stderr**2).mean())
    degrees = float(n / np.mean(1 / np.asarray(dofs, dtype=float))) if dofs is not None else math.inf
    upper = (n - 1) * variance / float(stats.chi2.ppf(1 - UPPER, n - 1))
    ratio = variance / within if within > 0 else math.inf
    p_equal = stats.f.sf(ratio, n - 1, degrees) if math.isfinite(degrees) else stats.chi2.sf((n - 1) * ratio, n - 1)
    return PotentialScatter(
        n,
        mean,
        math.sqrt(variance) / mean,
        math.sqrt(within) / mean,
        math.sqrt(max(variance - within, 0.0)) / mean,
        math.sqrt(max(upper - within, 0.0)) / mean,
        float(p_equal),
    )
