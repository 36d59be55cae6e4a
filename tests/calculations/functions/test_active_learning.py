"""Disagreement of a committee, its calibration, and the choice of frames."""

import numpy as np
import pytest
from aiida import orm
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.calculations.functions.active_learning import (
    calibration_factor,
    committee_spread,
    farthest_points,
    novelties,
    select_frames,
)
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


def test_spread_is_the_standard_deviation_of_a_vector():
    forces = np.random.default_rng(0).normal(scale=0.3, size=(4000, 2, 5, 3))
    np.testing.assert_allclose(committee_spread(forces), 0.3 * np.sqrt(3), rtol=0.05)


@pytest.mark.parametrize('shared', [0.0, 0.5])
def test_calibration(shared):
    """Members err by 0.3 each on their own, and all by the same amount besides, of which their spread knows nothing."""
    rng = np.random.default_rng(1)
    reference = rng.normal(size=(20000, 3))
    own = rng.normal(scale=0.3, size=(N_MEMBERS, 20000, 3))
    forces = reference + own + shared * rng.normal(size=(20000, 3))
    expected = np.sqrt((0.3**2 / N_MEMBERS + shared**2) / 0.3**2)
    assert calibration_factor(forces, reference) == pytest.approx(expected, rel=0.02)


def test_members_that_agree_entirely():
    assert calibration_factor(np.ones((3, 4, 3)), np.zeros((4, 3))) == 1.0


def test_farthest_points():
    """On a line: the far end first, then the middle of the largest gap; what is known is avoided."""
    points = np.array([[0.0], [1.0], [5.0], [5.1], [10.0]])
    assert farthest_points(points, np.empty((0, 1)), 0, 3) == [0, 4, 2]
    assert farthest_points(points, np.array([[10.0]]), 0, 2) == [0, 2]
    assert farthest_points(np.zeros((4, 1)), np.empty((0, 1)), 0, 3) == [0]


def test_novelty():
    known = np.arange(10.0)[:, None]
    np.testing.assert_allclose(novelties(np.array([[4.0], [4.5], [14.0]]), known), [0, 0.5, 5])
    assert np.isinf(novelties(known, known[:1])).all()


@pytest.fixture
def evidence(aiida_profile, crystals):
    """Return a function that gives what `select_frames` takes: candidates displaced and disputed as stated."""

    def make(displacements, disputes, errors=0.1):
        rng = np.random.default_rng(2)
        crystal = crystals['Li3PO4']
        frames = []
        for index in range(6):
            frame = crystal.copy()
            frame.positions += rng.normal(scale=0.02, size=(16, 3))
            frame.calc = SinglePointCalculator(frame, energy=float(index), forces=np.zeros((16, 3)))
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
        nodes, parities = make(*args, **kwargs)
        return select_frames(orm.Dict({**PARAMETERS, **(parameters or {})}), *nodes, **parities)

    return select


def test_chooses_the_disputed(evidence):
    """The most disputed first; what all agree on is not labelled, nor what has left physics."""
    chosen = evidence([0.1] * 12, [0.0] * 6 + [0.6, 0.7, 0.8, 0.9, 1.0, 50.0])
    report = chosen['report'].get_dict()
    assert report['ended_by'] is None
    assert report['calibration_factor'] == pytest.approx(1.0)
    assert (report['n_candidates'], report['n_uncertain'], report['n_unphysical'], report['n_chosen']) == (12, 6, 1, 3)
    assert report['chosen'][0] == 10
    assert set(report['chosen']) <= set(range(6, 11))
    assert chosen['frames'].numsteps == 3


def test_calibrated_threshold(evidence):
    """The same dispute counts three times as much where held-out errors are three times the spread."""
    report = evidence([0.1] * 12, [0.3] * 12, errors=0.3)['report'].get_dict()
    assert report['calibration_factor'] == pytest.approx(3.0)
    assert report['median_disagreement_eV_per_A'] == pytest.approx(0.9)
    assert report['n_uncertain'] == 12
    assert evidence([0.1] * 12, [0.3] * 12)['report']['ended_by'] == 'disagreement'


def test_atoms_too_close(evidence):
    chosen = evidence([0.1, 0.1, 1.5], [2.0, 2.0, 2.0])
    assert chosen['report']['n_unphysical'] == 1
    assert set(chosen['report']['chosen']) == {0, 1}


def test_nothing_new(evidence):
    """Disputed frames that are as those in the training set would teach nothing more."""
    chosen = evidence([0.0] * 4, [2.0] * 4)
    assert chosen['report']['ended_by'] == 'no_new_environments'
    assert 'frames' not in chosen


def test_budget(evidence):
    report = evidence([0.1] * 4, [2.0] * 4, parameters={'budget_is_spent': True})['report']
    assert report['ended_by'] == 'budget'
    assert evidence([0.1] * 4, [0.0] * 4, parameters={'budget_is_spent': True})['report']['ended_by'] == 'disagreement'


def test_nothing_physical(evidence):
    """It goes on neither by labels nor by an end: the work chain says so."""
    chosen = evidence([0.1] * 4, [99.0] * 4)
    assert chosen['report']['ended_by'] is None
    assert 'frames' not in chosen


def test_gate(evidence):
    """A potential that is good enough ends the loop, though not what its committee agrees on already."""
    passed = {'gate_is_passed': True, 'budget_is_spent': True}
    assert evidence([0.1] * 4, [2.0] * 4, parameters=passed)['report']['ended_by'] == 'gate'
    assert evidence([0.1] * 4, [0.0] * 4, parameters=passed)['report']['ended_by'] == 'disagreement'
