"""The table of a study of models."""

import yaml

from aiida_ionconduct.report.tables.models import (
    choice_text,
    effect_rows,
    matters_most,
    model_rows,
    models_text,
    overrides_text,
)
from model_study import table

CHOICE = {'criterion': 'forces<85meV/A', 'row': table()['rows'][0], 'training': {'r_max': 4.0, 'l_max': 1}}


def test_the_fastest_setting_is_first():
    headers, rows = model_rows(table())
    assert headers[:3] == ['setting', 'r_max', 'l_max']
    assert [cells[0] for cells in rows] == ['model_004', 'model_001', 'model_003', 'model_002']
    assert rows[0][-1] == 'failed in training, rung 0: The training diverged.'
    assert rows[1][1:] == ['4', '1', '90', '80', '0.8', '50', '512', 'yes', 'trained in full']


def test_the_parameter_that_matters_most_is_first():
    assert effect_rows(table()) == [
        ['l_max', '1', '+10', '-25'],
        ['l_max', '2', '-10', '+25'],
        ['r_max', '4', '-5', '-10'],
        ['r_max', '5', '+5', '+10'],
    ]
    assert matters_most(table())[0] == 'l_max changes the force error most: by 20 meV/Å over its values.'


def test_the_text_says_what_was_timed():
    text = models_text(table())
    assert 'Li56O64P8Si8, 136 atoms' in text
    assert 'Rungs of 10, 30, 90 epochs' in text


def test_timings_on_a_busy_machine_are_named():
    quiet = table()
    assert 'Warning' not in models_text(quiet)
    (busy, _, older, _) = rows = [dict(row) for row in quiet['rows']]
    busy['cpu_use_percent'] = 43.7
    del older['cpu_use_percent']  # a study of an earlier version
    assert 'timing of model_001 (44 %). Other programs ran' in models_text({**quiet, 'rows': rows})


def test_without_effects():
    assert 'Mean change' not in models_text({**table(), 'effects': {'forces_mae_eV_per_A': {}, 'us_per_atom_step': {}}})


def test_the_overrides_are_yaml():
    assert yaml.safe_load(overrides_text(CHOICE)) == {'training': CHOICE['training']}
    assert choice_text(CHOICE) in overrides_text(CHOICE)
    assert 'model_001 (r_max 4, l_max 1), 80 meV/Å after 90 epochs, 50 µs per atom and step' in choice_text(CHOICE)
