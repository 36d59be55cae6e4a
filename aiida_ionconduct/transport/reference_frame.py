"""Motion relative to the framework: the one place that knows what mobile ions move against.

The *framework* are the species that are not mobile and do not diffuse. Tracer displacements are taken relative to their
centre of mass, as a sum over the mobile species alone depends on the frame of reference: for a rigid framework, the
conductivity over the mobile species in the barycentric frame lacks the factor (1 + M_mobile/M_framework)². The charge
displacement mu(t) = sum_i q_i [r_i(t) - r_i(0)] over all species does not depend on the frame, the total charge being
zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from aiida_ionconduct.transport.displacement import Track, as_track, species_displacements
from aiida_ionconduct.transport.framework import choose_framework
from aiida_ionconduct.transport.masses import atomic_mass


class CollectiveTracks(NamedTuple):
    """What an analysis follows, each one track per seed.

    ``charge``: the charge displacement mu(t) in e Å; ``tracer``: the mobile ions in Å, relative to the framework's
    centre of mass; ``parts``: each species' part of mu(t) in the barycentric frame, species and components side by
    side, the species in the order in which they first come among the symbols; ``framework_parts``: the same relative to
    the framework.
    """

    charge: list[Track]
    tracer: list[Track]
    parts: list[Track]
    framework_parts: list[Track]


def mobile_positions(
    positions: np.ndarray,
    symbols: Sequence[str],
    mobile: str | Sequence[str] = 'Li',
    framework: Sequence[str] | None = None,
) -> np.ndarray:
    """Return unwrapped positions of the mobile ions, (frames, ions, 3), Å, in the frame of the framework.

    The framework's centre of mass stays where it is in the first frame, so that the positions of that frame are kept.

    :param positions: (frames, atoms, 3), unwrapped, Å.
    :param symbols: chemical symbols, one per atom.
    :param mobile: one species or several.
    :param framework: symbols of the framework; none for the barycentric frame. Found from the motion by default, for
        which :func:`~aiida_ionconduct.transport.framework.choose_framework` takes several runs together.
    :raises ValueError: if there is no mobile ion, or nothing else.
    """
    species = [mobile] if isinstance(mobile, str) else list(mobile)
    is_mobile = np.isin(symbols, species)
    if not is_mobile.any() or is_mobile.all():
        raise ValueError(
            f'{", ".join(map(repr, species))} must be among the atoms, and not all of them: choose from '
            f'{sorted(set(symbols))}.'
        )
    fixed = choose_framework([positions], symbols, species, framework=framework)
    is_reference = np.isin(symbols, fixed) if fixed else np.ones(len(symbols), dtype=bool)
    masses = np.array([atomic_mass(symbol) for symbol in symbols])[is_reference]
    centre = np.einsum('tax,a->tx', positions[:, is_reference].astype(float), masses / masses.sum())
    relative: np.ndarray = positions[:, is_mobile] - (centre - centre[0])[:, None]
    return relative


def collective_tracks(
    trajectories: Sequence[np.ndarray],
    symbols: Sequence[str],
    charges: Mapping[str, float] | np.ndarray,
    *,
    mobile: str | Sequence[str],
    cell: np.ndarray | None,
    masses: Mapping[str, float] | None = None,
    framework: Sequence[str] | None = None,
) -> CollectiveTracks:
    """Return the charge displacement, the mobile ions relative to the framework, and each species' part of the charge.

    :param trajectories: (frames, atoms, 3), Å, one per seed, as returned by
        :func:`~aiida_ionconduct.transport.checks.check_seeds`.
    :param charges: by symbol, or of every atom, (atoms,), e.
    :param mobile: one species or several.
    :param cell: (3, 3), cell vectors as rows, Å, where the positions must not be folded into it.
    :param masses: mass per symbol in u; standard atomic weights by default.
    :param framework: as for :func:`~aiida_ionconduct.transport.analyse`.
    :raises ValueError: if a trajectory holds a value that is not finite or is wrapped into the cell.
    """
    species = list(dict.fromkeys(symbols))
    moving = [mobile] if isinstance(mobile, str) else list(mobile)
    framework = choose_framework(trajectories, symbols, moving, framework=framework, masses=masses)
    species_of = np.array([species.index(symbol) for symbol in symbols])
    count = np.bincount(species_of)
    if isinstance(charges, Mapping):
        charge_of, excess = np.array([charges[symbol] for symbol in species], dtype=float), None
    else:
        charge_of = np.bincount(species_of, charges) / count
        excess = charges - charge_of[species_of]
    mass_of = np.array([atomic_mass(symbol, masses) for symbol in species])
    reference = np.where(np.isin(species, framework), mass_of, 0.0) if framework else mass_of.copy()
    reference /= reference @ count
    barycentric, relative = (
        np.diag(charge_of) - np.outer(charge_of * count, weights)
        for weights in (mass_of / (mass_of @ count), reference)
    )
    particles = np.flatnonzero(np.isin(species_of, [species.index(symbol) for symbol in moving]))
    tracks = CollectiveTracks([], [], [], [])
    for seed, positions in enumerate(trajectories):
        steps = species_displacements(positions, species_of, cell, f'seeds[{seed}]')
        beyond = None if excess is None else _excess_displacements(positions, species_of, excess)
        charge = np.tensordot(charge_of, steps, 1)
        tracks.charge.append(as_track((charge if beyond is None else charge + beyond.sum(axis=0))[:, None]))
        tracks.tracer.append(Track(positions, particles, np.tensordot(reference, steps, 1)))
        for parts, own in ((tracks.parts, barycentric), (tracks.framework_parts, relative)):
            partial = np.tensordot(own, steps, 1)
            partial = partial if beyond is None else partial + beyond
            # Species and components side by side, as the coordinates of one particle.
            parts.append(as_track(np.concatenate(list(partial), axis=1)[:, None]))
    return tracks


def _excess_displacements(positions: np.ndarray, species: np.ndarray, excess: np.ndarray) -> np.ndarray:
    """Return sum_i q_i [r_i(t) - r_i(0)] over the particles of each species, (species, frames, 3), for small charges.

    :param positions: (frames, n, 3).
    :param species: (n,), the number of every particle's species.
    :param excess: (n,), the charge of every particle beyond the mean of its species.
    """
    weights = np.where(species == np.arange(species.max() + 1)[:, None], excess, 0.0)
    displacements = np.array([weights @ (frame - positions[0]) for frame in positions.astype(float, copy=False)])
    moved: np.ndarray = displacements.transpose(1, 0, 2)
    return moved
