"""The Haven ratio of two conductivities from the same runs, and its error."""

from __future__ import annotations

import math

import numpy as np

from aiida_ionconduct.transport.estimators.results import Estimate, Mixture, mean_and_error, merge_blocks

# Models that put the full conductivity below this share of its value are left out of the Haven ratio.
LEAST_SHARE = 0.1


def haven_ratio(tracer: Estimate, full: Estimate, n_mobile: int) -> Estimate | None:
    """Return sigma_tracer/sigma_full with the error of the logarithm of the ratio; None where either has no value.

    Both conductivities come from the same runs, so their errors are correlated. Spectral estimates give the
    distribution of the full conductivity, model by model, and the correlation of the two errors; other estimates give
    paired blocks.

    :param tracer: tracer conductivity, in the unit of the full one.
    :param full: full conductivity.
    :param n_mobile: number of mobile particles.
    """
    if tracer.value is None or tracer.stderr is None or full.value is None:
        return None
    ratio = tracer.value / full.value
    mixture = full.diagnostics['mixture']
    if mixture is None or tracer.diagnostics['mixture'] is None:
        error, dof = _paired_blocks(tracer, full)
        return Estimate(ratio, ratio * error, 'paired blocks', dof, {'mixture': None})
    possible = mixture.values > LEAST_SHARE * full.value
    weights, ratios = mixture.weights[possible], tracer.value / mixture.values[possible]
    own, other = mixture.widths[possible] / mixture.values[possible], tracer.stderr / tracer.value
    common = 2 * _correlation(tracer, full, n_mobile) * own * other
    widths = ratios * np.sqrt(own**2 + other**2 - common)
    distribution = Mixture(weights / weights.sum(), ratios, widths, mixture.dof)
    return Estimate(ratio, distribution.stderr, 'spectral', mixture.dof, {'mixture': distribution})


def _paired_blocks(tracer: Estimate, full: Estimate) -> tuple[float, int]:
    """Return the relative error of the ratio from the scatter of paired blocks, and its degrees of freedom."""
    blocks = [estimate.diagnostics['blocks'] for estimate in (tracer, full)]
    shared = min(block.shape[1] for block in blocks)
    tracer_blocks, full_blocks = (merge_blocks(block, shared) for block in blocks)
    _, error, dof = mean_and_error(tracer_blocks / tracer_blocks.mean() - full_blocks / full_blocks.mean())
    return math.hypot(error, *(estimate.diagnostics['bias'] / estimate.value for estimate in (tracer, full))), dof


def _correlation(tracer: Estimate, full: Estimate, n_mobile: int) -> float:
    """Return the correlation of the errors of two spectral estimates in the same unit.

    sum_i abs(x_i)² = abs(sum_i x_i)²/N + sum_i abs(x_i - <x>)²: the charge's spectrum over N is a part of the tracer's
    spectrum, and so are its fluctuations.
    """
    own, other = (estimate.diagnostics['spectral'] for estimate in (full, tracer))
    error = math.sqrt(own.covariance(own) * other.covariance(other))
    return float(np.clip(own.covariance(other) / n_mobile / error, 0.0, 0.95))
