"""Ordered cells: the distributions of ions over the sites of a supercell that are kept, the best first."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from aiida_ionconduct.choices import OrderingMethod
from aiida_ionconduct.structures.contacts import RELAXED
from aiida_ionconduct.structures.ordering import OrderingSearch
from aiida_ionconduct.structures.site_lattice import SiteLattice, with_shared_sites
from aiida_ionconduct.structures.site_table import SiteRow, site_rows
from aiida_ionconduct.structures.symmetry import distinct

N_ENUMERATE = 20_000  # distributions up to which all are tried
N_STARTS = 2000  # random starts of a descent otherwise, fewer where many sites make a descent long
N_SITES = 250  # over which ions are distributed; the cost of a descent grows with the third power of this number
MIN_STARTS = 100
DRAWS = 20  # random orderings drawn for each that is wanted: some are equal by symmetry
MAX_STRAIN = 0.05  # larger strains are not advised


class Candidate(NamedTuple):
    """An ordered cell, its electrostatic energy in eV for formal charges, how it was made, and what stands where."""

    atoms: Atoms
    electrostatic_energy_eV: float
    description: str
    sites: list[SiteRow]


class CrowdedError(ValueError):
    """In every distribution ions are too near to each other."""


def least_crowded(
    lattice: SiteLattice,
    oxidation: dict[str, float],
    *,
    limit: Callable[..., float],
    shared_ion: str | None,
    options: Mapping[str, Any],
) -> tuple[list[Candidate], float, bool]:
    """Return candidates with the largest limits that the sites allow, the factor of the limits, and how.

    If the numbers of ions on the single sites keep no limits, one ion is distributed over all its partly occupied
    sites; only then are the limits shortened.

    :param shared_ion: chemical symbol of that ion; None to keep to the numbers on the single sites.
    :param options: of :func:`_candidates`.
    :return: candidates, factor of the limits, and whether that ion shares its sites.
    :raises CrowdedError: of the numbers in the file, if ions are too near to each other in every distribution.
    """
    shared = with_shared_sites(lattice, shared_ion) if shared_ion else None
    trials = [(sites, factor) for factor in (1.0, RELAXED) for sites in (lattice, shared) if sites is not None]
    problem: CrowdedError | None = None
    for sites, factor in trials:
        try:
            candidates = _candidates(sites, oxidation, limit=partial(limit, factor=factor), **options)
        except CrowdedError as exception:
            problem = exception if sites is lattice or problem is None else problem
        else:
            return candidates, factor, sites is not lattice
    raise problem or CrowdedError('the crystal has no sites.')


def _candidates(
    lattice: SiteLattice,
    oxidation: dict[str, float],
    *,
    name: str,
    seed: int,
    n_best: int,
    limit: Callable[[str, str], float],
    ordering: OrderingMethod = 'lowest',
) -> list[Candidate]:
    """Return the distributions of lowest energy, or random distributions, that symmetry does not make equal.

    :param name: of the supercell, for the descriptions.
    :param limit: of the distance of two species.
    :raises CrowdedError: if ions are too near to each other in every distribution.
    """
    search = OrderingSearch(lattice.cell, lattice.positions, lattice.sublattices, oxidation, limit=limit)
    if ordering == 'random':
        distributions = search.draw(np.random.default_rng(seed), DRAWS * n_best)
        origin = f'of random orderings, seed {seed}'
    elif math.prod(sublattice.n_distributions for sublattice in lattice.sublattices) <= N_ENUMERATE:
        distributions = search.enumerate()
        origin = f'of {len(distributions)} distributions'
    else:
        n_sites = sum(len(sublattice.sites) for sublattice in search.variable)
        n_starts = max(MIN_STARTS, min(N_STARTS, round(N_STARTS * (N_SITES / n_sites) ** 3)))
        distributions = search.sample(np.random.default_rng(seed), n_starts)
        origin = f'of the minima from {n_starts} random starts, seed {seed}'
    candidates: list[Candidate] = []
    for energy, occupation in distinct(distributions, lattice.permutations, n_best):
        if not search.contacts(occupation):
            atoms = search.atoms(occupation)
            _check_neutral(atoms, oxidation)
            description = f'{atoms.symbols}, {name}, no. {len(candidates) + 1} {origin}'
            sites = site_rows(lattice.origins, [search.species[code] for code in occupation])
            candidates.append(Candidate(atoms, energy, description, sites))
    if not candidates:
        text, strain = _contacts_text(search, distributions[0][1], lattice.names)
        advice = f', or strain the cell: --strain {strain:g}' if strain <= MAX_STRAIN else ''
        raise CrowdedError(
            f'the ions of {name} cannot be distributed over their sites without two too near to each other: '
            f'{text}. Correct the positions or occupancies of these sites in the file{advice}.'
        )
    return candidates


def _contacts_text(search: OrderingSearch, occupation: np.ndarray, names: Sequence[str]) -> tuple[str, float]:
    """Return which sites hold ions that are too near to each other, and the linear strain that would part them.

    The text has the shortest distance of each kind of pair.
    """
    shortest: dict[tuple[str, str], tuple[float, float]] = {}
    for pair in search.contacts(occupation):
        first, second = occupation[list(pair)]
        distance, limit = float(search.distances[pair]), float(search.limits[first, second])
        symbols = [f'{search.species[code]} on {names[site]}' for site, code in zip(pair, (first, second), strict=True)]
        key = (min(symbols), max(symbols))
        shortest[key] = min(shortest.get(key, (distance, limit)), (distance, limit))
    text = '; '.join(
        f'{first} and {second}, {distance:.2f} Å (at least {limit:.2f} Å)'
        for (first, second), (distance, limit) in sorted(shortest.items())
    )
    strain = max(limit / max(distance, 1e-3) - 1 for distance, limit in shortest.values())
    return text, math.ceil(100 * strain + 0.1) / 100


def _check_neutral(atoms: Atoms, oxidation: Mapping[str, float]) -> None:
    """Refuse an ordered cell that is not neutral.

    :raises ValueError: with the charge.
    """
    charge = sum(oxidation[symbol] for symbol in atoms.symbols)
    if abs(charge) > 1e-3:
        raise ValueError(f'the cell {atoms.symbols} has the charge {charge:+g}.')
