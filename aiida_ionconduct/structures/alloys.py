"""Charge-balanced, ordered cells of alloys and of crystals with partial occupancies, by their electrostatic energy.

Substituted sites, sites that are partly empty and interstitial sites are treated alike: a *sublattice* is a set of
sites over which a fixed number of ions, and of vacancies, is distributed (:mod:`.ordering`).
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ase import Atoms
from tabulate import tabulate

from aiida_ionconduct.choices import OrderingMethod
from aiida_ionconduct.structures.candidates import Candidate, least_crowded
from aiida_ionconduct.structures.cells import Requirement, choose_cell, units_in_cell
from aiida_ionconduct.structures.checks import OXIDATION_STATES, check_overlap
from aiida_ionconduct.structures.composition import TOLERANCE, Deviation, composition_table
from aiida_ionconduct.structures.contacts import bonds_between_full_sites, contact_limit, short_contacts
from aiida_ionconduct.structures.crystals import CRYSTALS, read_disordered
from aiida_ionconduct.structures.distances import shortest_contact
from aiida_ionconduct.structures.oxidation import states_text, total_charge
from aiida_ionconduct.structures.reading import read_structure
from aiida_ionconduct.structures.recipes import (
    Recipe,
    alloy_volume,
    average_state,
    check_density,
    check_fraction,
    check_recipe,
    mass_density,
    parent_states,
    usual_mobile_ion,
)
from aiida_ionconduct.structures.site_counts import numbers_on_sites
from aiida_ionconduct.structures.site_lattice import occupancies_of, site_lattice, site_name
from aiida_ionconduct.structures.site_table import SiteOrigin, occupancies_text
from aiida_ionconduct.structures.supercell import supercell_matrix, supercell_text

if TYPE_CHECKING:
    from pymatgen.core import Structure


class Ordering(NamedTuple):
    """Ordered cells of a crystal, and what was assumed and rounded on the way to them.

    ``oxidation`` are the states by chemical symbol; ``notes`` are sentences for the user; ``deviations`` compare the
    composition of the cells with the file; ``limit_factor`` is below 1 where the
    limits of contacts had to be shortened.
    """

    candidates: list[Candidate]
    oxidation: dict[str, float]
    notes: list[str]
    deviations: list[Deviation]
    limit_factor: float = 1.0


def alloy(parent: str | pathlib.Path | Atoms | Structure, *args: Any, **options: Any) -> list[Candidate]:
    """Return the candidates of :func:`ordered_cells`, the lowest electrostatic energy first."""
    return ordered_cells(parent, *args, **options).candidates


def ordered_cells(
    parent: str | pathlib.Path | Atoms | Structure,
    substitute: Mapping[str, str] | None = None,
    fraction: float = 0.0,
    *,
    formula_units: int | None = None,
    compensate: str | None = None,
    seed: int = 0,
    n_best: int = 10,
    strain: float = 0.0,
    charges: Mapping[str, float] | None = None,
    end_member_volume_A3: float | None = None,
    tolerance: float = TOLERANCE,
    block: str | None = None,
    stated: Mapping[str, float] | None = None,
    labels: Sequence[str] | None = None,
    ordering: OrderingMethod = 'lowest',
    site_counts: Mapping[str, int] | None = None,
) -> Ordering:
    """Return ordered, charge-balanced supercells of an alloy, the lowest electrostatic energy first.

    A fraction of the sites of a species is given to another species, and ions are added at interstitial sites found
    from the geometry, or taken away, until the cell is neutral. Sites that the parent occupies partly are filled the
    same way. If there are few distributions, all are tried; otherwise swaps lead downhill from random starts. Random
    orderings are drawn instead, in the order of the draws, if asked for: a quenched crystal has them. Of distributions
    that are equal by symmetry, only the first is kept. Example: (Li4SiO4)0.25(Li3PO4)0.75 of Deng et al.
    2015, 10.1021/jacs.5b04444, is ``alloy('gamma-Li3PO4', {'P': 'Si'}, 0.25, formula_units=16)``.

    :param parent: name of a shipped crystal, path of a structure file, ASE atoms or a pymatgen structure.
    :param substitute: which species takes the place of which, as ``{'P': 'Si'}``; nothing, to order a crystal as it is.
    :param fraction: of the sites of each replaced species.
    :param formula_units: of the parent in the supercell. If not given, the conventional cell is taken, or the smallest
        cell that holds the composition within the tolerance.
    :param compensate: chemical symbol of the ion that is added or taken away for the charge; if not given, the usual
        mobile ion that the crystal has, see :func:`usual_mobile_ion`.
    :param seed: of the random starts, or of the random orderings.
    :param n_best: at most so many are returned.
    :param strain: linear strain of the cell, for the volume that a guest needs.
    :param charges: oxidation states by chemical symbol, where the usual states do not hold.
    :param end_member_volume_A3: volume of a formula unit of the fully substituted crystal; known for Li4SiO4. With
        it the density must be within 5 % of the volume-weighted mean of parent and end member.
    :param tolerance: largest relative deviation of the amount of a species from the file.
    :param block: data block of a CIF with several crystals.
    :param stated: oxidation states that the file of the parent gives, where the parent is no file.
    :param labels: of the sites in the file of the parent, where the parent is no file.
    :param ordering: ``lowest`` in electrostatic energy, or ``random``.
    :param site_counts: numbers of ions in the cell on sites of the file, by label (``{'Li2': 6}``), or by label and
        species (``{'M1:Al': 2}``).
    :raises ValueError: if the parent cannot be read or is not neutral, the numbers do not fit the cell, the charge
        cannot be balanced, there is no room for the ions, or the density is off.
    """
    structure, by_file, notes = read_parent(parent, block)
    for site, label in zip(structure, labels or [], strict=False):
        site.label = label
    symbols = dict(substitute or {})
    states = parent_states(structure, stated=stated or by_file, notes=notes, substitute=symbols, charges=charges)
    compensate = compensate or usual_mobile_ion(structure)
    recipe = Recipe(symbols, fraction, compensate, {**OXIDATION_STATES, **(charges or {}), **states.charges})
    check_recipe(structure, recipe)
    if n_best < 1:
        raise ValueError(f'n_best must be at least 1, got {n_best}.')
    formula = structure.composition.reduced_formula
    expected_A3 = alloy_volume(structure, recipe, end_member_volume_A3)
    bonds = bonds_between_full_sites(structure)
    n_sites = len(structure)
    amounts, origins = _substituted(structure, recipe, strain)
    fixed = numbers_on_sites(origins, site_counts or {})
    average = next((symbol for symbol, state in states.charges.items() if state != round(state)), None)
    if formula_units is not None:
        check_fraction(structure, recipe, formula_units / units_in_cell(structure))
    requirement = Requirement(amounts, recipe.oxidation, None if average else compensate, tolerance, fixed)
    choice = choose_cell(structure, requirement, formula_units)
    if average:
        recipe.oxidation[average] = average_state(average, choice, recipe.oxidation)
        given = (charges or {}).get(average)
        if given is not None and not math.isclose(given, recipe.oxidation[average], rel_tol=2e-3):
            notes.append(f'The cell is neutral with {average} {recipe.oxidation[average]:+.4g}, not {given:+g}.')
    matrix = supercell_matrix(choice.structure.lattice.matrix, 1, choice.n_cells, max_growth=1)
    cells = supercell_text(matrix)
    if len(choice.structure) < len(structure):
        cells = cells.replace('cells', 'primitive cells')

    lattice = site_lattice(
        choice.structure,
        matrix,
        recipe,
        origins=origins,
        fixed=fixed,
        is_mixed_valence=average is not None,
    )
    candidates, limit_factor, is_shared = least_crowded(
        lattice,
        recipe.oxidation,
        limit=partial(contact_limit, charges=recipe.oxidation, bonds=bonds),
        shared_ion=None if fixed else compensate,
        options={
            'name': f'{cells} of {formula}',
            'seed': seed,
            'n_best': n_best,
            'ordering': ordering,
        },
    )
    if is_shared:
        notes.append(
            f'The occupancies of the single sites would bring ions too near to each other: {compensate} is distributed '
            'over all its partly occupied sites, in the same total number.'
        )
    if limit_factor < 1:
        short = short_contacts(candidates[0].atoms, recipe.oxidation, bonds)
        notes.append(f'Sites of the file are very near to each other, relax the cell: {"; ".join(short)}.')
    check_overlap(candidates[0].atoms)
    share = choice.n_cells * len(choice.structure) / n_sites
    check_density(candidates[0].atoms, expected_A3 and expected_A3 * share)
    used = {symbol: recipe.oxidation[symbol] for symbol in dict.fromkeys(candidates[0].atoms.symbols)}
    return Ordering(candidates, used, [*notes, *states.notes], choice.deviations, limit_factor)


def _substituted(structure: Structure, recipe: Recipe, strain: float) -> tuple[dict[str, float], dict[str, SiteOrigin]]:
    """Substitute and strain a crystal in place, and name its sites.

    :param strain: linear.
    :return: the amounts of the species, balanced by the compensating ion where species were substituted, and the sites
        as the file has them by their new labels.
    """
    before = total_charge(structure.composition.get_el_amt_dict(), recipe.oxidation)
    in_file = [(site.label, occupancies_of(site)) for site in structure]
    for old, new in recipe.substitute.items():
        structure.replace_species({old: {old: 1 - recipe.fraction, new: recipe.fraction}})
    origins: dict[str, SiteOrigin] = {}
    for site, (label, occupancies) in zip(structure, in_file, strict=True):
        site.label = site_name(label, occupancies_of(site))  # a substitution takes the label away
        origins[site.label] = SiteOrigin(label, occupancies_text(occupancies))
    structure.scale_lattice(structure.volume * (1 + strain) ** 3)
    amounts = structure.composition.get_el_amt_dict()
    if recipe.substitute:
        added = (before - total_charge(amounts, recipe.oxidation)) / recipe.oxidation[recipe.compensate]
        amounts[recipe.compensate] = amounts.get(recipe.compensate, 0) + added
    return amounts, origins


def read_parent(
    parent: str | pathlib.Path | Atoms | Structure, block: str | None = None
) -> tuple[Structure, dict[str, int], list[str]]:
    """Return the structure with occupancies, the oxidation states that its file gives, and notes about the file."""
    if isinstance(parent, str | pathlib.Path):
        path = CRYSTALS.get(str(parent), pathlib.Path(parent))
        if not path.exists():
            raise ValueError(f'`{parent}` is neither a file nor one of {", ".join(CRYSTALS)}.')
        crystal = read_structure(path, block)
        return crystal.structure, crystal.oxidation, list(crystal.notes)
    return read_disordered(parent), {}, []


def composition_text(ordering: Ordering) -> str:
    """Return what was assumed and the table of the composition, file against cell."""
    states = f'Oxidation states: {states_text(ordering.oxidation)}'
    return '\n'.join([states, *ordering.notes, '', composition_table(ordering.deviations)])


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
        for rank, (atoms, energy, *_) in enumerate(candidates, start=1)
    ]
    headers = ('rank', 'cell', 'energy (eV)', 'above the first (meV/atom)', 'shortest contact (Å)', 'density (g/cm³)')
    return tabulate(rows, headers=headers, tablefmt='simple', disable_numparse=True)
