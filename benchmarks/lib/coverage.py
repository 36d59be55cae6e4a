"""Do intervals hold? The outcome of an estimate, the figures of many, and what is outside the limits."""

import math
from collections.abc import Sequence

import numpy as np

from aiida_ionconduct.transport.estimators.results import Estimate

LEVELS = (0.6827, 0.95)
# Of `auto`: coverage of the 95 % and 68 % intervals, widened by twice the error of counting; bias below either of a
# share of the truth and a share of the error.
LIMITS = {'95 %': (0.925, 0.985), '68 %': (0.61, 0.76)}
BIAS, BIAS_OVER_ERROR = 0.03, 1 / 3
Row = tuple[float, ...]


def outcome(estimate: Estimate | None, truth: float) -> Row:
    """Return value and error over the truth, half the 95 % width, whether intervals and the bound hold the truth."""
    if estimate is None:
        return (np.nan,) * 7
    (low68, high68), (low, high) = (estimate.interval(level) for level in LEVELS)
    if estimate.value is None or estimate.stderr is None:
        return (np.nan, np.nan, np.nan, np.nan, np.nan, 1.0, float(high >= truth))
    held = (float(low68 <= truth <= high68), float(low <= truth <= high))
    return (estimate.value / truth, estimate.stderr / truth, (high - low) / 2 / truth, *held, 0.0, np.nan)


def figures(rows: Sequence[Row]) -> dict[str, float]:
    """Return the columns of the table."""
    value, error, half, in68, in95, none, bound = np.array(rows, dtype=float).T
    known = np.isfinite(value)
    if not known.any():
        value = error = half = in68 = in95 = np.full(1, np.nan)
        known = np.ones(1, dtype=bool)
    return {
        'bias': value[known].mean() - 1,
        'RMSE': np.sqrt(np.mean((value[known] - 1) ** 2)),
        'error': error[known].mean(),
        'half 95 %': half[known].mean(),
        '68 %': in68[known].mean(),
        '95 %': in95[known].mean(),
        'no number': float(np.nanmean(none)),
        'bound holds': float(np.nanmean(bound)) if np.isfinite(bound).any() else np.nan,
    }


def misses(name: str, numbers: dict[str, float], replicas: int) -> list[str]:
    """Return what is outside the limits; the error of counting is allowed for."""
    missed = []
    counted = replicas * (1 - numbers['no number'])
    for key, limits in LIMITS.items():
        low, high = (limit + sign * counting(limit, counted) for limit, sign in zip(limits, (-1, 1), strict=True))
        if counted and not low <= numbers[key] <= high:
            missed.append(f'{name}: {key} {numbers[key]:.3f}')
    allowed = max(BIAS, BIAS_OVER_ERROR * numbers['error']) + 2 * numbers['RMSE'] / np.sqrt(max(counted, 1))
    if abs(numbers['bias']) > allowed:
        missed.append(f'{name}: bias {numbers["bias"]:+.3f}')
    least = LIMITS['95 %'][0]
    if numbers['bound holds'] < least - counting(least, replicas - counted):
        missed.append(f'{name}: bounds {numbers["bound holds"]:.3f}')
    return missed


def counting(share: float, replicas: float) -> float:
    """Return twice the error of counting a share in so many replicas."""
    return 2 * math.sqrt(share * (1 - share) / max(replicas, 1))
