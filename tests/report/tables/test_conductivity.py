"""Rows on conductivities."""

from aiida_ionconduct.report.tables.conductivity import chosen_lags, conductivity_rows, sampling_rows, warning_texts


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
