"""The Haven ratio of two conductivities from the same runs, and its error."""

from __future__ import annotations

import math

import numpy as np

from aiida_ionconduct.transport.estimators.random_effects import Excess, Scatter, excess_variance
from aiida_ionconduct.transport.estimators.results import (
    Estimate,
    Mixture,
    SpectralWeights,
    mean_and_error,
    merge_blocks,
)
from aiida_ionconduct.transport.estimators.spectral import with_excess

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
    if full.diagnostics['mixture'] is None or tracer.diagnostics['mixture'] is None:
        error, dof = _paired_blocks(tracer, full)
        return Estimate(ratio, ratio * error, 'paired blocks', dof, {'mixture': None})
    own, other = (estimate.diagnostics['spectral'] for estimate in (full, tracer))
    possible = own.models.values > LEAST_SHARE * full.value
    weights, values, widths = (part[possible] for part in own.models[:3])
    error, tracer_error = widths / values, other.models.stderr / tracer.value
    common = _correlation((own.weights, other.weights), own, other, n_mobile)
    variance = np.maximum(error**2 + tracer_error**2 - 2 * common * error * tracer_error, 1e-12)
    excess = _excess_of_ratio(other, own, n_mobile).scaled(ratio**2)
    ratios = tracer.value / values
    distribution = with_excess(Mixture(weights / weights.sum(), ratios, ratios * np.sqrt(variance)), excess)
    return Estimate(ratio, distribution.stderr, 'spectral', excess.dof, {'mixture': distribution})


def _excess_of_ratio(tracer: SpectralWeights, full: SpectralWeights, n_mobile: int) -> Excess:
    """Return how much the ratio of the levels of runs scatters in excess of theory; what both share drops out."""
    theory = [float(part.band**2 @ part.variance) for part in (tracer, full)]
    common = _correlation((full.band, tracer.band), full, tracer, n_mobile) * math.sqrt(math.prod(theory))
    differences = tracer.levels - full.levels
    differences -= full.shares @ differences
    between = Scatter(float(full.shares @ differences**2), len(differences) - 1)
    return excess_variance(Scatter(0.0, 0), between, sum(theory) - 2 * common, largest=1.0)


def _paired_blocks(tracer: Estimate, full: Estimate) -> tuple[float, int]:
    """Return the relative error of the ratio from the scatter of paired blocks, and its degrees of freedom."""
    blocks = [estimate.diagnostics['blocks'] for estimate in (tracer, full)]
    shared = min(block.shape[1] for block in blocks)
    tracer_blocks, full_blocks = (merge_blocks(block, shared) for block in blocks)
    _, error, dof = mean_and_error(tracer_blocks / tracer_blocks.mean() - full_blocks / full_blocks.mean())
    return math.hypot(error, *(estimate.diagnostics['bias'] / estimate.value for estimate in (tracer, full))), dof


def _correlation(
    weights: tuple[np.ndarray, np.ndarray], full: SpectralWeights, tracer: SpectralWeights, n_mobile: int
) -> float:
    """Return the correlation of the errors of an average over the charge's spectrum and one over the tracer's.

    sum_i abs(x_i)² = abs(sum_i x_i)²/N + sum_i abs(x_i - <x>)²: the charge's spectrum over N is a part of the tracer's
    spectrum, and so are its fluctuations.

    :param weights: (bins,) of the charge's spectrum in the one average, and of the tracer's in the other.
    """
    full_weights, tracer_weights = weights
    common = (full_weights * tracer_weights) @ full.variance / n_mobile
    error = math.sqrt(float(full_weights**2 @ full.variance) * float(tracer_weights**2 @ tracer.variance))
    return float(np.clip(common / error, 0.0, 0.95))
