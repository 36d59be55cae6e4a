"""How many cells of a crystal hold its composition in whole numbers of ions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from aiida_ionconduct.structures.composition import (
    MAX_ATOMS,
    Deviation,
    Kind,
    deviations,
    kinds_of_sites,
    repeated,
    species_amounts,
    species_numbers,
    whole_numbers,
    worst_deviation,
)
from aiida_ionconduct.structures.symmetry import SYMPREC

if TYPE_CHECKING:
    from pymatgen.core import Structure

N_TRIALS = 60  # sizes tried one after another for that advice, and beyond them again at larger steps
N_SEARCH = 8  # cells up to this multiple of the largest are tried for the advice of a refusal


class CellChoice(NamedTuple):
    """A cell of a crystal, how many of it to take, and how their numbers of ions deviate from the file."""

    structure: Structure
    n_cells: int
    deviations: list[Deviation]


class Requirement(NamedTuple):
    """What a cell must satisfy.

    ``expected`` are the amounts of the species in one conventional cell; ``compensate`` balances the charge by the
    states of ``oxidation``, or, in a crystal of mixed valence, nothing does (None).
    """

    expected: Mapping[str, float]
    oxidation: Mapping[str, float]
    compensate: str | None
    tolerance: float
    fixed: Mapping[str, Mapping[str, int]] | None = None
    """Numbers of ions that the user sets, by label of the sites and species."""


def choose_cell(structure: Structure, requirement: Requirement, formula_units: int | None) -> CellChoice:
    """Return the conventional cell, or the smallest number of primitive cells, that holds the composition.

    :param structure: conventional cell with occupancies.
    :param formula_units: wanted; None for as many as the composition needs, up to :data:`MAX_ATOMS` atoms.
    :raises ValueError: if the formula units do not make whole cells, or the composition is not met within the
        tolerance, with the number of formula units that would do.
    """
    primitive = primitive_cell(structure)
    n_units = units_in_cell(structure)
    n_primitive = n_units * len(primitive) / len(structure)
    if formula_units is not None:
        for unit, n in ((structure, n_units), (primitive, n_primitive)):
            n_cells = formula_units / n
            if round(n_cells) >= 1 and abs(n_cells - round(n_cells)) < 1e-6:
                wanted = [(unit, round(n_cells))]
                break
        else:
            formula = structure.composition.reduced_formula
            raise ValueError(f'the cell of {formula} holds {n_primitive:g} formula units: ask for a multiple of it.')
    else:
        wanted = list(_sizes(structure, primitive, requirement.expected, MAX_ATOMS))
    closest: CellChoice | None = None
    problem: ValueError | None = None
    for unit, n_cells in wanted:
        try:
            choice = _choice(structure, unit, n_cells, requirement)
        except ValueError as exception:
            problem = exception
            continue
        if _is_close(choice, requirement):
            return choice
        if closest is None or _worst(choice) < _worst(closest):
            closest = choice
    if closest is None:
        raise problem or ValueError('the crystal has no cell.')
    raise ValueError(_too_far(structure, primitive, closest=closest, requirement=requirement, n_primitive=n_primitive))


def units_in_cell(structure: Structure) -> float:
    """Return the number of formula units in a cell: the largest common divisor of the numbers of sites of each kind."""
    if structure.is_ordered:
        return float(structure.composition.get_reduced_formula_and_factor()[1])
    return float(math.gcd(*(kind.n_sites for kind in _kinds(structure))))


def primitive_cell(structure: Structure) -> Structure:
    """Return the primitive cell of a crystal with occupancies; the crystal itself if it is primitive."""
    import spglib
    from pymatgen.core import Structure

    names = [site.species_string for site in structure]
    labels = [names.index(name) for name in names]
    cell = spglib.find_primitive((structure.lattice.matrix, structure.frac_coords, labels), symprec=SYMPREC)  # type: ignore[arg-type]  # arrays are sequences to spglib
    if cell is None or len(cell[2]) >= len(structure) or len(structure) % len(cell[2]):
        return structure
    lattice, positions, numbers = cell
    sites = [structure[int(number)] for number in numbers]
    primitive = Structure(lattice, [site.species for site in sites], positions, labels=[site.label for site in sites])
    share = len(primitive) / len(structure)
    amounts, whole = primitive.composition.get_el_amt_dict(), structure.composition.get_el_amt_dict()
    if any(abs(amounts.get(symbol, 0) - amount * share) > 1e-3 for symbol, amount in whole.items()):
        return structure
    return primitive


# Steps ---------------------------------------------------------------------------------------------------------------


def _kinds(structure: Structure, fixed: Mapping[str, Mapping[str, int]] | None = None) -> list[Kind]:
    """Return the kinds of sites of a structure."""
    species = [site.species.get_el_amt_dict() for site in structure]
    return kinds_of_sites(species, [site.label for site in structure], fixed)[0]


def _sizes(
    structure: Structure, primitive: Structure, expected: Mapping[str, float], max_atoms: float
) -> Iterator[tuple[Structure, int]]:
    """Yield the conventional cell, then numbers of primitive cells up to a number of atoms."""
    yield structure, 1
    n_atoms = sum(expected.values()) * len(primitive) / len(structure)
    per_cell = round(len(structure) / len(primitive))
    for n_cells in range(1, max(1, math.floor(max_atoms / n_atoms)) + 1):
        if n_cells == per_cell:
            continue
        whole, rest = divmod(n_cells, per_cell)
        yield (structure, whole) if rest == 0 else (primitive, n_cells)


def _choice(structure: Structure, unit: Structure, n_cells: int, requirement: Requirement) -> CellChoice:
    """Return the numbers of ions of a number of cells as deviations from the file."""
    kinds = repeated(_kinds(unit, requirement.fixed), n_cells)
    numbers = whole_numbers(kinds, requirement.oxidation, requirement.compensate)
    share = n_cells * len(unit) / len(structure)
    expected = {symbol: amount * share for symbol, amount in requirement.expected.items()}
    return CellChoice(unit, n_cells, deviations(expected, species_numbers(numbers, requirement.compensate)))


def _is_close(choice: CellChoice, requirement: Requirement) -> bool:
    """Return whether all species of the file are present, within the tolerance."""
    return _worst(choice) <= requirement.tolerance + 1e-9 and all(row.cell for row in choice.deviations if row.file > 0)


def _worst(choice: CellChoice) -> float:
    """Return the largest relative deviation."""
    return abs(worst_deviation(choice.deviations).relative)


def _too_far(
    structure: Structure, primitive: Structure, *, closest: CellChoice, requirement: Requirement, n_primitive: float
) -> str:
    """Return the sentence of a refusal: the deviation, and how many formula units would hold the composition."""
    row = worst_deviation(closest.deviations)
    n_atoms = sum(row.cell for row in closest.deviations)
    text = (
        f'the composition {structure.composition.formula.replace(" ", "")} does not fit into whole ions within '
        f'{100 * requirement.tolerance:g} %: the closest cell of {n_atoms} atoms has {row.cell} {row.species} instead '
        f'of {row.file:.3g} ({100 * row.relative:+.0f} %)'
    )
    charge = sum(amount * requirement.oxidation[symbol] for symbol, amount in requirement.expected.items())
    text = f'{_odd_charge(closest, requirement)}{text}'
    for unit, n_cells in _advised(structure, primitive, requirement):
        try:
            choice = _choice(structure, unit, n_cells, requirement)
        except ValueError:
            continue
        if _is_close(choice, requirement):
            units = n_primitive * n_cells * len(unit) / len(primitive)
            n_atoms = sum(row.cell for row in choice.deviations)
            return (
                f'{text}. {units:g} formula units ({n_atoms} atoms) hold it: --formula-units {units:g}; or accept a '
                f'larger deviation, such as --tolerance {math.ceil(100 * abs(row.relative)) / 100:g}.'
            )
    if abs(charge) > 1e-2 and requirement.compensate:
        text += (
            f'. The charges of the file sum to {charge:+.3g} a cell, which {requirement.compensate} must make up for: '
            'atoms or occupancies are missing from the file'
        )
    return f'{text}. Accept a larger deviation, such as --tolerance {math.ceil(100 * abs(row.relative)) / 100:g}.'


def _odd_charge(choice: CellChoice, requirement: Requirement) -> str:
    """Return the start of a sentence where the charge of the rounded cell is no multiple of the compensating ion's."""
    kinds = repeated(_kinds(choice.structure), choice.n_cells)
    amounts = species_amounts(kinds).items()
    charge = sum(round(amount) * requirement.oxidation[symbol] for symbol, amount in amounts)
    ion = requirement.compensate
    if ion is None or charge % requirement.oxidation[ion] == 0:
        return ''
    return f'the charge {charge:+g} cannot be balanced by {ion}, and '


def _advised(structure: Structure, primitive: Structure, requirement: Requirement) -> Sequence[tuple[Structure, int]]:
    """Return the sizes to try for the advice."""
    sizes = list(_sizes(structure, primitive, requirement.expected, N_SEARCH * MAX_ATOMS))
    return [*sizes[:N_TRIALS], *sizes[N_TRIALS :: len(sizes) // N_TRIALS + 1]]
