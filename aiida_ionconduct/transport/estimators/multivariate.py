"""The multivariate spectral method: the whole matrix of transport coefficients from its Wishart-distributed spectrum.

After Pegolo, Drigo, Grasselli, Baroni 2025 (10.1063/5.0249677); the spectrum's Cholesky factor is an even polynomial in
the frequency here, its degree chosen by Akaike's criterion.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize

from aiida_ionconduct.transport.displacement import Track
from aiida_ionconduct.transport.estimators.lengths import trace
from aiida_ionconduct.transport.estimators.results import Slope
from aiida_ionconduct.transport.estimators.spectral import at_rest, independent_components
from aiida_ionconduct.transport.spectrum import spectra, spectral_grid

CUTOFF_THZ = 0.5
MAX_TERMS = 6


def multivariate(tracks: list[Track], dt_ps: float, cutoff_THz: float = CUTOFF_THZ) -> Slope:
    """Estimate D as the mean eigenvalue of the matrix (d, d) of the components' coefficients.

    :param cutoff_THz: highest frequency used.
    """
    grid = spectral_grid(tracks[0].n_frames, dt_ps)
    runs = np.array([spectra(track, grid, (1,))[1][0, : len(grid.frequency)] for track in tracks])
    if not runs.max() > 0:
        return at_rest(len(tracks), dt_ps)
    power = trace(runs)
    d, n = tracks[0].dimension, len(tracks[0].particles)
    components = independent_components(power, grid.binned(power).mean(axis=0), grid, n * d) / d
    bins = max(int(np.searchsorted(grid.top, cutoff_THz)), min(8, len(grid.top)))
    binned = np.moveaxis(grid.binned(np.moveaxis(runs, 1, 3)), 3, 1)[:, :bins]
    x = (grid.binned(grid.frequency)[:bins] / grid.top[bins - 1]) ** 2
    count = grid.pairs[:bins] * max(components, 1.0)
    fits = [_fit_matrix(binned.mean(axis=0), count * len(tracks), x, terms) for terms in range(1, MAX_TERMS + 1)]
    _, matrix, stderr, terms = min(fits, key=lambda fit: fit[0])
    value = float(np.trace(matrix) / d)
    seeds = np.array([np.trace(_fit_matrix(spectrum, count, x, terms)[1]) / d for spectrum in binned])
    lag = terms / (2 * grid.top[bins - 1])
    scan = {'lag_ps': np.array([lag]), 'value': np.array([value]), 'stderr': np.array([stderr])}
    return Slope(value, stderr, math.inf, seeds[:, None], 0.0, float(lag), True, scan)


def _fit_matrix(power: np.ndarray, dof: np.ndarray, x: np.ndarray, terms: int) -> tuple[float, np.ndarray, float, int]:
    """Fit S(f) = L(f) L(f)^T, the entries of L polynomials, by maximum likelihood.

    :param power: (bins, d, d); ``dof`` (bins,) complex degrees of freedom of each; ``x`` (bins,) in [0, 1].
    :return: Akaike's criterion, S(0), the standard error of its mean eigenvalue, and the number of terms.
    """
    d = power.shape[1]
    lower = np.tril_indices(d)
    basis = np.polynomial.chebyshev.chebvander(2 * x - 1, terms - 1)
    origin = np.polynomial.chebyshev.chebvander(-1.0, terms - 1).ravel()
    scale = math.sqrt(np.einsum('baa,b->', power, dof) / d / dof.sum())
    power = power / scale**2

    def factors(parameters: np.ndarray, rows: np.ndarray) -> np.ndarray:
        out = np.zeros((len(rows), d, d))
        out[:, lower[0], lower[1]] = rows @ parameters.reshape(terms, -1)
        return out

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        factor = factors(parameters, basis)
        spectrum = factor @ factor.transpose(0, 2, 1) + 1e-9 * np.eye(d)
        inverse = np.linalg.inv(spectrum)
        value = dof @ (np.linalg.slogdet(spectrum)[1] + np.einsum('bij,bji->b', inverse, power))
        gradient = 2 * dof[:, None, None] * ((inverse - inverse @ power @ inverse) @ factor)
        return value, (basis.T @ gradient[:, lower[0], lower[1]]).ravel()

    start = np.zeros((terms, len(lower[0])))
    start[0] = np.eye(d)[lower]
    best = optimize.minimize(objective, start.ravel(), jac=True, method='BFGS').x
    factor = factors(best, basis)
    inverse = np.linalg.inv(factor @ factor.transpose(0, 2, 1) + 1e-9 * np.eye(d))
    changes = []
    for a, b in zip(*lower, strict=True):
        unit = np.zeros((d, d))
        unit[a, b] = 1.0
        change = unit @ factor.transpose(0, 2, 1)
        changes.append(inverse @ (change + change.transpose(0, 2, 1)))
    products = np.einsum('pbij,qbji->bpq', np.array(changes), np.array(changes))
    information = np.einsum('b,bk,bl,bpq->kplq', dof, basis, basis, products)
    at_zero = factors(best, origin[None])[0]
    slope = np.outer(origin, 2 * at_zero[lower] / d).ravel()
    variance = float(slope @ np.linalg.pinv(information.reshape(len(slope), -1)) @ slope)
    criterion = 2 * objective(best)[0] + 2 * len(best)
    return criterion, scale**2 * at_zero @ at_zero.T, scale**2 * math.sqrt(max(variance, 0.0)), terms
