"""Rows on a campaign with a target."""

from aiida_ionconduct.report.tables.error_target import decision_rows, target_rows

STATE = {
    'relative_error': 0.08,
    'upper_bound': None,
    'predicted_md_ns': 2.0,
    'ending': None,
    'action': 'extend',
    'md_ns': 1.0,
}


def test_a_temperature_that_goes_on_says_what_it_needs():
    assert target_rows({'temperatures': {'T800': STATE}}) == [('800 K', 'extend', '8.0 %', '1, 2 predicted')]


def test_a_temperature_without_a_number_gives_its_bound():
    ended = STATE | {'relative_error': None, 'upper_bound': 0.0123, 'predicted_md_ns': None, 'ending': 'budget spent'}
    rows = target_rows({'temperatures': {'T1200_5': ended}})
    assert rows == [('1200.5 K', 'budget spent', 'no number, below 0.012 S/cm', '1')]


def test_without_a_target_there_is_no_row():
    assert target_rows({}) == []


def test_decisions_are_in_the_order_of_rounds_and_temperatures():
    plan = {'relative_error': 0.3, 'ending': None, 'action': 'extend', 'n_seeds': 4, 'length_ps': 20.0}
    going = plan | {'reasons': ['too short', 'too few']}
    ended = plan | {'ending': 'target reached', 'reasons': []}
    decisions = [{'round': 1, 'temperatures': {'T800': going}}, {'round': 2, 'temperatures': {'T800_5': ended}}]
    assert decision_rows(decisions) == [
        ('1', '800 K', '30 %', 'extend: 4 × 20 ps', 'too short; too few'),
        ('2', '800.5 K', '30 %', 'target reached', ''),
    ]
