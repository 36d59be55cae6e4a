"""The activation energy from conductivities at several temperatures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from aiida_ionconduct.transport.constants import BOLTZMANN_EV_PER_K

EXTRAPOLATED_K = 300.0
ROUNDS = 3  # of the fit with errors of the temperature, which depend on the activation energy
BOUND_QUANTILE = 1.96  # of an upper bound at 97.5 % confidence, in standard errors
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


class _Points(NamedTuple):
    """Temperatures with a conductivity: all (n,); ``stderr`` of the conductivity, ``T_stderr`` of the temperature."""

    T: np.ndarray
    sigma: np.ndarray
    stderr: np.ndarray
    dof: np.ndarray
    T_stderr: np.ndarray


class _Bounds(NamedTuple):
    """Temperatures at which a conductivity is only known to be small: ``stderr`` (n,) about zero."""

    T: np.ndarray
    stderr: np.ndarray


class _Line(NamedTuple):
    """A fitted line: ``parameters`` [ln_prefactor, activation energy], and chi² with its degrees of freedom.

    ``linear`` (2, points + bounds) are the derivatives of the parameters by the data, each in units of its error.
    """

    parameters: np.ndarray
    linear: np.ndarray
    chi2: float
    degrees: int


def arrhenius(
    temperatures_K: Sequence[float],
    sigmas_S_per_cm: Sequence[float | None],
    stderrs: Sequence[float | None],
    dofs: Sequence[float] | None = None,
    *,
    uppers: Sequence[float | None] | None = None,
    temperature_stderrs_K: Sequence[float | None] | None = None,
) -> dict[str, Any]:
    """Fit ln(sigma T) = ln A - Ea/(kB T), each point weighted by the error of its logarithm.

    The errors follow from the errors of the conductivities, or from the scatter about the line where that is larger.
    The intervals are those of Student's t with the degrees of freedom of the errors, and where the scatter is larger,
    with at most two fewer than there are points: the scatter of few points says little of the true errors.

    A temperature without a conductivity enters with its upper bound, as a conductivity of zero with an error of the
    bound over the quantile of 97.5 %: it matters where the line would pass near the bound or above it. It counts as a
    point where the line passes more than this error above zero.

    :param temperatures_K: temperatures.
    :param sigmas_S_per_cm: conductivities; None where there is no number.
    :param stderrs: their standard errors.
    :param dofs: degrees of freedom of the standard errors, combined after Welch and Satterthwaite; by default
        the errors are taken as exactly known.
    :param uppers: upper bounds of the conductivities at 97.5 % confidence, used where there is no number.
    :param temperature_stderrs_K: standard errors of the temperatures in K; by default, and for None, these are exactly
        known. An error of T moves a point along the line by Ea/(kB T²) times itself, which adds to the error of its
        logarithm; that of a bound is neglected.
    :return: flat and JSON-able: activation_energy_eV, ln_prefactor (of sigma T in S K/cm), covariance (of
        [ln_prefactor, activation_energy_eV]), extrapolated_300K_S_per_cm, their stderr and ci95, n_temperatures,
        n_bounds, chi2_reduced (None for two points), warnings. The numbers are None with fewer than two temperatures.
    :raises ValueError: for lists of different lengths, or a temperature, conductivity, bound or error that is not
        positive.
    """
    n = len(temperatures_K)
    columns = [
        [math.inf] * n if dofs is None else list(dofs),
        [None] * n if uppers is None else list(uppers),
        [None] * n if temperature_stderrs_K is None else list(temperature_stderrs_K),
    ]
    if any(len(column) != n for column in (sigmas_S_per_cm, stderrs, *columns)):
        raise ValueError('temperatures, conductivities and errors must be of the same length.')
    rows, bounds, warnings = [], [], []
    for T, sigma, stderr, dof, upper, T_stderr in zip(temperatures_K, sigmas_S_per_cm, stderrs, *columns, strict=True):
        if not T > 0:
            raise ValueError(f'the temperature {T} is not positive: give kelvin.')
        if T_stderr is not None and not 0 <= T_stderr < T:
            raise ValueError(f'the error of the temperature {T:g} K is {T_stderr}: give kelvin, less than {T:g}.')
        if sigma is None or stderr is None:
            if upper is None:
                warnings.append(f'{T:g} K is left out: it has no conductivity')
                continue
            if not (upper > 0 and math.isfinite(upper)):
                raise ValueError(f'the upper bound at {T:g} K is {upper}: it must be positive, or None.')
            warnings.append(f'{T:g} K enters with its upper bound: it has no conductivity')
            bounds.append((T, upper / BOUND_QUANTILE))
        elif not (sigma > 0 and stderr > 0 and math.isfinite(sigma) and math.isfinite(stderr)):
            raise ValueError(f'the conductivity at {T:g} K is {sigma} ± {stderr}: both must be positive, or None.')
        else:
            rows.append((T, sigma, stderr, dof, T_stderr or 0.0))
    counts = {'n_temperatures': len(rows), 'n_bounds': len(bounds)}
    if len({row[0] for row in rows}) < 2:
        warnings.append('no Arrhenius fit: fewer than two temperatures have a conductivity')
        return {**dict.fromkeys(_NUMBERS), **counts, 'warnings': warnings}
    points = _Points(*np.array(rows, dtype=float).T)
    line = _fit(points, _Bounds(*np.array(bounds, dtype=float).reshape(-1, 2).T))
    return {**_numbers(line, points.dof), **counts, 'warnings': warnings + _warnings(points.T, line)}


def line_at(fit: Mapping[str, Any], temperatures_K: ArrayLike) -> dict[str, np.ndarray]:
    """Return the fitted line sigma T = A exp(-Ea/kT) with its 95 % band at any temperatures.

    :param fit: as :func:`arrhenius` returns it, with an activation energy.
    :param temperatures_K: (n,).
    :return: ``temperature_K``, ``sigma``, ``low``, ``high`` in S/cm, each (n,). The band has the Student quantile of
        the activation energy.
    """
    T = np.asarray(temperatures_K, dtype=float)
    low, high = fit['activation_energy_ci95']
    quantile = (high - low) / 2 / fit['activation_energy_stderr']
    design = _design(T)
    half = quantile * np.sqrt(np.einsum('ij,jk,ik->i', design, fit['covariance'], design))
    ln_sigma = design @ [fit['ln_prefactor'], fit['activation_energy_eV']] - np.log(T)
    low, value, high = np.exp(np.clip([ln_sigma - half, ln_sigma, ln_sigma + half], -700.0, 700.0))
    return {'temperature_K': T, 'sigma': value, 'low': low, 'high': high}


def _fit(points: _Points, bounds: _Bounds) -> _Line:
    """Return the line of least squares: the residual of a bound is the line over the error about zero."""
    y, design, there = np.log(points.sigma * points.T), _design(points.T), _design(bounds.T)
    errors, parameters = points.stderr / points.sigma, np.zeros(2)

    def ratios(parameters: np.ndarray) -> np.ndarray:
        """Return the line at the temperatures of the bounds over their errors, finite far above them."""
        values: np.ndarray = np.exp(np.minimum(there @ parameters - np.log(bounds.T * bounds.stderr), 300.0))
        return values

    def residuals(parameters: np.ndarray) -> np.ndarray:
        return np.concatenate(((design @ parameters - y) / errors, ratios(parameters)))

    def slopes(parameters: np.ndarray) -> np.ndarray:
        return np.concatenate((design / errors[:, None], ratios(parameters)[:, None] * there))

    for step in range(1 + (ROUNDS if points.T_stderr.any() else 0)):
        if step:
            moved = parameters[1] * points.T_stderr / (BOLTZMANN_EV_PER_K * points.T**2)
            errors = np.hypot(points.stderr / points.sigma, moved)
        parameters = np.linalg.pinv(design / errors[:, None]) @ (y / errors)
        if len(bounds.T):
            parameters = _lowered(parameters, residuals, slopes)
    binding = ratios(parameters)[ratios(parameters) > 1]
    chi2 = float((((y - design @ parameters) / errors) ** 2).sum() + (binding**2).sum())
    return _Line(parameters, np.linalg.pinv(slopes(parameters)), chi2, len(y) + len(binding) - 2)


def _lowered(
    parameters: np.ndarray,
    residuals: Callable[[np.ndarray], np.ndarray],
    slopes: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Return the parameters (2,) of least squares with bounds, from those without; the sum of squares is convex."""
    fit = optimize.least_squares(residuals, parameters, slopes, method='lm', x_scale='jac', xtol=1e-12, ftol=1e-12)
    return np.asarray(fit.x)


def _design(T: np.ndarray) -> np.ndarray:
    """Return the derivatives (n, 2) of ln(sigma T) by the parameters."""
    return np.column_stack((np.ones_like(T), -1 / (BOLTZMANN_EV_PER_K * T)))


def _numbers(line: _Line, dof: np.ndarray) -> dict[str, Any]:
    """Return the numbers of a line with their errors.

    :param dof: (points,) degrees of freedom of the errors of the conductivities.
    """
    chi2 = line.chi2 / line.degrees if line.degrees > 0 else None
    scale = max(1.0, chi2 or 0.0)
    most = 1e9 if scale == 1.0 else line.degrees

    def spread(weights: np.ndarray) -> tuple[float, float]:
        """Return the standard error of a linear combination of the parameters, and half its 95 % interval."""
        shares = (weights @ line.linear) ** 2
        of_points = shares[: len(dof)]
        degrees = of_points.sum() ** 2 / max((of_points**2 / dof).sum(), 1e-300)
        width = math.sqrt(scale * shares.sum())
        return width, width * float(stats.t.ppf(0.975, min(degrees, most)))

    (_, Ea), (ln_A, _) = line.parameters, line.parameters
    (Ea_stderr, Ea_half), (ln_A_stderr, _) = spread(np.array([0.0, 1.0])), spread(np.array([1.0, 0.0]))
    there = np.array([1.0, -1 / (BOLTZMANN_EV_PER_K * EXTRAPOLATED_K)])
    ln_there, half = float(there @ line.parameters) - math.log(EXTRAPOLATED_K), spread(there)[1]
    return {
        'activation_energy_eV': float(Ea),
        'activation_energy_stderr': Ea_stderr,
        'activation_energy_ci95': [float(Ea - Ea_half), float(Ea + Ea_half)],
        'ln_prefactor': float(ln_A),
        'ln_prefactor_stderr': ln_A_stderr,
        'covariance': (scale * line.linear @ line.linear.T).tolist(),
        'extrapolated_300K_S_per_cm': _exp(ln_there),
        'extrapolated_300K_ci95': [_exp(ln_there - half), _exp(ln_there + half)],
        'chi2_reduced': chi2,
    }


def _exp(exponent: float) -> float:
    """Return an exponential that stays finite, so that JSON can hold it."""
    return math.exp(min(max(exponent, -700.0), 700.0))


def _warnings(T: np.ndarray, line: _Line) -> list[str]:
    """Return warnings of what the temperatures do not support."""
    warnings = []
    if len(T) == 2:
        warnings.append('two temperatures: the straight line is not tested')
    if line.degrees == 1 and line.chi2 > 1:
        warnings.append(
            'the points scatter about the line by more than their errors say, and are too few to tell how far these '
            'errors are wrong: the 95 % interval is that of one degree of freedom; another temperature narrows it'
        )
    inverse = 1 / T
    distance = max(1 / EXTRAPOLATED_K - inverse.max(), inverse.min() - 1 / EXTRAPOLATED_K) / np.ptp(inverse)
    if distance > 0.5:
        warnings.append(
            f'{EXTRAPOLATED_K:g} K lies {distance:.1f} times the fitted range of 1/T beyond it: '
            'the extrapolation assumes that the mechanism does not change'
        )
    return warnings
