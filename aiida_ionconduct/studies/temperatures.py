"""What an Arrhenius line hides: changes of phase between its points, and the Haven ratio against temperature."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from aiida_ionconduct.transport.constants import BOLTZMANN_EV_PER_K

SIGNIFICANT = 0.05  # probability, corrected for the number of breaks tried
TEMPERATURES_PER_SIDE = 2


def prefactor(fit: Mapping[str, Any]) -> dict[str, Any]:
    """Return the prefactor of sigma T in S K/cm with its 95 % interval, from a fit of ``transport.arrhenius``.

    Student's quantile is the one of the interval of the activation energy.
    """
    if fit['activation_energy_eV'] is None:
        return {'prefactor_S_K_per_cm': None, 'prefactor_ci95': None}
    low, high = fit['activation_energy_ci95']
    half = fit['ln_prefactor_stderr'] * (high - low) / 2 / fit['activation_energy_stderr']
    low, value, high = (_exp(fit['ln_prefactor'] + shift) for shift in (-half, 0.0, half))
    return {'prefactor_S_K_per_cm': value, 'prefactor_ci95': [low, high]}


def transition(
    temperatures_K: Sequence[float],
    sigmas_S_per_cm: Sequence[float | None],
    stderrs: Sequence[float | None],
    dofs: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Test whether one Arrhenius line describes all temperatures, or two with a jump or a change of slope between.

    Every gap between two temperatures, with at least two temperatures on either side, is tried twice: with a jump at
    one activation energy, and with two separate lines. An F test with the degrees of freedom of the errors tells
    whether chi² falls by more than chance, its probability multiplied by the number of trials (Bonferroni).

    :param sigmas_S_per_cm: conductivities; None where there is no number.
    :param stderrs: their standard errors.
    :param dofs: degrees of freedom of the standard errors; by default the errors are taken as exactly known.
    :return: JSON-able: ``tested`` (gaps), ``p`` corrected, ``between_K``, ``kind`` ('jump' or 'two lines'),
        ``activation_energies_eV`` below and above, ``jump`` factor of the conductivity at the middle of the gap; and
        ``warning``. Without a significant break all but ``tested`` and ``p`` are None; ``p`` is None if nothing was
        tested.
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
    _, straight = _fitted(line, y, error)
    trials = []
    for gap in gaps:
        above = (np.arange(len(x)) >= gap).astype(float)
        designs = {'jump': [above], 'two lines': [above, above * x]}
        for kind, more in designs.items():
            parameters, chi2 = _fitted(np.column_stack((line, *more)), y, error)
            gain = max(straight - chi2, 0.0) / len(more)
            trials.append((float(stats.f.sf(gain, len(more), degrees)), gap, kind, parameters))
    p, gap, kind, parameters = min(trials, key=lambda trial: trial[0])
    p = min(1.0, p * len(trials))
    if p > SIGNIFICANT:
        return {'tested': len(gaps), **nothing, 'p': p}
    offset, slope = (parameters[2], parameters[3] if kind == 'two lines' else 0.0)
    T_below, T_above = float(T[gap - 1]), float(T[gap])
    middle = -1 / (BOLTZMANN_EV_PER_K * 0.5 * (T_below + T_above))
    return {
        'tested': len(gaps),
        'p': p,
        'between_K': [T_below, T_above],
        'kind': kind,
        'activation_energies_eV': [float(parameters[1]), float(parameters[1] + slope)],
        'jump': _exp(offset + slope * middle),
        'warning': f'the conductivity does not follow one line between {T_below:g} and {T_above:g} K (p = {p:.2g}): a '
        'change of phase or of mechanism; fit each side for itself, and do not extrapolate across it',
    }


def _fitted(design: np.ndarray, y: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the parameters of a weighted fit and its chi²."""
    parameters = np.linalg.lstsq(design / error[:, None], y / error, rcond=None)[0]
    return parameters, float((((y - design @ parameters) / error) ** 2).sum())


def _exp(exponent: float) -> float:
    """Return an exponential that stays finite, so that JSON can hold it."""
    return math.exp(min(max(exponent, -700.0), 700.0))


def order_change(temperatures_K: Sequence[float], values: Sequence[float], stderrs: Sequence[float]) -> dict[str, Any]:
    """Test whether the order of the mobile sublattice jumps between two temperatures, against a straight line.

    :param values: share of the cell that the ions fill at each temperature, from
        :func:`aiida_ionconduct.density.participation`. Without a transition its logarithm is taken as linear in the
        temperature.
    :param stderrs: standard errors of the values, over seeds.
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
    _, straight = _fitted(line, y, error)
    trials = []
    for gap in gaps:
        parameters, chi2 = _fitted(np.column_stack((line, np.arange(len(T)) >= gap)), y, error)
        # Scatter about the two halves beyond the errors is no sign of a jump.
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
) -> dict[str, Any]:
    """Return the Haven ratio against temperature: whether it is constant, its mean, and its slope with 1/T.

    :return: JSON-able: ``temperatures_K``, ``values``, ``stderrs`` (where there is a number), ``mean``,
        ``mean_stderr``, ``p_constant`` (of chi² about the mean), ``slope_eV`` of the logarithm with 1/(kB T), which
        is the activation energy of the full conductivity minus that of the tracer, and ``slope_stderr_eV``.
    """
    rows = zip(temperatures_K, ratios, stderrs, strict=True)
    known = sorted(row for row in rows if row[1] is not None and row[2] is not None)
    columns = [list(column) for column in zip(*known, strict=True)] if known else [[], [], []]
    result: dict[str, Any] = dict(zip(('temperatures_K', 'values', 'stderrs'), columns, strict=True))
    result |= dict.fromkeys(('mean', 'mean_stderr', 'p_constant', 'slope_eV', 'slope_stderr_eV'))
    if len(known) < 2:
        return result
    T, value, stderr = (np.array(column, dtype=float) for column in columns)
    weights = 1 / stderr**2
    mean = float(weights @ value / weights.sum())
    chi2 = float((weights * (value - mean) ** 2).sum())
    error = stderr / value
    design = np.column_stack((np.ones_like(T), 1 / (BOLTZMANN_EV_PER_K * T)))
    parameters, _ = _fitted(design, np.log(value), error)
    covariance = np.linalg.inv((design / error[:, None]).T @ (design / error[:, None]))
    return result | {
        'mean': mean,
        'mean_stderr': float(weights.sum() ** -0.5),
        'p_constant': float(stats.chi2.sf(chi2, len(T) - 1)),
        'slope_eV': float(parameters[1]),
        'slope_stderr_eV': float(math.sqrt(covariance[1, 1])),
    }
