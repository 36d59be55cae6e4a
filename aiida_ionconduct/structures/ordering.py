"""Distributions of ions over sublattices: their electrostatic energy, and which of them symmetry makes equal.

The Ewald energy of formal charges is quadratic in the charges, E = sum_ij q_i q_j M_ij, so one summation over all sites
serves every distribution.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.geometry import get_distances
from scipy.spatial import cKDTree

VACANCY = ''
MIN_CONTACT = 1.5  # Å; no two ions are nearer
CLASH_EV = 1e4  # what a pair nearer than that costs: more than electrostatics can pay for
SYMPREC = 0.01  # Å
SITE_TOLERANCE = 0.2  # Å; voids are found from the geometry, not refined


class Sublattice(NamedTuple):
    """Sites by index, and how many of each species they hold; the vacancy's species is an empty string."""

    sites: np.ndarray
    counts: dict[str, int]

    @property
    def n_distributions(self) -> int:
        """In how many ways its species can be laid out."""
        return math.factorial(len(self.sites)) // math.prod(map(math.factorial, self.counts.values()))


def fill(species_of_site: list[dict[str, float]], oxidation: dict[str, int], compensate: str):
    """Turn occupancies into numbers of ions that are neutral in total.

    Sites of the same composition make one sublattice. Numbers are rounded; the charge that is left is balanced by the
    compensating ion, first on sublattices that it occupies partly, those farthest from their occupancy first.

    :param species_of_site: occupancies by species, of every site.
    :return: the sublattices, and how many compensating ions have found no site and need interstitial ones.
    :raises ValueError: if that ion's charge does not divide what is left, or there are too few of them to take away.
    """
    groups = defaultdict(list)
    for index, species in enumerate(species_of_site):
        groups[tuple(sorted((symbol, round(amount, 4)) for symbol, amount in species.items()))].append(index)
    sublattices, wanted = [], []
    for composition, sites in groups.items():
        ideal = {symbol: amount * len(sites) for symbol, amount in composition}
        empty = len(sites) - sum(ideal.values())
        if empty > 1e-3 * len(sites):
            ideal[VACANCY] = empty
        sublattices.append(Sublattice(np.array(sites), rounded(ideal, len(sites))))
        wanted.append(ideal)
    charge = sum(n * oxidation.get(symbol, 0) for one in sublattices for symbol, n in one.counts.items())
    missing, rest = divmod(-charge, oxidation[compensate])
    if rest:
        raise ValueError(f'the charge {charge:+} cannot be balanced by {compensate}: choose other numbers or ions.')
    sign = 1 if missing > 0 else -1
    source, target = (VACANCY, compensate) if missing > 0 else (compensate, VACANCY)
    while missing:
        open_ones = [
            (sign * (wanted[index][compensate] - one.counts[compensate]), -index)
            for index, one in enumerate(sublattices)
            if compensate in one.counts and one.counts.get(source, 0) > 0 and (missing > 0 or VACANCY in one.counts)
        ]
        if not open_ones:
            break
        counts = sublattices[-max(open_ones)[1]].counts
        counts[source] -= 1
        counts[target] = counts.get(target, 0) + 1
        missing -= sign
    if missing < 0:  # from the sites that are full, those without another ion first
        for one in sorted(sublattices, key=lambda one: len(one.counts)):
            taken = min(-missing, one.counts.get(compensate, 0))
            if taken:
                one.counts.update({compensate: one.counts[compensate] - taken, VACANCY: taken})
                missing += taken
        if missing:
            raise ValueError(f'the charge is {charge:+}, and there is not enough {compensate} to take away.')
    return sublattices, missing


def rounded(ideal: dict[str, float], total: int) -> dict[str, int]:
    """Round numbers so that they keep their sum, those with the largest remainder upwards."""
    counts = {symbol: math.floor(amount + 1e-6) for symbol, amount in ideal.items()}
    by_remainder = sorted(ideal, key=lambda symbol: counts[symbol] - ideal[symbol])
    for symbol in by_remainder[: total - sum(counts.values())]:
        counts[symbol] += 1
    return counts


class Search:
    """The distributions over some sublattices, as arrays of species codes over all sites."""

    def __init__(self, cell: np.ndarray, positions: np.ndarray, sublattices: list[Sublattice], oxidation: dict):
        self.cell, self.positions, self.sublattices = cell, positions, sublattices
        self.species = list(dict.fromkeys(symbol for one in sublattices for symbol in one.counts))
        self.charges = np.array([oxidation.get(symbol, 0) for symbol in self.species], dtype=float)
        self.present = np.array([symbol != VACANCY for symbol in self.species], dtype=float)
        self.ewald = ewald_matrix(cell, positions)
        distances = get_distances(positions, cell=cell, pbc=True)[1]
        self.clashes = CLASH_EV / 2 * ((distances < MIN_CONTACT) & ~np.eye(len(positions), dtype=bool))
        self.variable = [one for one in sublattices if len([n for n in one.counts.values() if n]) > 1]

    def codes(self, sublattice: Sublattice) -> list[int]:
        """Return the species of a sublattice in an arbitrary order."""
        return [self.species.index(symbol) for symbol, n in sublattice.counts.items() for _ in range(n)]

    def start(self) -> np.ndarray:
        """Return one distribution."""
        occupation = np.zeros(len(self.positions), dtype=np.int64)
        for one in self.sublattices:
            occupation[one.sites] = self.codes(one)
        return occupation

    def energies(self, occupations: np.ndarray) -> np.ndarray:
        """Return the energies of distributions (n, sites) in eV."""
        q, p = self.charges[occupations], self.present[occupations]
        return ((q @ self.ewald) * q).sum(axis=1) + ((p @ self.clashes) * p).sum(axis=1)

    def enumerate(self) -> list[tuple[float, np.ndarray]]:
        """Return all distributions with their energies, the lowest first."""
        from sympy.utilities.iterables import multiset_permutations

        layouts = [list(multiset_permutations(sorted(self.codes(one)))) for one in self.variable]
        occupations = np.tile(self.start(), (math.prod(map(len, layouts)), 1))
        for row, choice in zip(occupations, itertools.product(*layouts), strict=True):
            for one, codes in zip(self.variable, choice, strict=True):
                row[one.sites] = codes
        energies = self.energies(occupations)
        order = np.argsort(energies, kind='stable')
        return [(float(energies[index]), occupations[index]) for index in order]

    def sample(self, rng: np.random.Generator, n_starts: int) -> list[tuple[float, np.ndarray]]:
        """Return the minima below random distributions with their energies, the lowest first."""
        found = []
        for _ in range(n_starts):
            occupation = self.start()
            for one in self.variable:
                occupation[one.sites] = rng.permutation(occupation[one.sites])
            occupation = self.descend(occupation)
            found.append((float(self.energies(occupation[None])[0]), occupation))
        return sorted(found, key=lambda item: (round(item[0], 6), item[1].tolist()))

    def descend(self, occupation: np.ndarray) -> np.ndarray:
        """Swap the two ions of a sublattice whose exchange lowers the energy most, until none does."""
        occupation = occupation.copy()
        while True:
            q, p = self.charges[occupation], self.present[occupation]
            field, crowd = 2 * self.ewald @ q, 2 * self.clashes @ p
            best, swap = -1e-7, None
            for one in self.variable:
                sites = one.sites
                dq, dp = q[sites] - q[sites][:, None], p[sites] - p[sites][:, None]  # at i, when it takes what j holds
                own = np.diag(self.ewald)[sites]
                pairs, clash = self.ewald[np.ix_(sites, sites)], self.clashes[np.ix_(sites, sites)]
                change = dq * (field[sites][:, None] - field[sites]) + dq**2 * (own[:, None] + own - 2 * pairs)
                change += dp * (crowd[sites][:, None] - crowd[sites]) - 2 * dp**2 * clash
                index = np.unravel_index(np.argmin(change), change.shape)
                if change[index] < best:
                    best, swap = change[index], sites[list(index)]
            if swap is None:
                return occupation
            occupation[swap] = occupation[swap[::-1]]

    def atoms(self, occupation: np.ndarray) -> Atoms:
        """Return the cell of a distribution, grouped by species."""
        kept = np.flatnonzero(self.present[occupation])
        kept = kept[np.argsort(occupation[kept], kind='stable')]
        symbols = [self.species[code] for code in occupation[kept]]
        atoms = Atoms(symbols, self.positions[kept], cell=self.cell, pbc=True)
        atoms.wrap()
        return atoms


def ewald_matrix(cell: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return M of E = sum_ij q_i q_j M_ij for point charges, eV/e², by pymatgen's Ewald summation."""
    from pymatgen.analysis.ewald import EwaldSummation  # slow to import, needed here alone
    from pymatgen.core import Lattice, Structure

    structure = Structure(Lattice(cell), ['Li+'] * len(positions), positions, coords_are_cartesian=True)
    return np.asarray(EwaldSummation(structure).total_energy_matrix)


def symmetry(cell: np.ndarray, positions: np.ndarray, labels: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return rotations (n, 3, 3) and translations (n, 3) of fractional coordinates, by spglib."""
    import spglib

    found = spglib.get_symmetry((cell, positions @ np.linalg.inv(cell), labels), symprec=SYMPREC)
    return found['rotations'], found['translations']


def permutations(cell: np.ndarray, positions: np.ndarray, rotations, translations) -> np.ndarray:
    """Return (operations, sites): the site that each operation brings to a site's place.

    An operation that does not map the sites onto themselves is left out.
    """
    inverse = np.linalg.inv(cell)
    fractional = positions @ inverse % 1 % 1
    tree = cKDTree(fractional, boxsize=1)
    rows = []
    for rotation, translation in zip(rotations, translations, strict=True):
        images = (fractional @ rotation.T + translation) % 1 % 1
        _, nearest = tree.query(images)
        difference = images - fractional[nearest]
        off = np.linalg.norm((difference - np.round(difference)) @ cell, axis=1)
        if off.max() < SITE_TOLERANCE and len(np.unique(nearest)) == len(nearest):
            rows.append(np.argsort(nearest))
    return np.array(rows)


def distinct(found: list[tuple[float, np.ndarray]], images: np.ndarray, n_best: int) -> list[tuple[float, np.ndarray]]:
    """Return the first distributions of which no symmetry operation makes one that came before.

    :param images: of :func:`permutations`.
    """
    weights = np.random.default_rng(0).integers(1, 2**62, size=images.shape[1])  # of a hash that wraps around
    seen: set[int] = set()
    chosen = []
    for energy, occupation in found:
        if len(chosen) == n_best:
            break
        if int(occupation @ weights) not in seen:
            seen.update((occupation[images] @ weights).tolist())
            chosen.append((energy, occupation))
    return chosen
