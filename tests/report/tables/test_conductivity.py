"""Rows on conductivities."""

from aiida_ionconduct.report.tables.conductivity import (
    chosen_lags,
    conductivity_rows,
    disorder_rows,
    onsager_rows,
    ordering_rows,
    sampling_rows,
    warning_texts,
)


def test_the_haven_ratio_has_its_error_and_its_interval(make_conductivity):
    rows = {label: numbers for label, *numbers in conductivity_rows(make_conductivity(800).attributes)}
    assert rows['Haven ratio'] == ['0.62 ± 0.16', '[0.31, 0.93]']


def test_the_lag_of_the_tracer_is_the_common_lag_unless_it_is_its_own():
    assert chosen_lags({'lag_ps': 2.5, 'lag_tracer_ps': 1.6}) == {'full': 2.5, 'tracer': 1.6}
    assert chosen_lags({'lag_ps': 2.5}) == {'full': 2.5, 'tracer': 2.5}
    assert chosen_lags({'lag_ps': None, 'lag_tracer_ps': 1.6}) == {'tracer': 1.6}


def test_what_is_not_known_is_a_dash():
    assert dict(sampling_rows({}))['Lag, full / tracer'] == '–'
    assert {value for _, value in sampling_rows({})} == {'–'}


def test_a_warning_is_given_once_with_its_temperatures():
    conductivities = [
        {'temperature_K': 800.0, 'warnings': ['short', 'small']},
        {'temperature_K': 900.5, 'warnings': ['short']},
        {'temperature_K': 1000.0, 'warnings': None},
    ]
    texts = warning_texts(conductivities, {'warnings': ['two points']})
    assert texts == ['800 K, 900.5 K: short', '800 K: small', 'Arrhenius fit: two points']


DISORDERED = {
    'sigma_full_S_per_cm': 0.01,
    'n_orderings': 3,
    'sigma_full_stderr': 0.0013,
    'sigma_full_seeds_stderr': 0.0005,
    'sigma_full_orderings_stderr': 0.0012,
    'sigma_full_scatter_orderings': 0.002,
    'sigma_full_scatter_orderings_dof': 2,
    'sigma_full_scatter_seeds': 0.001,
    'sigma_full_scatter_seeds_dof': 9,
    'sigma_full_orderings_p_value': 0.004,
}


def test_scatter_between_orderings_stands_beside_that_between_seeds():
    rows = dict(sampling_rows(DISORDERED))
    assert rows['σ between orderings'] == '± 20 % (2 degrees of freedom)'
    assert rows['σ between seeds'] == '± 10 % (9 degrees of freedom)'
    assert rows['Error of σ'] == '5 % from seeds, 12 % from orderings'
    assert rows['p, orderings alike'] == '0.004'


def test_one_ordering_has_no_rows_of_its_own():
    assert ordering_rows({'sigma_full_S_per_cm': 0.01}) == []


def test_orderings_without_a_number_are_only_counted():
    assert ordering_rows({'n_orderings': 2, 'sigma_full_S_per_cm': None}) == [('Orderings', '2')]


def test_energies_of_orderings_are_above_the_lowest():
    row = {'n_atoms': 50, 'dft_energy_eV': None}
    table = {
        'ordering_01': {**row, 'electrostatic_energy_eV': -10.0, 'seeds': [1, 3]},
        'ordering_02': {**row, 'electrostatic_energy_eV': -9.5, 'seeds': []},
    }
    assert disorder_rows(table) == [('1', '0', '–', '1, 3'), ('2', '10', '–', '–')]


def test_measured_temperatures_are_shown_with_their_errors():
    attributes = {
        'measured_temperature_K': 1198.3, 'measured_temperature_stderr': 2.4, 'seed_temperatures_K': [1196.0, 1201.0],
        'seed_temperatures_stderr': [3.0, 4.0], 'seed_temperature_drifts_K_per_ps': [0.1, -0.2],
        'seed_temperature_drifts_stderr': [0.3, 0.4],
    }  # fmt: skip
    rows = dict(sampling_rows(attributes))
    assert rows['T, measured'] == '(1198.3 ± 2.4) K'
    assert rows['T of the seeds (K)'] == '1196.0 ± 3.0; 1201.0 ± 4.0'
    assert rows['Drift of T (K/ps)'].startswith('0.10 ± 0.30; ')


def test_temperatures_that_were_not_measured_are_not_shown():
    """Results of earlier versions, and of files, have none."""
    assert not any('T' in label.split(',')[0].split() for label, _ in sampling_rows({'temperature_K': 900.0}))


def test_onsager_coefficients_are_listed_by_pair():
    """Each pair once; a result of an earlier version has no intervals, a result without coefficients no rows."""
    attributes = {
        'species': ['Li', 'Cl'],
        'onsager_S_per_cm': [[0.5, 0.1], [0.1, 0.03]],
        'onsager_stderr': [[0.05, 0.02], [0.02, 0.01]],
        'onsager_ci95': [[[0.4, 0.6], [0.06, 0.14]], [[0.06, 0.14], [0.01, 0.05]]],
    }
    rows = onsager_rows(attributes)
    assert [pair for pair, *_ in rows] == ['Li–Li', 'Li–Cl', 'Cl–Cl']
    assert rows[0][1:] == ('0.500 ± 0.050', '[0.40, 0.60]')
    assert onsager_rows({**attributes, 'onsager_ci95': None})[0][2] == '–'
    assert onsager_rows({}) == []
