"""Distributions of ions over sublattices, and the search for the distributions of lowest electrostatic energy.

The Ewald energy of formal charges is quadratic in the charges, E = sum_ij q_i q_j M_ij, so one summation over all sites
serves every distribution.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.geometry import get_distances

from aiida_ionconduct.structures._search import Descent
from aiida_ionconduct.structures.distances import too_close
from aiida_ionconduct.structures.electrostatics import ewald_matrix

VACANCY = ''
CLASH_EV = 1e4  # energy of two ions that are too near to each other: more than electrostatics can gain
N_SEPARATE = 1000  # exchanges tried to take ions apart that are too near to each other
N_HOPELESS = 100  # starts that all end with such ions before the search gives up


class Sublattice(NamedTuple):
    """Sites by index, and how many of each species they hold; the vacancy's species is an empty string."""

    sites: np.ndarray
    counts: dict[str, int]

    @property
    def n_distributions(self) -> int:
        """Number of ways to distribute the species over the sites."""
        return math.factorial(len(self.sites)) // math.prod(map(math.factorial, self.counts.values()))


# Energies ------------------------------------------------------------------------------------------------------------


class OrderingSearch:
    """Search for the distributions of lowest electrostatic energy over some sublattices.

    A distribution is an array ``occupation`` (sites,) of codes; a code is an index of ``species``. A *contact* is a
    pair of ions nearer to each other than ``limit`` says; each costs :data:`CLASH_EV`. Sites too near to be occupied
    together exclude each other in this way. Two ions on sites that are always occupied are no contact: such bonds stand
    in the crystal.

    :param cell: (3, 3), cell vectors as rows, Å.
    :param positions: (sites, 3), Å.
    :param sublattices: a partition of the sites.
    :param oxidation: oxidation states by chemical symbol.
    :param limit: shortest distance allowed between ions of two chemical symbols, Å.
    """

    def __init__(
        self,
        cell: np.ndarray,
        positions: np.ndarray,
        sublattices: Sequence[Sublattice],
        oxidation: Mapping[str, float],
        *,
        limit: Callable[[str, str], float] = too_close,
    ) -> None:
        self.cell, self.positions, self.sublattices = cell, positions, sublattices
        self.species = list(dict.fromkeys(symbol for sublattice in sublattices for symbol in sublattice.counts))
        self.charges = np.array([oxidation.get(symbol, 0) for symbol in self.species], dtype=float)
        self.present = np.array([symbol != VACANCY for symbol in self.species])
        self.ewald = np.ascontiguousarray(ewald_matrix(cell, positions))
        self.variable = [
            sublattice for sublattice in sublattices if len([n for n in sublattice.counts.values() if n]) > 1
        ]
        self.limits = np.array(
            [[limit(a, b) if a != VACANCY and b != VACANCY else 0.0 for b in self.species] for a in self.species]
        )
        self.distances = get_distances(positions, cell=cell, pbc=True)[1]
        sites = np.concatenate([np.empty(0, dtype=np.int64), *(sublattice.sites for sublattice in self.variable)])
        full = np.zeros(len(positions), dtype=bool)
        for sublattice in sublattices:
            full[sublattice.sites] = VACANCY not in sublattice.counts
        self.distances[(full[:, None] & full) | np.eye(len(positions), dtype=bool)] = np.inf
        self.pairs = np.argwhere(np.triu(self.distances < self.limits.max(initial=0)))
        self._descent = Descent(
            self.charges,
            self.ewald,
            self.distances,
            self.limits,
            sites,
            np.cumsum([len(sublattice.sites) for sublattice in self.variable], dtype=np.int64),
            CLASH_EV,
            np.empty(len(positions)),
            np.empty((len(positions), len(self.species)), dtype=np.int64),
        )

    def enumerate(self) -> list[tuple[float, np.ndarray]]:
        """Return the energies in eV and occupations of all distributions, the lowest energy first."""
        from sympy.utilities.iterables import multiset_permutations

        layouts = [list(multiset_permutations(sorted(self._codes(sublattice)))) for sublattice in self.variable]
        occupations = np.tile(self._start(), (math.prod(map(len, layouts)), 1))
        for occupation, layout in zip(occupations, itertools.product(*layouts), strict=True):
            for sublattice, codes in zip(self.variable, layout, strict=True):
                occupation[sublattice.sites] = codes
        energies = self.energies(occupations)
        order = np.argsort(energies, kind='stable')
        return [(float(energies[index]), occupations[index]) for index in order]

    def sample(self, rng: np.random.Generator, n_starts: int) -> list[tuple[float, np.ndarray]]:
        """Return the energies in eV and occupations of the minima below random distributions, the lowest first.

        From a minimum with contacts the ions are taken apart, and the descent begins again. After
        :data:`N_HOPELESS` starts that all end with contacts the search gives up.
        """
        occupations: list[np.ndarray] = []
        free = False
        for seed in range(n_starts):
            occupation = self._start()
            for sublattice in self.variable:
                occupation[sublattice.sites] = rng.permutation(occupation[sublattice.sites])
            occupation = self.descend(occupation)
            if self.contacts(occupation):
                self._descent.separate(occupation, seed + 1, N_SEPARATE)
                occupation = self.descend(occupation)
            free = free or not self.contacts(occupation)
            occupations.append(occupation)
            if not free and len(occupations) == N_HOPELESS:
                break
        minima = list(zip(self.energies(np.array(occupations)).tolist(), occupations, strict=True))
        return sorted(minima, key=lambda minimum: (round(minimum[0], 6), minimum[1].tolist()))

    def draw(self, rng: np.random.Generator, n_draws: int) -> list[tuple[float, np.ndarray]]:
        """Return the energies in eV and occupations of random distributions, in the order in which they are drawn.

        All distributions without contacts are about equally probable: where a random distribution has contacts, its
        ions are taken apart by random exchanges, whatever their energy.
        """
        occupations: list[np.ndarray] = []
        free = 0
        while len(occupations) < n_draws:
            occupation = self._start()
            for sublattice in self.variable:
                occupation[sublattice.sites] = rng.permutation(occupation[sublattice.sites])
            if self.contacts(occupation):
                self._descent.separate(occupation, int(rng.integers(1, 2**31)), N_SEPARATE)
            free += not self.contacts(occupation)
            occupations.append(occupation)
            if not free and len(occupations) == N_HOPELESS:
                break
        return list(zip(self.energies(np.array(occupations)).tolist(), occupations, strict=True))

    def energies(self, occupations: np.ndarray) -> np.ndarray:
        """Return the energies of distributions in eV, (n,).

        :param occupations: (n, sites).
        """
        q = self.charges[occupations]
        energies = np.asarray(((q @ self.ewald) * q).sum(axis=1))
        for i, j in self.pairs:
            close = self.distances[i, j] < self.limits
            energies += CLASH_EV * close[occupations[:, i], occupations[:, j]]
        return energies

    def descend(self, occupation: np.ndarray) -> np.ndarray:
        """Swap the two ions of a sublattice whose exchange lowers the energy most, until no exchange lowers it."""
        occupation = occupation.copy()
        self._descent.descend(occupation)
        return occupation

    def contacts(self, occupation: np.ndarray) -> list[tuple[int, int]]:
        """Return the pairs of sites whose ions are too near to each other."""
        i, j = self.pairs.T
        close = self.distances[i, j] < self.limits[occupation[i], occupation[j]]
        return [(int(first), int(second)) for first, second in self.pairs[close]]

    def atoms(self, occupation: np.ndarray) -> Atoms:
        """Return the cell of a distribution, its atoms grouped by species."""
        kept = np.flatnonzero(self.present[occupation])
        kept = kept[np.argsort(occupation[kept], kind='stable')]
        symbols = [self.species[code] for code in occupation[kept]]
        atoms = Atoms(symbols, self.positions[kept], cell=self.cell, pbc=True)
        atoms.wrap()
        return atoms

    def _codes(self, sublattice: Sublattice) -> list[int]:
        """Return the species of a sublattice in an arbitrary order."""
        return [self.species.index(symbol) for symbol, n in sublattice.counts.items() for _ in range(n)]

    def _start(self) -> np.ndarray:
        """Return a distribution to begin with."""
        occupation = np.zeros(len(self.positions), dtype=np.int64)
        for sublattice in self.sublattices:
            occupation[sublattice.sites] = self._codes(sublattice)
        return occupation
