"""Space groups without operations: the origin and the axes that the file means."""

import pytest

from aiida_ionconduct.structures import read_structure
from aiida_ionconduct.structures.distances import shortest_contact
from tests.structures.test_reading import cif

SPINEL = {
    '1': 'Li1 Li 0 0 0 1\nMn1 Mn 0.625 0.625 0.625 1\nO1 O 0.3873 0.3873 0.3873 1\n',
    '2': 'Li1 Li 0.125 0.125 0.125 1\nMn1 Mn 0.5 0.5 0.5 1\nO1 O 0.2632 0.2632 0.2632 1\n',
}
BRUCITE = 'Li1 Li 0.25 0.75 0 1\nO1 O 0.25 0.25 0.1935 1\nH1 H 0.25 0.25 0.4144 1\n'  # LiOH, origin at -1
COBALTATE = 'Li1 Li 0 0 0 1\nCo1 Co 0.5 0.5 0.5 1\nO1 O 0.2395 0.2395 0.2395 1\n'


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a CIF of a space group by its symbol, without operations."""

    def read_group(sites, symbol, number, cell='8.24 8.24 8.24 90 90 90'):
        text = cif(sites).replace("'F m -3 m'", f"'{symbol}'").replace(' 225', f' {number}')
        names = ('length_a', 'length_b', 'length_c', 'angle_alpha', 'angle_beta', 'angle_gamma')
        lines = text.splitlines()
        for name, value in zip(names, cell.split(), strict=True):
            lines = [f'_cell_{name} {value}' if line.startswith(f'_cell_{name}') else line for line in lines]
        path = tmp_path / 'group.cif'
        path.write_text('\n'.join(lines) + '\n')
        return read_structure(path)

    return read_group


@pytest.mark.parametrize('origin', ['1', '2'])
def test_the_origin_is_found(read, origin):
    """LiMn2O4 is the same crystal from either origin, and the choice is stated."""
    crystal = read(SPINEL[origin], 'F d -3 m', 227)
    assert crystal.structure.composition.get_el_amt_dict() == pytest.approx({'Li': 8, 'Mn': 16, 'O': 32})
    assert shortest_contact(crystal.structure.to_ase_atoms(msonable=False)) == pytest.approx(1.96, abs=0.01)
    assert f'origin choice {origin} is taken' in crystal.notes[0]


@pytest.mark.parametrize('symbol', ['P 4/n m m :2', 'P 4/n m m Z'])
def test_the_origin_in_the_symbol(read, symbol):
    """LiOH from the origin that the symbol names needs no note."""
    crystal = read(BRUCITE, symbol, 129, '3.549 3.549 4.334 90 90 90')
    assert crystal.structure.composition.get_el_amt_dict() == pytest.approx({'Li': 2, 'O': 2, 'H': 2})
    assert crystal.notes == ()


def test_rhombohedral_axes(read):
    """The cell says which axes of R-3m are meant."""
    crystal = read(COBALTATE, 'R -3 m', 166, '4.96 4.96 4.96 32.98 32.98 32.98')
    assert crystal.structure.composition.get_el_amt_dict() == pytest.approx({'Li': 1, 'Co': 1, 'O': 2})


@pytest.mark.parametrize(
    ('symbol', 'number', 'n_sites'),
    [
        ('P 21/c', 14, 8),
        ('P2_1/n', 14, 8),
        ('P 2(1)/c', 14, 8),
        ('C 2/m', 12, 16),
        ('P n m a', 62, 16),
        ('P b n m', 62, 16),
        ('P 1 21/c 1', 14, 8),
        ('A -1', 2, 8),
    ],
)
def test_groups_in_short_and_in_full(read, symbol, number, n_sites):
    """The parser of pymatgen takes P 1 for a symbol that it does not know, and drops the other atoms."""
    crystal = read('Li1 Li 0.1 0.15 0.2 1\nCl1 Cl 0.6 0.65 0.7 1\n', symbol, number, '6 7 8 90 100 90')
    assert len(crystal.structure) == n_sites


@pytest.mark.parametrize('symbol', ['F m 3 m', 'Fm3m', 'F m -3 m', 'Fm-3m', '?'])
def test_old_symbols_and_numbers(read, symbol):
    """Rock salt has eight atoms whatever the age of the symbol; the number of the group is enough."""
    crystal = read('Li1 Li 0 0 0 1\nCl1 Cl 0.5 0.5 0.5 1\n', symbol, 225, '5.1 5.1 5.1 90 90 90')
    assert len(crystal.structure) == 8


@pytest.mark.parametrize('symbol', ['P 42/n m c Z', 'P42/nmcZ', 'P 42/n m c :2'])
def test_origins_in_the_symbol_with_and_without_a_space(read, symbol):
    """An atom on the mirror plane from the second origin has eight places in the cell."""
    crystal = read('Li1 Li 0.25 0.05 0.1 1\n', symbol, 137, '8.7 8.7 12.6 90 90 90')
    assert len(crystal.structure) == 8
    assert crystal.notes == ()


def test_unknown_groups_are_refused(read):
    with pytest.raises(ValueError, match='its space group `P x y z` is not known, and it lists no symmetry operations'):
        read('Li1 Li 0 0 0 1\nCl1 Cl 0.5 0.5 0.5 1\n', 'P x y z', '?')


def test_a_symbol_and_a_number_that_contradict_each_other(read):
    with pytest.raises(ValueError, match=r'names the space group `F m -3 m`, no\. 225, and states the number 216'):
        read('Li1 Li 0 0 0 1\nCl1 Cl 0.5 0.5 0.5 1\n', 'F m -3 m', 216)


def test_no_group_at_all_is_said(read):
    crystal = read('Li1 Li 0 0 0 1\nCl1 Cl 0.5 0.5 0.5 1\n', '?', '?')
    assert len(crystal.structure) == 2
    assert 'the file names no space group' in crystal.notes[0]
