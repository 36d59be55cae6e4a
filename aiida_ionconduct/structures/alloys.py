"""Charge-balanced, ordered cells of alloys and of crystals with partial occupancies, by their electrostatic energy.

Substituted sites, sites that are partly empty and interstitial sites are treated alike: a *sublattice* is a set of
sites over which a fixed number of ions, and of vacancies, is distributed (:mod:`.ordering`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.data import atomic_masses, atomic_numbers
from tabulate import tabulate

from aiida_ionconduct.structures.checks import OXIDATION_STATES, check_charges
from aiida_ionconduct.structures.crystals import read_disordered
from aiida_ionconduct.structures.distances import shortest_contact
from aiida_ionconduct.structures.ordering import (
    MIN_CONTACT,
    VACANCY,
    Search,
    Sublattice,
    distinct,
    fill,
    permutations,
    symmetry,
)
from aiida_ionconduct.structures.supercell import supercell_repeats
from aiida_ionconduct.structures.voids import void_orbits

N_ENUMERATE = 20_000  # distributions up to which all are tried
N_STARTS = 2000  # random starts of a descent otherwise
VOLUMES_A3 = {'Li3PO4': 78.65, 'Li4SiO4': 82.45}
"""Volume of one formula unit in Å³: gamma-Li3PO4 (Wang et al. 1995) and Li4SiO4 (2.41 g/cm³, Tranqui et al., Acta
Cryst. B 35, 2479 (1979)). The end member of an alloy is looked up here."""
DENSITY_TOLERANCE = 0.05
CHARGE_TOLERANCE = 0.05  # elementary charges a site, of a crystal with measured occupancies


class Candidate(NamedTuple):
    """An ordered cell, its electrostatic energy in eV for formal charges, and how it was made."""

    atoms: Atoms
    electrostatic_energy_eV: float  # noqa: N815
    description: str


def alloy(
    parent,
    substitute: dict[str, str] | None = None,
    fraction: float = 0.0,
    formula_units: int | None = None,
    compensate: str = 'Li',
    seed: int = 0,
    n_best: int = 10,
    strain: float = 0.0,
    charges: dict[str, int] | None = None,
    end_member_volume_A3: float | None = None,
) -> list[Candidate]:
    """Return ordered, charge-balanced supercells of an alloy, those of lowest electrostatic energy first.

    A fraction of the sites of a species is given to another one, and ions are added at interstitial sites found from
    the geometry, or taken away, until the cell is neutral. Sites that the parent occupies partly are filled the same
    way. All distributions are tried where there are few; else swaps lead from random starts downhill. Of
    distributions that symmetry makes equal one is kept. Example: (Li4SiO4)0.25(Li3PO4)0.75 of Deng et al. 2015,
    10.1021/jacs.5b04444, is ``alloy('gamma-Li3PO4', {'P': 'Si'}, 0.25, formula_units=16)``.

    :param parent: name of a shipped crystal, path of a CIF file, ASE atoms or a pymatgen structure.
    :param substitute: which species takes the place of which, as ``{'P': 'Si'}``; nothing, to order a crystal as it is.
    :param fraction: of the sites of each replaced species.
    :param formula_units: of the parent in the supercell; its conventional cell if not given.
    :param compensate: chemical symbol of the ion that is added or taken away for the charge.
    :param seed: of the random starts.
    :param n_best: at most so many are returned.
    :param strain: linear strain of the cell, for the volume that a guest needs.
    :param charges: oxidation states by chemical symbol, where the usual ones do not hold.
    :param end_member_volume_A3: volume of a formula unit of the fully substituted crystal; known for Li4SiO4. With
        it the density must be within 5 % of the volume-weighted mean of parent and end member.
    :raises ValueError: if the parent cannot be read or is not neutral, the numbers do not fit the cell, the charge
        cannot be balanced, there is no room for the ions, or the density is off.
    """
    structure, substitute = read_disordered(parent), dict(substitute or {})
    oxidation = {**OXIDATION_STATES, **(charges or {})}
    check_request(structure, substitute, fraction, compensate, oxidation)
    if n_best < 1:
        raise ValueError(f'n_best must be at least 1, got {n_best}.')
    check_neutral(structure, oxidation)
    formula, n_units = structure.composition.get_reduced_formula_and_factor()
    expected_A3 = alloy_volume(structure, substitute, fraction, compensate, oxidation, end_member_volume_A3)
    for old, new in substitute.items():
        structure.replace_species({old: {old: 1 - fraction, new: fraction}})
    structure.scale_lattice(structure.volume * (1 + strain) ** 3)
    repeats = supercell_of(structure, formula, n_units, formula_units)

    unit, unit_species = as_sites(structure)
    supercell = unit.repeat(repeats)
    sublattices, n_added = fill([unit_species[index] for index in supercell.arrays['site']], oxidation, compensate)
    check_substituted(sublattices, substitute, fraction)
    positions = supercell.positions
    if n_added:
        operations = symmetry(unit.cell.array, unit.positions, labels(unit_species))
        voids = void_orbits(unit, compensate, *operations, oxidation)
        extra = Atoms(compensate * len(voids), positions=voids, cell=unit.cell, pbc=True).repeat(repeats)
        if len(extra) < n_added:
            raise ValueError(f'{n_added} {compensate} must be added, and there is room for {len(extra)}: set `strain`.')
        sites = np.arange(len(positions), len(positions) + len(extra))
        sublattices.append(Sublattice(sites, {compensate: n_added, VACANCY: len(extra) - n_added}))
        positions = np.vstack([positions, extra.positions])

    search = Search(supercell.cell.array, positions, sublattices, oxidation)
    few = math.prod(one.n_distributions for one in sublattices) <= N_ENUMERATE
    found = search.enumerate() if few else search.sample(np.random.default_rng(seed), N_STARTS)
    how = f'of {len(found)} distributions' if few else f'of the minima from {N_STARTS} random starts, seed {seed}'
    names = [labels(unit_species)[index] for index in supercell.arrays['site']]
    operations = symmetry(supercell.cell.array, supercell.positions, names)
    images = permutations(supercell.cell.array, positions, *operations)

    candidates = []
    for energy, occupation in distinct(found, images, n_best):
        atoms = search.atoms(occupation)
        if shortest_contact(atoms) >= MIN_CONTACT:
            check_charges(atoms, {symbol: oxidation[symbol] for symbol in set(atoms.symbols)})
            description = (
                f'{atoms.symbols}, {"×".join(map(str, repeats))} cells of {formula}, no. {len(candidates) + 1} {how}'
            )
            candidates.append(Candidate(atoms, energy, description))
    if not candidates:
        raise ValueError(f'every distribution has ions nearer than {MIN_CONTACT} Å to each other: set `strain`.')
    check_occupancies(candidates[0].atoms, structure, math.prod(repeats), compensate, oxidation)
    check_density(candidates[0].atoms, expected_A3 and expected_A3 * math.prod(repeats))
    return candidates


def scores_table(candidates: list[Candidate]) -> str:
    """Return the candidates as a table: energy, energy above the first, shortest contact, density."""
    first = candidates[0].electrostatic_energy_eV
    rows = [
        (
            rank,
            f'{atoms.symbols}',
            f'{energy:.4f}',
            f'{1e3 * (energy - first) / len(atoms):.2f}',
            f'{shortest_contact(atoms):.3f}',
            f'{density(atoms):.3f}',
        )
        for rank, (atoms, energy, _) in enumerate(candidates, start=1)
    ]
    headers = ('rank', 'cell', 'energy (eV)', 'above the first (meV/atom)', 'shortest contact (Å)', 'density (g/cm³)')
    return tabulate(rows, headers=headers, tablefmt='simple', disable_numparse=True)


def density(atoms: Atoms) -> float:
    """Return the mass density in g/cm³."""
    return float(atoms.get_masses().sum() * units._amu * 1e3 / (atoms.get_volume() * 1e-24))


# Parts -------------------------------------------------------------------------------------------------------------


def check_request(structure, substitute: dict, fraction: float, compensate: str, oxidation: dict) -> None:
    """Refuse a substitution that makes no sense.

    :raises ValueError: naming what is wrong.
    """
    present = {element.symbol for element in structure.composition.elements}
    for symbol in substitute:
        if symbol not in present:
            raise ValueError(f'the parent {structure.composition.reduced_formula} has no {symbol} to replace.')
        if substitute[symbol] == symbol:
            raise ValueError(f'{symbol} cannot take its own place: name another species.')
    if substitute and not 0 < fraction <= 1:
        raise ValueError(f'the fraction must be above 0 and at most 1, got {fraction}.')
    named = present | set(substitute.values()) | {compensate}
    for symbol in named - set(atomic_numbers):
        raise ValueError(f'`{symbol}` is no chemical symbol.')
    for symbol in named - set(oxidation):
        raise ValueError(f'no oxidation state is known for {symbol}: give it with `charges`.')


def check_neutral(structure, oxidation: dict[str, int]) -> None:
    """Refuse a parent whose oxidation states do not balance: ions would be added or taken away to mend a wrong state.

    Occupancies that have been measured may leave a little.

    :raises ValueError: naming the states.
    """
    amounts = structure.composition.get_el_amt_dict()
    charge = sum(amount * oxidation[symbol] for symbol, amount in amounts.items())
    if abs(charge) > (1e-3 if structure.is_ordered else CHARGE_TOLERANCE * len(structure)):
        stated = ', '.join(f'{symbol} {oxidation[symbol]:+}' for symbol in amounts)
        raise ValueError(
            f'the charges of {structure.composition.reduced_formula} sum to {charge:+.3g} a cell instead of zero '
            f'({stated}): give its oxidation states with `charges`.'
        )


def check_substituted(sublattices: list[Sublattice], substitute: dict[str, str], fraction: float) -> None:
    """Refuse a cell in which the fraction is not a single site, or is all of them.

    :raises ValueError: naming the number of sites.
    """
    for old, new in substitute.items():
        sites = [one.counts for one in sublattices if new in one.counts and old in one.counts]
        n_old, n_new = (sum(counts[symbol] for counts in sites) for symbol in (old, new))
        if fraction < 1 and not (n_old and n_new):
            raise ValueError(
                f'{fraction:g} of {n_old + n_new} {old} sites is {n_new} {new}: ask for more with `formula_units`.'
            )


def supercell_of(structure, formula: str, n_units: float, formula_units: int | None) -> tuple[int, int, int]:
    """Return how often to repeat the cell.

    :raises ValueError: if the formula units do not make whole cells.
    """
    n_cells = 1.0 if formula_units is None else formula_units / n_units
    if round(n_cells) < 1 or abs(n_cells - round(n_cells)) > 1e-6:
        raise ValueError(f'the cell of {formula} holds {n_units:g} formula units: ask for a multiple of it.')
    return supercell_repeats(structure.lattice.matrix, len(structure), len(structure) * round(n_cells))


def as_sites(structure) -> tuple[Atoms, list[dict[str, float]]]:
    """Return the cell with the most frequent species on each site, numbered in the array ``site``, and all of them."""
    species = [{str(key): float(amount) for key, amount in site.species.as_dict().items()} for site in structure]
    symbols = [max(one, key=one.get) for one in species]
    atoms = Atoms(symbols, positions=structure.cart_coords, cell=structure.lattice.matrix, pbc=True)
    atoms.set_array('site', np.arange(len(atoms)))
    return atoms, species


def labels(species: list[dict[str, float]]) -> list[int]:
    """Return a number for every site, the same for the same occupancies."""
    names = [repr(sorted(one.items())) for one in species]
    return [names.index(name) for name in names]


def alloy_volume(structure, substitute, fraction, compensate, oxidation, end_member_volume_A3) -> float | None:
    """Return the volume of the parent's cell as an alloy, by the volumes of its end members in Å³; None if unknown."""
    from pymatgen.core import Composition

    amounts = structure.composition.get_el_amt_dict()
    for old, new in substitute.items():
        amounts[new] = amounts.get(new, 0) + amounts.pop(old)
    charge = sum(amount * oxidation[symbol] for symbol, amount in amounts.items())
    amounts[compensate] = amounts.get(compensate, 0) - charge / oxidation[compensate]
    if not substitute or amounts[compensate] < 0:  # no alloy, or one without the far end
        return None
    n_units = structure.composition.get_reduced_formula_and_factor()[1]
    volume = end_member_volume_A3 or VOLUMES_A3.get(Composition(amounts).reduced_formula)
    return volume and (1 - fraction) * structure.volume + fraction * volume * n_units


def check_occupancies(atoms: Atoms, structure, n_cells: int, compensate: str, oxidation: dict[str, int]) -> None:
    """Refuse a cell that is too small to hold the occupancies of its parent: its mass shows what rounding has done.

    :raises ValueError: with the two masses.
    """
    charge = sum(amount * oxidation[symbol] for symbol, amount in structure.composition.get_el_amt_dict().items())
    added = -charge / oxidation[compensate] * atomic_masses[atomic_numbers[compensate]]
    expected, mass = n_cells * (float(structure.composition.weight) + added), atoms.get_masses().sum()
    if abs(mass / expected - 1) > DENSITY_TOLERANCE:
        raise ValueError(
            f'the cell {atoms.symbols} weighs {mass:.1f} u instead of {expected:.1f} u, as the occupancies do not come '
            'out even in so few sites: ask for more with `formula_units`.'
        )


def check_density(atoms: Atoms, expected_A3: float | None) -> None:
    """Refuse a cell whose density is far from that of the end members.

    :raises ValueError: saying which strain would mend it.
    """
    if expected_A3 and abs(expected_A3 / atoms.get_volume() - 1) > DENSITY_TOLERANCE:
        raise ValueError(
            f'the density {density(atoms):.2f} g/cm³ is more than 5 % off that of the end members: set `strain` to '
            f'about {(expected_A3 / atoms.get_volume()) ** (1 / 3) - 1:.3f} more.'
        )
