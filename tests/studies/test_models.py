"""Settings of a potential by force error and time: the front, the settings that go on, the effects, the choice."""

import itertools

import numpy as np
import pytest

from aiida_ionconduct.studies.models import (
    Point,
    fastest_that_suffices,
    force_limit,
    main_effects,
    n_surviving,
    pareto_front,
    rung_sizes,
    spread,
    survivors,
)


def random_points(seed, n=12, levels=None):
    """Return points by label; with few levels many of them have the same error or time."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(1, 2, (n, 2)) if levels is None else rng.integers(1, levels + 1, (n, 2)).astype(float)
    return {f'model_{index:03d}': Point(*map(float, row)) for index, row in enumerate(values)}


def beats(first, second):
    """Whether a point is nowhere worse than another, and somewhere better."""
    return first.error <= second.error and first.time <= second.time and first != second


def brute_front(points):
    """The front by comparing every point with every other."""
    return {label for label in points if not any(beats(other, points[label]) for other in points.values())}


@pytest.mark.parametrize('levels', [None, 3])
@pytest.mark.parametrize('seed', range(10))
def test_the_front_is_what_nothing_beats(seed, levels):
    points = random_points(seed, levels=levels)
    assert set(pareto_front(points)) == brute_front(points)


@pytest.mark.parametrize('levels', [None, 3])
@pytest.mark.parametrize(('seed', 'n_kept'), list(itertools.product(range(5), (1, 4, 7, 12, 20))))
def test_survivors_are_taken_front_by_front(seed, n_kept, levels):
    """Against a loop: each setting that goes on has at most as many fronts before it as any that is stopped."""
    points = random_points(seed, levels=levels)
    depth, left, number = {}, dict(points), 0
    while left:
        for label in brute_front(left):
            depth[label] = number
        left = {label: point for label, point in left.items() if label not in depth}
        number += 1
    expected = sorted(points, key=lambda label: (depth[label], points[label].error, points[label].time, label))
    assert survivors(points, n_kept) == expected[:n_kept]


def test_a_fast_setting_is_not_stopped_for_its_error():
    """By the error alone, the settings that the study looks for would be stopped first."""
    points = {
        'small': Point(0.2, 1.0),
        'large': Point(0.05, 9.0),
        'slow': Point(0.06, 20.0),
        'slower': Point(0.07, 30.0),
    }
    assert set(survivors(points, 2)) == {'small', 'large'}


@pytest.mark.parametrize(
    ('n', 'keep', 'left'), [(12, 0.5, 6), (5, 0.5, 3), (3, 1 / 3, 1), (1, 0.1, 1), (4, 1, 4), (0, 0.5, 0)]
)
def test_a_fraction_goes_on_rounded_up(n, keep, left):
    assert n_surviving(n, keep) == left


def test_sizes_of_the_rungs():
    assert rung_sizes(12, [10, 30, 90], 0.5) == [12, 6, 3]


def additive(settings):
    """A quantity to which every setting contributes, with zero mean over the values of each setting."""
    of_r_max, of_l_max = {4.0: -3.0, 5.0: 1.0, 6.0: 2.0}, {1: 4.0, 2: -4.0}
    return 10.0 + of_r_max[settings['r_max']] + of_l_max[settings['l_max']]


GRID = {
    f'model_{index:03d}': {'r_max': r_max, 'l_max': l_max, 'parity': False}
    for index, (r_max, l_max) in enumerate(itertools.product((4.0, 5.0, 6.0), (1, 2)))
}
EXPECTED = {'r_max': {'4': -3.0, '5': 1.0, '6': 2.0}, 'l_max': {'1': 4.0, '2': -4.0}}


def check_effects(effects):
    """The effects are those of :func:`additive`; a key with a single value has none."""
    assert effects.keys() == EXPECTED.keys()
    for key, values in EXPECTED.items():
        assert effects[key] == pytest.approx(values)


def test_effects_of_a_full_grid():
    check_effects(main_effects(GRID, {label: additive(settings) for label, settings in GRID.items()}))


def test_effects_when_models_are_missing():
    """The means over the models that are left would be wrong: large cutoffs would lack the better l_max."""
    values = {label: additive(settings) for label, settings in GRID.items() if label != 'model_005'}
    check_effects(main_effects(GRID, values))


def test_effects_of_a_full_grid_are_differences_of_means():
    rng = np.random.default_rng(1)
    values = {label: float(rng.normal()) for label in GRID}
    effects = main_effects(GRID, values)
    mean = np.mean(list(values.values()))
    for l_max in (1, 2):
        own = np.mean([values[label] for label in GRID if GRID[label]['l_max'] == l_max])
        assert effects['l_max'][str(l_max)] == pytest.approx(own - mean)


def test_no_effects_without_models():
    assert main_effects(GRID, {}) == {}


def test_spread():
    assert spread(EXPECTED['r_max']) == 5.0


@pytest.mark.parametrize(
    ('criterion', 'limit'), [('forces<50meV/A', 0.05), (' forces < 0.05 eV/Å', 0.05), ('forces<5e1meV/A', 0.05)]
)
def test_criteria(criterion, limit):
    assert force_limit(criterion) == pytest.approx(limit)


@pytest.mark.parametrize(
    'criterion', ['forces<50', 'energy<5meV/A', 'forces<-3meV/A', 'forces<0eV/A', 'forces<xmeV/A', '']
)
def test_other_criteria_are_refused(criterion):
    with pytest.raises(ValueError, match='such as --choose "forces<50meV/A"'):
        force_limit(criterion)


def test_the_fastest_that_suffices():
    points = {'a': Point(0.04, 9.0), 'b': Point(0.049, 3.0), 'c': Point(0.05, 1.0)}
    assert fastest_that_suffices(points, 0.05) == 'b'
    with pytest.raises(ValueError, match=r'below 30 meV/A: the least is 40 meV/A \(a\)'):
        fastest_that_suffices(points, 0.03)
    with pytest.raises(ValueError, match='no setting has both'):
        fastest_that_suffices({}, 0.03)
