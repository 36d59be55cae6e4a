"""One reader of structure files: what strangers' files look like, and sentences for files that hold no crystal."""

import pickle

import ase.io
import pytest

from aiida_ionconduct.structures import crystal, read_structure

HEAD = """data_{name}
_cell_length_a 5.3
_cell_length_b 5.3
_cell_length_c 5.3
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
{formula}
_symmetry_space_group_name_H-M 'F m -3 m'
_symmetry_Int_Tables_number 225
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
"""
SALT = 'Li1 Li 0 0 0 1\nCl1 Cl 0.5 0.5 0.5 1\n'
CELL = '1.0\n4 0 0\n0 4 0\n0 0 4\n'


def cif(sites=SALT, name='salt', formula=''):
    """Return the text of a CIF in the space group of rock salt."""
    return HEAD.format(name=name, formula=formula) + sites


@pytest.fixture
def amounts(tmp_path):
    """Return a function that writes a CIF and returns the amounts of the elements that are read from it."""

    def read(text, block=None):
        path = tmp_path / 'file.cif'
        path.write_text(text)
        return read_structure(path, block).structure.composition.get_el_amt_dict()

    return read


def test_several_species_in_one_type_symbol(amounts):
    """A site of ``0.50Cl + 0.50Br`` keeps its bromine."""
    text = cif("Li1 Li 0 0 0 1\nCl,Br1 '0.50Cl + 0.50Br' 0.5 0.5 0.5 1\n")
    assert amounts(text) == pytest.approx({'Li': 4, 'Cl': 2, 'Br': 2})


def test_block_by_name(amounts):
    """The user chooses between two crystals of a file."""
    text = cif() + '\n' + cif('Na1 Na 0 0 0 1\nF1 F 0.5 0.5 0.5 1\n', 'impurity')
    assert amounts(text, 'salt') == pytest.approx({'Li': 4, 'Cl': 4})
    assert amounts(text, 'impurity') == pytest.approx({'Na': 4, 'F': 4})


@pytest.mark.parametrize(
    ('block', 'says'),
    [
        (None, 'holds 2 crystals, in the data blocks salt, impurity: choose one with --block, such as --block salt'),
        ('gas', 'has no data block `gas` with coordinates: choose one of salt, impurity'),
    ],
)
def test_two_blocks_are_a_question(amounts, block, says):
    with pytest.raises(ValueError, match=says):
        amounts(cif() + '\n' + cif(name='impurity'), block)


def test_a_block_without_atoms_is_no_crystal(amounts):
    """A block with the reference of the paper, before the crystal, is passed over."""
    assert amounts('data_global\n_journal_year 2020\n\n' + cif()) == pytest.approx({'Li': 4, 'Cl': 4})


def test_oxidation_states_of_the_file(tmp_path):
    """States in the type symbols are kept; deuterium is hydrogen."""
    path = tmp_path / 'ions.cif'
    path.write_text(cif('Li1 Li1+ 0 0 0 1\nD1 D1- 0.5 0.5 0.5 1\n'))
    read = read_structure(path)
    assert read.oxidation == {'Li': 1, 'H': -1}
    assert read.structure.composition.get_el_amt_dict() == pytest.approx({'Li': 4, 'H': 4})


def test_missing_hydrogen_is_named(tmp_path):
    """The formula of the file has hydrogen, and no site holds it."""
    path = tmp_path / 'hydroxide.cif'
    path.write_text(cif('Li1 Li 0 0 0 1\nO1 O 0.5 0.5 0.5 1\n', formula="_chemical_formula_sum 'Li O H'"))
    assert read_structure(path).notes == ('the file states the formula Li O H and lists no site of H.',)


@pytest.mark.parametrize(
    ('name', 'content', 'says'),
    [
        ('pickle.cif', pickle.dumps({'a': 1}), 'it is not text'),
        ('empty.cif', b'', 'has no data block with coordinates'),
        ('words.cif', b'data_x\n_journal_year 2020\n', 'has no data block with coordinates'),
        ('liar.xyz', b'99999999999\n\nLi 0 0 0\n', 'announces 99999999999 atoms and has 3 lines'),
        ('liar.vasp', f'Li\n{CELL}Li\n99999999999\nDirect\n0 0 0\n'.encode(), 'announces 99999999999 atoms'),
        ('POSCAR', f'salt\n{CELL}1 1\nDirect\n0 0 0\n.5 .5 .5\n'.encode(), 'names no elements: write their symbols'),
        ('letter.txt', b'Dear colleague', 'cannot be read: ASE does not understand it'),
        ('molecule.xyz', b'1\n\nLi 0 0 0\n', 'periodic in three dimensions'),
    ],
)
def test_no_crystal_is_a_sentence(tmp_path, name, content, says):
    """No file of the wrong kind hangs or ends in an error of a library."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=says):
        read_structure(path)


@pytest.mark.parametrize('unknown', ['?', '.'])
def test_unknown_occupancy_is_full(amounts, unknown):
    """An occupancy that is not given is one, as in the dictionary of CIF."""
    assert amounts(cif(f'Li1 Li 0 0 0 1\nCl1 Cl 0.5 0.5 0.5 {unknown}\n')) == pytest.approx({'Li': 4, 'Cl': 4})


@pytest.mark.parametrize('symbol', ['Va', 'Vac1', 'vacancy'])
def test_vacancies_are_left_out(tmp_path, symbol):
    """A site of a vacancy is no atom of vanadium, and this is said."""
    path = tmp_path / 'vacancy.cif'
    path.write_text(cif(f'Li1 Li 0 0 0 0.9\nV1 {symbol} 0 0 0 0.1\nCl1 Cl 0.5 0.5 0.5 0.9\n'))
    crystal = read_structure(path)
    assert crystal.structure.composition.get_el_amt_dict() == pytest.approx({'Li': 3.6, 'Cl': 3.6})
    assert crystal.notes == ('the site V1 is a vacancy and is left out.',)


@pytest.mark.parametrize(
    ('sites', 'says'),
    [
        (SALT + 'OH1 OH 0.25 0.25 0.25 1\n', 'the site OH1 .* is a group of atoms, `OH`'),
        (SALT + 'Ow1 Wat 0.25 0.25 0.25 1\n', 'the site Ow1 .* is a group of atoms, `Wat`'),
        (SALT + 'H1 H ? ? ? 1\n', 'the site H1 .* has no coordinates'),
        (SALT + 'O1 OH- 0.25 0.25 0.25 1\n', 'the site O1 .* is a group of atoms, `OH`'),
        (SALT + 'B1 BH4- 0.25 0.25 0.25 1\n', 'the site B1 .* is a group of atoms, `BH4`'),
        (SALT + 'B1 B12H12 0.25 0.25 0.25 1\n', 'the site B1 .* is a group of atoms, `B12H12`'),
        (SALT + 'C1 CN 0.25 0.25 0.25 1\n', 'the site C1 .* is a group of atoms, `CN`'),
        (SALT + 'M1 Zr0.5Ti0.5 0.25 0.25 0.25 1\n', 'the site M1 .* has the type `Zr0.5Ti0.5`, which is no element'),
        (SALT + 'M1 Al,Si 0.25 0.25 0.25 1\n', 'the site M1 .* has the type `Al,Si`, which is no element'),
        (SALT + 'X1 X 0.25 0.25 0.25 1\n', 'the site X1 .* has the type `X`, which is no element'),
        (SALT + 'Br1 Br 0.25 0.25 0.25 0,5\n', 'the site Br1 .* has the occupancy 0,5, which is no number'),
        (SALT + 'Br1 Br 0.25 0.25 0.25 -0.1\n', 'the site Br1 .* has the occupancy -0.1, which is no number'),
        (SALT + 'Br1 Br 0.5 0.5 0.5 0.2\n', 'occupancies of a site sum to 1.2, and at most 1 is possible'),
    ],
)
def test_sites_that_are_no_atoms(amounts, sites, says):
    """No site is dropped or read as another atom without a word."""
    with pytest.raises(ValueError, match=says):
        amounts(cif(sites))


def test_foreign_letters_and_line_ends(tmp_path):
    """Comments in Latin-1 and line ends of Windows do no harm; occupancies may sum to a little more than one."""
    sites = 'Li1 Li 0 0 0 1\nCl1 Cl 0.5 0.5 0.5 0.334(2)\nBr1 Br 0.5 0.5 0.5 0.334\nI1 I 0.5 0.5 0.5 0.334\n'
    path = tmp_path / 'foreign.cif'
    path.write_bytes(('# Müller, 20 °C\n' + cif(sites)).replace('\n', '\r\n').encode('latin-1'))
    amounts = read_structure(path).structure.composition.get_el_amt_dict()
    assert amounts == pytest.approx({'Li': 4, 'Cl': 4 / 3, 'Br': 4 / 3, 'I': 4 / 3})


def test_other_formats(tmp_path):
    """What ASE writes is read as it was."""
    atoms = crystal('beta-Li3PO4')
    for name in ('cell.vasp', 'cell.extxyz', 'cell.cif', 'cell.xsf'):
        ase.io.write(tmp_path / name, atoms)
        read = read_structure(tmp_path / name).structure
        assert read.composition.get_el_amt_dict() == {'Li': 6, 'P': 2, 'O': 8}
        assert read.volume == pytest.approx(atoms.get_volume(), rel=1e-4)


def test_hydrogen_without_sites_is_refused(amounts):
    """The column of attached hydrogen atoms counts atoms that have no coordinates."""
    text = cif('Li1 Li 0 0 0 1 0\nO1 O 0.5 0.5 0.5 1 1\n')
    text = text.replace('_atom_site_occupancy\n', '_atom_site_occupancy\n_atom_site_attached_hydrogens\n')
    with pytest.raises(ValueError, match=r'the site O1 .* has 1 hydrogen atoms attached that have no sites'):
        amounts(text)


def test_a_cell_that_is_not_given(amounts):
    with pytest.raises(ValueError, match='does not give its cell: _cell_length_b is missing'):
        amounts(cif().replace('_cell_length_b 5.3\n', ''))


def test_the_sign_of_a_state_may_stand_before_its_size(tmp_path):
    path = tmp_path / 'states.cif'
    path.write_text(cif('Ca1 Ca+2 0 0 0 1\nO1 O-2 0.5 0.5 0.5 1\n'))
    assert read_structure(path).oxidation == {'Ca': 2, 'O': -2}


def test_deuterium_is_hydrogen_and_this_is_said(tmp_path):
    path = tmp_path / 'deuteride.cif'
    path.write_text(cif('Li1 Li 0 0 0 1\nD1 D1- 0.5 0.5 0.5 1\n'))
    crystal = read_structure(path)
    assert crystal.structure.composition.get_el_amt_dict() == {'Li': 4, 'H': 4}
    assert 'with the mass of hydrogen' in crystal.notes[0]


def test_a_byte_order_mark_does_no_harm(amounts):
    assert amounts('\ufeff' + cif()) == {'Li': 4, 'Cl': 4}
