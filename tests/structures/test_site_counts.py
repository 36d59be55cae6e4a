"""Numbers of ions that the user sets on the sites of a file."""

from __future__ import annotations

import pytest

from aiida_ionconduct.structures import ordered_cells
from aiida_ionconduct.structures.site_counts import numbers_on_sites
from aiida_ionconduct.structures.site_table import SiteOrigin

ORIGINS = {
    'Li2 (Li 0.5)': SiteOrigin('Li2', 'Li 0.5'),
    'M1 (Zr 0.9, Al 0.1)': SiteOrigin('M1', 'Zr 0.9, Al 0.1'),
    'O (O 1)': SiteOrigin('O', 'O 1'),
    'O (O 0.5)': SiteOrigin('O', 'O 0.5'),
}


def test_labels_and_species():
    assert numbers_on_sites(ORIGINS, {'Li2': 6, 'M1:Al': 2, 'M1:Zr': 14}) == {
        'Li2 (Li 0.5)': {'Li': 6},
        'M1 (Zr 0.9, Al 0.1)': {'Al': 2, 'Zr': 14},
    }


@pytest.mark.parametrize(
    ('wanted', 'message'),
    [
        ({'Li9': 1}, 'the file has no site `Li9`: its sites are Li2, M1, O'),
        ({'M1': 2}, 'the site `M1` holds Zr, Al: say which, such as M1:Zr=2'),
        ({'M1:Ta': 2}, 'the site `M1` holds Zr, Al, not Ta'),
        ({'O': 2}, 'the label `O` stands for 2 kinds of sites'),
        ({'Li2': -1}, 'cannot be -1'),
    ],
)
def test_refused(wanted, message):
    with pytest.raises(ValueError, match=message):
        numbers_on_sites(ORIGINS, wanted)


def test_numbers_of_the_user_hold():
    """The other lithium sites make up for them, so that the composition stays."""
    ordering = ordered_cells('Li10GeP2S12', n_best=1, site_counts={'Li2': 2, 'P1:Ge': 2})
    rows = {row.label: row.in_cell for row in ordering.candidates[0].sites}
    assert (rows['Li2'], rows['P1']['Ge']) == ({'Li': 2}, 2)
    assert ordering.candidates[0].atoms.symbols.formula.count()['Li'] == 20


def test_impossible_numbers_are_refused():
    with pytest.raises(ValueError, match=r'the numbers of ions that you set \(80\) leave no neutral cell'):
        ordered_cells('Li10GeP2S12', site_counts={'Li3': 80})
