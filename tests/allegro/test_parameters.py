"""The parameters of a training and of a compilation: what is refused."""

import pytest

from aiida_ionconduct.allegro.parameters import CompileParameters, TrainingParameters


@pytest.mark.parametrize(
    ('parameters', 'message'),
    [
        ({'rmax': 5.0}, 'unknown key `rmax`: did you mean `r_max`?'),
        ({'lmax': 1, 'seed': 1}, 'unknown key `lmax`: did you mean `l_max`?'),
        ({'r_max': 0.0}, '`r_max` is 0.0, but must be greater than 0'),
        ({'max_epochs': 2.5}, '`max_epochs` is 2.5, but must be a valid integer'),
        ({'zbl': 1}, '`zbl` is 1, but must be a valid boolean'),
        ({'model_dtype': 'bfloat16'}, "`model_dtype` is 'bfloat16', but must be 'float32' or 'float64'"),
        ({'learning_rate': float('nan')}, '`learning_rate` is nan, but must be a finite number'),
    ],
)
def test_bad_training_parameters(parameters, message):
    with pytest.raises(ValueError, match=message.replace('?', r'\?')):
        TrainingParameters.check(parameters)


def test_integers_are_numbers():
    """A user may write 5 where 5.0 is meant."""
    assert TrainingParameters.check({'r_max': 5, 'forces_coefficient': 10}).r_max == 5.0


def test_bad_target():
    with pytest.raises(ValueError, match="`target` is 'ase', but must be 'pair_allegro' or 'mliap'"):
        CompileParameters.check({'target': 'ase'})
