"""The shipped crystals against what crystallography says of them."""

import pytest
import spglib
from ase import units
from ase.geometry import get_distances

from aiida_ionconduct.structures import CRYSTALS, alloy, check_charges, check_structure, crystal, read_disordered
from aiida_ionconduct.structures.recipes import VOLUMES_A3, mass_density


def sorted_distances(atoms, first, second):
    """Return the sorted distances of each atom of a species from all atoms of a second species, Å."""
    symbols = atoms.symbols
    chosen = [atoms.positions[[symbol == wanted for symbol in symbols]] for wanted in (first, second)]
    return [sorted(row) for row in get_distances(*chosen, cell=atoms.cell, pbc=True)[1]]


def test_lithium_phosphate():
    """Beta-Li3PO4 is Pmn2₁ with two formula units, the measured density, and PO₄ tetrahedra."""
    atoms = crystal('beta-Li3PO4')
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    assert spglib.get_symmetry_dataset(cell, symprec=1e-3).number == 31
    assert atoms.symbols.formula.count() == {'Li': 6, 'P': 2, 'O': 8}
    # 2.47 g/cm³ follows from the cell that the paper measures, two formula units of 115.79 u in 155.6 Å³
    assert atoms.get_masses().sum() * units._amu * 1e3 / (atoms.get_volume() * 1e-24) == pytest.approx(2.473, abs=0.005)
    for phosphorus in sorted_distances(atoms, 'P', 'O'):
        assert all(1.5 < length < 1.6 for length in phosphorus[:4])
        assert phosphorus[4] > 2.5
    for lithium in sorted_distances(atoms, 'Li', 'O'):
        assert all(1.8 < length < 2.2 for length in lithium[:4])


def test_gamma_lithium_phosphate():
    """Gamma-Li3PO4 is Pnma with four formula units, the density that the database lists, and PO₄ tetrahedra."""
    atoms = crystal('gamma-Li3PO4')
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    assert spglib.get_symmetry_dataset(cell, symprec=1e-3).number == 62
    assert atoms.symbols.formula.count() == {'Li': 12, 'P': 4, 'O': 16}
    assert mass_density(atoms) == pytest.approx(2.445, abs=0.001)
    assert atoms.get_volume() / 4 == pytest.approx(VOLUMES_A3['Li3PO4'], abs=0.01)
    for phosphorus in sorted_distances(atoms, 'P', 'O'):
        assert all(1.53 < length < 1.56 for length in phosphorus[:4])
        assert phosphorus[4] > 2.5
    for lithium in sorted_distances(atoms, 'Li', 'O'):
        assert all(1.88 < length < 2.2 for length in lithium[:4])


def test_volume_of_lithium_silicate():
    """The volume of a formula unit is 119.84 g/mol at 2.41 g/cm³."""
    assert VOLUMES_A3['Li4SiO4'] == pytest.approx(119.84 / 2.41 / 0.602214, rel=2e-3)


def test_lgps():
    """LGPS is P4₂/nmc with the published occupancies, PS₄ and (Ge,P)S₄ tetrahedra."""
    structure = read_disordered('Li10GeP2S12')
    assert structure.get_space_group_info(symprec=1e-3)[1] == 137
    amounts = structure.composition.get_el_amt_dict()
    assert amounts == pytest.approx({'Li': 20, 'Ge': 2, 'P': 4, 'S': 24}, abs=0.25)
    assert structure.density == pytest.approx(2.04, abs=0.03)
    for site in structure:
        if 'P' in site.species.get_el_amt_dict():
            neighbours = structure.get_neighbors(site, 3)
            nearest = sorted(atom.nn_distance for atom in neighbours if 'S' in atom.species_string)
            assert all(1.95 < length < 2.2 for length in nearest[:4])
    with pytest.raises(ValueError, match='has partial occupancies: make ordered cells of it with `alloy`'):
        crystal('Li10GeP2S12')


PUBLISHED = {  # space group of the atoms other than lithium, density in g/cm³, bonds in Å, to 2 %
    'beta-Li3PS4': (62, 1.853, {('P', 'S'): (4, 2.01, 2.11)}),
    'Li4SiO4': (11, 2.397, {('Si', 'O'): (4, 1.60, 1.70)}),
    'Li4B7O12Cl': (219, 2.441, {('B', 'O'): (3, 1.34, 1.53)}),
    # Distorted from no. 219, which diffraction finds, about ordered lithium; Al-O to 3 %.
    'Li4Al3B4O12Cl': (9, None, {('B', 'O'): (3, 1.34, 1.42), ('Al', 'O'): (4, 1.69, 1.82)}),
}


@pytest.mark.parametrize('name', PUBLISHED)
def test_computed_crystals(name):
    """The group, the density and the bonds are those that diffraction finds; the file says that it was computed."""
    group, density, bonds = PUBLISHED[name]
    atoms = crystal(name)
    framework = atoms[atoms.numbers != 3]
    cell = (framework.cell.array, framework.get_scaled_positions(), framework.numbers)
    assert spglib.get_symmetry_dataset(cell, symprec=0.4).number == group
    if density:
        assert mass_density(atoms) == pytest.approx(density, rel=0.05)
    for (cation, anion), (n_nearest, shortest, longest) in bonds.items():
        for distances in sorted_distances(atoms, cation, anion):
            assert all(shortest < length < longest for length in distances[:n_nearest])
    for distances in sorted_distances(atoms, 'Li', 'S' if 'S' in atoms.symbols else 'O'):
        assert 1.8 < distances[0] < 2.6
    assert 'a computed crystal' in CRYSTALS[name].read_text()


@pytest.mark.parametrize('name', CRYSTALS)
def test_every_crystal_can_be_computed(name):
    """Each shipped crystal has an ordered cell without overlaps, is neutral, and its file names its source."""
    atoms = alloy(name, n_best=1)[0].atoms
    check_structure(atoms)
    check_charges(atoms)
    assert 'doi:10.' in CRYSTALS[name].read_text()


def test_unknown_crystal():
    with pytest.raises(ValueError, match=r'unknown crystal `LGPS`: choose one of .*beta-Li3PO4.*structure file'):
        crystal('LGPS')
