"""Full and tracer conductivity, the Haven ratio and their curves from the trajectories at one temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from aiida_ionconduct.choices import Estimator
from aiida_ionconduct.transport.checks import atom_charges, check_conditions, check_seeds, mobile_species
from aiida_ionconduct.transport.conductivity_spectrum import current_band, named_band, spectrum_curves
from aiida_ionconduct.transport.constants import CM2_PER_S, SIEMENS_PER_CM
from aiida_ionconduct.transport.curves import axis_curves, displacement_curves, named_curves, plateau_curves
from aiida_ionconduct.transport.displacement import Track, as_track, species_displacements
from aiida_ionconduct.transport.estimators import estimate
from aiida_ionconduct.transport.estimators.results import Estimate
from aiida_ionconduct.transport.framework import choose_framework, tracer_frame
from aiida_ionconduct.transport.haven import haven_ratio
from aiida_ionconduct.transport.observed import curves_in_words, observe
from aiida_ionconduct.transport.onsager import conductivity_matrices, transference_numbers
from aiida_ionconduct.transport.reference_frame import CollectiveTracks, collective_tracks
from aiida_ionconduct.transport.result import TransportResult
from aiida_ionconduct.transport.species import (
    charges_in_words,
    checked_charges,
    conductivity_scales,
    mean_square_charges,
    species_results,
    tracer_of_all,
)


def analyse(
    seeds: Sequence[np.ndarray],
    symbols: Sequence[str],
    charges: Mapping[str, float] | Sequence[float] | np.ndarray | None,
    cell: np.ndarray,
    *,
    temperature_K: float,
    dt_ps: float,
    mobile: str | Sequence[str] = 'Li',
    masses: Mapping[str, float] | None = None,
    framework: Sequence[str] | None = None,
    axes: bool = False,
    unwrapped: bool = False,
    estimator: Estimator = 'auto',
    **settings: Any,
) -> TransportResult:
    """Compute full and tracer conductivity, Haven ratio and diffusivity from trajectories at one temperature.

    The full conductivity is over all species with integer charges (Grasselli and Baroni 2019,
    10.1038/s41567-019-0562-0) and does not depend on the frame of reference. The tracer displacement is relative to
    the centre of mass of the framework: the species that are not mobile and do not diffuse. Where there is none, as in
    a melt, it is relative to the centre of mass of all atoms.

    :param seeds: unwrapped positions in Å, one array (frames, atoms, 3) per velocity seed, all of the same atoms. The
        default estimator uses runs of unequal length whole; the others say what they leave out.
    :param symbols: chemical symbols, one per atom.
    :param charges: charge of every symbol, in e, whole except in mixed valence, or of every atom; their sum is zero.
        Without charges, and for atoms of one element, there is a tracer diffusivity and no conductivity.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param temperature_K: temperature in K.
    :param dt_ps: time between two frames, in ps.
    :param mobile: symbol of the mobile species, or symbols of several.
    :param masses: mass per symbol in u; standard atomic weights by default.
    :param framework: symbols of the framework, found from the motion by default; none for the barycentric frame.
    :param axes: whether the curves are also given along x, y and z.
    :param unwrapped: whether the positions are known to be unwrapped; if not, steps of a cell vector are refused.
    :param estimator: as for :func:`~aiida_ionconduct.transport.diffusivity`.
    :param settings: of the estimator, as for the same function.
    :raises ValueError: for input that cannot be analysed, saying what to do.
    """
    symbols = [str(symbol) for symbol in symbols]
    cell = np.asarray(cell, dtype=float)
    moving = mobile_species(mobile, symbols)
    charge_of, notes = checked_charges(symbols, charges, moving)
    volume = check_conditions(cell, temperature_K)
    trajectories = check_seeds(seeds, len(symbols), dt_ps)
    notes += curves_in_words([len(positions) for positions in trajectories])
    fixed = choose_framework(trajectories, symbols, moving, framework=framework, masses=masses)
    tracks = collective_tracks(
        trajectories,
        symbols,
        charge_of,
        mobile=moving,
        cell=None if unwrapped else cell,
        masses=masses,
        framework=fixed,
    )
    facts = {
        **_facts(symbols, moving, fixed, lengths=[len(positions) for positions in trajectories], dt_ps=dt_ps),
        'temperature_K': float(temperature_K),
        'volume_A3': volume,
        **(_averages({symbol: charges[symbol] for symbol in symbols}) if isinstance(charges, Mapping) else {}),
    }
    squares = mean_square_charges(symbols, charge_of, moving)
    result = _result(
        tracks,
        symbols,
        squares,
        facts=facts,
        notes=notes,
        dt_ps=dt_ps,
        estimator=estimator,
        settings=settings,
        others_diffuse=framework is None and bool(set(symbols) - {*moving, *fixed}),
    )
    result = replace(result, charge_words=charges_in_words(symbols, charge_of))
    if axes:
        tracer = tracer_of_all(tracks.tracer, symbols, squares)
        per_charge, per_particle = conductivity_scales(symbols, squares, volume * temperature_K)
        result.curves.update(
            axis_curves(tracer, tracks.charge, dt_ps, per_charge=per_charge, per_particle=per_particle)
        )
    return result


def _result(
    tracks: CollectiveTracks,
    symbols: list[str],
    squares: Mapping[str, float],
    *,
    facts: dict[str, Any],
    notes: list[str],
    dt_ps: float,
    estimator: Estimator,
    settings: Mapping[str, Any],
    others_diffuse: bool,
) -> TransportResult:
    """Estimate all coefficients.

    :param squares: mean square charge of each mobile species.
    :param others_diffuse: whether species may carry charge that are neither mobile nor of the framework.
    """
    tracer, n_mobile = tracer_of_all(tracks.tracer, symbols, squares), facts['n_mobile']
    charge_seen, tracer_seen = observe(tracks.charge, dt_ps), observe(tracer, dt_ps)
    full = estimate(tracks.charge, dt_ps, estimator, charge_seen, **settings)
    particle = estimate(tracer, dt_ps, estimator, tracer_seen, **settings)
    if particle.value is None and not others_diffuse:
        ballistic = {'ballistic': full.diagnostics['ballistic'] or particle.diagnostics['ballistic']}
        full = replace(full, value=None, stderr=None, diagnostics={**full.diagnostics, **ballistic})
    per_charge, per_particle = conductivity_scales(symbols, squares, facts['volume_A3'] * facts['temperature_K'])
    sigma_full, sigma_tracer = full.scaled(per_charge), particle.scaled(per_particle)
    if not per_particle:
        sigma_tracer = replace(sigma_tracer, value=None, stderr=None)
    curves = displacement_curves(tracer_seen.displacements, charge_seen.displacements, dt_ps, dimension=3)
    spectrum = {}
    if per_particle > 0:
        spectrum = spectrum_curves(
            current_band(tracks.charge, dt_ps, charge_seen),
            current_band(tracer, dt_ps, tracer_seen),
            per_charge=per_charge,
            per_particle=per_particle,
        )
    species = []
    if len(squares) > 1:
        shares = transference_numbers(tracks.framework_parts, sigma_full, dt_ps)
        of_species = dict(zip(facts['species'], shares, strict=True)) if shares else {}
        species = species_results(
            tracks.tracer,
            symbols,
            squares,
            of_species,
            dt_ps=dt_ps,
            per_charge=per_charge,
            estimator=estimator,
            **settings,
        )
    return TransportResult(
        sigma_full=sigma_full,
        sigma_tracer=sigma_tracer,
        diffusivity=particle.scaled(CM2_PER_S),
        haven_ratio=haven_ratio(sigma_tracer, sigma_full, n_mobile),
        curves=named_curves(curves, per_charge, per_particle) | plateau_curves(sigma_full, sigma_tracer) | spectrum,
        matrices=conductivity_matrices(tracks.parts, sigma_full, sigma_tracer, dt_ps=dt_ps, per_charge=per_charge),
        facts=facts,
        species=species,
        notes=notes,
        charged=per_particle > 0,
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
    volume = check_conditions(np.asarray(cell, dtype=float), temperature_K)
    tracks = _charge_tracks(coms, list(species), counts, charges, dt_ps=dt_ps)
    return estimate(tracks, dt_ps, estimator, **settings).scaled(SIEMENS_PER_CM / (volume * temperature_K))


def spectrum_from_centres_of_mass(
    coms: Sequence[np.ndarray],
    species: Sequence[str],
    *,
    counts: Mapping[str, int],
    charges: Mapping[str, float],
    volume_A3: float,
    temperature_K: float,
    dt_ps: float,
) -> dict[str, np.ndarray]:
    """Return the real part of the full conductivity against frequency, as in the curves of :func:`analyse`.

    Centres of mass are stored more often than positions, so that the spectrum reaches faster motion. The parameters are
    those of :func:`from_centres_of_mass`.

    :param volume_A3: of the cell, Å³.
    :raises ValueError: as :func:`analyse`.
    """
    tracks = _charge_tracks(coms, list(species), counts, charges, dt_ps=dt_ps)
    band = current_band(tracks, dt_ps, observe(tracks, dt_ps))
    return named_band('full', band, SIEMENS_PER_CM / (volume_A3 * temperature_K))


def _charge_tracks(
    coms: Sequence[np.ndarray],
    species: list[str],
    counts: Mapping[str, int],
    charges: Mapping[str, float],
    *,
    dt_ps: float,
) -> list[Track]:
    """Return the charge displacement of each seed from its centres of mass (frames, species, 3)."""
    missing = sorted(set(species) - set(counts))
    if missing:
        raise ValueError(f'`counts` lacks {missing}: give the number of atoms of every species.')
    atom_charges([symbol for symbol in species for _ in range(counts[symbol])], charges)
    weights = np.array([counts[symbol] * charges[symbol] for symbol in species], dtype=float)
    tracks = []
    for seed, positions in enumerate(check_seeds(coms, len(species), dt_ps, 'coms')):
        steps = species_displacements(positions, np.arange(len(species)), name=f'coms[{seed}]')
        tracks.append(as_track(np.tensordot(weights, steps, 1)[:, None]))
    return tracks


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


def _averages(charges: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return the attribute ``average_charges`` of the result: the charges that are not whole, if there are any."""
    averages = {symbol: float(charge) for symbol, charge in charges.items() if charge % 1}
    return {'average_charges': averages} if averages else {}


def _facts(
    symbols: list[str], mobile: list[str], framework: list[str], *, lengths: list[int], dt_ps: float
) -> dict[str, Any]:
    """Return what was analysed, as attributes of the result.

    :param framework: species that the tracer is followed against; none for the barycentric frame.
    :param lengths: number of frames of each seed.
    """
    species = list(dict.fromkeys(symbols))
    return {
        'species': species,
        'frame': f'full: all species, frame-independent; tracer: {tracer_frame(species, mobile, framework)}',
        'n_seeds': len(lengths),
        'n_frames': sum(lengths),
        'n_atoms': len(symbols),
        'n_mobile': sum(symbols.count(symbol) for symbol in mobile),
        'mobile': ','.join(mobile),
        'total_time_ps': float((sum(lengths) - len(lengths)) * dt_ps),
        'dt_ps': float(dt_ps),
    }
