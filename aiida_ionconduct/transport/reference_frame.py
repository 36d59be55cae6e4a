"""Motion relative to the framework: the one place that knows what mobile ions move against.

The *framework* is all atoms that are not of the mobile species. Tracer displacements are taken relative to its centre
of mass, as a sum over the mobile species alone depends on the frame of reference: for a rigid framework, the
conductivity over the mobile species in the barycentric frame lacks the factor (1 + M_mobile/M_framework)². The charge
displacement mu(t) = sum_i q_i [r_i(t) - r_i(0)] over all species does not depend on the frame, the total charge being
zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ase.data import atomic_masses, atomic_numbers

from aiida_ionconduct.transport.displacement import Track, as_track, species_displacements


class CollectiveTracks(NamedTuple):
    """What an analysis follows, each one track per seed.

    ``charge``: the charge displacement mu(t) in e Å; ``tracer``: the mobile ions in Å, relative to the framework's
    centre of mass; ``parts``: each species' part of mu(t) in the barycentric frame, species and components side by
    side, the species in the order in which they first come among the symbols.
    """

    charge: list[Track]
    tracer: list[Track]
    parts: list[Track]


def mobile_positions(positions: np.ndarray, symbols: Sequence[str], mobile: str = 'Li') -> np.ndarray:
    """Return unwrapped positions of the mobile ions, (frames, ions, 3), Å, in the frame of the framework.

    The framework's centre of mass stays where it is in the first frame, so that the positions of that frame are kept.

    :param positions: (frames, atoms, 3), unwrapped, Å.
    :param symbols: chemical symbols, one per atom.
    :raises ValueError: if there is no mobile ion, or nothing else.
    """
    is_mobile = np.array([symbol == mobile for symbol in symbols])
    if not is_mobile.any() or is_mobile.all():
        raise ValueError(
            f'{mobile!r} must be among the atoms, and not all of them: choose from {sorted(set(symbols))}.'
        )
    masses = np.array([atomic_mass(symbol) for symbol in symbols])[~is_mobile]
    framework = np.einsum('tax,a->tx', positions[:, ~is_mobile].astype(float), masses / masses.sum())
    relative: np.ndarray = positions[:, is_mobile] - (framework - framework[0])[:, None]
    return relative


def collective_tracks(
    trajectories: Sequence[np.ndarray],
    symbols: Sequence[str],
    charges: Mapping[str, float],
    *,
    mobile: str,
    cell: np.ndarray,
    masses: Mapping[str, float] | None = None,
) -> CollectiveTracks:
    """Return the charge displacement, the mobile ions relative to the framework, and each species' part of the charge.

    :param trajectories: (frames, atoms, 3), Å, one per seed, as returned by
        :func:`~aiida_ionconduct.transport.checks.check_seeds`.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param masses: mass per symbol in u; standard atomic weights by default.
    :raises ValueError: if a trajectory holds a value that is not finite or is wrapped into the cell.
    """
    species = list(dict.fromkeys(symbols))
    species_of = np.array([species.index(symbol) for symbol in symbols])
    charge_of = np.array([charges[symbol] for symbol in species], dtype=float)
    mass_of = np.array([atomic_mass(symbol, masses) for symbol in species])
    count = np.bincount(species_of)
    framework = np.where(np.array(species) == mobile, 0.0, mass_of)
    framework /= framework @ count
    own = np.diag(charge_of) - np.outer(charge_of * count, mass_of / (mass_of @ count))
    particles = np.flatnonzero(species_of == species.index(mobile))
    tracks = CollectiveTracks([], [], [])
    for seed, positions in enumerate(trajectories):
        steps = species_displacements(positions, species_of, cell, f'seeds[{seed}]')
        tracks.charge.append(as_track(np.tensordot(charge_of, steps, 1)[:, None]))
        tracks.tracer.append(Track(positions, particles, np.tensordot(framework, steps, 1)))
        # Species and components side by side, as the coordinates of one particle.
        partial = np.tensordot(own, steps, 1)
        tracks.parts.append(as_track(np.concatenate(list(partial), axis=1)[:, None]))
    return tracks


def atomic_mass(symbol: str, masses: Mapping[str, float] | None = None) -> float:
    """Return the mass of a species in u: the given one, else the standard atomic weight.

    :raises ValueError: if the mass is not known.
    """
    if masses is not None and symbol in masses:
        return float(masses[symbol])
    if symbol not in atomic_numbers:
        raise ValueError(f'{symbol!r} is not a chemical element: give its mass in `masses`.')
    return float(atomic_masses[atomic_numbers[symbol]])
