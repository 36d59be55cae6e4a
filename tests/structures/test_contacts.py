"""Limits of distances against bonds that exist, and against contacts that do not."""

import pytest

from aiida_ionconduct.structures import OXIDATION_STATES
from aiida_ionconduct.structures.contacts import contact_limit

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
