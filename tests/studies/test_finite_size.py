"""Cells of several sizes: agree, extrapolate, or say that it is open; on numbers whose truth is known."""

import numpy as np
import pytest

from aiida_ionconduct.studies.finite_size import EXTRAPOLATED, NO_EFFECT, UNRESOLVED, finite_size

N = np.array([132, 448, 1056])


def sizes(infinite=1e-3, effect=0.0, error=0.03, seed=0, n=N):
    """Return conductivities that fall with 1/L, and their errors."""
    exact = infinite * (1 + effect * (n / 132) ** (-1 / 3))
    return exact * (1 + np.random.default_rng(seed).normal(0, error, len(n))), error * exact


def test_no_effect():
    found = finite_size(N, *sizes())
    assert found['answer'] == NO_EFFECT
    low, high = found['ci95']
    assert low < 1e-3 < high
    assert found['stderr'] < 0.03e-3  # three cells know more than one


def test_extrapolated():
    found = finite_size(N, *sizes(effect=0.8, error=0.02))
    assert found['answer'] == EXTRAPOLATED
    low, high = found['ci95']
    assert low < 1e-3 < high
    assert found['difference'] > 0.2


def test_extrapolation_covers():
    """Where it is made; a straight line in 1/L is the truth here."""
    found = [finite_size(N, *sizes(effect=0.8, error=0.02, seed=seed), [30] * 3) for seed in range(200)]
    made = [one for one in found if one['answer'] == EXTRAPOLATED]
    assert len(made) > 150
    assert np.mean([one['ci95'][0] < 1e-3 < one['ci95'][1] for one in made]) > 0.9


def test_two_sizes_that_differ():
    found = finite_size(N[:2], *sizes(effect=1.0, error=0.01, n=N[:2]))
    assert (found['answer'], found['sigma_S_per_cm']) == (UNRESOLVED, None)
    assert 'two sizes that differ' in found['reason']


def test_errors_too_large():
    found = finite_size(N, *sizes(error=0.3))
    assert found['answer'] == UNRESOLVED
    assert 'a difference of 20% is not excluded' in found['reason']


def test_no_straight_line():
    """A middle cell far off its neighbours."""
    found = finite_size(N, [1.0, 2.0, 1.0], [0.02] * 3)
    assert found['answer'] == UNRESOLVED
    assert 'does not describe the sizes' in found['reason']


def test_no_number():
    found = finite_size(N[:2], [None, 1.0], [None, 0.1])
    assert found['answer'] == UNRESOLVED
    assert 'no conductivity for 132 atoms' in found['reason']


@pytest.mark.parametrize('n', [[132], [132, 132]])
def test_refused(n):
    with pytest.raises(ValueError, match='give two sizes at least, each once'):
        finite_size(n, [1.0] * len(n), [0.1] * len(n))
