"""The activation energy from conductivities at several temperatures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from aiida_ionconduct.transport.constants import BOLTZMANN_EV_PER_K

EXTRAPOLATED_K = 300.0
ROUNDS = 3  # of the fit with errors of the temperature, which depend on the activation energy
_NUMBERS = (
    'activation_energy_eV',
    'activation_energy_stderr',
    'activation_energy_ci95',
    'ln_prefactor',
    'ln_prefactor_stderr',
    'covariance',
    'extrapolated_300K_S_per_cm',
    'extrapolated_300K_ci95',
    'chi2_reduced',
)


def arrhenius(
    temperatures_K: Sequence[float],
    sigmas_S_per_cm: Sequence[float | None],
    stderrs: Sequence[float | None],
    dofs: Sequence[float] | None = None,
    *,
    temperature_stderrs_K: Sequence[float | None] | None = None,
) -> dict[str, Any]:
    """Fit ln(sigma T) = ln A - Ea/(kB T), each point weighted by the error of its logarithm.

    The errors follow from the errors of the conductivities, or from the scatter about the line where that is larger.

    :param temperatures_K: temperatures.
    :param sigmas_S_per_cm: conductivities; None where there is no number.
    :param stderrs: their standard errors.
    :param dofs: degrees of freedom of the standard errors, combined after Welch and Satterthwaite; by default
        the errors are taken as exactly known.
    :param temperature_stderrs_K: standard errors of the temperatures in K; by default these are exactly known. An error
        of T moves a point along the line by Ea/(kB T²) times itself, which adds to the error of its logarithm.
    :return: flat and JSON-able: activation_energy_eV, ln_prefactor (of sigma T in S K/cm), covariance (of
        [ln_prefactor, activation_energy_eV]), extrapolated_300K_S_per_cm, their stderr and ci95, n_temperatures,
        chi2_reduced (None for two points), warnings. The numbers are None with fewer than two temperatures.
    :raises ValueError: for lists of different lengths, or a temperature, conductivity or error that is not positive.
    """
    n = len(temperatures_K)
    dofs = [math.inf] * n if dofs is None else list(dofs)
    T_stderrs = [None] * n if temperature_stderrs_K is None else list(temperature_stderrs_K)
    if any(len(column) != n for column in (sigmas_S_per_cm, stderrs, dofs, T_stderrs)):
        raise ValueError('temperatures, conductivities and errors must be of the same length.')
    rows, warnings = [], []
    for T, sigma, stderr, dof, T_stderr in zip(temperatures_K, sigmas_S_per_cm, stderrs, dofs, T_stderrs, strict=True):
        if not T > 0:
            raise ValueError(f'the temperature {T} is not positive: give kelvin.')
        if sigma is None or stderr is None:
            warnings.append(f'{T:g} K is left out: it has no conductivity')
        elif not (sigma > 0 and stderr > 0 and math.isfinite(sigma) and math.isfinite(stderr)):
            raise ValueError(f'the conductivity at {T:g} K is {sigma} ± {stderr}: both must be positive, or None.')
        else:
            rows.append((T, sigma, stderr, dof, T_stderr or 0.0))
    if len({row[0] for row in rows}) < 2:
        warnings.append('no Arrhenius fit: fewer than two temperatures have a conductivity')
        return {**dict.fromkeys(_NUMBERS), 'n_temperatures': len(rows), 'warnings': warnings}
    T, sigma, stderr, dof, T_stderr = np.array(rows, dtype=float).T
    fit = _fit(T, sigma, stderr, dof)
    for _ in range(ROUNDS if T_stderr.any() else 0):
        moved = fit['activation_energy_eV'] * T_stderr / (BOLTZMANN_EV_PER_K * T**2)
        fit = _fit(T, sigma, np.hypot(stderr, sigma * moved), dof)
    return {**fit, 'n_temperatures': len(rows), 'warnings': warnings + _warnings(np.array([row[0] for row in rows]))}


def _fit(T: np.ndarray, sigma: np.ndarray, stderr: np.ndarray, dof: np.ndarray) -> dict[str, Any]:
    """Return the numbers of the weighted fit."""
    x, y, error = -1 / (BOLTZMANN_EV_PER_K * T), np.log(sigma * T), stderr / sigma
    design = np.column_stack((np.ones_like(x), x))
    # The parameters are linear in the data: parameters = linear @ y.
    linear = np.linalg.pinv(design / error[:, None]) / error
    parameters = linear @ y
    chi2 = float((((y - design @ parameters) / error) ** 2).sum() / (len(T) - 2)) if len(T) > 2 else None
    scale = max(1.0, chi2 or 0.0)
    covariance = scale * (linear * error**2) @ linear.T

    def spread(weights: np.ndarray) -> tuple[float, float]:
        """Return the standard error of a linear combination of the parameters, and half its 95 % interval."""
        shares = (weights @ linear * error) ** 2
        degrees = shares.sum() ** 2 / max((shares**2 / dof).sum(), 1e-300)
        width = math.sqrt(scale * shares.sum())
        return width, width * float(stats.t.ppf(0.975, min(degrees, 1e9)))

    (_, Ea), (ln_A, _) = parameters, parameters
    (Ea_stderr, Ea_half), (ln_A_stderr, _) = spread(np.array([0.0, 1.0])), spread(np.array([1.0, 0.0]))
    there = np.array([1.0, -1 / (BOLTZMANN_EV_PER_K * EXTRAPOLATED_K)])
    ln_there, half = float(there @ parameters) - math.log(EXTRAPOLATED_K), spread(there)[1]
    return {
        'activation_energy_eV': float(Ea),
        'activation_energy_stderr': Ea_stderr,
        'activation_energy_ci95': [float(Ea - Ea_half), float(Ea + Ea_half)],
        'ln_prefactor': float(ln_A),
        'ln_prefactor_stderr': ln_A_stderr,
        'covariance': covariance.tolist(),
        'extrapolated_300K_S_per_cm': _exp(ln_there),
        'extrapolated_300K_ci95': [_exp(ln_there - half), _exp(ln_there + half)],
        'chi2_reduced': chi2,
    }


def _exp(exponent: float) -> float:
    """Return an exponential that stays finite, so that JSON can hold it."""
    return math.exp(min(max(exponent, -700.0), 700.0))


def _warnings(T: np.ndarray) -> list[str]:
    """Return warnings of what the temperatures do not support."""
    warnings = []
    if len(T) == 2:
        warnings.append('two temperatures: the straight line is not tested')
    inverse = 1 / T
    distance = max(1 / EXTRAPOLATED_K - inverse.max(), inverse.min() - 1 / EXTRAPOLATED_K) / np.ptp(inverse)
    if distance > 0.5:
        warnings.append(
            f'{EXTRAPOLATED_K:g} K lies {distance:.1f} times the fitted range of 1/T beyond it: '
            'the extrapolation assumes that the mechanism does not change'
        )
    return warnings
