"""The same state in cells of several sizes, and what they say of the infinite crystal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

RESOLVED = 0.2  # a relative difference of this size must be excluded before a cell counts as large enough
SIGNIFICANT = 0.05
NO_EFFECT, EXTRAPOLATED, UNRESOLVED = 'no effect', 'extrapolated', 'unresolved'  # the three answers


def finite_size(
    n_atoms: Sequence[int],
    sigmas_S_per_cm: Sequence[float | None],
    stderrs: Sequence[float | None],
    dofs: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Compare the conductivities of cells of several sizes at one temperature.

    No theory gives the form of the effect in a crystal (the Yeh–Hummer correction is for liquids), so three answers are
    possible. *No effect*: the sizes agree, and a difference of 20 % between the smallest and the largest cell is
    excluded; the value is the weighted mean. *Extrapolated*: the sizes differ, and with three sizes or more a straight
    line in 1/L, L the cube root of the number of atoms, describes them; the value is its end. *Unresolved*: everything
    else, such as two sizes that differ, as any line goes through two points; the value is None.

    :param n_atoms: atoms of each cell.
    :param sigmas_S_per_cm: their conductivities; None where there is no number.
    :param stderrs: their standard errors.
    :param dofs: degrees of freedom of the standard errors; by default the errors are taken as exactly known.
    :return: JSON-able: ``answer``, ``sigma_S_per_cm``, ``stderr``, ``ci95``, ``p_equal``, ``difference`` of the
        smallest cell from the largest, relative to the largest, with ``difference_ci95``, ``n_atoms`` used, ``reason``.
    :raises ValueError: for fewer than two sizes, or a size given twice.
    """
    dofs = [math.inf] * len(n_atoms) if dofs is None else dofs
    check_sizes(n_atoms)
    rows = sorted(row for row in zip(n_atoms, sigmas_S_per_cm, stderrs, dofs, strict=True))
    known = [row for row in rows if row[1] is not None and row[2] is not None]
    names = ('sigma_S_per_cm', 'stderr', 'ci95', 'p_equal', 'difference', 'difference_ci95')
    result: dict[str, Any] = {'n_atoms': [row[0] for row in known], **dict.fromkeys(names)}
    if len(known) < 2:
        missing = ', '.join(str(row[0]) for row in rows if row not in known)
        return {'answer': UNRESOLVED, **result, 'reason': f'there is no conductivity for {missing} atoms'}
    n, sigma, stderr, dof = np.array(known, dtype=float).T
    degrees = float(len(dof) / np.mean(1 / dof)) if np.isfinite(dof).all() else 1e9
    t = float(stats.t.ppf(0.975, degrees))
    mean, mean_stderr, chi2 = _weighted_fit(np.ones((len(n), 1)), sigma, stderr)
    p = float(stats.f.sf(chi2 / (len(n) - 1), len(n) - 1, degrees))
    difference = float(sigma[0] / sigma[-1] - 1)
    half = t * float(sigma[0] / sigma[-1]) * math.hypot(stderr[0] / sigma[0], stderr[-1] / sigma[-1])
    result |= {'p_equal': p, 'difference': difference, 'difference_ci95': [difference - half, difference + half]}
    interval = f'[{difference - half:+.0%}, {difference + half:+.0%}]'
    between = f'{int(n[0])} against {int(n[-1])} atoms: {difference:+.0%} {interval}'
    if p > SIGNIFICANT:
        if abs(difference) + half < RESOLVED:
            return {'answer': NO_EFFECT, **result, **_with_interval(mean, mean_stderr, t), 'reason': between}
        reason = f'{between}; a difference of {RESOLVED:.0%} is not excluded: run longer, or a larger cell'
        return {'answer': UNRESOLVED, **result, 'reason': reason}
    if len(n) < 3:
        reason = f'{between}; two sizes that differ do not say how it goes on: add a larger cell'
        return {'answer': UNRESOLVED, **result, 'reason': reason}
    end, end_stderr, chi2 = _weighted_fit(np.column_stack((np.ones_like(n), n ** (-1 / 3))), sigma, stderr)
    p_line = float(stats.f.sf(chi2 / (len(n) - 2), len(n) - 2, degrees))
    if p_line < SIGNIFICANT or not end > t * end_stderr:
        reason = f'{between}; a straight line in 1/L does not describe the sizes (p = {p_line:.2g}): add a larger cell'
        return {'answer': UNRESOLVED, **result, 'reason': reason}
    return {
        'answer': EXTRAPOLATED,
        **result,
        **_with_interval(end, end_stderr, t),
        'reason': f'{between}; linear in 1/L',
    }


def _weighted_fit(design: np.ndarray, sigma: np.ndarray, stderr: np.ndarray) -> tuple[float, float, float]:
    """Return the constant of a weighted fit, its standard error and chi²."""
    weighted = design / stderr[:, None]
    covariance = np.linalg.inv(weighted.T @ weighted)
    parameters = covariance @ weighted.T @ (sigma / stderr)
    chi2 = float((((sigma - design @ parameters) / stderr) ** 2).sum())
    return float(parameters[0]), math.sqrt(covariance[0, 0]), chi2


def _with_interval(sigma: float, stderr: float, t: float) -> dict[str, Any]:
    """Return a conductivity with its error and interval, under the names of :func:`finite_size`."""
    return {'sigma_S_per_cm': sigma, 'stderr': stderr, 'ci95': [sigma - t * stderr, sigma + t * stderr]}


def check_sizes(n_atoms: Sequence[int]) -> None:
    """Refuse sizes that cannot be compared.

    :raises ValueError: for fewer than two sizes, or a size given twice.
    """
    if len(set(n_atoms)) < max(len(n_atoms), 2):
        raise ValueError(f'the cells have {list(n_atoms)} atoms: give at least two sizes, each once.')
