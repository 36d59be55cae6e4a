"""The result of an analysis: conductivities with their errors, curves, and what a reader has to know of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aiida_ionconduct.transport.estimators.results import Estimate
from aiida_ionconduct.transport.species import SpeciesResult

# A result is called converged when the 95 % half-width of the full conductivity is below this share of its value and
# every slope is on its plateau.
MAX_RELATIVE_HALF_WIDTH = 0.2
# Below this a periodic cell may be too small for the conductivity (Grasselli 2022, 10.1063/5.0087382).
FEW_ATOMS = 200


def half_width_over_value(value: float, interval: tuple[float, float]) -> float:
    """Return half the width of an interval over the size of the value, which must not be zero."""
    low, high = interval
    return (high - low) / 2 / abs(value)


@dataclass(frozen=True)
class TransportResult:
    """The result of :func:`analyse`: estimates in S/cm and cm²/s, the curves, and what was analysed.

    ``haven_ratio`` is sigma_tracer/sigma_full, None where either is; ``facts`` are the flat attributes that describe
    the input. ``matrices``, of the spectral estimator only, all in S/cm and each with its ``…_stderr`` (and
    ``onsager_ci95``, (species, species, 2)):
    ``sigma_full_tensor`` and ``sigma_tracer_tensor`` (3, 3), the conductivity a third of the trace, and ``onsager``
    (species, species), the part of each pair of species in sigma_full, in the barycentric frame; the species are
    ``facts['species']``. ``species`` are the coefficients of each mobile species where there are several: then
    ``sigma_tracer`` is their sum, and ``diffusivity`` their mean, weighted by the square of the charge. ``notes`` say
    what to know of the charges, ``charge_words`` which they are; without any (not ``charged``) there is no
    conductivity.
    """

    sigma_full: Estimate
    sigma_tracer: Estimate
    diffusivity: Estimate
    haven_ratio: Estimate | None
    curves: dict[str, np.ndarray]
    matrices: dict[str, np.ndarray]
    facts: dict[str, Any]
    species: list[SpeciesResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    charged: bool = True
    charge_words: str = ''

    @property
    def diffusive(self) -> bool:
        """Whether the mobile species diffuses within the run, beyond the error."""
        return self.diffusivity.value is not None

    @property
    def plateau(self) -> bool:
        """Whether neither slope changes with the lag any more."""
        return all(sigma.diagnostics['plateau'] for sigma in (self.sigma_full, self.sigma_tracer))

    @property
    def converged(self) -> bool:
        """Whether the full conductivity is known to 20 % with 95 % confidence and both slopes are on a plateau."""
        sigma = self.sigma_full
        if sigma.value is None or sigma.value <= 0:
            return False
        if half_width_over_value(sigma.value, sigma.interval(0.95)) >= MAX_RELATIVE_HALF_WIDTH:
            return False
        return self.plateau

    @property
    def warnings(self) -> list[str]:
        """What a reader has to know before using the numbers."""
        conductivities = {'full': self.sigma_full, 'tracer': self.sigma_tracer} if self.charged else {}
        warnings = [f'full conductivity: {text}' for text in self.sigma_full.diagnostics['warnings'] if self.charged]
        tracers = {f'tracer, {species.symbol}': species.diffusivity for species in self.species}
        for name, tracer in (tracers or {'tracer': self.sigma_tracer}).items():
            warnings += [f'{name}: {text}' for text in tracer.diagnostics['warnings']]
        for name, sigma in conductivities.items():
            if sigma.value is None:
                known = 'no upper bound either'
                if sigma.upper is not None:
                    known = f'below {sigma.upper:.2g} S/cm at 97.5 % confidence'
                warnings.append(f'no {name} conductivity: {known}')
        warnings += self.notes
        if self.facts['n_atoms'] < FEW_ATOMS:
            warnings.append(f'{self.facts["n_atoms"]} atoms: check the finite-size effect with a larger cell')
        for symbol, charge in self.facts.get('average_charges', {}).items():
            warnings.append(
                f'full conductivity: every {symbol} carries the average charge {charge:+.3g}, which is a model; only '
                'the tracer conductivity does not depend on it'
            )
        return warnings

    def attributes(self) -> dict[str, Any]:
        """Return all numbers as a flat, JSON-able dictionary; a number that the data do not give is None."""
        numbers = {
            **_flat('sigma_full_S_per_cm', 'sigma_full', self.sigma_full),
            **_flat('sigma_tracer_S_per_cm', 'sigma_tracer', self.sigma_tracer),
            **_flat('haven_ratio', 'haven_ratio', self.haven_ratio),
            **_flat('diffusivity_cm2_per_s', 'diffusivity', None if self.species else self.diffusivity),
        }
        for species in self.species:
            numbers |= _of_species(species)
        tracer = self.sigma_tracer.diagnostics
        if self.diffusive and tracer['caged']:
            numbers['caged'] = True
        return {
            **self.facts,
            **numbers,
            'sigma_full_dof': self.sigma_full.dof,
            'sigma_full_excess_share': self.sigma_full.excess_share,
            'estimator': self.sigma_full.estimator,
            'lag_ps': self.sigma_full.diagnostics['lag_ps'],
            'lag_tracer_ps': tracer['lag_ps'],
            'beta': tracer['beta'],
            'beta_stderr': tracer['beta_stderr'],
            'diffusive': self.diffusive,
            'converged': self.converged,
            'plateau': self.plateau,
            'plateau_tracer': tracer['plateau'],
            'sigma_full_upper_S_per_cm': self.sigma_full.upper if self.charged else None,
            'warnings': self.warnings,
            **{
                name if name.endswith(('stderr', 'ci95')) else f'{name}_S_per_cm': values.tolist()
                for name, values in self.matrices.items()
            },
        }


def _flat(value_name: str, name: str, number: Estimate | None) -> dict[str, Any]:
    """Return value, stderr and 95 % interval under their names."""
    if number is None or number.value is None:
        return {value_name: None, f'{name}_stderr': None, f'{name}_ci95': None}
    return {value_name: number.value, f'{name}_stderr': number.stderr, f'{name}_ci95': list(number.interval(0.95))}


def _of_species(species: SpeciesResult) -> dict[str, Any]:
    """Return the numbers of a species, their names with its symbol at the end."""
    share = species.transference
    numbers = {
        'n_mobile': species.n_ions,
        'diffusive': species.diffusivity.value is not None,
        **_flat('diffusivity_cm2_per_s', 'diffusivity', species.diffusivity),
        **_flat('sigma_tracer_S_per_cm', 'sigma_tracer', species.sigma_tracer),
        'transference': None if share is None else share.value,
        'transference_stderr': None if share is None else share.stderr,
        'transference_ci95': None if share is None else list(share.interval),
    }
    return {f'{name}_{species.symbol}': value for name, value in numbers.items()}
