"""Which row is which atom, and which element it is: followed through all frames, and contradictions refused."""

import ase.io
import numpy as np
import pytest
from ase import Atoms

from aiida_ionconduct.readers import ReadingOptions, read_runs
from aiida_ionconduct.readers.symbols import mass_of, symbol_of
from salt import CELL, HEADER, SYMBOLS, TYPES, data_file, dump, walk, xdatcar, xyz


@pytest.fixture
def read(tmp_path):
    """Return a function that writes a text to a file and reads the run in it."""

    def read_text(text, name='run.lammpstrj', **options):
        (tmp_path / name).write_text(text)
        return read_runs([tmp_path / name], ReadingOptions(**{'dt_ps': 0.1, **options}))[0]

    return read_text


WITH_ID = 'Lattice="12 0 0 0 12 0 0 0 12" Properties=species:S:1:pos:R:3:{name}:I:1'


@pytest.mark.parametrize('name', ['id', 'atom_id', 'ids'])
def test_ids_of_extxyz(read, name):
    """Rows of extended XYZ are sorted by the column of their ids."""
    x, lines = walk(), []
    rng = np.random.default_rng(0)
    for positions in x:
        lines += ['16', WITH_ID.format(name=name)]
        lines += [f'{SYMBOLS[k]} {" ".join(map(repr, positions[k].tolist()))} {k + 1}' for k in rng.permutation(16)]
    run = read('\n'.join(lines) + '\n', 'run.extxyz')
    np.testing.assert_allclose(run.positions, x)
    assert run.symbols == SYMBOLS
    assert ('order of atoms', 'sorted by id', f'column {name}') in run.assumptions


@pytest.mark.parametrize('columns', ['id type xu yu zu', 'id element xu yu zu', 'id typelabel xu yu zu'])
@pytest.mark.parametrize('order', [None, 4])
def test_species_that_changes(read, columns, order):
    """An id that changes its type or element is refused; the id and the frame are named."""
    with pytest.raises(ValueError, match=r'id 3 changes its species in frame 20'):
        read(dump(walk(), columns, changed=(20, 2), order=order), types=TYPES)


def test_species_that_changes_in_extxyz(read):
    text = xyz(walk()).splitlines()
    text[18 * 30 + 2] = text[18 * 30 + 2].replace('Li', 'Cl')
    with pytest.raises(ValueError, match=r'frame 30 .* row 1 holds another species'):
        read('\n'.join(text) + '\n', 'run.xyz')


def test_rows_without_ids_that_change_places(read):
    """Rows of one species that change places now and then are found by their steps."""
    x = walk()
    text = dump(x, 'element xu yu zu')
    assert read(text).symbols == SYMBOLS
    with pytest.raises(ValueError, match=r'between frames 29 and 30 its rows change places .*sort id'):
        read(dump(np.concatenate([x[:30], x[30:, [*range(7, -1, -1), *range(8, 16)]]]), 'element xu yu zu'))
    with pytest.raises(ValueError, match=r'another species than in the first frame.*sort id'):
        read(dump(x, 'element xu yu zu', order=1))


def test_assumed_order_is_stated(read):
    run = read(dump(walk(), 'element xu yu zu'))
    assert ('order of atoms', 'the same in all frames', 'order of the rows') in run.assumptions


def structure_file(tmp_path, symbols, name='start.vasp'):
    """Return the path of the first frame as a structure with some symbols."""
    ase.io.write(tmp_path / name, Atoms(symbols, walk(1)[0], cell=CELL, pbc=True))
    return tmp_path / name


def test_structure_in_another_order(read, tmp_path):
    """A structure whose elements do not fit the types is refused, one that fits gives the symbols."""
    text = dump(walk())
    assert read(text, structure=structure_file(tmp_path, SYMBOLS)).symbols == SYMBOLS
    with pytest.raises(ValueError, match=r'atoms of type 1 .* are Cl and Li .*another order'):
        read(text, structure=structure_file(tmp_path, ['Li', 'Cl'] * 8))


def test_structure_in_another_order_by_places(read, tmp_path):
    """Where the file names no species, the places of the atoms tell that the structure has another order."""
    text = xyz(walk(), symbols=['X'] * 16)
    assert read(text, 'run.xyz', structure=structure_file(tmp_path, SYMBOLS)).symbols == SYMBOLS
    atoms = ase.io.read(structure_file(tmp_path, SYMBOLS))[[0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15]]
    ase.io.write(tmp_path / 'other.vasp', atoms)
    with pytest.raises(ValueError, match=r'atoms in the first frame .* another element'):
        read(text, 'run.xyz', structure=tmp_path / 'other.vasp')


@pytest.mark.parametrize(
    ('columns', 'types', 'says'),
    [
        ('id type xu yu zu', ['Cl', 'Li'], 'atom 1 is Cl by --types, but Li by --structure'),
        ('id type element xu yu zu', ['Na', 'Cl'], 'atom 1 is Li by column element, but Na by --types'),
    ],
)
def test_sources_that_contradict(read, tmp_path, columns, types, says):
    """Types, elements and the structure are compared."""
    with pytest.raises(ValueError, match=says):
        read(dump(walk(), columns), types=types, structure=structure_file(tmp_path, SYMBOLS))


def test_structure_of_other_atoms(read, tmp_path):
    ase.io.write(tmp_path / 'few.vasp', Atoms('Li', cell=CELL, pbc=True))
    with pytest.raises(ValueError, match=r'has 1 atoms and .* has 16'):
        read(dump(walk()), structure=tmp_path / 'few.vasp')


@pytest.mark.parametrize(('masses', 'comments'), [(True, True), (True, False)])
def test_data_file_as_structure(read, tmp_path, masses, comments):
    """A LAMMPS data file names the atoms by comments or masses, in the order of the ids."""
    path = tmp_path / 'start.data'
    path.write_text(data_file(masses, comments))
    assert read(dump(walk()), structure=path).symbols == SYMBOLS


@pytest.mark.parametrize('content', ['nonsense\n', '', data_file(masses=False)])
def test_files_that_are_no_structure(read, tmp_path, content):
    path = tmp_path / 'conf.data'
    path.write_text(content)
    with pytest.raises(ValueError, match=r'cannot be read as a structure.*LAMMPS data file with masses'):
        read(dump(walk()), structure=path)


def test_element_column_that_lammps_filled_with_c(read):
    """LAMMPS writes C for every type without a name: the types decide, with a note."""
    text = dump(walk(), 'id type element xu yu zu').replace(' Li ', ' C ').replace(' Cl ', ' C ')
    run = read(text, types=TYPES)
    assert run.symbols == SYMBOLS
    assert 'LAMMPS wrote C' in run.notes[0]
    with pytest.raises(ValueError, match='states no symbols: give --structure FILE, or --types'):
        read(text)


@pytest.mark.parametrize('columns', ['id typelabel xu yu zu', 'id element xu yu zu'])
@pytest.mark.parametrize('types', [None, TYPES])
def test_labels_of_types(read, columns, types):
    """Labels of types are chemical symbols, in a column of their own or in the column of types."""
    assert read(dump(walk(), columns), types=types).symbols == SYMBOLS
    assert read(dump(walk(), columns).replace('typelabel', 'type'), types=types).symbols == SYMBOLS


def test_labels_against_types(read):
    with pytest.raises(ValueError, match='labels its types Cl Li, but --types names Na Cl'):
        read(dump(walk(), 'id typelabel xu yu zu').replace('typelabel', 'type'), types=['Na', 'Cl'])


@pytest.mark.parametrize(
    ('word', 'symbol'),
    [('Li', 'Li'), ('Li_sv', 'Li'), ('Li_sv/b2a8', 'Li'), ('Ti_sv_GW/0123abcd', 'Ti'), ('Li+', 'Li'), ('S2-', 'S'),
     ('S-2', 'S'), ('Li1', 'Li'), ('D', 'H'), ('T', 'H'), ('3', 'Li'), ('LI', 'Li'), ('O_h', 'O'), ('X', None),
     ('opls_135', None), ('', None), ('0', None), ('999', None)],
)  # fmt: skip
def test_words_for_species(word, symbol):
    assert symbol_of(word) == symbol


def test_masses_of_isotopes(read):
    """Deuterium is hydrogen with its own mass."""
    assert (mass_of('D'), mass_of('H')) == (2.014, None)
    run = read(xyz(walk(), symbols=['D'] * 8 + ['Cl'] * 8), 'run.xyz')
    assert run.symbols == ['H'] * 8 + ['Cl'] * 8
    assert run.masses.tolist() == pytest.approx([2.014] * 8 + [35.45] * 8)


@pytest.mark.parametrize('words', ['Li_sv Cl', 'Li_sv/b2a8 Cl/0f3c', 'Li+ Cl-', 'Li1 Cl2'])
def test_species_of_xdatcar(read, words):
    assert read(xdatcar(walk(), header=f'{HEADER} {words}\n 8 8\n'), 'XDATCAR').symbols == SYMBOLS


def test_xdatcar_without_species(read, tmp_path):
    """The groups of an XDATCAR without a line of species are named by the types or the structure."""
    text = xdatcar(walk(), header=f'{HEADER} 8 8\n')
    assert read(text, 'XDATCAR', types=TYPES).symbols == SYMBOLS
    assert read(text, 'XDATCAR', structure=structure_file(tmp_path, SYMBOLS)).symbols == SYMBOLS
    with pytest.raises(ValueError, match='states no symbols'):
        read(text, 'XDATCAR')


def test_xdatcar_of_vasp_4(read, tmp_path):
    """The first XDATCAR had no cell and no species: the structure gives both."""
    frames = [''.join(' {:.8f} {:.8f} {:.8f}\n'.format(*row) for row in x % 12 / 12) for x in walk()]
    text = ' 16 16 60\n 0.1E+02 0.1E-08 0.1E-08 0.1E-08 0.1E-14\n 600.0\n CAR\n salt\n\n' + '\n'.join(frames)
    run = read(text, 'XDATCAR', structure=structure_file(tmp_path, SYMBOLS))
    np.testing.assert_allclose(run.positions - run.positions[0], walk() - walk()[0], atol=1e-6)
    with pytest.raises(ValueError, match='no lattice'):
        read(text, 'XDATCAR', types=['Li'])


def test_numbers_as_species(read):
    """Atomic numbers name species in XYZ."""
    assert read(xyz(walk(), symbols=['3'] * 8 + ['17'] * 8), 'run.xyz').symbols == SYMBOLS


def test_charges_of_the_file(read):
    """The column q gives the charges, and a note says where they fluctuate."""
    run = read(dump(walk(), 'id type q xu yu zu', order=2), types=TYPES)
    assert run.charges.tolist() == pytest.approx([0.8] * 8 + [-0.8] * 8)
    lines = dump(walk(), 'id type q xu yu zu').replace('1 1 0.8', '1 1 0.9', 1)
    assert 'fluctuate' in read(lines, types=TYPES).notes[0]
