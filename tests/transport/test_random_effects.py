"""Scatter between runs, and between stretches of runs, in excess of theory."""

import numpy as np
import pytest

from aiida_ionconduct.transport import diffusivity
from aiida_ionconduct.transport.estimators.random_effects import Scatter, excess_variance

NOTHING = Scatter(0.0, 0)


def mean_excess(excess):
    """Return the mean excess variance."""
    return excess.probability @ excess.variance


def test_runs_that_scatter_as_they_should():
    """Without excess, the variance at most about doubles, with as many runs as are usual."""
    excess = excess_variance(NOTHING, Scatter(3.0, 3), 1.0, 1000.0)
    assert excess.median < 1.0
    assert excess.probability.sum() == pytest.approx(1.0)


def test_runs_that_scatter_more():
    """The variance between runs is taken for what it is, with the degrees of freedom of the runs."""
    excess = excess_variance(NOTHING, Scatter(300.0, 3), 1.0, 1e5)
    assert 50 < excess.median < 300
    assert 2 < excess.dof < 4


def test_the_scatter_of_stretches_is_a_floor():
    """Few hops: the stretches of runs scatter, and runs that agree by chance do not take that away."""
    excess = excess_variance(Scatter(280.0, 28), Scatter(0.3, 3), 1.0, 1000.0)
    assert 5 < excess.median + 1 < 15


def test_one_run_without_stretches_has_no_excess():
    assert mean_excess(excess_variance(NOTHING, NOTHING, 1.0, 1000.0)) == 0.0


@pytest.mark.parametrize('scatter', [0.3, 0.6])
def test_seeds_at_other_temperatures(caged_walk, scatter):
    """Four runs whose D differ by more than their errors: the error is the scatter of the runs over two, or more."""
    rng = np.random.default_rng(5)
    factors = np.exp(scatter * np.array([-1.2, -0.4, 0.5, 1.1]))
    tracks = [track * factor**0.5 for track, factor in zip(caged_walk(rng, (4, 12), 340), factors, strict=True)]
    estimate = diffusivity(tracks, 0.1)
    least = factors.std(ddof=1) / 2 * 1e-4
    assert 0.9 * least < estimate.stderr < 2.5 * least
    assert estimate.dof < 12


def test_equal_seeds_are_not_widened(caged_walk):
    """Two runs that agree: their scatter, known with one degree of freedom, does not swamp what each run says."""
    rng = np.random.default_rng(6)
    tracks = list(caged_walk(rng, (2, 12), 340))
    estimate = diffusivity(tracks, 0.1)
    assert estimate.stderr < 0.12e-4
