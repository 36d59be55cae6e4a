"""Whole numbers of ions for a cell: near the composition of the file, neutral, every species of the file present.

The numbers come from an integer linear program (HiGHS, by SciPy): the largest relative deviation of a species is least,
then the sum of the relative deviations, then the deviations from the occupancies of the single sublattices.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from tabulate import tabulate

from aiida_ionconduct.structures.ordering import VACANCY, Sublattice

TOLERANCE = 0.1
"""Largest deviation of the amount of a species from the file, relative to the amount in the file."""
MAX_ATOMS = 500
"""Largest ordered cell that is made without being asked for: DFT can still relax it."""
PRESENT = 1e-2  # a species with a larger amount must be in the cell
FORCED = (
    1e-2  # cost of an ion on an interstitial site, and of a vacancy on a full site: ten times a deviation of a site
)


class Kind(NamedTuple):
    """Sites that are occupied alike: how many, and how many ions (and vacancies) of each species they hold."""

    n_sites: int
    amounts: dict[str, float]
    fixed: Mapping[str, int] | None = None
    """Numbers of ions that the user sets, in the whole cell."""


class Numbers(NamedTuple):
    """Whole numbers of ions for each kind of site, and the number of ions that need interstitial sites."""

    counts: list[dict[str, int]]
    n_interstitials: int


def kinds_of_sites(
    species_of_site: Sequence[Mapping[str, float]],
    labels: Sequence[str] | None = None,
    fixed: Mapping[str, Mapping[str, int]] | None = None,
) -> tuple[list[Kind], list[np.ndarray]]:
    """Return the kinds of sites by their occupancies, and the indices of the sites of each kind.

    :param labels: of the sites; sites with a label in ``fixed`` are a kind of their own.
    :param fixed: numbers of ions that the user sets, by label and species.
    """
    groups = defaultdict(list)
    for index, species in enumerate(species_of_site):
        label = labels[index] if labels and fixed and labels[index] in fixed else ''
        composition = tuple(sorted((symbol, round(amount, 4)) for symbol, amount in species.items()))
        groups[composition, label].append(index)
    kinds = []
    for (composition, label), sites in groups.items():
        amounts = {symbol: amount * len(sites) for symbol, amount in composition}
        empty = len(sites) - sum(amounts.values())
        if empty > 1e-3 * len(sites):
            amounts[VACANCY] = empty
        kinds.append(Kind(len(sites), amounts, fixed[label] if fixed and label else None))
    return kinds, [np.array(sites) for sites in groups.values()]


def fill(
    species_of_site: Sequence[Mapping[str, float]],
    oxidation: Mapping[str, float],
    compensate: str | None,
    *,
    labels: Sequence[str] | None = None,
    fixed: Mapping[str, Mapping[str, int]] | None = None,
) -> tuple[list[Sublattice], int]:
    """Turn occupancies into numbers of ions that are neutral in total.

    Sites of the same composition make one sublattice.

    :param species_of_site: occupancies by species, for each site.
    :param oxidation: oxidation states by chemical symbol.
    :param compensate: chemical symbol of the compensating ion, see :func:`whole_numbers`.
    :param labels: see :func:`kinds_of_sites`.
    :param fixed: see :func:`kinds_of_sites`.
    :return: the sublattices, and the number of compensating ions that need interstitial sites.
    :raises ValueError: as :func:`whole_numbers`.
    """
    kinds, sites = kinds_of_sites(species_of_site, labels, fixed)
    numbers = whole_numbers(kinds, oxidation, compensate)
    return [Sublattice(*pair) for pair in zip(sites, numbers.counts, strict=True)], numbers.n_interstitials


def whole_numbers(kinds: Sequence[Kind], oxidation: Mapping[str, float], compensate: str | None) -> Numbers:
    """Return whole numbers of ions for each kind of site, neutral in total.

    The charge is balanced by the compensating ion where it occupies sites partly, then on interstitial sites or by
    vacancies on sites that it occupies fully.

    :param compensate: chemical symbol; None if the average state of another element follows from the numbers.
    :raises ValueError: if the charge is no multiple of the ion's, or there are too few of these ions to take away.
    """
    columns = [(index, symbol) for index, kind in enumerate(kinds) for symbol in kind.amounts]
    targets = np.array([kinds[index].amounts[symbol] for index, symbol in columns])
    for index, kind in enumerate(kinds):
        all_set = kind.fixed is not None and kind.fixed.keys() == kind.amounts.keys()
        if (compensate in kind.amounts or all_set) and VACANCY not in kind.amounts:
            columns.append((index, VACANCY))
    n_occupied, n = len(targets), len(columns)
    extra = n  # column of the interstitial ions
    ideal = species_amounts(kinds)
    if compensate is not None:
        charge = sum(amount * oxidation.get(symbol, 0) for symbol, amount in ideal.items())
        ideal[compensate] = max(ideal.get(compensate, 0.0) - charge / oxidation[compensate], 1e-3)
    species = list(ideal)
    # Columns: numbers, interstitial ions, deviations of the numbers, of the species, and the largest of the latter.
    n_columns = n + 1 + n_occupied + len(species) + 1
    rows, lower, upper = [], [], []

    def constrain(entries: Mapping[int, float], least: float, most: float) -> None:
        row = np.zeros(n_columns)
        for column, value in entries.items():
            row[column] = value
        rows.append(row)
        lower.append(least)
        upper.append(most)

    for index, kind in enumerate(kinds):
        constrain({c: 1.0 for c, (k, _) in enumerate(columns) if k == index}, kind.n_sites, kind.n_sites)
        for symbol, number in (kind.fixed or {}).items():
            constrain({columns.index((index, symbol)): 1.0}, number, number)
    charges = {c: float(oxidation.get(symbol, 0)) for c, (_, symbol) in enumerate(columns) if symbol}
    if compensate is None:
        constrain({extra: 1.0}, 0, 0)
    else:
        constrain({**charges, extra: float(oxidation[compensate])}, -1e-4, 1e-4)
    for column in range(n_occupied):
        deviation = n + 1 + column
        constrain({column: 1, deviation: -1}, -np.inf, targets[column])
        constrain({column: 1, deviation: 1}, targets[column], np.inf)
    for index, symbol in enumerate(species):
        deviation, largest = n + 1 + n_occupied + index, n_columns - 1
        numbers = {c: 1.0 for c, (_, name) in enumerate(columns) if name == symbol}
        if symbol == compensate:
            numbers[extra] = 1.0
        constrain({**numbers, deviation: -ideal[symbol]}, -np.inf, ideal[symbol])
        constrain({**numbers, deviation: ideal[symbol]}, ideal[symbol], np.inf)
        constrain({deviation: 1, largest: -1}, -np.inf, 0)
        if ideal[symbol] > PRESENT:
            constrain(numbers, 1, np.inf)
    costs = np.zeros(n_columns)
    costs[n_occupied:n] = FORCED  # vacancies on full sites
    costs[extra] = FORCED
    costs[n + 1 : n + 1 + n_occupied] = 1e-3
    costs[n + 1 + n_occupied : -1] = 1
    costs[-1] = 100
    most = np.array([kinds[index].n_sites for index, _ in columns] + [np.inf] * (n_columns - n))
    integrality = np.concatenate([np.ones(n + 1), np.zeros(n_columns - n - 1)])
    result = milp(
        costs,
        constraints=LinearConstraint(np.array(rows), lower, upper),
        bounds=Bounds(np.zeros(n_columns), most),
        integrality=integrality,
        options={'time_limit': 5.0},
    )
    if result.x is None:
        raise ValueError(_cannot_fill(kinds, oxidation, compensate))
    counts: list[dict[str, int]] = [{} for _ in kinds]
    for column, (index, symbol) in enumerate(columns):
        number = round(result.x[column])
        if column < n_occupied or number:
            counts[index][symbol] = number
    return Numbers(counts, round(result.x[extra]))


def species_amounts(kinds: Sequence[Kind]) -> dict[str, float]:
    """Return the amount of each species on all sites."""
    amounts: dict[str, float] = defaultdict(float)
    for kind in kinds:
        for symbol, amount in kind.amounts.items():
            if symbol:
                amounts[symbol] += amount
    return dict(amounts)


def species_numbers(numbers: Numbers, compensate: str | None) -> dict[str, int]:
    """Return the number of ions of each species, interstitial ions included."""
    totals: dict[str, int] = defaultdict(int)
    for counts in numbers.counts:
        for symbol, number in counts.items():
            if symbol:
                totals[symbol] += number
    if numbers.n_interstitials and compensate:
        totals[compensate] += numbers.n_interstitials
    return dict(totals)


def repeated(kinds: Sequence[Kind], n_cells: float) -> list[Kind]:
    """Return the kinds of sites of a number of cells."""
    return [
        kind._replace(
            n_sites=round(kind.n_sites * n_cells),
            amounts={symbol: amount * n_cells for symbol, amount in kind.amounts.items()},
        )
        for kind in kinds
    ]


# Deviations ----------------------------------------------------------------------------------------------------------


class Deviation(NamedTuple):
    """The amount of a species by the file and in the cell, and the deviation relative to the file."""

    species: str
    file: float
    cell: int
    relative: float


def deviations(expected: Mapping[str, float], numbers: Mapping[str, int]) -> list[Deviation]:
    """Return the deviations of all species.

    :param expected: amounts that the file gives for the cell.
    :param numbers: ions in the cell.
    """
    rows = []
    for symbol in dict.fromkeys([*expected, *numbers]):
        amount, number = expected.get(symbol, 0.0), numbers.get(symbol, 0)
        rows.append(Deviation(symbol, amount, number, number / amount - 1 if amount > 1e-9 else math.inf))
    return rows


def worst_deviation(rows: Sequence[Deviation]) -> Deviation:
    """Return the row with the largest relative deviation."""
    return max(rows, key=lambda row: abs(row.relative))


def composition_table(rows: Sequence[Deviation]) -> str:
    """Return a table of the composition, file against cell."""
    lines = [(row.species, f'{row.file:.3f}', row.cell, f'{100 * row.relative:+.2f} %') for row in rows]
    headers = ('species', 'by the file', 'in the cell', 'deviation')
    return tabulate(lines, headers=headers, tablefmt='simple', disable_numparse=True)


def _cannot_fill(kinds: Sequence[Kind], oxidation: Mapping[str, float], compensate: str | None) -> str:
    """Return the sentence that no whole numbers are neutral."""
    totals = {symbol: round(amount) for symbol, amount in species_amounts(kinds).items()}
    charge = sum(number * oxidation.get(symbol, 0) for symbol, number in totals.items())
    if fixed := [str(number) for kind in kinds for number in (kind.fixed or {}).values()]:
        return f'the numbers of ions that you set ({", ".join(fixed)}) leave no neutral cell: choose other numbers.'
    if compensate is None:
        return 'the occupancies do not come out in whole numbers.'
    if charge / oxidation[compensate] > totals.get(compensate, 0):
        return (
            f'the charge is {charge:+g}, and there is not enough {compensate} to take away: ask for more with '
            '`formula_units`, or let another ion compensate.'
        )
    return f'the charge {charge:+g} cannot be balanced by {compensate}: choose other numbers or ions.'
