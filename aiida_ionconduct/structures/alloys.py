"""Charge-balanced, ordered cells of alloys and of crystals with partial occupancies, by their electrostatic energy.

Substituted sites, sites that are partly empty and interstitial sites are treated alike: a *sublattice* is a set of
sites over which a fixed number of ions, and of vacancies, is distributed (:mod:`.ordering`).
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from ase import Atoms, units
from ase.data import atomic_numbers
from tabulate import tabulate

from aiida_ionconduct.choices import OrderingMethod
from aiida_ionconduct.structures.cells import CellChoice, Requirement, choose_cell, units_in_cell
from aiida_ionconduct.structures.checks import OXIDATION_STATES, check_overlap
from aiida_ionconduct.structures.composition import TOLERANCE, Deviation, composition_table, fill
from aiida_ionconduct.structures.contacts import RELAXED, bonds_between_full_sites, contact_limit, short_contacts
from aiida_ionconduct.structures.crystals import CRYSTALS, read_disordered
from aiida_ionconduct.structures.distances import shortest_contact
from aiida_ionconduct.structures.ordering import VACANCY, OrderingSearch, Sublattice
from aiida_ionconduct.structures.oxidation import States, oxidation_states, states_text, total_charge
from aiida_ionconduct.structures.reading import read_structure
from aiida_ionconduct.structures.site_table import NEW_SITE, SiteOrigin, SiteRow, occupancies_text, site_rows
from aiida_ionconduct.structures.supercell import build_supercell, supercell_matrix, supercell_text
from aiida_ionconduct.structures.symmetry import distinct, site_permutations, symmetry_operations
from aiida_ionconduct.structures.voids import void_orbits

if TYPE_CHECKING:
    from pymatgen.core import PeriodicSite, Structure

N_ENUMERATE = 20_000  # distributions up to which all are tried
N_STARTS = 2000  # random starts of a descent otherwise
DRAWS = 20  # random orderings drawn for each that is wanted: some are equal by symmetry
VOLUMES_A3 = {'Li3PO4': 78.65, 'Li4SiO4': 82.45}
"""Volume of one formula unit in Å³: gamma-Li3PO4 (Wang et al. 1995) and Li4SiO4 (2.41 g/cm³, Tranqui et al., Acta
Cryst. B 35, 2479 (1979)). The end member of an alloy is looked up here."""
DENSITY_TOLERANCE = 0.05
MAX_STRAIN = 0.05  # larger strains are not advised


class Candidate(NamedTuple):
    """An ordered cell, its electrostatic energy in eV for formal charges, how it was made, and what stands where."""

    atoms: Atoms
    electrostatic_energy_eV: float
    description: str
    sites: list[SiteRow]


class Recipe(NamedTuple):
    """What makes an alloy of its parent.

    ``substitute`` says which species takes the place of which, on the ``fraction`` of its sites; ions ``compensate``
    balance the charge by the states of ``oxidation``.
    """

    substitute: dict[str, str]
    fraction: float
    compensate: str
    oxidation: dict[str, float]


class SiteLattice(NamedTuple):
    """The sites of a supercell, the interstitial sites last.

    ``cell`` (3, 3) and ``positions`` (sites, 3) in Å; ``sublattices`` are a partition of the sites; ``permutations``
    (operations, sites) are made by :func:`~aiida_ionconduct.structures.symmetry.site_permutations`; ``names`` are for
    messages; ``origins`` are the sites as the file has them.
    """

    cell: np.ndarray
    positions: np.ndarray
    sublattices: list[Sublattice]
    permutations: np.ndarray
    names: list[str]
    origins: list[SiteOrigin]


class CrowdedError(ValueError):
    """In every distribution ions are too near to each other."""


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
    :raises ValueError: if the parent cannot be read or is not neutral, the numbers do not fit the cell, the charge
        cannot be balanced, there is no room for the ions, or the density is off.
    """
    structure, by_file, notes = read_parent(parent, block)
    for site, label in zip(structure, labels or [], strict=False):
        site.label = label
    symbols = dict(substitute or {})
    states = _states(structure, stated=stated or by_file, notes=notes, substitute=symbols, charges=charges)
    compensate = compensate or usual_mobile_ion(structure)
    recipe = Recipe(symbols, fraction, compensate, {**OXIDATION_STATES, **(charges or {}), **states.charges})
    _check_recipe(structure, recipe)
    if n_best < 1:
        raise ValueError(f'n_best must be at least 1, got {n_best}.')
    formula = structure.composition.reduced_formula
    expected_A3 = _alloy_volume(structure, recipe, end_member_volume_A3)
    before = total_charge(structure.composition.get_el_amt_dict(), recipe.oxidation)
    bonds = bonds_between_full_sites(structure)
    in_file = [(site.label, _occupancies(site)) for site in structure]
    for old, new in recipe.substitute.items():
        structure.replace_species({old: {old: 1 - fraction, new: fraction}})
    origins: dict[str, SiteOrigin] = {}
    for site, (label, occupancies) in zip(structure, in_file, strict=True):
        site.label = _site_name(label, _occupancies(site))  # a substitution takes the label away
        origins[site.label] = SiteOrigin(label, occupancies_text(occupancies))
    structure.scale_lattice(structure.volume * (1 + strain) ** 3)
    amounts = structure.composition.get_el_amt_dict()
    if recipe.substitute:
        added = (before - total_charge(amounts, recipe.oxidation)) / recipe.oxidation[compensate]
        amounts[compensate] = amounts.get(compensate, 0) + added
    average = next((symbol for symbol, state in states.charges.items() if state != round(state)), None)
    if formula_units is not None:
        _check_fraction(structure, recipe, formula_units / units_in_cell(structure))
    requirement = Requirement(amounts, recipe.oxidation, None if average else compensate, tolerance)
    choice = choose_cell(structure, requirement, formula_units)
    if average:
        recipe.oxidation[average] = _average_state(average, choice, recipe.oxidation)
    matrix = supercell_matrix(choice.structure.lattice.matrix, 1, choice.n_cells, max_growth=1)

    lattice = _site_lattice(choice.structure, matrix, recipe, origins=origins, is_mixed_valence=average is not None)
    name = f'{supercell_text(matrix)} of {formula}'
    options: dict[str, Any] = {'name': name, 'seed': seed, 'n_best': n_best, 'ordering': ordering}
    limit = partial(contact_limit, charges=recipe.oxidation, bonds=bonds)
    candidates, limit_factor, is_shared = _least_crowded(
        lattice, recipe.oxidation, limit=limit, compensate=compensate, options=options
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
    share = choice.n_cells * len(choice.structure) / len(structure)
    _check_density(candidates[0].atoms, expected_A3 and expected_A3 * share)
    used = {symbol: recipe.oxidation[symbol] for symbol in dict.fromkeys(candidates[0].atoms.symbols)}
    return Ordering(candidates, used, [*notes, *states.notes], choice.deviations, limit_factor)


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


MOBILE_IONS = ('Li', 'Na', 'K', 'Ag', 'Cu', 'Rb', 'Cs', 'Mg', 'Ca', 'Zn')
"""Ions that conductors are made for, in the order in which one is taken to be mobile."""


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


def mass_density(atoms: Atoms) -> float:
    """Return the mass density in g/cm³."""
    return float(atoms.get_masses().sum() * units._amu * 1e3 / (atoms.get_volume() * 1e-24))


# Steps --------------------------------------------------------------------------------------------------------------


def _site_lattice(
    structure: Structure,
    matrix: np.ndarray,
    recipe: Recipe,
    *,
    origins: Mapping[str, SiteOrigin],
    is_mixed_valence: bool = False,
) -> SiteLattice:
    """Return the sites of the supercell with the numbers of ions on them, and its symmetry.

    :param structure: the substituted cell, with occupancies.
    :param matrix: (3, 3), vectors of the supercell in units of the cell's vectors.
    :param origins: the sites as the file has them, by their labels in the structure.
    :raises ValueError: if the charge cannot be balanced, or there is no room for the ions.
    """
    unit, species = _as_sites(structure)
    kinds = _kinds(species)
    supercell = build_supercell(unit, matrix)
    cell, positions = supercell.cell.array, supercell.positions
    sublattices, n_added = fill(
        [species[index] for index in supercell.arrays['site']],
        recipe.oxidation,
        None if is_mixed_valence else recipe.compensate,
    )
    names = [structure[index].label for index in supercell.arrays['site']]
    from_file = [origins[name] for name in names]
    if n_added:
        operations = symmetry_operations(unit.cell.array, unit.positions, kinds)
        voids = void_orbits(unit, recipe.compensate, operations, recipe.oxidation)
        interstitial = Atoms([recipe.compensate] * len(voids), positions=voids, cell=unit.cell, pbc=True)
        extra = build_supercell(interstitial, matrix)
        if len(extra) < n_added:
            raise ValueError(
                f'{n_added} {recipe.compensate} must be added, and there is room for {len(extra)}: strain the cell, '
                'such as with --strain 0.02.'
            )
        sites = np.arange(len(positions), len(positions) + len(extra))
        sublattices.append(Sublattice(sites, {recipe.compensate: n_added, VACANCY: len(extra) - n_added}))
        positions = np.vstack([positions, extra.positions])
        names += ['an interstitial site'] * len(extra)
        from_file += [NEW_SITE] * len(extra)
    operations = symmetry_operations(cell, supercell.positions, [kinds[index] for index in supercell.arrays['site']])
    permutations = site_permutations(cell, positions, operations)
    return SiteLattice(cell, positions, sublattices, permutations, names, from_file)


def _least_crowded(
    lattice: SiteLattice,
    oxidation: dict[str, float],
    *,
    limit: Callable[..., float],
    compensate: str,
    options: Mapping[str, Any],
) -> tuple[list[Candidate], float, bool]:
    """Return candidates with the largest limits that the sites allow, the factor of the limits, and how.

    If the numbers of ions on the single sites keep no limits, the compensating ion is distributed over all its partly
    occupied sites; only then are the limits shortened.

    :param options: of :func:`_candidates`.
    :return: candidates, factor of the limits, and whether the compensating ion shares its sites.
    :raises CrowdedError: of the numbers in the file, if ions are too near to each other in every distribution.
    """
    shared = _with_shared_sites(lattice, compensate)
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


def _with_shared_sites(lattice: SiteLattice, ion: str) -> SiteLattice | None:
    """Return the sites with all sublattices of an ion and vacancies in one; None if there are fewer than two."""
    partly = [part for part in lattice.sublattices if set(part.counts) == {ion, VACANCY}]
    if len(partly) < 2:
        return None
    counts = {name: sum(part.counts[name] for part in partly) for name in (ion, VACANCY)}
    others = [part for part in lattice.sublattices if set(part.counts) != {ion, VACANCY}]
    return lattice._replace(sublattices=[*others, Sublattice(np.concatenate([part.sites for part in partly]), counts)])


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
        distributions = search.sample(np.random.default_rng(seed), N_STARTS)
        origin = f'of the minima from {N_STARTS} random starts, seed {seed}'
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


def _site_name(label: str, occupancies: Mapping[str, float]) -> str:
    """Return the label of a site in its file, with its occupancies."""
    return f'{label} ({occupancies_text(occupancies)})'


def _occupancies(site: PeriodicSite) -> dict[str, float]:
    """Return the occupancies of a site by species."""
    return {str(key): float(amount) for key, amount in site.species.as_dict().items()}


def _states(
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


def _average_state(symbol: str, choice: CellChoice, oxidation: Mapping[str, float]) -> float:
    """Return the average oxidation state of an element that makes the cell neutral."""
    numbers = {row.species: row.cell for row in choice.deviations}
    rest = sum(number * oxidation[other] for other, number in numbers.items() if other != symbol)
    return -rest / numbers[symbol]


def _as_sites(structure: Structure) -> tuple[Atoms, list[dict[str, float]]]:
    """Return the cell with the most frequent species on each site, and the occupancies of each site by species.

    The array ``site`` numbers the sites, so that the repeated cell still knows them.
    """
    species = [_occupancies(site) for site in structure]
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


def _check_neutral(atoms: Atoms, oxidation: Mapping[str, float]) -> None:
    """Refuse an ordered cell that is not neutral.

    :raises ValueError: with the charge.
    """
    charge = sum(oxidation[symbol] for symbol in atoms.symbols)
    if abs(charge) > 1e-3:
        raise ValueError(f'the cell {atoms.symbols} has the charge {charge:+g}.')


def _check_fraction(structure: Structure, recipe: Recipe, n_cells: float) -> None:
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
