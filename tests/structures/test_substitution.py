"""Substitution: composition, neutrality, contacts, and the sites that electrostatics prefers."""

import numpy as np
import pytest
from ase import Atoms
from ase.geometry import get_distances

from aiida_ionconduct.structures import check_charges, check_structure, crystal, substitute
from aiida_ionconduct.structures.electrostatics import ewald_energy
from aiida_ionconduct.structures.voids import void_positions


def shortest_distance_by_ase(atoms):
    """Return the shortest distance between two different atoms, Å."""
    distances = get_distances(atoms.positions, cell=atoms.cell, pbc=True)[1]
    return distances[np.triu_indices(len(atoms), k=1)].min()


@pytest.mark.parametrize(
    ('n_sites', 'formula', 'strain'), [(1, 'Li7PSiO8', 0.0), (2, 'Li4SiO4', 0.0), (1, 'Li7PSiO8', 0.02)]
)
def test_silicon_for_phosphorus(n_sites, formula, strain):
    """The cell has the composition and strain asked for, is neutral, and its parent is left as it was."""
    parent = crystal('beta-Li3PO4')
    before = parent.copy()
    atoms = substitute(parent, 'P', 'Si', n_sites=n_sites, strain=strain)
    assert atoms.symbols.formula.reduce()[0].count() == Atoms(formula).symbols.formula.reduce()[0].count()
    assert len(atoms) == 16 + n_sites
    check_charges(atoms)
    check_structure(atoms)
    assert shortest_distance_by_ase(atoms) > 1.5
    assert atoms.get_volume() == pytest.approx(parent.get_volume() * (1 + strain) ** 3)
    assert parent == before


def test_species_stay_together():
    """The atoms are grouped by species, as the formula reads."""
    symbols = list(substitute(crystal('beta-Li3PO4'), 'P', 'Si').symbols)
    assert symbols == sorted(symbols, key=symbols.index)


def test_the_interstitial_takes_the_best_void():
    """No other void of the grid, tried by brute force, has a lower electrostatic energy."""
    parent = crystal('beta-Li3PO4')
    parent.symbols[next(i for i, symbol in enumerate(parent.symbols) if symbol == 'P')] = 'Si'
    best = ewald_energy(substitute(crystal('beta-Li3PO4'), 'P', 'Si'))
    voids = void_positions(parent, 'Li')
    energies = [ewald_energy(parent + Atoms('Li', positions=[void])) for void in voids]
    assert len(energies) > 1
    assert best == pytest.approx(min(energies), abs=1e-6)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'n_sites': 3}, 'the parent has 2 P sites, 3 are to be replaced'),
        ({'replace': 'Si', 'by': 'P'}, 'the parent has 0 Si sites'),
        ({'replace': 'Li', 'by': 'Mg'}, r'the charge \+1 cannot be balanced by adding Li'),
        ({'compensate': 'Mg'}, r'the charge -1 cannot be balanced by adding Mg'),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        substitute(crystal('beta-Li3PO4'), **{'replace': 'P', 'by': 'Si', **arguments})
