"""Charges and coefficients of the mobile species."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from aiida_ionconduct.choices import Estimator
from aiida_ionconduct.transport.checks import atom_charges
from aiida_ionconduct.transport.constants import CM2_PER_S, SIEMENS_PER_CM
from aiida_ionconduct.transport.displacement import Track, as_track
from aiida_ionconduct.transport.estimators import estimate
from aiida_ionconduct.transport.estimators.results import Estimate
from aiida_ionconduct.transport.observed import observe
from aiida_ionconduct.transport.onsager import Transference

NOT_WHOLE = (
    'charges that are not whole numbers: the full conductivity depends on them; with integer oxidation states it is '
    'that of an experiment (Grasselli and Baroni 2019, 10.1038/s41567-019-0562-0)'
)
UNEQUAL = (
    'charges that differ between atoms of a species: each atom keeps its charge, and the tracer conductivity is that '
    'of the mean square charge'
)
ONE_ELEMENT = 'one element: its atoms carry no charge, so that there is a tracer diffusivity and no conductivity'
UNCHARGED = 'no charges: there is a tracer diffusivity and no conductivity'


class SpeciesResult(NamedTuple):
    """The coefficients of one of several mobile species; no transference number without a spectral estimate."""

    symbol: str
    n_ions: int
    diffusivity: Estimate
    sigma_tracer: Estimate
    transference: Transference | None


def checked_charges(
    symbols: list[str], charges: Mapping[str, float] | Sequence[float] | np.ndarray | None, mobile: Sequence[str]
) -> tuple[Mapping[str, float] | np.ndarray, list[str]]:
    """Return the charges by symbol or, where atoms of a species differ, of every atom; and what to know of them.

    :raises ValueError: as :func:`~aiida_ionconduct.transport.checks.atom_charges`, or if no mobile species is charged.
    """
    if charges is None or len(set(symbols)) == 1:
        return dict.fromkeys(symbols, 0.0), [UNCHARGED if len(set(symbols)) > 1 else ONE_ELEMENT]
    values = atom_charges(symbols, charges)
    kinds = np.array(symbols)
    own = {symbol: values[kinds == symbol] for symbol in dict.fromkeys(symbols)}
    if not any(own[symbol].any() for symbol in mobile):
        raise ValueError(f'{", ".join(mobile)} must carry a charge, or there is no conductivity: see `charges`.')
    notes = [NOT_WHOLE] if (values % 1).any() else []
    if any(np.ptp(of_species) > 0 for of_species in own.values()):
        return values, [*notes, UNEQUAL]
    return {symbol: float(of_species[0]) for symbol, of_species in own.items()}, notes


def mean_square_charges(
    symbols: list[str], charges: Mapping[str, float] | np.ndarray, mobile: Sequence[str]
) -> dict[str, float]:
    """Return the mean square charge of each mobile species, e²."""
    if isinstance(charges, Mapping):
        return {symbol: charges[symbol] ** 2 for symbol in mobile}
    kinds = np.array(symbols)
    return {symbol: float((charges[kinds == symbol] ** 2).mean()) for symbol in mobile}


def charges_in_words(symbols: list[str], charges: Mapping[str, float] | np.ndarray) -> str:
    """Return the charge of every species, or its range over the atoms."""
    kinds, words = np.array(symbols), []
    for symbol in dict.fromkeys(symbols):
        of_atoms = np.array([charges[symbol]]) if isinstance(charges, Mapping) else charges[kinds == symbol]
        low, high = f'{of_atoms.min():+.6g}', f'{of_atoms.max():+.6g}'
        words.append(f'{symbol} {low}' if low == high else f'{symbol} {low} to {high}')
    return ', '.join(words)


def conductivity_scales(symbols: list[str], squares: Mapping[str, float], VT: float) -> tuple[float, float]:
    """Return the conductivities in S/cm of 1 e²Å²/ps, and of a tracer diffusivity of 1 Å²/ps of all mobile ions.

    :param squares: mean square charge of each mobile species.
    :param VT: volume times temperature, Å³ K.
    """
    per_charge = SIEMENS_PER_CM / VT
    return per_charge, per_charge * sum(symbols.count(symbol) * square for symbol, square in squares.items())


def tracer_of_all(tracks: list[Track], symbols: list[str], squares: Mapping[str, float]) -> list[Track]:
    """Return the tracks whose diffusivity times their mean square charge gives the tracer conductivity.

    They are the tracks of all mobile ions; if the species differ in their charge, a copy of them in which every ion
    counts by its charge: each displacement times the charge over the root mean square charge.

    :param squares: mean square charge of each mobile species.
    """
    if len(set(squares.values())) == 1:
        return tracks
    charge = np.array([np.sqrt(squares[symbols[particle]]) for particle in tracks[0].particles])
    weights = charge / np.sqrt((charge**2).mean())
    return [
        as_track((positions[:, particles] - shift[:, None]) * weights[:, None])
        for positions, particles, shift in tracks
    ]


def species_results(
    tracks: list[Track],
    symbols: list[str],
    squares: Mapping[str, float],
    transference: Mapping[str, Transference],
    *,
    dt_ps: float,
    per_charge: float,
    estimator: Estimator,
    **settings: Any,
) -> list[SpeciesResult]:
    """Return the coefficients of each of several mobile species.

    :param tracks: of all mobile ions.
    :param squares: mean square charge of each mobile species.
    :param transference: transference number of each species, where they are known.
    :param per_charge: conductivity in S/cm of e²Å²/ps.
    """
    results = []
    for symbol, square in squares.items():
        chosen = np.array([symbols[particle] == symbol for particle in tracks[0].particles])
        own = [track._replace(particles=track.particles[chosen]) for track in tracks]
        particle = estimate(own, dt_ps, estimator, observe(own, dt_ps), **settings)
        count = int(chosen.sum())
        results.append(
            SpeciesResult(
                symbol,
                count,
                particle.scaled(CM2_PER_S),
                particle.scaled(per_charge * count * square),
                transference.get(symbol),
            )
        )
    return results
