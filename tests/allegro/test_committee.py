"""The arithmetic of a committee: spread, calibration, novelty and the choice of points."""

import numpy as np
import pytest

from aiida_ionconduct.allegro.committee import calibration_factor, committee_spread, farthest_points, novelties

N_MEMBERS = 3


def test_spread_is_the_standard_deviation_of_a_vector():
    forces = np.random.default_rng(0).normal(scale=0.3, size=(4000, 2, 5, 3))
    np.testing.assert_allclose(committee_spread(forces), 0.3 * np.sqrt(3), rtol=0.05)


@pytest.mark.parametrize('shared', [0.0, 0.5])
def test_calibration(shared):
    """Every member errs by 0.3 of its own, and all members by a shared amount, which their spread does not show."""
    rng = np.random.default_rng(1)
    reference = rng.normal(size=(20000, 3))
    own = rng.normal(scale=0.3, size=(N_MEMBERS, 20000, 3))
    forces = reference + own + shared * rng.normal(size=(20000, 3))
    expected = np.sqrt((0.3**2 / N_MEMBERS + shared**2) / 0.3**2)
    assert calibration_factor(forces, reference) == pytest.approx(expected, rel=0.02)


def test_members_that_agree_entirely():
    assert calibration_factor(np.ones((3, 4, 3)), np.zeros((4, 3))) == 1.0


def test_farthest_points():
    """On a line, the far end is chosen first, then the middle of the largest gap; known points are avoided."""
    points = np.array([[0.0], [1.0], [5.0], [5.1], [10.0]])
    assert farthest_points(points, np.empty((0, 1)), 0, 3) == [0, 4, 2]
    assert farthest_points(points, np.array([[10.0]]), 0, 2) == [0, 2]
    assert farthest_points(np.zeros((4, 1)), np.empty((0, 1)), 0, 3) == [0]


def test_novelty():
    known = np.arange(10.0)[:, None]
    np.testing.assert_allclose(novelties(np.array([[4.0], [4.5], [14.0]]), known), [0, 0.5, 5])
    assert np.isinf(novelties(known, known[:1])).all()
