"""The study of models as calculation functions: the cell, the decision, the table, the choice."""

import numpy as np
import pytest
from aiida import orm
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.calculations.functions.models import (
    choose_model,
    compare_models,
    decide_models,
    timing_cell,
    training_section,
)
from aiida_ionconduct.data import DatasetData
from model_study import N_ATOMS, row, table, timing, training

pytestmark = pytest.mark.usefixtures('aiida_profile')
SETTINGS = {
    'model_001': {'r_max': 4.0, 'l_max': 1},
    'model_002': {'r_max': 4.0, 'l_max': 2},
    'model_003': {'r_max': 5.0, 'l_max': 1},
    'model_004': {'r_max': 5.0, 'l_max': 2},
}


def test_the_cell_is_a_calm_frame_repeated(crystals):
    """A frame with large forces would heat up, and a frame without an element would not time all of the model."""
    frames = []
    for formula, force in (('Li3PO4', 0.0), ('Li7PSiO8', 2.0), ('Li7PSiO8', 1.0)):
        frame = crystals[formula].copy()
        frame.positions += force
        frame.calc = SinglePointCalculator(frame, energy=0.0, forces=np.full((len(frame), 3), force))
        frames.append(frame)
    cell = timing_cell(DatasetData.from_frames(frames).store(), orm.Dict({'n_atoms_min': 60}))
    assert len(cell.sites) == 4 * 17
    assert cell.get_composition()['Si'] == 4
    calm = frames[2].get_all_distances(mic=True)
    repeated = cell.get_ase().get_all_distances(mic=True)
    assert np.sort(repeated[repeated > 0])[0] == pytest.approx(np.sort(calm[calm > 0])[0])


def test_the_decision_is_by_validation_frames_and_time():
    """The test frames decide nothing, or their error would be too good."""
    nodes = {
        'training_0_model_001': training(0.5, validation=0.1),
        'training_0_model_002': training(0.1, validation=0.2),
        'training_0_model_003': training(0.1, validation=0.3),
        'timing_model_001': timing(50),
        'timing_model_002': timing(10),
        'timing_model_003': timing(60),
    }
    decision = decide_models(orm.Dict({'rung': 0, 'keep': 0.5, 'n_tried': 4, 'n_atoms': N_ATOMS}), **nodes).get_dict()
    assert decision['kept'] == ['model_001', 'model_002']
    assert decision['stopped'] == ['model_003']
    point = decision['points']['model_002']
    assert point == pytest.approx({'validation_forces_mae_eV_per_A': 0.2, 'us_per_atom_step': 10})


@pytest.fixture
def compared():
    """The table of a study in which a setting has failed in its training, and another in its second rung."""
    parameters = {
        'settings': SETTINGS, 'training': {'num_layers': 1}, 'epochs': [10, 30], 'keep': 0.5,
        'cell': 'a cell', 'n_atoms': N_ATOMS, 'failures': {
            'model_003': {'step': 'compilation', 'reason': 'out of memory'},
            'model_004': {'step': 'training, rung 1', 'reason': 'diverged'},
        },
    }  # fmt: skip
    nodes = {
        'training_0_model_001': training(0.3),
        'training_0_model_002': training(0.2),
        'training_0_model_004': training(0.1),
        'training_1_model_002': training(0.15, n_epochs=30),
        **{f'timing_model_00{number}': timing(10.0 * number) for number in (1, 2, 4)},
    }
    return compare_models(orm.Dict(parameters), **nodes).get_dict()


def test_every_setting_has_a_row(compared):
    rows = {entry['label']: entry for entry in compared['rows']}
    assert list(rows) == list(SETTINGS)
    assert [entry['state'] for entry in rows.values()] == [
        'stopped after rung 0',
        'trained in full',
        'failed in compilation',
        'failed in training, rung 1',
    ]
    assert rows['model_003']['reason'] == 'out of memory'
    assert rows['model_003']['forces_mae_eV_per_A'] is None
    assert (rows['model_002']['epochs'], rows['model_002']['forces_mae_eV_per_A']) == (30, 0.15)
    assert rows['model_002']['us_per_atom_step'] == pytest.approx(20)
    assert rows['model_002']['peak_memory_MB'] == 512


def test_a_setting_that_failed_is_not_on_the_front(compared):
    assert compared['front'] == ['model_001', 'model_002']
    assert [entry['on_front'] for entry in compared['rows']] == [True, True, False, False]


def test_a_study_in_which_all_fail_has_rows():
    """The first rung has ended for one of them: its errors are in its row, and it is not on the front."""
    failures = {label: {'step': 'compilation', 'reason': 'the disk is full'} for label in SETTINGS}
    parameters = {
        'settings': SETTINGS, 'training': {}, 'epochs': [10], 'keep': 0.5, 'cell': 'a cell', 'n_atoms': N_ATOMS,
        'failures': failures,
    }  # fmt: skip
    table = compare_models(orm.Dict(parameters), training_0_model_002=training(0.2)).get_dict()
    assert [entry['state'] for entry in table['rows']] == ['failed in compilation'] * 4
    assert table['rows'][1]['forces_mae_eV_per_A'] == 0.2
    assert table['front'] == []


def test_effects_are_those_after_the_first_rung(compared):
    """After it the settings have been trained for different numbers of epochs."""
    assert compared['effects']['forces_mae_eV_per_A']['l_max']['2'] == pytest.approx(-0.05)
    assert compared['effects']['us_per_atom_step']['l_max']['2'] == pytest.approx(5)


def test_the_choice_states_all_of_the_training():
    """No protocol may change the model that was chosen."""
    choice = choose_model(orm.Dict(table()), orm.Str('forces<85meV/A')).get_dict()
    assert choice['row']['label'] == 'model_001'
    section = choice['training']
    assert (section['r_max'], section['l_max'], section['num_layers'], section['max_epochs']) == (4.0, 1, 1, 90)
    assert {'num_scalar_features', 'learning_rate', 'zbl'} <= section.keys()
    assert not {'accelerator', 'schedule_epochs'} & section.keys()


def test_a_setting_that_failed_is_not_chosen():
    with pytest.raises(ValueError, match='the least is 60 meV/A'):
        choose_model.__wrapped__(orm.Dict(table()), orm.Str('forces<50meV/A'))


def test_the_section_is_checked():
    with pytest.raises(ValueError, match='l_max'):
        training_section(table(), row('model_009', 0.1, 1.0, l_max='x'))
