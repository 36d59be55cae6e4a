"""Oxidation states against the chemistry of known compounds."""

import pytest
from pymatgen.core import Composition

from aiida_ionconduct.structures import oxidation_states


def states(formula, **options):
    """Return the states of a formula."""
    return oxidation_states(Composition(formula).get_el_amt_dict(), **options)


@pytest.mark.parametrize(
    ('formula', 'expected'),
    [
        ('Na3SbS4', {'Sb': 5}),
        ('Li3SbS3', {'Sb': 3}),
        ('Li7La3Hf2O12', {'Hf': 4}),
        ('BaLi2P2O7', {'Ba': 2}),
        ('LiNdTiO4', {'Nd': 3}),
        ('LiBH4', {'H': -1, 'B': 3}),
        ('Li2SO4', {'S': 6}),
        ('LiFePO4', {'Fe': 2}),
        ('Li3V2P3O12', {'V': 3}),
        ('Li8GeP4', {'P': -3}),
        ('Li6PS5BH4', {'P': 5, 'B': 3, 'H': -1}),
        ('LiHCO2', {'C': 2, 'H': 1}),
        ('Li6.006La2Sr0.999Bi2O12', {'Bi': 5, 'Sr': 2}),
        ('Li0.44La2.52Mg2W2O12', {'W': 6}),
    ],
)
def test_known_compounds(formula, expected):
    """Elements without a usual state, or in an unusual state, get the state that balances, and this is said."""
    balanced = states(formula)
    assert {symbol: balanced.charges[symbol] for symbol in expected} == expected
    assert 'Oxidation states assumed' in balanced.notes[0]


def test_usual_states_need_no_note():
    assert states('Li10GeP2S12').notes == ()


def test_measured_occupancies():
    """A charge of one part in a hundred is left to the mobile ion: the usual states hold."""
    assert states('Li51.312La24Zr13.6Ta2.4O96').charges == {'Li': 1, 'La': 3, 'Zr': 4, 'Ta': 5, 'O': -2}


def test_mixed_valence():
    """One element balances with its average, and this is said."""
    magnetite = states('Fe3O4')
    assert magnetite.charges['Fe'] == pytest.approx(8 / 3)
    assert 'Fe has the average +2.67' in magnetite.notes[0]


@pytest.mark.parametrize(
    ('formula', 'symbol', 'average'),
    [('Li10V8P12O48', 'V', 3.25), ('Na12V12P18O72', 'V', 3.5), ('Li3Fe5P5O20', 'Fe', 2.4), ('LiMn2O4', 'Mn', 3.5)],
)
def test_average_of_a_transition_metal(formula, symbol, average):
    """The lithium content stays as in the file, and phosphorus keeps its state."""
    balanced = states(formula)
    assert balanced.charges[symbol] == pytest.approx(average)
    assert balanced.charges.get('P', 5) == 5


def test_charge_of_a_group():
    """A closo-borate has no whole state of boron; only the tracer conductivity does not depend on it."""
    borate = states('Li2B12H12')
    assert sum(amount * borate.charges[s] for s, amount in {'Li': 2, 'B': 12, 'H': 12}.items()) == pytest.approx(0)
    assert 'Only the tracer conductivity is certain' in borate.notes[0]


def test_states_of_the_file_and_the_user():
    """The file's states are taken where the table has none; the user's always."""
    assert 'of the file' in states('Na3SbS4', stated={'Na': 1, 'Sb': 5, 'S': -2}).notes[0]
    assert states('LiFePO4', user={'Fe': 2, 'P': 5}).charges['Fe'] == 2


@pytest.mark.parametrize(
    ('formula', 'says'),
    [
        ('La2Ti4O12', r'sum to -2 a cell .*\(O -2, Ti \+4, La \+3\).*--charges'),
        ('LiAr', 'for Ar in LiAr'),
        ('Li2BrO', r'1 H or Li would balance; X-ray diffraction often misses'),
        ('Li2SO5', r'sum to -2 .*S \+6'),
        ('Li46P4S20Br3Cl', 'the file has 46 Li a cell where 24 would balance'),
    ],
)
def test_no_balance(formula, says):
    """The refusal names the elements of this crystal."""
    with pytest.raises(ValueError, match=says):
        states(formula)


@pytest.mark.parametrize(('formula', 'average'), [('Li4BN3H10', 0.2), ('LiBNH7', -1 / 7)])
def test_amides_and_borohydrides_in_one_crystal(formula, average):
    """Hydrogen is positive on nitrogen and negative on boron; neither nitrogen nor boron changes its sign for that."""
    balanced = states(formula)
    assert balanced.charges['H'] == pytest.approx(average)
    assert (balanced.charges['B'], balanced.charges['N']) == (3, -3)
    assert 'Only the tracer conductivity is certain' in balanced.notes[0]


def test_average_that_the_user_gives_is_made_exact():
    """5/6 cannot be typed. The charges balance exactly, and the user is told what such a charge means."""
    balanced = states('Li2B12H12', user={'H': -1, 'B': 0.8333})
    assert balanced.charges['B'] == pytest.approx(10 / 12, abs=1e-12)
    assert 'Only the tracer conductivity is certain' in balanced.notes[-1]


def test_average_of_the_user_that_does_not_balance():
    """A charge that is left is not ascribed to errors of the occupancies."""
    with pytest.raises(ValueError, match=r'sum to -0\.3 a cell'):
        states('Li3PO4', user={'Li': 0.9})
