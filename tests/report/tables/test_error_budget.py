"""The error budget: every row says what is known, or how it can be known."""

from dataclasses import replace

import pytest

from aiida_ionconduct.report.result import Campaign
from aiida_ionconduct.report.tables.error_budget import COLUMNS, error_budget_rows


def budget(data):
    """Return the cells after the source of each row, by the first word of the source."""
    return {source.split()[0]: cells for source, *cells in error_budget_rows(data)}


@pytest.fixture
def campaign(make_conductivity):
    """Return the results of runs of which nothing else is known."""
    return Campaign({}, conductivities=[make_conductivity(800), make_conductivity(1200)])


def test_without_a_conductivity_there_is_no_budget():
    assert error_budget_rows(Campaign({})) == []


def test_the_error_of_finite_runs_is_in_the_intervals(campaign):
    size, included, basis = budget(campaign)['Finite']
    assert (size, included) == ('800 K: 0.25; 1200 K: 0.25', 'yes')
    assert basis == '800 K: 4 seeds, 80 ps; 1200 K: 4 seeds, 80 ps'


def test_what_is_not_known_has_a_command(campaign):
    """Nothing is invented: without a study, each row says that it is not known, and what makes it known."""
    rows = budget(campaign)
    for source, words in (
        ('Ordering', 'aiida-ionconduct launch --orderings'),
        ('Size', 'aiida-ionconduct study sizes PK PK'),
        ('Potential', 'aiida-ionconduct launch --model'),
    ):
        size, included, basis = rows[source]
        assert (size, included) == ('not known', 'no')
        assert words in basis
    assert rows['Density'][0] == rows['Level'][0] == 'not known'
    assert all(len(row) == len(COLUMNS) for row in error_budget_rows(campaign))


def test_orderings_are_told_from_seeds(make_conductivity):
    attributes = {'n_orderings': 3, 'sigma_full_seeds_stderr': 0.0071, 'sigma_full_orderings_stderr': 0.0142}
    rows = budget(Campaign({}, conductivities=[make_conductivity(1200, **attributes)]))
    assert rows['Finite'][0] == '1200 K: 0.1'
    assert rows['Ordering'] == ['1200 K: 0.2', 'yes', '3 orderings']


def test_studies_of_cell_sizes_are_named(campaign):
    study = {'pk': 7, 'temperature_K': 1200.0, 'answer': 'no effect', 'difference': 0.05, 'reason': '68 against 132'}
    size, included, basis = budget(replace(campaign, error_sources={'sizes': [study]}))['Size']
    assert (size, included, basis) == ('1200 K: no effect, +0.05', 'no', 'study 7: 68 against 132')


def test_potentials_that_ran_the_same_production_give_their_scatter(campaign):
    known = replace(
        campaign, error_sources={'potentials': {'1200': [(0.07, 0.007), (0.05, 0.005)], '800': [(1, 0.1)], '600': []}}
    )
    size, included, _ = budget(known)['Potential']
    assert size == '1200 K: 0.24 among 2 potentials (runs alone: 0.1); of the potential 0.21, at most 3.8'
    assert included == 'no'


def test_errors_of_forces_are_not_converted(campaign):
    size, included, basis = budget(replace(campaign, training={'test_forces_rmse_eV_per_A': 0.0452}))['Potential']
    assert (size, included) == ('forces: 45.2 meV/Å (RMSE)', 'no')
    assert 'not converted' in basis
    assert basis.endswith('aiida-ionconduct study potentials PK --training-seeds 2,3')


def test_functional_and_labels_are_stated(campaign):
    known = replace(campaign, training={'n_train': 30}, error_sources={'functionals': ['PBE'], 'given_labels': False})
    rows = budget(known)
    assert rows['Density'] == ['PBE', 'no', 'stated, not estimated: compare with a measured conductivity']
    assert rows['Level'][0] == 'DFT'
    given = replace(known, error_sources={'functionals': [], 'given_labels': True})
    assert budget(given)['Level'][0] == 'as in the given training set'


def test_labels_of_a_pretrained_potential_are_no_dft(make_conductivity):
    rows = budget(Campaign({}, conductivities=[make_conductivity(1200, labelled_by=['SevenNet 0'])]))
    assert rows['Level'][0] == 'pretrained potential SevenNet 0'
    assert rows['Density'][:2] == ['not known', 'no']
