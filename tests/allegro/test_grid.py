"""A grid of settings of a training: what is understood, and what is refused in words."""

import re

import pytest

from aiida_ionconduct.allegro.grid import combinations, parse_grid


def test_values_have_the_types_of_their_keys():
    grid = parse_grid([('r_max', '4,5.5'), ('l_max', '1,2'), ('learning_rate', '1e-3,0.01'), ('zbl', 'true,false')])
    assert grid == {'r_max': [4.0, 5.5], 'l_max': [1, 2], 'learning_rate': [0.001, 0.01], 'zbl': [True, False]}


def test_every_combination_has_a_label():
    settings = combinations({'r_max': [4.0, 5.0], 'l_max': [1, 2, 3]})
    assert len(settings) == 6
    assert settings['model_001'] == {'r_max': 4.0, 'l_max': 1}
    assert settings['model_006'] == {'r_max': 5.0, 'l_max': 3}
    assert len({tuple(values.items()) for values in settings.values()}) == 6


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ([], 'the grid is empty'),
        ([('r_mx', '4')], 'unknown key `r_mx` in the grid: did you mean `r_max`?'),
        ([('r_max', '4,x')], "`r_max` is 'x', but must be a valid number"),
        ([('r_max', '4,')], '`r_max` is None, but must be a valid number'),
        ([('r_max', '-1')], '`r_max` is -1'),
        ([('l_max', '1.5')], '`l_max` is 1.5, but must be a valid integer'),
        ([('r_max', '4'), ('r_max', '5')], 'r_max is given twice'),
        ([('r_max', '4,4.0')], 'not all different'),
        ([('max_epochs', '4')], 'max_epochs cannot be in the grid'),
        ([('seed', ','.join(map(str, range(201))))], 'the grid has 201 settings'),
    ],
)
def test_refusals(words, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_grid(words)
