"""`alloy`, `structures show` and `launch` on the files of strangers: the same reader, the same words."""

import pytest
from click.testing import CliRunner

from aiida_ionconduct.cli import cli
from aiida_ionconduct.cli.submit import load_cells, load_structure
from tests.structures.test_reading import SALT, cif

HALF = "Li1 Li 0 0 0 1\nCl,Br1 '0.50Cl + 0.50Br' 0.5 0.5 0.5 1\n"
OPTIONS = {'substitute': (), 'fraction': 0.0, 'formula_units': None, 'compensate': None, 'charges': {}, 'store': False}


def run(*words):
    """Return the output of a command that may fail, without a traceback."""
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a CIF."""

    def write(text):
        path = tmp_path / 'crystal.cif'
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize('charges', [['Li=1', 'Cl=-1'], ['Li=1,Cl=-1'], ['Li=1', '--charges', 'Cl=-1']])
def test_several_pairs(charges):
    """Pairs follow one option, are separated by commas, or the option is repeated."""
    assert 'neutral' in run('structures', 'show', 'beta-Li3PO4', '--charges', 'Li=1', 'P=5', 'O=-2')
    assert 'charges are given for Cl' in run('alloy', 'beta-Li3PO4', '--charges', *charges)


def test_pairs_before_the_argument():
    """Words without an equals sign are left to the command."""
    assert 'neutral' in run('structures', 'show', '--charges', 'Li=1', 'P=5', 'beta-Li3PO4')


@pytest.mark.parametrize('command', [['alloy'], ['structures', 'show']])
def test_two_crystals_in_a_file(file, command):
    path = file(cif() + '\n' + cif(name='impurity'))
    assert 'choose one with --block, such as --block salt' in run(*command, path)
    assert 'LiCl' in run(*command, path, '--block', 'salt').replace('Li4Cl4', 'LiCl')


def test_table_of_the_composition(file):
    """What was assumed, and the composition of file and cell, are printed."""
    output = run('alloy', file(cif(HALF)), '--n-best', '1')
    assert 'Oxidation states: Li +1' in output
    rows = [line.split() for line in output.splitlines() if line.startswith('Br ')]
    assert rows == [['Br', '2.000', '2', '+0.00', '%']]


def test_launch_keeps_the_bromine(aiida_profile_clean, file, capsys):
    """A mixed type symbol, which ASE reads as chlorine, becomes an ordered cell with both; the table is stored."""
    path = file(cif(HALF))
    (cell, *_) = load_cells(structure=str(path), **OPTIONS).cells
    assert cell.get_ase().symbols.formula.count() == {'Li': 4, 'Cl': 2, 'Br': 2}
    assert 'by the file' in capsys.readouterr().out


def test_launch_asks_for_the_block(aiida_profile_clean, file):
    path = str(file(cif() + '\n' + cif('Na1 Na 0 0 0 1\nF1 F 0.5 0.5 0.5 1\n', 'impurity')))
    with pytest.raises(ValueError, match='choose one with --block'):
        load_structure(path)
    assert load_structure(path, 'impurity').get_formula() == 'F4Na4'


def test_launch_refuses_without_a_traceback(aiida_profile_clean, file, caplog, capsys):
    """A refusal of the ordering is one sentence: nothing is logged before it."""
    with pytest.raises(ValueError, match='--formula-units 10'):
        load_cells(structure=str(file(cif(SALT.replace('Cl 0.5 0.5 0.5 1', 'Cl 0.5 0.5 0.5 0.9') +
                   'Br1 Br 0.5 0.5 0.5 0.1\n'))), **{**OPTIONS, 'formula_units': 4})  # fmt: skip
    assert 'Traceback' not in caplog.text + ''.join(capsys.readouterr())


def test_launch_compensates_with_the_mobile_ion(aiida_profile_clean, file):
    """No lithium enters a sodium conductor; the default mobile ion must be in the crystal."""
    path = str(file(cif('Na1 Na 0 0 0 0.5\nCa1 Ca 0 0 0 0.25\nCl1 Cl 0.5 0.5 0.5 1\n').replace('5.3', '5.64')))
    (cell, *_) = load_cells(structure=path, **OPTIONS, mobile='Na').cells
    assert cell.get_ase().symbols.formula.count() == {'Na': 2, 'Ca': 1, 'Cl': 4}
    with pytest.raises(ValueError, match='has no Li: name its mobile species with --mobile, one of Ca, Cl, Na'):
        load_cells(structure=path, **OPTIONS)


def test_site_counts_of_the_command_line():
    """Numbers on sites are separated by commas or follow the option, as charges do."""
    output = run('alloy', 'Li10GeP2S12', '--n-best', '1', '--site-counts', 'Li2=2,P1:Ge=2')
    assert ['Li2', 'Li', '1', '4', 'Li', '2,', 'empty', '2'] in [line.split() for line in output.splitlines()]
    assert 'no site `Li9`' in run('alloy', 'Li10GeP2S12', '--site-counts', 'Li9=2', 'P1:Ge=2')


def test_launch_takes_site_counts(aiida_profile_clean, file):
    path = str(file(cif(HALF)))
    (cell, *_) = load_cells(structure=path, **OPTIONS, site_counts=(('BrCl1:Br', 1),), tolerance=0.6).cells
    assert cell.get_ase().symbols.formula.count() == {'Li': 4, 'Cl': 3, 'Br': 1}
    with pytest.raises(ValueError, match='--site-counts and --ordering random belong to an alloy'):
        load_cells(structure='beta-Li3PO4', **OPTIONS, site_counts=(('Li1', 1),))


@pytest.mark.parametrize('command', [['alloy'], ['structures', 'show']])
def test_charges_that_are_not_whole(file, command):
    """They balance, or are refused in a sentence; none is cut to a whole number."""
    path = file(cif(HALF))
    assert 'Li +0.5' in run(*command, path, '--charges', 'Li=0.5', 'Cl=-0.5', 'Br=-0.5')
    assert 'sum to -0.4 a cell' in run(*command, path, '--charges', 'Li=0.9')


def test_charges_of_a_campaign_are_those_of_its_ordered_cells(aiida_profile_clean, file):
    """Averages of the user are kept."""
    options = {**OPTIONS, 'charges': {'Li': 0.5, 'Cl': -0.5, 'Br': -0.5}}
    assert load_cells(structure=str(file(cif(HALF))), **options).charges == {'Li': 0.5, 'Cl': -0.5, 'Br': -0.5}


def test_charges_of_a_campaign_are_those_of_the_file(aiida_profile_clean, file):
    """Copper of the usual table is monovalent."""
    text = cif('Cu1 Cu2+ 0 0 0 1\nO1 O2- 0.5 0.5 0.5 1\n').replace('5.3', '4.25')
    charges = load_cells(structure=str(file(text)), **OPTIONS, mobile='Cu').charges
    assert charges == {'Cu': 2, 'O': -2}
