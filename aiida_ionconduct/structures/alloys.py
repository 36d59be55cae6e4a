"""Charge-balanced, ordered cells of alloys and of crystals with partial occupancies, by their electrostatic energy.

Substituted sites, sites that are partly empty and interstitial sites are treated alike: a *sublattice* is a set of
sites over which a fixed number of ions, and of vacancies, is distributed (:mod:`.ordering`).
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from ase import Atoms, units
from ase.data import atomic_masses, atomic_numbers
from tabulate import tabulate

from aiida_ionconduct.structures.checks import OXIDATION_STATES, check_charges
from aiida_ionconduct.structures.crystals import read_disordered
from aiida_ionconduct.structures.distances import shortest_contact
from aiida_ionconduct.structures.ordering import VACANCY, OrderingSearch, Sublattice, fill
from aiida_ionconduct.structures.supercell import supercell_repeats
from aiida_ionconduct.structures.symmetry import distinct, site_permutations, symmetry_operations
from aiida_ionconduct.structures.voids import void_orbits

if TYPE_CHECKING:
    from pymatgen.core import Structure

N_ENUMERATE = 20_000  # distributions up to which all are tried
N_STARTS = 2000  # random starts of a descent otherwise
VOLUMES_A3 = {'Li3PO4': 78.65, 'Li4SiO4': 82.45}
"""Volume of one formula unit in Å³: gamma-Li3PO4 (Wang et al. 1995) and Li4SiO4 (2.41 g/cm³, Tranqui et al., Acta
Cryst. B 35, 2479 (1979)). The end member of an alloy is looked up here."""
DENSITY_TOLERANCE = 0.05
CHARGE_TOLERANCE = 0.05  # elementary charges per site, in a crystal with measured occupancies


class Candidate(NamedTuple):
    """An ordered cell, its electrostatic energy in eV for formal charges, and how it was made."""

    atoms: Atoms
    electrostatic_energy_eV: float
    description: str


class Recipe(NamedTuple):
    """What makes an alloy of its parent.

    ``substitute`` says which species takes the place of which, on the ``fraction`` of its sites; ions ``compensate``
    balance the charge by the states of ``oxidation``.
    """

    substitute: dict[str, str]
    fraction: float
    compensate: str
    oxidation: dict[str, int]


class SiteLattice(NamedTuple):
    """The sites of a supercell, the interstitial sites last.

    ``cell`` (3, 3) and ``positions`` (sites, 3) in Å; ``sublattices`` are a partition of the sites; ``permutations``
    (operations, sites) are made by :func:`~aiida_ionconduct.structures.symmetry.site_permutations`; ``names`` are for
    messages.
    """

    cell: np.ndarray
    positions: np.ndarray
    sublattices: list[Sublattice]
    permutations: np.ndarray
    names: list[str]


def alloy(
    parent: str | pathlib.Path | Atoms | Structure,
    substitute: Mapping[str, str] | None = None,
    fraction: float = 0.0,
    *,
    formula_units: int | None = None,
    compensate: str = 'Li',
    seed: int = 0,
    n_best: int = 10,
    strain: float = 0.0,
    charges: Mapping[str, int] | None = None,
    end_member_volume_A3: float | None = None,
) -> list[Candidate]:
    """Return ordered, charge-balanced supercells of an alloy, the lowest electrostatic energy first.

    A fraction of the sites of a species is given to another species, and ions are added at interstitial sites found
    from the geometry, or taken away, until the cell is neutral. Sites that the parent occupies partly are filled the
    same way. If there are few distributions, all are tried; otherwise swaps lead downhill from random starts. Of
    distributions that are equal by symmetry, only the first is kept. Example: (Li4SiO4)0.25(Li3PO4)0.75 of Deng et al.
    2015, 10.1021/jacs.5b04444, is ``alloy('gamma-Li3PO4', {'P': 'Si'}, 0.25, formula_units=16)``.

    :param parent: name of a shipped crystal, path of a CIF file, ASE atoms or a pymatgen structure.
    :param substitute: which species takes the place of which, as ``{'P': 'Si'}``; nothing, to order a crystal as it is.
    :param fraction: of the sites of each replaced species.
    :param formula_units: of the parent in the supercell; its conventional cell if not given.
    :param compensate: chemical symbol of the ion that is added or taken away for the charge.
    :param seed: of the random starts.
    :param n_best: at most so many are returned.
    :param strain: linear strain of the cell, for the volume that a guest needs.
    :param charges: oxidation states by chemical symbol, where the usual states do not hold.
    :param end_member_volume_A3: volume of a formula unit of the fully substituted crystal; known for Li4SiO4. With
        it the density must be within 5 % of the volume-weighted mean of parent and end member.
    :raises ValueError: if the parent cannot be read or is not neutral, the numbers do not fit the cell, the charge
        cannot be balanced, there is no room for the ions, or the density is off.
    """
    structure = read_disordered(parent)
    recipe = Recipe(dict(substitute or {}), fraction, compensate, {**OXIDATION_STATES, **(charges or {})})
    _check_recipe(structure, recipe)
    if n_best < 1:
        raise ValueError(f'n_best must be at least 1, got {n_best}.')
    _check_neutral(structure, recipe.oxidation)
    formula, n_units = structure.composition.get_reduced_formula_and_factor()
    expected_A3 = _alloy_volume(structure, recipe, end_member_volume_A3)
    for old, new in recipe.substitute.items():
        structure.replace_species({old: {old: 1 - fraction, new: fraction}})
    structure.scale_lattice(structure.volume * (1 + strain) ** 3)
    repeats = _supercell_of(structure, formula, n_units, formula_units)

    candidates = _candidates(
        _site_lattice(structure, repeats, recipe),
        recipe.oxidation,
        name=f'{"×".join(map(str, repeats))} cells of {formula}',
        seed=seed,
        n_best=n_best,
    )
    _check_occupancies(candidates[0].atoms, structure, math.prod(repeats), recipe)
    _check_density(candidates[0].atoms, expected_A3 and expected_A3 * math.prod(repeats))
    return candidates


def scores_table(candidates: Sequence[Candidate]) -> str:
    """Return the candidates as a table: energy, energy above the first candidate, shortest contact, density."""
    first = candidates[0].electrostatic_energy_eV
    rows = [
        (
            rank,
            f'{atoms.symbols}',
            f'{energy:.4f}',
            f'{1e3 * (energy - first) / len(atoms):.2f}',
            f'{shortest_contact(atoms):.3f}',
            f'{mass_density(atoms):.3f}',
        )
        for rank, (atoms, energy, _) in enumerate(candidates, start=1)
    ]
    headers = ('rank', 'cell', 'energy (eV)', 'above the first (meV/atom)', 'shortest contact (Å)', 'density (g/cm³)')
    return tabulate(rows, headers=headers, tablefmt='simple', disable_numparse=True)


def mass_density(atoms: Atoms) -> float:
    """Return the mass density in g/cm³."""
    return float(atoms.get_masses().sum() * units._amu * 1e3 / (atoms.get_volume() * 1e-24))


# Steps --------------------------------------------------------------------------------------------------------------


def _site_lattice(structure: Structure, repeats: tuple[int, int, int], recipe: Recipe) -> SiteLattice:
    """Return the sites of the supercell with the numbers of ions on them, and its symmetry.

    :param structure: the substituted cell, with occupancies.
    :raises ValueError: if the charge cannot be balanced, or there is no room for the ions.
    """
    unit, species = _as_sites(structure)
    kinds = _kinds(species)
    supercell = unit.repeat(repeats)
    cell, positions = supercell.cell.array, supercell.positions
    sublattices, n_added = fill(
        [species[index] for index in supercell.arrays['site']], recipe.oxidation, recipe.compensate
    )
    _check_substituted(sublattices, recipe)
    names = [_site_name(structure[index].label, species[index]) for index in supercell.arrays['site']]
    if n_added:
        operations = symmetry_operations(unit.cell.array, unit.positions, kinds)
        voids = void_orbits(unit, recipe.compensate, operations, recipe.oxidation)
        extra = Atoms(recipe.compensate * len(voids), positions=voids, cell=unit.cell, pbc=True).repeat(repeats)
        if len(extra) < n_added:
            raise ValueError(
                f'{n_added} {recipe.compensate} must be added, and there is room for {len(extra)}: set `strain`.'
            )
        sites = np.arange(len(positions), len(positions) + len(extra))
        sublattices.append(Sublattice(sites, {recipe.compensate: n_added, VACANCY: len(extra) - n_added}))
        positions = np.vstack([positions, extra.positions])
        names += ['an interstitial site'] * len(extra)
    operations = symmetry_operations(cell, supercell.positions, [kinds[index] for index in supercell.arrays['site']])
    return SiteLattice(cell, positions, sublattices, site_permutations(cell, positions, operations), names)


def _candidates(
    lattice: SiteLattice, oxidation: dict[str, int], *, name: str, seed: int, n_best: int
) -> list[Candidate]:
    """Return the distributions of lowest energy that symmetry does not make equal.

    :param name: of the supercell, for the descriptions.
    :raises ValueError: if ions are too near to each other in every distribution.
    """
    search = OrderingSearch(lattice.cell, lattice.positions, lattice.sublattices, oxidation)
    if math.prod(sublattice.n_distributions for sublattice in lattice.sublattices) <= N_ENUMERATE:
        distributions = search.enumerate()
        origin = f'of {len(distributions)} distributions'
    else:
        distributions = search.sample(np.random.default_rng(seed), N_STARTS)
        origin = f'of the minima from {N_STARTS} random starts, seed {seed}'
    candidates: list[Candidate] = []
    for energy, occupation in distinct(distributions, lattice.permutations, n_best):
        if not search.contacts(occupation):
            atoms = search.atoms(occupation)
            check_charges(atoms, {symbol: oxidation[symbol] for symbol in set(atoms.symbols)})
            description = f'{atoms.symbols}, {name}, no. {len(candidates) + 1} {origin}'
            candidates.append(Candidate(atoms, energy, description))
    if not candidates:
        raise ValueError(
            f'the ions of {name} cannot be distributed over their sites without two too near to each other: '
            f'{_contacts_text(search, distributions[0][1], lattice.names)}. Correct the occupancies of these sites, or '
            'set `strain`.'
        )
    return candidates


def _contacts_text(search: OrderingSearch, occupation: np.ndarray, names: Sequence[str]) -> str:
    """Return which sites hold ions that are too near to each other, the shortest distance of each kind of pair."""
    shortest: dict[tuple[str, str], tuple[float, float]] = {}
    for pair in search.contacts(occupation):
        first, second = occupation[list(pair)]
        distance, limit = float(search.distances[pair]), float(search.limits[first, second])
        symbols = [f'{search.species[code]} on {names[site]}' for site, code in zip(pair, (first, second), strict=True)]
        key = (min(symbols), max(symbols))
        shortest[key] = min(shortest.get(key, (distance, limit)), (distance, limit))
    return '; '.join(
        f'{first} and {second}, {distance:.2f} Å (at least {limit:.2f} Å)'
        for (first, second), (distance, limit) in sorted(shortest.items())
    )


def _site_name(label: str, occupancies: Mapping[str, float]) -> str:
    """Return the label of a site in its file, with its occupancies."""
    return f'{label} ({", ".join(f"{symbol} {amount:.3g}" for symbol, amount in occupancies.items())})'


def _supercell_of(
    structure: Structure, formula: str, n_units: float, formula_units: int | None
) -> tuple[int, int, int]:
    """Return how often to repeat the cell along each vector.

    :param n_units: formula units in the cell.
    :param formula_units: formula units wanted.
    :raises ValueError: if the formula units do not make whole cells.
    """
    n_cells = 1.0 if formula_units is None else formula_units / n_units
    if round(n_cells) < 1 or abs(n_cells - round(n_cells)) > 1e-6:
        raise ValueError(f'the cell of {formula} holds {n_units:g} formula units: ask for a multiple of it.')
    return supercell_repeats(structure.lattice.matrix, len(structure), len(structure) * round(n_cells))


def _as_sites(structure: Structure) -> tuple[Atoms, list[dict[str, float]]]:
    """Return the cell with the most frequent species on each site, and the occupancies of each site by species.

    The array ``site`` numbers the sites, so that the repeated cell still knows them.
    """
    species = [{str(key): float(amount) for key, amount in site.species.as_dict().items()} for site in structure]
    symbols = [max(occupancies, key=lambda symbol: occupancies[symbol]) for occupancies in species]
    atoms = Atoms(symbols, positions=structure.cart_coords, cell=structure.lattice.matrix, pbc=True)
    atoms.set_array('site', np.arange(len(atoms)))
    return atoms, species


def _kinds(species: list[dict[str, float]]) -> list[int]:
    """Return a number for each site; sites with the same occupancies have the same number."""
    names = [repr(sorted(occupancies.items())) for occupancies in species]
    return [names.index(name) for name in names]


def _alloy_volume(structure: Structure, recipe: Recipe, end_member_volume_A3: float | None) -> float | None:
    """Return the volume of the parent's cell as an alloy, by the volumes of its end members in Å³; None if unknown.

    :param structure: the parent, not substituted.
    """
    from pymatgen.core import Composition

    amounts = structure.composition.get_el_amt_dict()
    for old, new in recipe.substitute.items():
        amounts[new] = amounts.get(new, 0) + amounts.pop(old)
    charge = sum(amount * recipe.oxidation[symbol] for symbol, amount in amounts.items())
    amounts[recipe.compensate] = amounts.get(recipe.compensate, 0) - charge / recipe.oxidation[recipe.compensate]
    if not recipe.substitute or amounts[recipe.compensate] < 0:  # no alloy, or an alloy without an end member
        return None
    n_units = structure.composition.get_reduced_formula_and_factor()[1]
    volume = end_member_volume_A3 or VOLUMES_A3.get(Composition(amounts).reduced_formula)
    return volume and (1 - recipe.fraction) * structure.volume + recipe.fraction * volume * n_units


# Checks -------------------------------------------------------------------------------------------------------------


def _check_recipe(structure: Structure, recipe: Recipe) -> None:
    """Refuse a substitution that makes no sense for its parent.

    :raises ValueError: naming what is wrong.
    """
    present = {element.symbol for element in structure.composition.elements}
    for old, new in recipe.substitute.items():
        if old not in present:
            raise ValueError(f'the parent {structure.composition.reduced_formula} has no {old} to replace.')
        if new == old:
            raise ValueError(f'{old} cannot take its own place: name another species.')
    if recipe.substitute and not 0 < recipe.fraction <= 1:
        raise ValueError(f'the fraction must be above 0 and at most 1, got {recipe.fraction}.')
    named = present | set(recipe.substitute.values()) | {recipe.compensate}
    for symbol in named - set(atomic_numbers):
        raise ValueError(f'`{symbol}` is no chemical symbol.')
    for symbol in named - set(recipe.oxidation):
        raise ValueError(f'no oxidation state is known for {symbol}: give it with `charges`.')


def _check_neutral(structure: Structure, oxidation: dict[str, int]) -> None:
    """Refuse a parent whose oxidation states do not balance.

    Ions would be added or taken away to make up for a wrong state. Measured occupancies may leave a small charge.

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


def _check_substituted(sublattices: list[Sublattice], recipe: Recipe) -> None:
    """Refuse a cell in which the fraction amounts to no site, or to all sites.

    :raises ValueError: naming the number of sites.
    """
    for old, new in recipe.substitute.items():
        shared = [sublattice.counts for sublattice in sublattices if {old, new} <= sublattice.counts.keys()]
        n_old, n_new = (sum(counts[symbol] for counts in shared) for symbol in (old, new))
        if recipe.fraction < 1 and not (n_old and n_new):
            raise ValueError(
                f'{recipe.fraction:g} of {n_old + n_new} {old} sites is {n_new} {new}: ask for more with '
                '`formula_units`.'
            )


def _check_occupancies(atoms: Atoms, structure: Structure, n_cells: int, recipe: Recipe) -> None:
    """Refuse a cell that is too small for the occupancies of its parent; its mass shows the effect of rounding.

    :param structure: the substituted cell, with occupancies.
    :raises ValueError: with the two masses.
    """
    amounts = structure.composition.get_el_amt_dict()
    charge = sum(amount * recipe.oxidation[symbol] for symbol, amount in amounts.items())
    added = -charge / recipe.oxidation[recipe.compensate] * atomic_masses[atomic_numbers[recipe.compensate]]
    expected, mass = n_cells * (float(structure.composition.weight) + added), atoms.get_masses().sum()
    if abs(mass / expected - 1) > DENSITY_TOLERANCE:
        raise ValueError(
            f'the cell {atoms.symbols} weighs {mass:.1f} u instead of {expected:.1f} u, as the occupancies do not come '
            'out even in so few sites: ask for more with `formula_units`.'
        )


def _check_density(atoms: Atoms, expected_A3: float | None) -> None:
    """Refuse a cell whose density is far from the mean of the end members.

    :param expected_A3: volume of the cell by its end members, None if unknown.
    :raises ValueError: naming the strain that would correct the density.
    """
    if expected_A3 and abs(expected_A3 / atoms.get_volume() - 1) > DENSITY_TOLERANCE:
        raise ValueError(
            f'the density {mass_density(atoms):.2f} g/cm³ is more than 5 % off the mean of the end members: set '
            f'`strain` to about {(expected_A3 / atoms.get_volume()) ** (1 / 3) - 1:.3f} more.'
        )
