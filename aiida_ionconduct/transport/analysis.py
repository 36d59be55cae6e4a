"""Full and tracer conductivity, the Haven ratio and their curves from the trajectories at one temperature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase.data import atomic_masses, atomic_numbers

from aiida_ionconduct.transport.constants import CM2_PER_S, SIEMENS_PER_CM
from aiida_ionconduct.transport.curves import displacement_curves, plateau_curves
from aiida_ionconduct.transport.displacement import Track, as_floats, as_track, species_displacements
from aiida_ionconduct.transport.estimators import check_runs, estimate
from aiida_ionconduct.transport.estimators.results import Estimate, Mixture, mean_and_error, merge_blocks
from aiida_ionconduct.transport.estimators.spectral import matrix
from aiida_ionconduct.transport.observed import observe

# A result is called converged when the 95 % half-width of the full conductivity is below this share of its value and
# every slope is on its plateau.
MAX_RELATIVE_HALF_WIDTH = 0.2
# Below this a periodic cell may be too small for the conductivity (Grasselli 2022, 10.1063/5.0087382).
FEW_ATOMS = 200
# Models that put the full conductivity below this share of its value are left out of the Haven ratio.
LEAST_SHARE = 0.1


def half_width_over_value(value: float, interval: tuple[float, float]) -> float:
    """Return half the width of an interval over the size of the value, which must not be zero."""
    low, high = interval
    return (high - low) / 2 / abs(value)


@dataclass(frozen=True)
class TransportResult:
    """The result of :func:`analyse`: estimates in S/cm and cm²/s, the curves, and what was analysed.

    ``haven_ratio`` is sigma_tracer/sigma_full, None where either is; ``facts`` are the flat attributes that describe
    the input. ``matrices``, of the spectral estimator only, all in S/cm and each with its ``…_stderr``:
    ``sigma_full_tensor`` and ``sigma_tracer_tensor`` (3, 3), the conductivity a third of the trace, and ``onsager``
    (species, species), the part of each pair of species in sigma_full, in the barycentric frame; the species are
    ``facts['species']``.
    """

    sigma_full: Estimate
    sigma_tracer: Estimate
    diffusivity: Estimate
    haven_ratio: Estimate | None
    curves: dict[str, np.ndarray]
    matrices: dict[str, np.ndarray]
    facts: dict

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
        warnings = [f'full conductivity: {text}' for text in self.sigma_full.diagnostics['warnings']]
        warnings += [f'tracer: {text}' for text in self.sigma_tracer.diagnostics['warnings']]
        for name, sigma in (('full', self.sigma_full), ('tracer', self.sigma_tracer)):
            if sigma.value is None:
                warnings.append(
                    f'no {name} conductivity: below {sigma.interval(0.95)[1]:.2g} S/cm at 97.5 % confidence'
                )
        if self.facts['n_atoms'] < FEW_ATOMS:
            warnings.append(f'{self.facts["n_atoms"]} atoms: check the finite-size effect with a larger cell')
        return warnings

    def attributes(self) -> dict:
        """Return all numbers as a flat, JSON-able dictionary; a number that the data do not give is None."""
        numbers = {
            **_flat('sigma_full_S_per_cm', 'sigma_full', self.sigma_full),
            **_flat('sigma_tracer_S_per_cm', 'sigma_tracer', self.sigma_tracer),
            **_flat('haven_ratio', 'haven_ratio', self.haven_ratio),
            **_flat('diffusivity_cm2_per_s', 'diffusivity', self.diffusivity),
        }
        tracer = self.sigma_tracer.diagnostics
        return {
            **self.facts,
            **numbers,
            'sigma_full_dof': self.sigma_full.dof,
            'estimator': self.sigma_full.estimator,
            'lag_ps': self.sigma_full.diagnostics['lag_ps'],
            'lag_tracer_ps': tracer['lag_ps'],
            'beta': tracer['beta'],
            'beta_stderr': tracer['beta_stderr'],
            'diffusive': self.diffusive,
            'converged': self.converged,
            'plateau': self.plateau,
            'warnings': self.warnings,
            **{
                name if name.endswith('stderr') else f'{name}_S_per_cm': values.tolist()
                for name, values in self.matrices.items()
            },
        }


def _flat(value_name: str, name: str, number: Estimate | None) -> dict:
    """Return value, stderr and 95 % interval under their names."""
    if number is None or number.value is None:
        return {value_name: None, f'{name}_stderr': None, f'{name}_ci95': None}
    return {value_name: number.value, f'{name}_stderr': number.stderr, f'{name}_ci95': list(number.interval(0.95))}


def analyse(
    seeds: Sequence[np.ndarray],
    symbols: Sequence[str],
    charges: dict[str, int],
    cell: np.ndarray,
    temperature_K: float,
    dt_ps: float,
    mobile: str = 'Li',
    masses: dict[str, float] | None = None,
    estimator: str = 'auto',
    **settings,
) -> TransportResult:
    """Compute full and tracer conductivity, Haven ratio and diffusivity from trajectories at one temperature.

    The full conductivity is over all species with integer charges (Grasselli and Baroni 2019,
    10.1038/s41567-019-0562-0) and does not depend on the frame of reference. The tracer displacement is relative to
    the centre of mass of all atoms that are not mobile.

    :param seeds: unwrapped positions in Å, one array (frames, atoms, 3) per velocity seed, all of one shape.
    :param symbols: chemical symbols, one per atom.
    :param charges: integer charge of every symbol, in e; they sum to zero over the atoms.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param temperature_K: temperature.
    :param dt_ps: time between two frames.
    :param mobile: symbol of the mobile species.
    :param masses: mass per symbol; standard atomic weights by default.
    :param estimator: see :func:`~aiida_ionconduct.transport.diffusivity`, and so are ``settings``.
    :raises ValueError: for input that cannot be analysed, saying what to do.
    """
    symbols = [str(symbol) for symbol in symbols]
    cell = np.asarray(cell, dtype=float)
    atom_charges(symbols, charges)
    volume = check_conditions(cell, temperature_K)
    species = list(dict.fromkeys(symbols))
    n_mobile = symbols.count(mobile)
    if not n_mobile:
        raise ValueError(f'no atom is the mobile species {mobile!r}: choose `mobile` among {sorted(species)}.')
    if n_mobile == len(symbols) or charges[mobile] == 0:
        raise ValueError(f'{mobile!r} must carry a charge and move through a framework of other atoms.')
    trajectories = check_seeds(seeds, len(symbols), dt_ps)
    charge, tracer, parts = collective_tracks(trajectories, symbols, charges, masses, mobile, cell)

    charge_seen, tracer_seen = observe(charge, dt_ps), observe(tracer, dt_ps)
    full = estimate(charge, dt_ps, estimator, charge_seen, **settings)
    particle = estimate(tracer, dt_ps, estimator, tracer_seen, **settings)
    if particle.value is None:
        full = replace(full, value=None, stderr=None)
    per_charge = SIEMENS_PER_CM / (volume * temperature_K)
    per_particle = per_charge * n_mobile * charges[mobile] ** 2
    sigma_full, sigma_tracer = full.scaled(per_charge), particle.scaled(per_particle)
    curves = displacement_curves(tracer_seen.displacements, charge_seen.displacements, dt_ps, 3)
    frames = sum(map(len, trajectories))
    others = ', '.join(sorted(set(species) - {mobile}))
    return TransportResult(
        sigma_full=sigma_full,
        sigma_tracer=sigma_tracer,
        diffusivity=particle.scaled(CM2_PER_S),
        haven_ratio=haven_ratio(sigma_tracer, sigma_full, n_mobile),
        curves=_named(curves, per_charge, per_particle) | plateau_curves(sigma_full, sigma_tracer),
        matrices=conductivity_matrices(parts, sigma_full, sigma_tracer, dt_ps, per_charge),
        facts={
            'species': species,
            'temperature_K': float(temperature_K),
            'frame': f'full: all species, frame-independent; tracer: relative to the centre of mass of {others}',
            'n_seeds': len(trajectories),
            'n_frames': frames,
            'n_atoms': len(symbols),
            'n_mobile': n_mobile,
            'mobile': mobile,
            'total_time_ps': float((frames - len(trajectories)) * dt_ps),
            'dt_ps': float(dt_ps),
            'volume_A3': volume,
        },
    )


def from_centres_of_mass(
    coms: Sequence[np.ndarray],
    species: Sequence[str],
    counts: dict[str, int],
    charges: dict[str, int],
    cell: np.ndarray,
    temperature_K: float,
    dt_ps: float,
    estimator: str = 'auto',
    **settings,
) -> Estimate:
    """Return the full conductivity in S/cm from the centres of mass of all species, which is all that it needs.

    :param coms: unwrapped, Å, one array (frames, species, 3) per seed.
    :param species: symbols in the order of the arrays.
    :param counts: number of atoms of every species.
    :param charges: integer charge of every species, in e; they sum to zero over the atoms.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param temperature_K: temperature.
    :param dt_ps: time between two frames.
    :param estimator: see :func:`~aiida_ionconduct.transport.diffusivity`, and so are ``settings``.
    :raises ValueError: as :func:`analyse`.
    """
    species = list(species)
    missing = sorted(set(species) - set(counts))
    if missing:
        raise ValueError(f'`counts` lacks {missing}: give the number of atoms of every species.')
    atom_charges([symbol for symbol in species for _ in range(counts[symbol])], charges)
    volume = check_conditions(np.asarray(cell, dtype=float), temperature_K)
    weights = np.array([counts[symbol] * charges[symbol] for symbol in species], dtype=float)
    tracks = []
    for seed, positions in enumerate(check_seeds(coms, len(species), dt_ps, 'coms')):
        steps = species_displacements(positions, np.arange(len(species)), name=f'coms[{seed}]')
        tracks.append(as_track(np.tensordot(weights, steps, 1)[:, None]))
    return estimate(tracks, dt_ps, estimator, **settings).scaled(SIEMENS_PER_CM / (volume * temperature_K))


def from_currents(
    currents: Sequence[np.ndarray],
    cell: np.ndarray,
    temperature_K: float,
    dt_ps: float,
    estimator: str = 'auto',
    **settings,
) -> Estimate:
    """Return the full conductivity in S/cm from charge currents.

    :param currents: e Å/ps, one array (steps, 3) per seed: averages over the time between two rows. Instantaneous
        currents will do only if that time is far below a period of vibration, or they alias.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param temperature_K: temperature.
    :param dt_ps: time between two rows.
    :param estimator: see :func:`~aiida_ionconduct.transport.diffusivity`, and so are ``settings``.
    :raises ValueError: as :func:`analyse`.
    """
    volume = check_conditions(np.asarray(cell, dtype=float), temperature_K)
    tracks = []
    for seed, current in enumerate(currents):
        current = np.asarray(current, dtype=float)
        if current.ndim != 2 or current.shape[1] != 3:
            raise ValueError(f'`currents[{seed}]` has shape {current.shape}, expected (steps, 3).')
        displacement = np.concatenate((np.zeros((1, 3)), np.cumsum(current, axis=0) * dt_ps))
        tracks.append(as_track(displacement[:, None], f'currents[{seed}]'))
    return estimate(tracks, dt_ps, estimator, **settings).scaled(SIEMENS_PER_CM / (volume * temperature_K))


def atom_charges(symbols: list[str], charges: dict[str, int]) -> np.ndarray:
    """Return the charge of every atom, checked: known for every symbol and zero in total."""
    missing = sorted(set(symbols) - set(charges))
    if missing:
        raise ValueError(f'`charges` lacks {missing}: give the integer oxidation state of every species.')
    values = np.array([charges[symbol] for symbol in symbols], dtype=float)
    if abs(values.sum()) > 1e-9:
        raise ValueError(
            f'the charges sum to {values.sum():+g} e over the {len(symbols)} atoms: give oxidation states that sum to '
            'zero, or the conductivity depends on the frame of reference.'
        )
    return values


def check_conditions(cell: np.ndarray, temperature_K: float) -> float:
    """Return the volume in Å³ after checking the cell and the temperature."""
    if not (math.isfinite(temperature_K) and temperature_K > 0):
        raise ValueError(f'`temperature_K` is {temperature_K}: give a positive temperature in kelvin.')
    if cell.shape != (3, 3) or not np.isfinite(cell).all() or abs(np.linalg.det(cell)) < 1e-6:
        raise ValueError(f'`cell` must be three linearly independent vectors, the rows of (3, 3), not {cell.tolist()}.')
    return float(abs(np.linalg.det(cell)))


def check_seeds(seeds: Sequence[np.ndarray], n_atoms: int, dt_ps: float, name: str = 'seeds') -> list[np.ndarray]:
    """Return the trajectories as float arrays, their shapes checked one by one and against each other."""
    if isinstance(seeds, np.ndarray) and seeds.ndim == 3:
        raise ValueError(f'`{name}` is one array: give a list of arrays (frames, atoms, 3), one per seed.')
    trajectories = [as_floats(positions, f'{name}[{seed}]') for seed, positions in enumerate(seeds)]
    check_runs([positions.shape for positions in trajectories], dt_ps)
    if trajectories[0].shape[1:] != (n_atoms, 3):
        raise ValueError(f'`{name}[0]` has shape {trajectories[0].shape}, expected (frames, {n_atoms}, 3).')
    for seed, positions in enumerate(trajectories):
        for other in range(seed):
            if (positions[-1] == trajectories[other][-1]).all() and np.ptp(positions[[0, -1]], axis=0).any():
                raise ValueError(f'`{name}[{other}]` and `{name}[{seed}]` are the same run: give independent seeds.')
    return trajectories


def collective_tracks(
    trajectories: list[np.ndarray],
    symbols: list[str],
    charges: dict[str, int],
    masses: dict[str, float] | None,
    mobile: str,
    cell: np.ndarray,
) -> tuple[list[Track], list[Track], list[Track]]:
    """Return, per seed, the charge displacement mu(t) in e Å, the mobile species, and each species' part of mu(t).

    The mobile species is relative to the framework's centre of mass, the parts are to that of all atoms: for those of
    each species, in the order in which they come among the symbols.

    :param trajectories: as returned by :func:`check_seeds`.
    :raises ValueError: if one of them holds a value that is not finite or is wrapped into the cell.
    """
    species = list(dict.fromkeys(symbols))
    species_of = np.array([species.index(symbol) for symbol in symbols])
    charge_of = np.array([charges[symbol] for symbol in species], dtype=float)
    mass_of = np.array([_mass(symbol, masses) for symbol in species])
    count = np.bincount(species_of)
    framework = np.where(np.array(species) == mobile, 0.0, mass_of)
    framework /= framework @ count
    own = np.diag(charge_of) - np.outer(charge_of * count, mass_of / (mass_of @ count))
    particles = np.flatnonzero(species_of == species.index(mobile))
    charge, tracer, parts = [], [], []
    for seed, positions in enumerate(trajectories):
        steps = species_displacements(positions, species_of, cell, f'seeds[{seed}]')
        charge.append(as_track(np.tensordot(charge_of, steps, 1)[:, None]))
        tracer.append(Track(positions, particles, np.tensordot(framework, steps, 1)))
        # Species and components side by side, as the coordinates of one particle.
        partial = np.tensordot(own, steps, 1)
        parts.append(as_track(np.concatenate(partial, axis=1)[:, None]))
    return charge, tracer, parts


def conductivity_matrices(
    parts: list[Track], sigma_full: Estimate, sigma_tracer: Estimate, dt_ps: float, per_charge: float
) -> dict[str, np.ndarray]:
    """Return the matrices of :class:`TransportResult`; none without a spectral estimate of a value."""
    spectral = sigma_full.diagnostics['spectral']
    if sigma_full.value is None or sigma_tracer.value is None or spectral is None:
        return {}
    n_species = parts[0].dimension // 3
    # Isotropic averages: the same component of both species, a third of their sum.
    onsager = [
        per_charge * np.einsum('axbx->ab', elements.reshape(n_species, 3, n_species, 3)) / 3
        for elements in matrix(parts, dt_ps, spectral)
    ]
    found = {
        'sigma_full_tensor': sigma_full.diagnostics['tensor'],
        'sigma_tracer_tensor': sigma_tracer.diagnostics['tensor'],
        'onsager': onsager,
    }
    return {f'{name}{end}': one for name, pair in found.items() for end, one in zip(('', '_stderr'), pair, strict=True)}


def haven_ratio(tracer: Estimate, full: Estimate, n_mobile: int) -> Estimate | None:
    """Return sigma_tracer/sigma_full with the error of the logarithm of the ratio: both come from the same runs.

    Spectral estimates give the distribution of the full conductivity, model by model, and the correlation of the two;
    other estimates give paired blocks.

    :param n_mobile: number of mobile particles.
    """
    if tracer.value is None or full.value is None:
        return None
    ratio, mixture = tracer.value / full.value, full.diagnostics['mixture']
    if mixture is None or tracer.diagnostics['mixture'] is None:
        blocks = [estimate.diagnostics['blocks'] for estimate in (tracer, full)]
        shared = min(block.shape[1] for block in blocks)
        tracer_blocks, full_blocks = (merge_blocks(block, shared) for block in blocks)
        _, error, dof = mean_and_error(tracer_blocks / tracer_blocks.mean() - full_blocks / full_blocks.mean())
        biases = [estimate.diagnostics['bias'] / estimate.value for estimate in (tracer, full)]
        return Estimate(ratio, ratio * math.hypot(error, *biases), 'paired blocks', dof, {'mixture': None})
    possible = mixture.values > LEAST_SHARE * full.value
    weights, ratios = mixture.weights[possible], tracer.value / mixture.values[possible]
    own, other = mixture.widths[possible] / mixture.values[possible], tracer.stderr / tracer.value
    common = 2 * correlation(tracer, full, n_mobile) * own * other
    widths = ratios * np.sqrt(own**2 + other**2 - common)
    found = Mixture(weights / weights.sum(), ratios, widths, mixture.dof)
    return Estimate(ratio, found.stderr, 'spectral', mixture.dof, {'mixture': found})


def correlation(tracer: Estimate, full: Estimate, n_mobile: int) -> float:
    """Return the correlation of the errors of two spectral estimates in the same unit.

    sum_i abs(x_i)² = abs(sum_i x_i)²/N + sum_i abs(x_i - <x>)²: of the tracer's spectrum, the charge's over N is a
    part, and so are its fluctuations.
    """
    own, other = (estimate.diagnostics['spectral'] for estimate in (full, tracer))
    error = math.sqrt(own.covariance(own) * other.covariance(other))
    return float(np.clip(own.covariance(other) / n_mobile / error, 0.0, 0.95))


def _mass(symbol: str, masses: dict[str, float] | None) -> float:
    """Return the mass of a species, or say that it is not known."""
    if masses is not None and symbol in masses:
        return float(masses[symbol])
    if symbol not in atomic_numbers:
        raise ValueError(f'{symbol!r} is not a chemical element: give its mass in `masses`.')
    return float(atomic_masses[atomic_numbers[symbol]])


def _named(curves: dict[str, np.ndarray], per_charge: float, per_particle: float) -> dict[str, np.ndarray]:
    """Return the curves under the names of the stored arrays, running slopes as conductivities in S/cm."""
    return {
        'lag_ps': curves['lag_ps'],
        'msd_A2': curves['msd'],
        'msd_stderr': curves['msd_stderr'],
        'charge_msd_e2A2': curves['charge_msd'],
        'charge_msd_stderr': curves['charge_msd_stderr'],
        'running_sigma_full_S_per_cm': curves['charge_msd_running'] * per_charge,
        'running_sigma_full_stderr': curves['charge_msd_running_stderr'] * per_charge,
        'running_sigma_tracer_S_per_cm': curves['msd_running'] * per_particle,
        'running_sigma_tracer_stderr': curves['msd_running_stderr'] * per_particle,
        'beta': curves['beta'],
        'beta_stderr': curves['beta_stderr'],
    }
