"""The choice of frames on which a committee disagrees, and the ends of the loop."""

import numpy as np
import pytest
from aiida import orm
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.calculations.functions.active_learning import select_frames
from aiida_ionconduct.calculations.functions.structures import frames_to_trajectory
from aiida_ionconduct.data import DatasetData

PARAMETERS = {
    'threshold_eV_per_A': 0.5,
    'max_disagreement_eV_per_A': 20.0,
    'max_uncertain_fraction': 0.1,
    'distance_fraction': 0.7,
    'n_frames': 3,
    'budget_is_spent': False,
}
N_MEMBERS = 3


@pytest.fixture
def select(aiida_profile, crystals):
    """Return a function that selects among candidates with stated displacements and disputes."""

    def make(displacements, disputes, errors=0.1, known=lambda frame: frame):
        """Return the inputs of `select_frames`; the held-out forces have a spread of 0.1 and a stated error."""
        rng = np.random.default_rng(2)
        crystal = crystals['Li3PO4']
        frames = []
        for index in range(6):
            frame = crystal.copy()
            frame.positions += rng.normal(scale=0.02, size=(16, 3))
            frame = known(frame)
            frame.calc = SinglePointCalculator(frame, energy=float(index), forces=np.zeros((len(frame), 3)))
            frames.append(frame)
        candidates = []
        for displacement in displacements:
            frame = crystal.copy()
            frame.positions += rng.normal(scale=displacement, size=(16, 3))
            candidates.append(frame)
        predictions, parities = orm.ArrayData(), {}
        for member in range(N_MEMBERS):
            forces = np.zeros((len(candidates), 16, 3))
            forces[:, 3, 0] = np.array(disputes) * (member - 1)  # their standard deviation is the dispute
            predictions.set_array(f'forces_seed{member}', forces)
            parity = orm.ArrayData()
            parity.set_array('forces_reference', np.zeros((96, 3)))
            held_out = np.zeros((96, 3))
            held_out[:, 0] = errors + 0.1 * (member - 1)  # a spread of 0.1 about a mean that is off by `errors`
            parity.set_array('forces_predicted', held_out)
            parities[f'seed{member}'] = parity
        nodes = frames_to_trajectory(candidates), predictions, DatasetData.from_frames(frames)
        return nodes, parities

    def select(*args, parameters=None, **kwargs):
        """Return the outputs of `select_frames`."""
        nodes, parities = make(*args, **kwargs)
        return select_frames(orm.Dict({**PARAMETERS, **(parameters or {})}), *nodes, **parities)

    return select


def test_disputed_frames_are_chosen(select):
    """The most disputed frame comes first; frames that all agree on and unphysical frames are not labelled."""
    chosen = select([0.1] * 12, [0.0] * 6 + [0.6, 0.7, 0.8, 0.9, 1.0, 50.0])
    report = chosen['report'].get_dict()
    assert report['ended_by'] is None
    assert report['calibration_factor'] == pytest.approx(1.0)
    assert (report['n_candidates'], report['n_uncertain'], report['n_unphysical'], report['n_chosen']) == (12, 6, 1, 3)
    assert report['chosen'][0] == 10
    assert set(report['chosen']) <= set(range(6, 11))
    assert chosen['frames'].numsteps == 3


def test_disputes_are_calibrated(select):
    """The same dispute counts three times as much if the held-out errors are three times the spread."""
    report = select([0.1] * 12, [0.3] * 12, errors=0.3)['report'].get_dict()
    assert report['calibration_factor'] == pytest.approx(3.0)
    assert report['median_disagreement_eV_per_A'] == pytest.approx(0.9)
    assert report['n_uncertain'] == 12
    assert select([0.1] * 12, [0.3] * 12)['report']['ended_by'] == 'disagreement'


def test_atoms_too_close_are_unphysical(select):
    chosen = select([0.1, 0.1, 1.5], [2.0, 2.0, 2.0])
    assert chosen['report']['n_unphysical'] == 1
    assert set(chosen['report']['chosen']) == {0, 1}


def test_known_environments_end_the_loop(select):
    """Disputed frames that resemble frames of the training set would teach nothing more."""
    chosen = select([0.0] * 4, [2.0] * 4)
    assert chosen['report']['ended_by'] == 'no_new_environments'
    assert 'frames' not in chosen


def test_a_spent_budget_ends_the_loop(select):
    """Agreement is stated rather than the budget, if both apply."""
    report = select([0.1] * 4, [2.0] * 4, parameters={'budget_is_spent': True})['report']
    assert report['ended_by'] == 'budget'
    assert select([0.1] * 4, [0.0] * 4, parameters={'budget_is_spent': True})['report']['ended_by'] == 'disagreement'


def test_unphysical_frames_alone_neither_end_the_loop_nor_are_labelled(select):
    """What follows is up to the work chain."""
    chosen = select([0.1] * 4, [99.0] * 4)
    assert chosen['report']['ended_by'] is None
    assert 'frames' not in chosen


def test_a_passed_gate_ends_the_loop(select):
    """The gate is stated rather than the budget, and agreement rather than the gate."""
    passed = {'gate_is_passed': True, 'budget_is_spent': True}
    assert select([0.1] * 4, [2.0] * 4, parameters=passed)['report']['ended_by'] == 'gate'
    assert select([0.1] * 4, [0.0] * 4, parameters=passed)['report']['ended_by'] == 'disagreement'


@pytest.mark.parametrize(
    'known',
    [lambda frame: frame[::-1], lambda frame: frame.repeat((2, 1, 1)), lambda frame: frame.repeat((1, 2, 1))[::-1]],
    ids=['order of atoms', 'size of the cell', 'both'],
)
def test_training_sets_of_other_cells(select, known):
    """The environments of a given training set are known in whatever cell and order of atoms it has them."""
    assert select([0.0] * 4, [2.0] * 4, known=known)['report']['ended_by'] == 'no_new_environments'
    report = select([0.1] * 4, [2.0] * 4, known=known)['report']
    assert report['ended_by'] is None
    assert report['max_novelty'] > 1


def test_training_set_of_other_elements(select):
    """Nothing is known of these environments, so that all are new."""

    def known(frame):
        frame.symbols[frame.symbols == 'P'] = 'Si'
        return frame

    report = select([0.1] * 4, [2.0] * 4, known=known)['report']
    assert (report['ended_by'], report['n_chosen'], report['max_novelty']) == (None, 3, None)
