"""What an Arrhenius line hides: changes of phase between its points, and a Haven ratio that changes with
temperature."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from aiida_ionconduct.transport.constants import BOLTZMANN_EV_PER_K

SIGNIFICANT = 0.05  # probability, corrected for the number of breaks tried
TEMPERATURES_PER_SIDE = 2


def prefactor(fit: dict) -> dict:
    """Return the prefactor of sigma T in S K/cm with its 95 % interval, from a fit of ``transport.arrhenius``.

    Student's quantile is that of the activation energy's interval.
    """
    if fit['activation_energy_eV'] is None:
        return {'prefactor_S_K_per_cm': None, 'prefactor_ci95': None}
    low, high = fit['activation_energy_ci95']
    half = fit['ln_prefactor_stderr'] * (high - low) / 2 / fit['activation_energy_stderr']
    ends = [math.exp(min(max(fit['ln_prefactor'] + one, -700.0), 700.0)) for one in (-half, 0.0, half)]
    return {'prefactor_S_K_per_cm': ends[1], 'prefactor_ci95': [ends[0], ends[2]]}


def transition(
    temperatures_K: Sequence[float],
    sigmas_S_per_cm: Sequence[float | None],
    stderrs: Sequence[float | None],
    dofs: Sequence[float] | None = None,
) -> dict:
    """Test whether one Arrhenius line describes all temperatures, or two with a jump or a change of slope between.

    Every gap between temperatures with two of them on either side is tried, with a jump at one activation energy and
    with two lines of their own; the fall of chi² is put to an F test with the degrees of freedom of the errors, and the
    probability multiplied by the number of trials (Bonferroni).

    :param dofs: degrees of freedom of the standard errors; known by default.
    :return: JSON-able: ``tested`` (gaps), ``p`` corrected, ``between_K``, ``kind`` ('jump' or 'two lines'),
        ``activation_energies_eV`` below and above, ``jump`` factor of the conductivity at the middle of the gap; and
        ``warning``. All but ``tested`` are None without a significant break, ``p`` only where nothing was tested.
    """
    dofs = [math.inf] * len(temperatures_K) if dofs is None else dofs
    columns = zip(temperatures_K, sigmas_S_per_cm, stderrs, dofs, strict=True)
    known = sorted(row for row in columns if row[1] is not None and row[2] is not None)
    nothing = dict.fromkeys(('p', 'between_K', 'kind', 'activation_energies_eV', 'jump', 'warning'))
    gaps = range(TEMPERATURES_PER_SIDE, len(known) - TEMPERATURES_PER_SIDE + 1)
    if not len(gaps):
        return {'tested': 0, **nothing}
    T, sigma, stderr, dof = np.array(known, dtype=float).T
    x, y, error = -1 / (BOLTZMANN_EV_PER_K * T), np.log(sigma * T), stderr / sigma
    degrees = float(len(dof) / np.mean(1 / dof)) if np.isfinite(dof).all() else 1e9
    line = np.column_stack((np.ones_like(x), x))
    _, straight = fitted(line, y, error)
    trials = []
    for gap in gaps:
        above = (np.arange(len(x)) >= gap).astype(float)
        designs = {'jump': [above], 'two lines': [above, above * x]}
        for kind, more in designs.items():
            parameters, chi2 = fitted(np.column_stack((line, *more)), y, error)
            gain = max(straight - chi2, 0.0) / len(more)
            trials.append((float(stats.f.sf(gain, len(more), degrees)), gap, kind, parameters))
    p, gap, kind, parameters = min(trials, key=lambda trial: trial[0])
    p = min(1.0, p * len(trials))
    if p > SIGNIFICANT:
        return {'tested': len(gaps), **nothing, 'p': p}
    offset, slope = (parameters[2], parameters[3] if kind == 'two lines' else 0.0)
    below, above = float(T[gap - 1]), float(T[gap])
    middle = -1 / (BOLTZMANN_EV_PER_K * 0.5 * (below + above))
    return {
        'tested': len(gaps),
        'p': p,
        'between_K': [below, above],
        'kind': kind,
        'activation_energies_eV': [float(parameters[1]), float(parameters[1] + slope)],
        'jump': float(math.exp(min(max(offset + slope * middle, -700.0), 700.0))),
        'warning': f'the conductivity does not follow one line between {below:g} and {above:g} K (p = {p:.2g}): a '
        'change of phase or of mechanism; fit each side for itself, and do not extrapolate across it',
    }


def fitted(design: np.ndarray, y: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the parameters of a weighted fit and its chi²."""
    parameters = np.linalg.lstsq(design / error[:, None], y / error, rcond=None)[0]
    return parameters, float((((y - design @ parameters) / error) ** 2).sum())


def order_change(temperatures_K: Sequence[float], values: Sequence[float], stderrs: Sequence[float]) -> dict:
    """Test whether the order of the mobile sublattice jumps between two temperatures, against a straight line.

    :param values: share of the cell that the ions fill, :func:`aiida_ionconduct.density.participation`, at each
        temperature; its logarithm is taken as linear in the temperature where nothing melts.
    :param stderrs: their errors, over seeds.
    :return: ``tested``, ``p`` corrected, ``between_K``, ``factor`` of the jump and ``warning``, as :func:`transition`.
    """
    known = sorted(zip(temperatures_K, values, stderrs, strict=True))
    nothing = dict.fromkeys(('p', 'between_K', 'factor', 'warning'))
    gaps = range(TEMPERATURES_PER_SIDE, len(known) - TEMPERATURES_PER_SIDE + 1)
    if not len(gaps):
        return {'tested': 0, **nothing}
    T, share, stderr = np.array(known, dtype=float).T
    y, error = np.log(share), np.maximum(stderr / share, 1e-6)
    line = np.column_stack((np.ones_like(T), T - T.mean()))
    _, straight = fitted(line, y, error)
    trials = []
    for gap in gaps:
        parameters, chi2 = fitted(np.column_stack((line, np.arange(len(T)) >= gap)), y, error)
        # What scatters about the two halves beyond the errors is no sign of a jump.
        scale = max(chi2 / max(len(T) - 3, 1), 1.0)
        trials.append((float(stats.chi2.sf((straight - chi2) / scale, 1)), gap, parameters))
    p, gap, parameters = min(trials, key=lambda trial: trial[0])
    p = min(1.0, p * len(trials))
    if p > SIGNIFICANT:
        return {'tested': len(gaps), **nothing, 'p': p}
    below, above, factor = float(T[gap - 1]), float(T[gap]), float(math.exp(parameters[2]))
    return {
        'tested': len(gaps),
        'p': p,
        'between_K': [below, above],
        'factor': factor,
        'warning': f'the mobile ions fill {factor:.2g} times the space above {above:g} K than a smooth change from '
        f'below {below:g} K would give (p = {p:.2g}): their sublattice changes its order there',
    }


def haven_ratios(
    temperatures_K: Sequence[float], ratios: Sequence[float | None], stderrs: Sequence[float | None]
) -> dict:
    """Return the Haven ratio against temperature: whether it is constant, its mean if so, and its slope with 1/T.

    :return: JSON-able: ``temperatures_K``, ``values``, ``stderrs`` (where there is a number), ``mean``,
        ``mean_stderr``, ``p_constant`` (of chi² about the mean), ``slope_eV`` of the logarithm, the difference of the
        two activation energies, full less tracer, and ``slope_stderr_eV``.
    """
    rows = zip(temperatures_K, ratios, stderrs, strict=True)
    known = sorted(row for row in rows if row[1] is not None and row[2] is not None)
    T, value, stderr = (list(column) for column in zip(*known, strict=True)) if known else ([], [], [])
    result = {'temperatures_K': T, 'values': value, 'stderrs': stderr}
    result |= dict.fromkeys(('mean', 'mean_stderr', 'p_constant', 'slope_eV', 'slope_stderr_eV'))
    if len(known) < 2:
        return result
    T, value, stderr = (np.array(column, dtype=float) for column in (T, value, stderr))
    weights = 1 / stderr**2
    mean = float(weights @ value / weights.sum())
    chi2 = float((weights * (value - mean) ** 2).sum())
    error = stderr / value
    design = np.column_stack((np.ones_like(T), 1 / (BOLTZMANN_EV_PER_K * T)))
    parameters, _ = fitted(design, np.log(value), error)
    covariance = np.linalg.inv((design / error[:, None]).T @ (design / error[:, None]))
    return result | {
        'mean': mean,
        'mean_stderr': float(weights.sum() ** -0.5),
        'p_constant': float(stats.chi2.sf(chi2, len(T) - 1)),
        'slope_eV': float(parameters[1]),
        'slope_stderr_eV': float(math.sqrt(covariance[1, 1])),
    }
