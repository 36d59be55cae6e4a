"""Limits of distances against bonds that exist, and against contacts that do not."""

import pytest
from ase.data import atomic_numbers, covalent_radii
from pymatgen.core import Lattice, Structure

from aiida_ionconduct.structures import OXIDATION_STATES, ordered_cells
from aiida_ionconduct.structures.checks import CONTACT_FRACTION
from aiida_ionconduct.structures.contacts import RELAXED, bonds_between_full_sites, contact_limit

STATES = {**OXIDATION_STATES, 'Sb': 5}


@pytest.mark.parametrize(
    ('pair', 'charges', 'bond_A'),
    [
        (('B', 'O'), {}, 1.36),
        (('S', 'O'), {'S': 6}, 1.47),
        (('O', 'H'), {}, 0.96),
        (('B', 'H'), {'H': -1}, 1.2),
        (('N', 'H'), {}, 1.02),
        (('P', 'O'), {}, 1.52),
        (('P', 'S'), {}, 2.03),
        (('Li', 'O'), {}, 1.75),
        (('Li', 'N'), {}, 1.94),
        (('La', 'O'), {}, 2.35),
        (('O', 'O'), {}, 2.2),
        (('S', 'S'), {}, 3.2),
        (('Li', 'Li'), {}, 2.2),
        (('H', 'H'), {'H': -1}, 1.9),
    ],
)
def test_real_distances_are_allowed(pair, charges, bond_A):
    """The shortest distances of borates, sulfates, hydroxides, borohydrides and edges of polyhedra."""
    assert contact_limit(*pair, {**STATES, **charges}) < 0.95 * bond_A


@pytest.mark.parametrize(
    ('pair', 'contact_A'), [(('O', 'O'), 1.5), (('S', 'S'), 2.1), (('Li', 'Li'), 1.5), (('Li', 'S'), 1.6)]
)
def test_contacts_are_refused(pair, contact_A):
    """Two halves of a split site, or ions of one sign as near as a bond."""
    assert contact_limit(*pair, STATES) > contact_A


def test_bonds_of_the_file_are_no_contacts():
    """The disulfide bond of a crystal with S2 groups is allowed."""
    assert contact_limit('S', 'S', STATES, {'S-S': 2.05}) < 2.05


def test_bonds_of_nearly_full_sites():
    """Occupancies that sum to 0.999 by rounding are full."""
    cell = Lattice.cubic(4)
    crystal = Structure(cell, [{'Zr': 0.924, 'Y': 0.075}, {'O': 1}], [[0, 0, 0], [0.45, 0, 0]])
    assert bonds_between_full_sites(crystal)['O-Y'] == pytest.approx(1.8)


@pytest.mark.parametrize('pair', ['Li-Li', 'Na-Na', 'K-Li', 'Li-O', 'H-O', 'S-S', 'Ag-I'])
def test_what_the_search_allows_is_calculated(pair):
    """No contact of an ordered cell is refused as an overlap by the checks before submission."""
    symbols = pair.split('-')
    overlap = CONTACT_FRACTION * sum(covalent_radii[atomic_numbers[symbol]] for symbol in symbols)
    assert contact_limit(*symbols, {**STATES, 'Na': 1, 'K': 1}, factor=RELAXED) >= overlap - 1e-9


def test_overlap_in_an_ordered_crystal():
    """Atoms that overlap in the file are refused, though their sites are always occupied."""
    crystal = Structure(
        Lattice.cubic(5), ['Li', 'Cl', 'Li', 'Cl'], [[0, 0, 0], [0.5, 0.5, 0.5], [0.03, 0, 0], [0.5, 0, 0]]
    )
    with pytest.raises(ValueError, match=r'are 0\.15 Å apart and overlap'):
        ordered_cells(crystal)
