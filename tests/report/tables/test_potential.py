"""Rows on the potential."""

import pytest

from aiida_ionconduct.report.tables.potential import error_rows, source_words, validation_rows, validation_table


def check(label, limit, passed=True):
    """Return a check of the gate as the validation stores it."""
    return {'name': 'check', 'label': label, 'value': 1.5, 'limit': limit, 'unit': 'Å', 'passed': passed}


@pytest.mark.parametrize(
    ('limit', 'allowed'),
    [
        (2.0, 'at most 2 Å'),
        ([1.0, 2.0], '1 to 2 Å'),
        ([1.0, None], 'at least 1 Å'),
        (None, '–'),
    ],
)
def test_the_allowed_values_of_a_check_are_written_in_words(limit, allowed):
    ((label, outcome),) = validation_rows({'checks': [check('Distance', limit)]})
    assert (label, outcome) == ('Distance', ('1.5 Å', allowed, True))


def test_the_gate_has_a_column_for_each_temperature_cold_to_hot():
    """A check of a temperature has a place in each column; a check without one has a single place."""
    checks = [check('Distance, 1000 K', 2.0), check('Distance, 800.5 K', 2.0, False), check('Drift', 2.0)]
    columns, rows = validation_table({'checks': [*checks, check('Energy, 1000 K', 2.0)]})
    assert columns == ['800.5', '1000']
    passed = {label: [outcome and outcome.passed for outcome in outcomes] for label, outcomes in rows}
    assert passed == {'Distance': [False, True], 'Drift': [True], 'Energy': [None, True]}


def test_what_was_not_asked_is_a_row():
    """The reason stands in the place of the allowed values, in the column of its temperature."""
    left_out = [{'name': 'msd_Li_800K', 'label': 'MSD of Li, 800 K', 'reason': 'no AIMD at 800 K'}]
    validation = {'checks': [check('Distance, 1000 K', 2.0)], 'not_asked': left_out}
    assert validation_rows(validation)[-1] == ('MSD of Li, 800 K', ('not asked', 'no AIMD at 800 K', None))
    columns, rows = validation_table(validation)
    assert columns == ['800', '1000']
    assert rows[-1] == ('MSD of Li', [('not asked', 'no AIMD at 800 K', None), None])


def test_errors_are_shown_where_they_are_known():
    training = {
        'test_energy_mae_eV_per_atom': 0.002,
        'test_forces_mae_eV_per_A': 0.086,
        'test_forces_rmse_eV_per_A': 0.11,
        'test_forces_mae_by_element': {'Li': 0.05},
        'test_forces_rmse_by_element': {'Li': 0.07},
    }
    assert error_rows(training) == [
        ('Energy', '2 meV/atom', '–'),
        ('Forces', '86 meV/Å', '110 meV/Å'),
        ('Forces on Li', '50 meV/Å', '70 meV/Å'),
    ]


def test_the_sources_of_frames_are_named():
    sources = {'aimd': 100, 'rattled': 32, 'active_2': 5, 'my_frames': 1}
    assert source_words(sources) == '100 AIMD, 32 rattled cells, 5 active in round 2, 1 my_frames'
