"""Full and tracer conductivity, the Haven ratio and their curves from the trajectories at one temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from aiida_ionconduct.choices import Estimator
from aiida_ionconduct.transport.checks import atom_charges, check_conditions, check_seeds
from aiida_ionconduct.transport.constants import CM2_PER_S, SIEMENS_PER_CM
from aiida_ionconduct.transport.curves import displacement_curves, plateau_curves
from aiida_ionconduct.transport.displacement import Track, as_track, species_displacements
from aiida_ionconduct.transport.estimators import estimate
from aiida_ionconduct.transport.estimators.results import Estimate
from aiida_ionconduct.transport.estimators.spectral import matrix
from aiida_ionconduct.transport.haven import haven_ratio
from aiida_ionconduct.transport.observed import observe
from aiida_ionconduct.transport.reference_frame import collective_tracks
from aiida_ionconduct.transport.result import TransportResult


def analyse(
    seeds: Sequence[np.ndarray],
    symbols: Sequence[str],
    charges: Mapping[str, float],
    cell: np.ndarray,
    *,
    temperature_K: float,
    dt_ps: float,
    mobile: str = 'Li',
    masses: Mapping[str, float] | None = None,
    estimator: Estimator = 'auto',
    **settings: Any,
) -> TransportResult:
    """Compute full and tracer conductivity, Haven ratio and diffusivity from trajectories at one temperature.

    The full conductivity is over all species with integer charges (Grasselli and Baroni 2019,
    10.1038/s41567-019-0562-0) and does not depend on the frame of reference. The tracer displacement is relative to
    the centre of mass of all atoms that are not mobile.

    :param seeds: unwrapped positions in Å, one array (frames, atoms, 3) per velocity seed, all of one shape.
    :param symbols: chemical symbols, one per atom.
    :param charges: charge of every symbol, in e, whole except in mixed valence; they sum to zero over the atoms.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param temperature_K: temperature in K.
    :param dt_ps: time between two frames, in ps.
    :param mobile: symbol of the mobile species.
    :param masses: mass per symbol in u; standard atomic weights by default.
    :param estimator: as for :func:`~aiida_ionconduct.transport.diffusivity`.
    :param settings: of the estimator, as for the same function.
    :raises ValueError: for input that cannot be analysed, saying what to do.
    """
    symbols = [str(symbol) for symbol in symbols]
    cell = np.asarray(cell, dtype=float)
    atom_charges(symbols, charges)
    volume = check_conditions(cell, temperature_K)
    n_mobile = symbols.count(mobile)
    if not n_mobile:
        raise ValueError(f'no atom is the mobile species {mobile!r}: choose `mobile` among {sorted(set(symbols))}.')
    if n_mobile == len(symbols) or charges[mobile] == 0:
        raise ValueError(f'{mobile!r} must carry a charge and move through a framework of other atoms.')
    trajectories = check_seeds(seeds, len(symbols), dt_ps)
    charge, tracer, parts = collective_tracks(trajectories, symbols, charges, mobile=mobile, cell=cell, masses=masses)

    charge_seen, tracer_seen = observe(charge, dt_ps), observe(tracer, dt_ps)
    full = estimate(charge, dt_ps, estimator, charge_seen, **settings)
    particle = estimate(tracer, dt_ps, estimator, tracer_seen, **settings)
    if particle.value is None:
        full = replace(full, value=None, stderr=None)
    per_charge = SIEMENS_PER_CM / (volume * temperature_K)
    per_particle = per_charge * n_mobile * charges[mobile] ** 2
    sigma_full, sigma_tracer = full.scaled(per_charge), particle.scaled(per_particle)
    curves = displacement_curves(tracer_seen.displacements, charge_seen.displacements, dt_ps, dimension=3)
    return TransportResult(
        sigma_full=sigma_full,
        sigma_tracer=sigma_tracer,
        diffusivity=particle.scaled(CM2_PER_S),
        haven_ratio=haven_ratio(sigma_tracer, sigma_full, n_mobile),
        curves=_named(curves, per_charge, per_particle) | plateau_curves(sigma_full, sigma_tracer),
        matrices=_conductivity_matrices(parts, sigma_full, sigma_tracer, dt_ps=dt_ps, per_charge=per_charge),
        facts={
            **_facts(symbols, mobile, [len(positions) for positions in trajectories], dt_ps),
            'temperature_K': float(temperature_K),
            'volume_A3': volume,
        },
    )


def from_centres_of_mass(
    coms: Sequence[np.ndarray],
    species: Sequence[str],
    *,
    counts: Mapping[str, int],
    charges: Mapping[str, float],
    cell: np.ndarray,
    temperature_K: float,
    dt_ps: float,
    estimator: Estimator = 'auto',
    **settings: Any,
) -> Estimate:
    """Return the full conductivity in S/cm from the centres of mass of all species; positions of atoms are not needed.

    :param coms: unwrapped, Å, one array (frames, species, 3) per seed.
    :param species: symbols in the order of the arrays.
    :param counts: number of atoms of every species.
    :param charges: charge of every species, in e; they sum to zero over the atoms.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param temperature_K: temperature in K.
    :param dt_ps: time between two frames, in ps.
    :param estimator: as for :func:`~aiida_ionconduct.transport.diffusivity`.
    :param settings: of the estimator, as for the same function.
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
    *,
    cell: np.ndarray,
    temperature_K: float,
    dt_ps: float,
    estimator: Estimator = 'auto',
    **settings: Any,
) -> Estimate:
    """Return the full conductivity in S/cm from charge currents.

    :param currents: e Å/ps, one array (steps, 3) per seed: averages over the time between two rows. Instantaneous
        currents alias, unless that time is far below a period of vibration.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param temperature_K: temperature in K.
    :param dt_ps: time between two rows, in ps.
    :param estimator: as for :func:`~aiida_ionconduct.transport.diffusivity`.
    :param settings: of the estimator, as for the same function.
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


def _facts(symbols: list[str], mobile: str, lengths: list[int], dt_ps: float) -> dict[str, Any]:
    """Return what was analysed, as attributes of the result.

    :param lengths: number of frames of each seed.
    """
    species = list(dict.fromkeys(symbols))
    others = ', '.join(sorted(set(species) - {mobile}))
    return {
        'species': species,
        'frame': f'full: all species, frame-independent; tracer: relative to the centre of mass of {others}',
        'n_seeds': len(lengths),
        'n_frames': sum(lengths),
        'n_atoms': len(symbols),
        'n_mobile': symbols.count(mobile),
        'mobile': mobile,
        'total_time_ps': float((sum(lengths) - len(lengths)) * dt_ps),
        'dt_ps': float(dt_ps),
    }


def _conductivity_matrices(
    parts: list[Track], sigma_full: Estimate, sigma_tracer: Estimate, *, dt_ps: float, per_charge: float
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
    matrices = {}
    for name, (values, errors) in {
        'sigma_full_tensor': sigma_full.diagnostics['tensor'],
        'sigma_tracer_tensor': sigma_tracer.diagnostics['tensor'],
        'onsager': onsager,
    }.items():
        matrices[name], matrices[f'{name}_stderr'] = values, errors
    return matrices


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
