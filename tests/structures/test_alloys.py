"""Alloys: composition, neutrality, contacts, density, reproducibility; the energies against other Ewald sums."""

import itertools
import math

import numpy as np
import pytest
from ase import Atoms
from ase.geometry import get_distances
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.io.ase import AseAtomsAdaptor
from scipy.special import erfc

from aiida_ionconduct.structures import (
    OXIDATION_STATES,
    alloy,
    check_charges,
    check_structure,
    crystal,
    ordered_cells,
    scores_table,
    shortest_contact,
)
from aiida_ionconduct.structures.electrostatics import ewald_matrix
from aiida_ionconduct.structures.recipes import mass_density

pytestmark = pytest.mark.slow

CIF = """data_crystal
_cell_length_a {length}
_cell_length_b {length}
_cell_length_c {length}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{sites}
"""
COULOMB = 14.399645478425668  # e²/4πε₀ in eV Å


@pytest.fixture(scope='module')
def talk_cell():
    """Return ten candidates for the 132 atoms of the source talk."""
    return alloy('gamma-Li3PO4', substitute={'P': 'Si'}, fraction=0.25, formula_units=16, seed=0, n_best=10)


def ewald_energy_by_textbook(atoms, eta):
    """Return the Ewald energy in eV by the textbook's sums (Frenkel and Smit, 12.1), with splitting parameter eta."""
    charges = np.array([OXIDATION_STATES[symbol] for symbol in atoms.symbols], dtype=float)
    cell, positions, volume = atoms.cell.array, atoms.positions, atoms.get_volume()
    radius, maximum = 6 / math.sqrt(eta), 12 * math.sqrt(eta)
    spacing = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    real = 0.0
    difference = positions[:, None] - positions
    for n in itertools.product(*(range(-k, k + 1) for k in np.ceil(radius / spacing).astype(int) + 1)):
        distance = np.linalg.norm(difference + np.array(n) @ cell, axis=-1)
        near = (distance > 1e-6) & (distance < radius)
        pairs = np.where(near, erfc(math.sqrt(eta) * distance) / np.where(near, distance, 1), 0)
        real += 0.5 * charges @ pairs @ charges
    reciprocal_cell = 2 * np.pi * np.linalg.inv(cell).T
    counts = np.ceil(maximum * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-k, k + 1) for k in counts), indexing='ij'), -1).reshape(-1, 3)
    k = grid @ reciprocal_cell
    squared = (k**2).sum(axis=1)
    keep = (squared > 1e-9) & (squared < maximum**2)
    k, squared = k[keep], squared[keep]
    reciprocal = 0.0
    for part in np.array_split(np.arange(len(k)), len(k) // 20000 + 1):
        amplitude = np.exp(1j * k[part] @ positions.T) @ charges
        reciprocal += (np.exp(-squared[part] / (4 * eta)) / squared[part] * np.abs(amplitude) ** 2).sum()
    own = math.sqrt(eta / math.pi) * (charges**2).sum()
    return COULOMB * (real + 2 * np.pi / volume * reciprocal - own)


# The source talk's cell -----------------------------------------------------------------------------------------------


def test_composition_and_charge(talk_cell):
    """Every candidate has the composition asked for, is neutral and can be calculated."""
    assert len(talk_cell) == 10
    for candidate in talk_cell:
        atoms = candidate.atoms
        assert atoms.symbols.formula.count() == {'Li': 52, 'P': 12, 'Si': 4, 'O': 64}
        assert check_charges(atoms) == {'Li': 1, 'O': -2, 'Si': 4, 'P': 5}
        check_structure(atoms)
        assert 'Li52P12Si4O64' in candidate.description


def test_contacts(talk_cell):
    """Different atoms are at least 1.5 Å apart by ASE's distances, with which the product's agree."""
    for atoms in (candidate.atoms for candidate in talk_cell):
        distances = get_distances(atoms.positions, cell=atoms.cell, pbc=True)[1]
        shortest = distances[np.triu_indices(132, k=1)].min()
        assert shortest >= 1.5
        assert shortest == pytest.approx(shortest_contact(atoms), abs=1e-6)


def test_density(talk_cell):
    """The density is the volume-weighted mean of Li3PO4 (2.445 g/cm³, 115.79 g/mol) and Li4SiO4 (2.41, 119.84)."""
    masses, volumes = np.array([115.79, 119.84]), np.array([115.79 / 2.445, 119.84 / 2.41])
    expected = masses @ [0.75, 0.25] / (volumes @ [0.75, 0.25])
    assert mass_density(talk_cell[0].atoms) == pytest.approx(expected, rel=0.05)


def test_energy_against_another_ewald_sum(talk_cell):
    """The textbook's sum does not depend on its splitting parameter, and agrees with the candidate's energy."""
    energies = [ewald_energy_by_textbook(talk_cell[0].atoms, eta) for eta in (0.08, 0.15)]
    assert energies[0] == pytest.approx(energies[1], abs=1e-4)
    assert talk_cell[0].electrostatic_energy_eV == pytest.approx(energies[0], rel=1e-6)


def test_ranked_and_different(talk_cell):
    """Candidates come in the order of their energies, and no two of the first four are the same crystal."""
    energies = [candidate.electrostatic_energy_eV for candidate in talk_cell]
    assert energies == sorted(energies)
    assert energies[-1] - energies[0] > 0.1
    structures = [AseAtomsAdaptor.get_structure(candidate.atoms) for candidate in talk_cell[:4]]
    matcher = StructureMatcher(ltol=0.01, stol=0.02, angle_tol=1, scale=False, primitive_cell=False)
    assert not any(matcher.fit(*pair) for pair in itertools.combinations(structures, 2))


def test_same_seed_same_cell(talk_cell):
    again = alloy('gamma-Li3PO4', {'P': 'Si'}, 0.25, formula_units=16, seed=0, n_best=1)[0]
    np.testing.assert_array_equal(again.atoms.positions, talk_cell[0].atoms.positions)
    assert list(again.atoms.symbols) == list(talk_cell[0].atoms.symbols)


def test_other_seeds_find_nothing_lower(talk_cell):
    """The descent from random starts has converged: the ground state does not depend on the seed."""
    for seed in (1, 2):
        other = alloy('gamma-Li3PO4', {'P': 'Si'}, 0.25, formula_units=16, seed=seed, n_best=1)[0]
        assert other.electrostatic_energy_eV == pytest.approx(talk_cell[0].electrostatic_energy_eV, abs=1e-6)


def test_supercell_is_the_most_compact(talk_cell):
    """Four cells of 6.1 × 10.5 × 4.9 Å: doubled along the short vectors."""
    np.testing.assert_allclose(sorted(talk_cell[0].atoms.cell.lengths()), [2 * 4.9208, 10.4612, 2 * 6.1113], rtol=1e-6)


def test_table(talk_cell):
    """The table has two lines of headers and a line with rank and energy for each candidate."""
    lines = scores_table(talk_cell).splitlines()
    assert len(lines) == 12
    assert [line.split()[0] for line in lines[2:]] == [str(rank) for rank in range(1, 11)]
    assert f'{talk_cell[3].electrostatic_energy_eV:.4f}' in lines[5]


# Other materials ------------------------------------------------------------------------------------------------------


def test_partial_occupancies():
    """LGPS from its CIF is ordered and neutral, and both sublattices are filled as published."""
    best, second = alloy('Li10GeP2S12', n_best=2)
    assert best.atoms.symbols.formula.count() == {'Li': 20, 'Ge': 2, 'P': 4, 'S': 24}
    check_structure(best.atoms)
    assert best.electrostatic_energy_eV < second.electrostatic_energy_eV
    assert best.electrostatic_energy_eV == pytest.approx(ewald_energy_by_textbook(best.atoms, 0.1), rel=1e-6)


def test_vacancies():
    """P → S⁶⁺ takes lithium away; the twelve ways to do so have the energies that brute force gives."""
    candidates = alloy('beta-Li3PO4', {'P': 'S'}, 0.5, charges={'S': 6})
    assert candidates[0].atoms.symbols.formula.count() == {'Li': 5, 'P': 1, 'S': 1, 'O': 8}
    parent, energies = crystal('beta-Li3PO4'), []
    states = {**OXIDATION_STATES, 'S': 6}
    lithium = [i for i, symbol in enumerate(parent.symbols) if symbol == 'Li']
    for removed in lithium:
        for replaced in (i for i, symbol in enumerate(parent.symbols) if symbol == 'P'):
            atoms = parent.copy()
            atoms.symbols[replaced] = 'S'
            del atoms[removed]
            charges = np.array([states[symbol] for symbol in atoms.symbols], dtype=float)
            energies.append(charges @ ewald_matrix(atoms.cell.array, atoms.positions) @ charges)
    different = np.unique(np.round(energies, 6))
    energies = [round(candidate.electrostatic_energy_eV, 6) for candidate in candidates]
    assert energies == pytest.approx(different.tolist(), abs=2e-6)


def test_sodium():
    """Sodium chloride with Ca on a quarter of the sodium sites has Na vacancies for the charge."""
    from ase.build import bulk

    best = alloy(bulk('NaCl', 'rocksalt', a=5.64, cubic=True), {'Na': 'Ca'}, 0.25, compensate='Na')[0]
    assert best.atoms.symbols.formula.count() == {'Na': 2, 'Ca': 1, 'Cl': 4}


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'parent': 'alpha-Li3PO4'}, 'is neither a file nor one of Li10GeP2S12, Li4Al3B4O12Cl, Li4B7O12Cl, Li4SiO4'),
        ({'substitute': {'Ge': 'Si'}, 'fraction': 0.5}, 'the parent Li3PO4 has no Ge to replace'),
        ({'fraction': 0.0}, 'fraction must be above 0 and at most 1, got 0.0'),
        ({'fraction': 0.5, 'formula_units': 6}, 'holds 4 formula units: ask for a multiple of it'),
        ({'substitute': {'P': 'W'}, 'fraction': 0.5}, 'no oxidation state is known for W'),
        ({'substitute': {'P': 'Xx'}, 'fraction': 0.5}, '`Xx` is no chemical symbol'),
        ({'substitute': {'P': 'P'}, 'fraction': 0.5}, 'P cannot take its own place'),
        ({'fraction': 0.1, 'formula_units': 4}, '0.1 of 4 P sites is 0 Si: ask for more with `formula_units`'),
        ({'formula_units': 4, 'n_best': 0}, 'n_best must be at least 1, got 0'),
        ({'formula_units': 4, 'compensate': 'Mg'}, r'the charge -1 cannot be balanced by Mg'),
        ({'formula_units': 4, 'n_best': 1, 'strain': 0.05}, 'is more than 5 % off .*: set `strain` to'),
    ],
)
def test_refused(arguments, message):
    """What makes no sense is refused, and the message names it."""
    valid = {'parent': 'gamma-Li3PO4', 'substitute': {'P': 'Si'}, 'fraction': 0.25}
    with pytest.raises(ValueError, match=message):
        alloy(**{**valid, **arguments})


def test_wrong_oxidation_states():
    """A sulfate's sulfur is found to be +6, and said so; the state of a sulfide is refused with what to type."""
    sulfate = crystal('gamma-Li3PO4')
    del sulfate[[0, 1, 2, 3]]
    sulfate.symbols[sulfate.symbols == 'P'] = 'S'
    with pytest.raises(ValueError, match=r'charges of Li2SO4 sum to -32 a cell instead of zero \(Li \+1, O -2, S -2\)'):
        alloy(sulfate, charges={'S': -2})
    assert alloy(sulfate, charges={'S': 6})[0].atoms.symbols.formula.count() == {'Li': 8, 'S': 4, 'O': 16}
    assumed = ordered_cells(sulfate)
    assert assumed.oxidation == {'Li': 1, 'S': 6, 'O': -2}
    assert 'Oxidation states assumed' in assumed.notes[0]


def test_oxidation_states_of_the_voids():
    """The user's oxidation states hold for interstitial sites too: vanadium, for which the table has no state."""
    vanadate = crystal('gamma-Li3PO4')
    vanadate.symbols[vanadate.symbols == 'P'] = 'V'
    best = alloy(vanadate, {'V': 'Si'}, 0.25, charges={'V': 5}, n_best=1)[0]
    assert best.atoms.symbols.formula.count() == {'Li': 13, 'V': 3, 'Si': 1, 'O': 16}


def test_too_few_sites_for_the_occupancies(tmp_path):
    """Half of a single site cannot be filled with whole ions; half of four sites is two, of two sites one."""
    path = tmp_path / 'half.cif'
    sites = 'Li1 Li 0 0 0 0.5\nCl1 Cl 0.5 0.5 0.5 0.5'
    path.write_text(CIF.format(length=4.0, sites=sites))
    with pytest.raises(ValueError, match=r'Li instead of 0\.5 \(.100 %\)\. 2 formula units \(2 atoms\) hold it'):
        alloy(path, formula_units=1)
    assert alloy(path, formula_units=4)[0].atoms.symbols.formula.count() == {'Li': 2, 'Cl': 2}
    assert alloy(path)[0].atoms.symbols.formula.count() == {'Li': 1, 'Cl': 1}


def test_occupancies_above_one(tmp_path):
    """The warnings of pymatgen say why a file cannot be read; its error says only that there is no structure."""
    path = tmp_path / 'above.cif'
    path.write_text(CIF.format(length=4.0, sites='Li1 Li 0 0 0 1.4\nCl1 Cl 0.5 0.5 0.5 1.0'))
    with pytest.raises(ValueError, match=r'above.cif` cannot be read: the occupancies of a site sum to 1\.4'):
        alloy(path)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [({'cell': None}, 'periodic in three dimensions'), ({'positions': np.full((2, 3), np.nan)}, 'not numbers')],
)
def test_no_crystal(changes, message):
    """Atoms without a periodic cell, or without numbers for positions, are refused."""
    atoms = Atoms('LiCl', **{'positions': [[0, 0, 0], [2.5, 2.5, 2.5]], 'cell': [5, 5, 5], 'pbc': True, **changes})
    with pytest.raises(ValueError, match=message):
        alloy(atoms)


def test_no_room():
    """In a compressed crystal every void is too small for interstitial Li."""
    with pytest.raises(ValueError, match='has no void for another Li'):
        alloy('gamma-Li3PO4', {'P': 'Si'}, 0.25, strain=-0.15)


def test_sites_that_exclude_each_other(tmp_path):
    """Two sites 0.6 Å apart that hold 1.5 ions cannot be: the refusal names them and their distance."""
    path = tmp_path / 'split.cif'
    sites = 'Li1 Li 0 0 0 0.75\nLi2 Li 0.15 0 0 0.75\nCl1 Cl 0.5 0.5 0.5 1.0\nCl2 Cl 0.5 0.5 0.0 0.5'
    path.write_text(CIF.format(length=4.0, sites=sites))
    with pytest.raises(ValueError, match=r'Li on Li1 \(Li 0\.75\) and Li on Li2 \(Li 0\.75\), 0\.60 Å \(at least'):
        alloy(path, formula_units=4)
    path.write_text(CIF.format(length=4.0, sites=sites.replace('0.75', '0.5').replace('0.0 0.5', '0.0 0.0')))
    assert alloy(path, formula_units=4)[0].atoms.symbols.formula.count() == {'Li': 4, 'Cl': 4}


def test_random_orderings_are_the_same_for_a_seed_and_others_for_another():
    """They come in the order of the draws, whatever their energies, and are different orderings."""
    options = {'ordering': 'random', 'n_best': 4}
    first, again, other = (ordered_cells('Li10GeP2S12', seed=seed, **options).candidates for seed in (1, 1, 2))
    energies = [candidate.electrostatic_energy_eV for candidate in first]
    assert energies == [candidate.electrostatic_energy_eV for candidate in again]
    assert energies != [candidate.electrostatic_energy_eV for candidate in other]
    assert energies != sorted(energies)
    assert len({round(energy, 6) for energy in energies}) == 4
    assert energies[0] > alloy('Li10GeP2S12', n_best=1)[0].electrostatic_energy_eV
