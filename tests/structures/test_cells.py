"""Whole numbers of ions and sizes of cells: no species vanishes, none is added, and the deviation is stated."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from aiida_ionconduct.structures import ordered_cells, usual_mobile_ion
from aiida_ionconduct.structures.cells import primitive_cell, units_in_cell
from aiida_ionconduct.structures.composition import Kind, species_numbers, whole_numbers

STATES = {'Li': 1, 'Na': 1, 'P': 5, 'Si': 4, 'S': -2, 'Cl': -1, 'Br': -1, 'O': -2, 'Zr': 4, 'Y': 3}


def salt(cation, anion, a=5.3):
    """Return rock salt with occupancies on its two sites, in the conventional cell of eight sites."""
    return Structure.from_spacegroup('Fm-3m', Lattice.cubic(a), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def fluorite(cation, anion):
    """Return fluorite with occupancies."""
    return Structure.from_spacegroup('Fm-3m', Lattice.cubic(5.1), [cation, anion], [[0, 0, 0], [0.25, 0.25, 0.25]])


def counts(ordering):
    """Return the atoms of the first candidate by element."""
    return ordering.candidates[0].atoms.symbols.formula.count()


def test_a_dopant_does_not_vanish():
    """A tenth of the chlorine is bromine: the eight sites have no room for it, the cell grows until it has."""
    ordering = ordered_cells(salt({'Li': 1}, {'Cl': 0.9, 'Br': 0.1}), n_best=1)
    amounts = counts(ordering)
    assert amounts['Br'] / (amounts['Br'] + amounts['Cl']) == pytest.approx(0.1, rel=0.1)
    assert all(abs(row.relative) <= 0.1 for row in ordering.deviations)


def test_too_few_formula_units_are_refused_with_enough():
    """The refusal names a number of formula units, and that number works."""
    crystal = salt({'Li': 1}, {'Cl': 0.9, 'Br': 0.1})
    with pytest.raises(ValueError, match=r'does not fit into whole ions within 10 %.* hold it: --formula-units 10;'):
        ordered_cells(crystal, formula_units=4)
    assert counts(ordered_cells(crystal, formula_units=10, n_best=1)) == {'Li': 10, 'Br': 1, 'Cl': 9}


def test_the_user_may_accept_a_deviation():
    """The tolerance is the user's; the table still shows the deviation."""
    ordering = ordered_cells(salt({'Li': 1}, {'Cl': 0.9, 'Br': 0.1}), formula_units=4, tolerance=2, n_best=1)
    assert max(abs(row.relative) for row in ordering.deviations) > 0.1


def test_the_mobile_ion_compensates():
    """Sodium vacancies balance calcium; no lithium enters a crystal without lithium."""
    ordering = ordered_cells(salt({'Na': 0.5, 'Ca': 0.25}, {'Cl': 1}, a=5.64), n_best=1)
    assert counts(ordering) == {'Na': 2, 'Ca': 1, 'Cl': 4}


def test_oxygen_compensates_in_zirconia():
    """In a crystal without a usual mobile cation the species with vacancies balances."""
    zirconia = fluorite({'Zr': 0.84, 'Y': 0.16}, {'O': 0.96})
    assert usual_mobile_ion(zirconia) == 'O'
    ordering = ordered_cells(zirconia, n_best=1)
    assert set(counts(ordering)) == {'Zr', 'Y', 'O'}
    assert sum(STATES[symbol] * n for symbol, n in counts(ordering).items()) == 0


def test_formula_units_of_a_disordered_crystal():
    """They count formula units, not cells: LGPS has two in its cell, an argyrodite four."""
    assert counts(ordered_cells('Li10GeP2S12', formula_units=2, n_best=1)) == {'Li': 20, 'Ge': 2, 'P': 4, 'S': 24}
    assert units_in_cell(salt({'Li': 0.9}, {'Cl': 1})) == 4
    assert units_in_cell(primitive_cell(salt({'Li': 0.9}, {'Cl': 1}))) == 1


def test_mixed_valence_is_not_mended_with_lithium():
    """LixFePO4-like salt: iron takes the average state, the lithium content stays as in the file."""
    crystal = salt({'Li': 0.375, 'Fe': 0.625}, {'O': 1}, a=4.2)
    ordering = ordered_cells(crystal, formula_units=8, n_best=1)
    assert counts(ordering) == {'Li': 3, 'Fe': 5, 'O': 8}
    assert ordering.oxidation['Fe'] == pytest.approx(13 / 5)
    assert any('Fe has the average' in note for note in ordering.notes)


def test_whole_numbers_are_neutral_and_nearest():
    """The integer program keeps the dopant, and mends the charge with the ion of the largest amount."""
    kinds = [Kind(48, {'Li': 24.5, '': 23.5}), Kind(4, {'P': 3.5, 'Si': 0.5}), Kind(20, {'S': 20.0})]
    kinds.append(Kind(4, {'Br': 4}))
    doubled = [Kind(2 * n, {symbol: 2 * amount for symbol, amount in amounts.items()}) for n, amounts, _ in kinds]
    totals = species_numbers(whole_numbers(doubled, STATES, 'Li'), 'Li')
    assert totals == {'Li': 49, 'P': 7, 'Si': 1, 'S': 40, 'Br': 8}


def test_occupations_sum_to_the_sites():
    """Ions and vacancies of a kind of site fill it."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        x, y = rng.uniform(0.1, 0.9, size=2)
        kinds = [Kind(40, {symbol: 40 * x, '': 40 * (1 - x)}) for symbol in ('Li', 'Cl')]
        kinds.append(Kind(7, {'Zr': 7 * y, '': 7 - 7 * y}))
        numbers = whole_numbers(kinds, STATES, 'Li')
        assert [sum(numbers.counts[i].values()) for i in range(3)] == [40, 40, 7]


def test_a_split_site_that_is_too_full():
    """Halves of a split site are 0.6 Å apart and 0.6 occupied each: the surplus of lithium goes to its other site."""
    cell = Lattice.cubic(6)
    halves = [[0.5 + shift, 0.5, z] for z in (0.0, 0.5) for shift in (-0.05, 0.05)]
    others = [[0.5, 0.0, 0.25], [0.0, 0.5, 0.25], [0.5, 0.0, 0.75], [0.0, 0.5, 0.75]]
    anions = [[0.0, 0.0, z] for z in (0.0, 0.5)] + [[0.25, 0.25, 0.25], [0.75, 0.75, 0.75]]
    sites = [*({'Li': 0.75} for _ in halves), *({'Li': 0.25} for _ in others), *({'Cl': 1} for _ in anions)]
    ordering = ordered_cells(Structure(cell, sites, [*halves, *others, *anions]), n_best=1)
    assert counts(ordering) == {'Li': 4, 'Cl': 4}
    assert ordering.limit_factor == 1
    assert any('Li is distributed over all its partly occupied sites' in note for note in ordering.notes)
