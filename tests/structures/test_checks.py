"""Structures and charges that are refused before anything is computed, and the messages."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_ionconduct.structures import OXIDATION_STATES, check_charges, check_structure, crystal


def lithium_oxide(**changes):
    """Return antifluorite Li2O in its primitive cell, with some attributes changed."""
    atoms = Atoms(
        'OLi2', scaled_positions=[[0] * 3, [0.25] * 3, [0.75] * 3], cell=bulk('O', 'fcc', a=4.6).cell, pbc=True
    )
    for name, value in changes.items():
        setattr(atoms, name, value)
    return atoms


def test_good_structures():
    """Crystals with a mobile ion and no overlaps are accepted."""
    check_structure(lithium_oxide())
    check_structure(crystal('beta-Li3PO4'))
    check_structure(bulk('NaCl', 'rocksalt', a=5.64), mobile='Na')


@pytest.mark.parametrize('changes', [{'pbc': (True, True, False)}, {'cell': np.zeros((3, 3))}, {'cell': [5, 5, 0]}])
def test_not_periodic_in_three_dimensions(changes):
    with pytest.raises(ValueError, match='periodic in three dimensions'):
        check_structure(lithium_oxide(**changes))


@pytest.mark.parametrize(
    ('atoms', 'message'),
    [
        (Atoms(cell=[5, 5, 5], pbc=True), 'has no atoms'),
        (Atoms('Li', positions=[[0, np.nan, 0]], cell=[3, 3, 3], pbc=True), 'coordinates that are not numbers'),
        (
            Atoms('LiF', positions=[[9, 9, 9], [9, 9, 10.6]], cell=[18] * 3, pbc=True),
            '2916 Å³ for each atom and is mostly',
        ),
    ],
)
def test_no_crystal(atoms, message):
    with pytest.raises(ValueError, match=message):
        check_structure(atoms)


def test_no_mobile_species():
    with pytest.raises(ValueError, match=r'has no Na: name its mobile species with --mobile, one of Li, O'):
        check_structure(lithium_oxide(), mobile='Na')


def test_overlap_across_the_boundary():
    """The two atoms are neighbours only through the periodic boundary."""
    atoms = lithium_oxide() + Atoms('Li', positions=[[0, 0, 0]])
    atoms.positions[3] = atoms.positions[1] - atoms.cell[0] + [0.3, 0, 0]
    with pytest.raises(ValueError, match=r'atoms 1 \(Li\) and 3 \(Li\) are 0\.30 Å apart and overlap'):
        check_structure(atoms)


def test_overlap_with_its_own_image():
    with pytest.raises(ValueError, match='overlap'):
        check_structure(Atoms('Li', cell=[1.0, 5, 5], pbc=True))


def test_charges():
    """Charges come from the table, or from the user for an element that is not in it."""
    assert check_charges(crystal('beta-Li3PO4')) == {'Li': 1, 'O': -2, 'P': 5}
    assert check_charges(bulk('FeO', 'rocksalt', a=4.3), {'Fe': 2}) == {'O': -2, 'Fe': 2}


def test_charges_beyond_the_table():
    """Elements without a usual state, hydrides and sulfates get the states that balance."""
    assert check_charges(bulk('FeO', 'rocksalt', a=4.3)) == {'O': -2, 'Fe': 2}
    assert check_charges(Atoms('LiBH4')) == {'H': -1, 'Li': 1, 'B': 3}
    assert check_charges(Atoms('Li2SO4')) == {'Li': 1, 'O': -2, 'S': 6}
    assert check_charges(Atoms('Na3SbS4')) == {'Na': 1, 'S': -2, 'Sb': 5}


def test_mixed_valence():
    """Magnetite balances by the average state of its iron."""
    assert check_charges(Atoms('Fe3O4')) == {'O': -2, 'Fe': pytest.approx(8 / 3)}


@pytest.mark.parametrize(
    ('formula', 'charges', 'message'),
    [
        ('LiO', None, r'the charges sum to -1 instead of zero \(Li \+1, O -2; LiO\)'),
        ('Li2O', {'O': -1}, r'sum to \+1'),
        ('LiO', None, 'states that balance, for instance --charges O=-1'),
        ('LiAr', None, 'no oxidation state is known for Ar in LiAr: give it, for instance --charges Ar=3'),
        ('Li2O', {'S': -2}, 'charges are given for S, which the structure does not contain'),
    ],
)
def test_bad_charges(formula, charges, message):
    with pytest.raises(ValueError, match=message):
        check_charges(Atoms(formula), charges)


def test_the_table_balances_known_compounds():
    """The oxidation states of compounds that exist sum to zero."""
    for formula in ('Li7La3Zr2O12', 'Li10GeP2S12', 'Li6PS5Cl', 'Na3PS4', 'AgI', 'Li3YBr6', 'Li3N', 'Ta2O5', 'CaF2'):
        assert check_charges(Atoms(formula)).keys() <= OXIDATION_STATES.keys()
