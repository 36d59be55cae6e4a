"""The scatter between potentials: against a simulation whose truth is known, and by hand."""

import math

import numpy as np
import pytest

from aiida_ionconduct.studies.potentials import potential_scatter


def test_by_hand():
    """Two potentials at 5 and 7 with errors of 0.5: the variance is 2, that of the runs 0.25."""
    result = potential_scatter([5.0, 7.0], [0.5, 0.5])
    assert (result.n, result.mean_S_per_cm) == (2, 6.0)
    assert result.scatter == pytest.approx(math.sqrt(2) / 6)
    assert result.runs == pytest.approx(0.5 / 6)
    assert result.between == pytest.approx(math.sqrt(2 - 0.25) / 6)
    # The 5 % quantile of χ² with one degree of freedom is 0.003932.
    assert result.between_upper == pytest.approx(math.sqrt(2 / 0.003932 - 0.25) / 6, rel=1e-3)


def test_runs_that_explain_all():
    result = potential_scatter([5.0, 5.1, 4.9], [0.5, 0.5, 0.5])
    assert result.between == 0
    assert result.p_equal > 0.9


@pytest.mark.parametrize('n', [2, 3, 8])
def test_limit_holds_and_p_is_uniform(n):
    """With potentials that scatter by 10 % and runs of 5 %, the limit holds in 95 %; without, p is uniform."""
    rng = np.random.default_rng(n)
    held, p = [], []
    for _ in range(2000):
        runs = rng.normal(0, 0.05, n)
        held.append(potential_scatter(1 + rng.normal(0, 0.1, n) + runs, [0.05] * n).between_upper > 0.1)
        p.append(potential_scatter(1 + runs, [0.05] * n).p_equal < 0.1)
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)
    assert np.mean(p) == pytest.approx(0.1, abs=0.02)


def test_errors_that_are_known_badly_make_p_larger():
    exact, rough = (potential_scatter([5.0, 7.0], [0.8, 0.8], dofs).p_equal for dofs in (None, [3.0, 3.0]))
    assert exact < 0.1 < rough


@pytest.mark.parametrize('values', [[], [1.0], [-1.0, 1.0]])
def test_too_few(values):
    with pytest.raises(ValueError, match='at least two above zero'):
        potential_scatter(values, [0.1] * len(values))
