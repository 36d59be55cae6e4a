"""What stands where: rows of labels, and what a substitution has changed."""

import pytest

from aiida_ionconduct.structures import crystal, ordered_cells, substitute
from aiida_ionconduct.structures.site_table import (
    NEW_SITE,
    SiteOrigin,
    SiteRow,
    compared_sites,
    occupancies_table,
    site_rows,
    sites_table,
)


def test_rows_count_ions_and_vacancies_by_label():
    lithium, mixed = SiteOrigin('Li1', 'Li 0.5'), SiteOrigin('M1', 'Ge 0.5, P 0.5')
    rows = site_rows([lithium, lithium, mixed, mixed, NEW_SITE, NEW_SITE], ['Li', '', 'Ge', 'P', '', 'Li'])
    assert rows == [
        SiteRow('Li1', 'Li 0.5', 2, {'Li': 1}),
        SiteRow('M1', 'Ge 0.5, P 0.5', 2, {'Ge': 1, 'P': 1}),
        SiteRow('interstitial', '–', 1, {'Li': 1}),
    ]
    assert rows[0].n_vacant == 1
    assert 'Li 1, empty 1' in sites_table(rows)


def test_an_interstitial_site_without_an_ion_has_no_row():
    assert site_rows([NEW_SITE], ['']) == []


@pytest.mark.slow
def test_alloy_says_what_stands_on_which_site_of_the_file():
    """A substitution keeps the label and the species of the file, and the sums are those of the cell."""
    candidate = ordered_cells('gamma-Li3PO4', {'P': 'Si'}, 0.25, formula_units=4, n_best=1).candidates[0]
    rows = {row.label: row for row in candidate.sites}
    assert rows['P1'] == SiteRow('P1', 'P 1', 4, {'P': 3, 'Si': 1})
    assert rows['interstitial'].in_cell == {'Li': 1}
    ions = [symbol for row in candidate.sites for symbol, number in row.in_cell.items() for _ in range(number)]
    assert sorted(ions) == sorted(candidate.atoms.symbols)


def test_disordered_crystal_keeps_the_labels_of_its_file():
    rows = {row.label: row for row in ordered_cells('Li10GeP2S12', n_best=1).candidates[0].sites}
    assert rows['Li1'].in_file == 'Li 0.691'
    assert rows['Li1'].n_sites == 16
    assert rows['P1'].in_cell == {'Ge': 2, 'P': 2}
    assert rows['Li2'].n_vacant == 0


def test_labels_given_beside_a_structure_are_used():
    """A stored structure has no labels; those of its file travel beside it."""
    parent = crystal('beta-Li3PO4')
    labels = [f'site of {symbol}' for symbol in parent.symbols]
    rows = ordered_cells(parent, {'P': 'Si'}, 0.5, n_best=1, labels=labels).candidates[0].sites
    assert {row.label for row in rows} == {'site of Li', 'site of P', 'site of O', 'interstitial'}


def test_substitution_without_a_search_is_compared_with_its_parent():
    parent = crystal('beta-Li3PO4')
    rows = compared_sites(parent, substitute(parent, 'P', 'Si', strain=0.01))
    assert SiteRow('P', 'P 1', 2, {'Si': 1, 'P': 1}) in rows
    assert SiteRow('interstitial', '–', 1, {'Li': 1}) in rows
    assert sum(sum(row.in_cell.values()) for row in rows) == 17


def test_table_of_a_disordered_crystal():
    table = occupancies_table(['Li1', 'Li1', 'M1'], [{'Li': 0.5}, {'Li': 0.5}, {'Ge': 0.5, 'P': 0.5}])
    assert [line.split() for line in table.splitlines()[2:]] == [
        ['Li1', 'Li', '0.5', '2'], ['M1', 'Ge', '0.5,', 'P', '0.5', '1'],
    ]  # fmt: skip
