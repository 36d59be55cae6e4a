"""Cells of several sizes, on numbers whose truth is known: no effect, extrapolated, or unresolved."""

import numpy as np
import pytest

from aiida_ionconduct.studies.finite_size import EXTRAPOLATED, NO_EFFECT, UNRESOLVED, finite_size

N = np.array([132, 448, 1056])


def sizes(infinite=1e-3, effect=0.0, error=0.03, seed=0, n=N):
    """Return conductivities that fall with 1/L, and their errors."""
    exact = infinite * (1 + effect * (n / 132) ** (-1 / 3))
    return exact * (1 + np.random.default_rng(seed).normal(0, error, len(n))), error * exact


def test_sizes_that_agree():
    result = finite_size(N, *sizes())
    assert result['answer'] == NO_EFFECT
    low, high = result['ci95']
    assert low < 1e-3 < high
    assert result['stderr'] < 0.03e-3  # three cells know more than one


def test_an_effect_is_extrapolated():
    result = finite_size(N, *sizes(effect=0.8, error=0.02))
    assert result['answer'] == EXTRAPOLATED
    low, high = result['ci95']
    assert low < 1e-3 < high
    assert result['difference'] > 0.2


def test_extrapolated_intervals_cover_the_truth():
    """The truth is a straight line in 1/L here."""
    answers = [finite_size(N, *sizes(effect=0.8, error=0.02, seed=seed), [30] * 3) for seed in range(200)]
    intervals = [answer['ci95'] for answer in answers if answer['answer'] == EXTRAPOLATED]
    assert len(intervals) > 150
    assert np.mean([low < 1e-3 < high for low, high in intervals]) > 0.9


def test_two_sizes_that_differ():
    result = finite_size(N[:2], *sizes(effect=1.0, error=0.01, n=N[:2]))
    assert (result['answer'], result['sigma_S_per_cm']) == (UNRESOLVED, None)
    assert 'two sizes that differ' in result['reason']


def test_large_errors_leave_it_open():
    result = finite_size(N, *sizes(error=0.3))
    assert result['answer'] == UNRESOLVED
    assert 'a difference of 20% is not excluded' in result['reason']


def test_no_straight_line():
    """A middle cell far off its neighbours leaves the answer open."""
    result = finite_size(N, [1.0, 2.0, 1.0], [0.02] * 3)
    assert result['answer'] == UNRESOLVED
    assert 'does not describe the sizes' in result['reason']


def test_a_cell_without_a_conductivity():
    result = finite_size(N[:2], [None, 1.0], [None, 0.1])
    assert result['answer'] == UNRESOLVED
    assert 'no conductivity for 132 atoms' in result['reason']


@pytest.mark.parametrize('n', [[132], [132, 132]])
def test_a_series_needs_different_sizes(n):
    with pytest.raises(ValueError, match='give at least two sizes, each once'):
        finite_size(n, [1.0] * len(n), [0.1] * len(n))
