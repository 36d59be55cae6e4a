"""The shipped crystals against what crystallography says of them."""

import pytest
import spglib
from ase import units
from ase.geometry import get_distances

from aiida_ionconduct.structures import CRYSTALS, check_charges, check_structure, crystal


def lengths(atoms, first, second):
    """Return all distances between two species, each atom of the first by itself, sorted, Å."""
    symbols = atoms.symbols
    chosen = [atoms.positions[[symbol == wanted for symbol in symbols]] for wanted in (first, second)]
    return [sorted(row) for row in get_distances(*chosen, cell=atoms.cell, pbc=True)[1]]


def test_lithium_phosphate():
    """Pmn2₁ with two formula units, the measured density, and PO₄ tetrahedra."""
    atoms = crystal('beta-Li3PO4')
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    assert spglib.get_symmetry_dataset(cell, symprec=1e-3).number == 31
    assert atoms.symbols.formula.count() == {'Li': 6, 'P': 2, 'O': 8}
    # 2.47 g/cm³ follows from the cell that the paper measures, two formula units of 115.79 u in 155.6 Å³
    assert atoms.get_masses().sum() * units._amu * 1e3 / (atoms.get_volume() * 1e-24) == pytest.approx(2.473, abs=0.005)
    for phosphorus in lengths(atoms, 'P', 'O'):
        assert all(1.5 < length < 1.6 for length in phosphorus[:4])
        assert phosphorus[4] > 2.5
    for lithium in lengths(atoms, 'Li', 'O'):
        assert all(1.8 < length < 2.2 for length in lithium[:4])


@pytest.mark.parametrize('name', CRYSTALS)
def test_every_crystal_can_be_computed(name):
    """No overlaps, fully periodic, neutral, and its file names its source."""
    atoms = crystal(name)
    check_structure(atoms)
    check_charges(atoms)
    assert 'doi:10.' in CRYSTALS[name].read_text()


def test_unknown_crystal():
    with pytest.raises(ValueError, match=r'unknown crystal `LGPS`: choose one of .*beta-Li3PO4.*structure file'):
        crystal('LGPS')
