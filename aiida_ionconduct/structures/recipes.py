"""What makes an alloy of its parent: which species replaces which, oxidation states, volumes; and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from ase import Atoms, units
from ase.data import atomic_numbers

from aiida_ionconduct.structures.cells import CellChoice
from aiida_ionconduct.structures.oxidation import States, oxidation_states

if TYPE_CHECKING:
    from pymatgen.core import Structure

VOLUMES_A3 = {'Li3PO4': 78.65, 'Li4SiO4': 82.45}
"""Volume of one formula unit in Å³: gamma-Li3PO4 (Wang et al. 1995) and Li4SiO4 (2.41 g/cm³, Tranqui et al., Acta
Cryst. B 35, 2479 (1979)). The end member of an alloy is looked up here."""
DENSITY_TOLERANCE = 0.05
MOBILE_IONS = ('Li', 'Na', 'K', 'Ag', 'Cu', 'Rb', 'Cs', 'Mg', 'Ca', 'Zn')
"""Ions that conductors are made for, in the order in which one is taken to be mobile."""


class Recipe(NamedTuple):
    """What makes an alloy of its parent.

    ``substitute`` says which species takes the place of which, on the ``fraction`` of its sites; ions ``compensate``
    balance the charge by the states of ``oxidation``.
    """

    substitute: dict[str, str]
    fraction: float
    compensate: str
    oxidation: dict[str, float]


def usual_mobile_ion(structure: Structure) -> str:
    """Return the chemical symbol of the ion of a crystal that balances charges unless the user names another.

    It is the first of :data:`MOBILE_IONS` that the crystal has, else the species with most vacancies.
    """
    amounts = structure.composition.get_el_amt_dict()
    for symbol in MOBILE_IONS:
        if symbol in amounts:
            return symbol
    vacancies = dict.fromkeys(amounts, 0.0)
    for site in structure:
        species = site.species.get_el_amt_dict()
        for symbol in species:
            vacancies[symbol] += max(0.0, 1 - sum(species.values())) / len(species)
    return max(amounts, key=lambda symbol: (vacancies[symbol], amounts[symbol]))


def mass_density(atoms: Atoms) -> float:
    """Return the mass density in g/cm³."""
    return float(atoms.get_masses().sum() * units._amu * 1e3 / (atoms.get_volume() * 1e-24))


def parent_states(
    structure: Structure,
    *,
    stated: Mapping[str, float],
    notes: list[str],
    substitute: Mapping[str, str],
    charges: Mapping[str, float] | None,
) -> States:
    """Return the oxidation states of the parent.

    :raises ValueError: if they do not balance; the notes about the file may say why.
    """
    amounts = structure.composition.get_el_amt_dict()
    named = {*amounts, *substitute, *substitute.values()}
    if absent := sorted(set(charges or {}) - named):
        raise ValueError(f'charges are given for {", ".join(absent)}, which the structure does not contain.')
    user = {symbol: state for symbol, state in (charges or {}).items() if symbol in amounts}
    try:
        return oxidation_states(amounts, user=user, stated=stated, structure=structure)
    except ValueError as exception:
        sentence = str(exception)
        raise ValueError(' '.join([*notes, sentence[0].upper() + sentence[1:]]) if notes else sentence) from exception


def average_state(symbol: str, choice: CellChoice, oxidation: Mapping[str, float]) -> float:
    """Return the average oxidation state of an element that makes the cell neutral."""
    numbers = {row.species: row.cell for row in choice.deviations}
    rest = sum(number * oxidation[other] for other, number in numbers.items() if other != symbol)
    return -rest / numbers[symbol]


def alloy_volume(structure: Structure, recipe: Recipe, end_member_volume_A3: float | None) -> float | None:
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


def check_recipe(structure: Structure, recipe: Recipe) -> None:
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


def check_fraction(structure: Structure, recipe: Recipe, n_cells: float) -> None:
    """Refuse a cell in which the fraction amounts to no site, or to all sites.

    :param structure: the substituted cell, with occupancies.
    :raises ValueError: naming the number of sites.
    """
    amounts = structure.composition.get_el_amt_dict()
    for old, new in recipe.substitute.items():
        if recipe.fraction == 1 or old not in amounts:
            continue
        n_sites = round((amounts[old] + amounts[new]) * n_cells)
        n_new = round(recipe.fraction * n_sites)
        if n_new in (0, n_sites):
            raise ValueError(
                f'{recipe.fraction:g} of {n_sites} {old} sites is {n_new} {new}: ask for more with `formula_units`.'
            )


def check_density(atoms: Atoms, expected_A3: float | None) -> None:
    """Refuse a cell whose density is far from the mean of the end members.

    :param expected_A3: volume of the cell by its end members, None if unknown.
    :raises ValueError: naming the strain that would correct the density.
    """
    if expected_A3 and abs(expected_A3 / atoms.get_volume() - 1) > DENSITY_TOLERANCE:
        raise ValueError(
            f'the density {mass_density(atoms):.2f} g/cm³ is more than 5 % off the mean of the end members: set '
            f'`strain` to about {(expected_A3 / atoms.get_volume()) ** (1 / 3) - 1:.3f} more.'
        )
