"""The scatter between orderings and between seeds: synthetic values with known components."""

import numpy as np
import pytest

from aiida_ionconduct.studies.orderings import ordering_scatter


def drawn(rng, sizes, between, within, mean=1.0):
    """Return values and the ordering of each value; the number of seeds of each ordering is given."""
    orderings = [f'ordering_{index}' for index, size in enumerate(sizes) for _ in range(size)]
    levels = np.repeat(rng.normal(scale=between, size=len(sizes)), sizes)
    return mean + levels + rng.normal(scale=within, size=len(orderings)), orderings


def error_of_seeds(values, orderings):
    """Return the standard error of the mean from the scatter within the orderings, and its degrees of freedom."""
    groups = [values[[other == label for other in orderings]] for label in dict.fromkeys(orderings)]
    dof = len(values) - len(groups)
    squares = sum(((group - group.mean()) ** 2).sum() for group in groups)
    return float(np.sqrt(squares / dof / len(values))), dof


def split(values, orderings):
    """Return the scatter of values around their mean, the error of the seeds being their scatter."""
    stderr, dof = error_of_seeds(values, orderings)
    return ordering_scatter(values, orderings, mean=float(values.mean()), stderr=stderr, dof=dof)


@pytest.mark.parametrize('sizes', [[4, 4, 4, 4], [2, 3, 6, 5]], ids=['balanced', 'unbalanced'])
def test_variance_components_are_unbiased(sizes):
    """The mean squares of 400 data sets give the components to three standard errors of their mean, about 12 %."""
    rng = np.random.default_rng(5)
    between, within = 0.3, 0.2
    results = [split(*drawn(rng, sizes, between, within)) for _ in range(400)]
    assert np.mean([result.between**2 for result in results]) == pytest.approx(between**2, rel=0.15)
    assert np.mean([result.within**2 for result in results]) == pytest.approx(within**2, rel=0.06)
    assert (results[0].between_dof, results[0].within_dof) == (3, sum(sizes) - 4)


def test_p_value_is_uniform_where_orderings_do_not_matter():
    """Of 400 data sets, 5 % are below 0.05; 11 to 31 of them with a probability of 98 %."""
    rng = np.random.default_rng(6)
    results = [split(*drawn(rng, [3, 3, 3], 0.0, 0.1)) for _ in range(400)]
    assert 11 <= sum(result.p_value < 0.05 for result in results) <= 31


@pytest.mark.slow
@pytest.mark.parametrize('ratio', [0.0, 0.5, 1.0, 3.0])
def test_intervals_cover_the_mean(ratio):
    """Of 95 % intervals with three orderings, at least 90 % hold the mean, whatever the orderings do."""
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(150):
        low, high = split(*drawn(rng, [3, 3, 3], 0.1 * ratio, 0.1)).interval(0.95)
        held += low < 1.0 < high
    assert held >= 0.9 * 150


def test_seeds_alone_would_be_far_too_sure():
    """With orderings that differ three times as much as seeds, the interval of the seeds misses the mean often."""
    rng, held = np.random.default_rng(8), 0
    for _ in range(150):
        values, orderings = drawn(rng, [3, 3, 3], 0.3, 0.1)
        held += abs(values.mean() - 1) < 2.45 * error_of_seeds(values, orderings)[0]
    assert held < 0.6 * 150


def test_error_has_both_parts():
    values, orderings = drawn(np.random.default_rng(9), [4, 4, 4], 0.3, 0.05)
    result = split(values, orderings)
    seeds, _ = error_of_seeds(values, orderings)
    means = values.reshape(3, 4).mean(axis=1)
    assert result.stderr == pytest.approx(means.std(ddof=1) / np.sqrt(3), rel=0.2)
    assert result.stderr > 5 * seeds
    assert 1.9 < result.dof < 3  # it is the error of three orderings


def test_one_seed_for_each_ordering_gives_one_scatter():
    result = ordering_scatter([1.0, 1.2, 0.9], ['a', 'b', 'c'], mean=1.03, stderr=0.01, dof=30)
    assert (result.within, result.within_dof, result.p_value) == (None, 0, None)
    assert result.stderr == pytest.approx(np.hypot(0.01, np.std([1.0, 1.2, 0.9], ddof=1) / np.sqrt(3)))
    assert result.dof == 2


def test_one_ordering_has_no_scatter():
    assert ordering_scatter([1.0, 1.1], ['a', 'a'], mean=1.05, stderr=0.05, dof=1) is None


def test_equal_values_are_no_error():
    result = ordering_scatter([1.0] * 4, ['a', 'a', 'b', 'b'], mean=1.0, stderr=0.1, dof=10)
    assert result.stderr == pytest.approx(0.1, rel=1e-2)
    assert result.between == 0
