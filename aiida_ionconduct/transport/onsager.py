"""Matrices of conductivities: tensors, Onsager coefficients of the species, and transference numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from aiida_ionconduct.transport.displacement import Track
from aiida_ionconduct.transport.estimators.results import Estimate
from aiida_ionconduct.transport.estimators.spectral import matrix_samples


class Transference(NamedTuple):
    """The share of a species in the full conductivity, its standard error and its 95 % interval."""

    value: float
    stderr: float
    interval: tuple[float, float]


def conductivity_matrices(
    parts: list[Track], sigma_full: Estimate, sigma_tracer: Estimate, *, dt_ps: float, per_charge: float
) -> dict[str, np.ndarray]:
    """Return the matrices of :class:`TransportResult`; none without a spectral estimate of a value."""
    spectral = sigma_full.diagnostics['spectral']
    if sigma_full.value is None or sigma_tracer.value is None or spectral is None:
        return {}
    value, samples = matrix_samples(parts, dt_ps, spectral)
    isotropic = samples._replace(values=np.array([_over_species(sample) for sample in samples.values]))
    onsager, onsager_stderr = (per_charge * elements for elements in (_over_species(value), isotropic.error()))
    matrices = {}
    for name, (values, errors) in {
        'sigma_full_tensor': sigma_full.diagnostics['tensor'],
        'sigma_tracer_tensor': sigma_tracer.diagnostics['tensor'],
        'onsager': (onsager, onsager_stderr),
    }.items():
        matrices[name], matrices[f'{name}_stderr'] = values, errors
    half = stats.t.ppf(0.975, max(len(samples.values) - 1, 1)) * onsager_stderr
    return matrices | {'onsager_ci95': np.stack((onsager - half, onsager + half), axis=-1)}


def transference_numbers(parts: list[Track], sigma_full: Estimate, dt_ps: float) -> list[Transference]:
    """Return the transference number of every species; none without a spectral estimate of a value.

    A transference number is the sum of a row of the Onsager matrix over the sum of all its elements. Its error is the
    scatter of the segments of the runs, in which both fluctuate together.

    :param parts: each species' part of the charge displacement, species and components side by side.
    """
    spectral = sigma_full.diagnostics['spectral']
    if sigma_full.value is None or spectral is None:
        return []
    value, samples = matrix_samples(parts, dt_ps, spectral)
    rows = _over_species(value).sum(axis=1)
    shares = rows / rows.sum()
    scatter = np.array([_over_species(sample).sum(axis=1) for sample in samples.values])
    residuals = (scatter - shares * scatter.sum(axis=1, keepdims=True)) / rows.sum()
    dof = max(len(residuals) - 1, 1)
    errors = np.sqrt(samples.shares @ residuals**2 / dof)
    reach = stats.t.ppf(0.975, dof) * errors
    return [
        Transference(float(share), float(error), (float(share - half), float(share + half)))
        for share, error, half in zip(shares, errors, reach, strict=True)
    ]


def _over_species(elements: np.ndarray) -> np.ndarray:
    """Return the isotropic averages (species, species) of (3 species, 3 species): a third of the trace."""
    n_species = len(elements) // 3
    averages: np.ndarray = np.einsum('axbx->ab', elements.reshape(n_species, 3, n_species, 3)) / 3
    return averages
