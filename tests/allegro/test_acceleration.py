"""The accelerations of a compilation: the defaults of the devices, the switches, and what a package cannot have."""

import pytest

from aiida_ionconduct.allegro.acceleration import (
    NO_ACCELERATION,
    TRITON,
    Acceleration,
    acceleration,
    acceleration_arguments,
    missing_modifier,
    triton_obstacle,
)
from aiida_ionconduct.allegro.parameters import CompileParameters
from aiida_ionconduct.parameters import ParameterError
from model_files import SCRATCH, package

CODE = {'m.nequip/allegro/nn/_strided/_contract.py': '', 'm.nequip/allegro/nn/_strided/_flashallegro.py': ''}
TWO_LAYERS = package({**SCRATCH, 'num_layers': 2}, **CODE)
ONE_LAYER = package({**SCRATCH, 'num_layers': 1}, **CODE)
WITHOUT_TRITON = package({**SCRATCH, 'num_layers': 2}, **dict([*CODE.items()][:1]))


def chosen(content=TWO_LAYERS, **parameters):
    """Return the accelerations of a compilation for cuda."""
    return acceleration(CompileParameters.check({'device': 'cuda', **parameters}), content)


def test_cpu_has_none():
    assert acceleration(CompileParameters(), TWO_LAYERS) == Acceleration()


def test_cuda_has_all():
    assert chosen() == Acceleration((TRITON,), True, {'max_autotune': 1})


@pytest.mark.parametrize(('content', 'reason'), [(ONE_LAYER, 'one layer'), (WITHOUT_TRITON, 'where torch is built')])
def test_kernel_that_cannot_be_had_is_left_out_with_the_reason(content, reason):
    """The kernel is for tensor products that are not diagonal, and it must be in the package."""
    without = chosen(content)
    assert without.modifiers == ()
    assert reason in without.left_out[TRITON]
    assert without.described()['accelerations_left_out'] == without.left_out


@pytest.mark.parametrize('content', [TWO_LAYERS, package(), package({}), b'weights'])
def test_nothing_is_known_against_the_kernel(content):
    """A package that does not state its layers, or is not read at all, gets the kernel."""
    assert triton_obstacle(content) is None
    assert chosen(content).modifiers == (TRITON,)


def test_stated_modifiers_are_taken_as_they_are():
    assert chosen(ONE_LAYER, modifiers=[TRITON]).modifiers == (TRITON,)
    assert chosen(ONE_LAYER, modifiers=[TRITON]).left_out == {}


def test_switches():
    """Each acceleration can be switched off, and all together."""
    assert chosen(modifiers=[]) == chosen()._replace(modifiers=())
    assert chosen(constant_fold=False) == chosen()._replace(constant_fold=False)
    assert chosen(inductor_configs={}) == chosen()._replace(inductor_configs={})
    assert acceleration_arguments(chosen(**NO_ACCELERATION)) == []


def test_mliap_takes_modifiers_alone():
    """nequip-prepare-lmp-mliap has no other option."""
    assert acceleration_arguments(chosen(target='mliap')) == ['--modifiers', TRITON]


def test_last_argument_ends_no_list():
    """Another option must follow an open list, or nequip-compile takes the path of the model for a word of it."""
    arguments = acceleration_arguments(Acceleration((TRITON,), True, {'freezing': True, 'max_autotune': 1}))
    assert arguments == ['--constant-fold', '--modifiers', TRITON, '--inductor-configs', 'freezing=1', 'max_autotune=1']


@pytest.mark.parametrize('value', [False, 0, 'False', '0', 'a=b'])
def test_values_that_would_mean_the_opposite_are_refused(value):
    """nequip-compile passes text, and TorchInductor takes the text `False` for true."""
    with pytest.raises(ParameterError, match='leave the option out'):
        CompileParameters.check({'inductor_configs': {'freezing': value}})


def test_names_that_are_no_words_are_refused():
    with pytest.raises(ParameterError, match='modifiers'):
        CompileParameters.check({'modifiers': ['enable_TritonContracter --model x']})


@pytest.mark.parametrize(
    ('line', 'is_missing'),
    [
        ('ModuleNotFoundError: No module named "allegro.nn._strided._flashallegro" in self-contained archive', True),
        ("ModuleNotFoundError: No module named 'triton'", True),
        ('RuntimeError: `enable_Triton` is not a registered model modifier. The following are registered: []', True),
        ("ModuleNotFoundError: No module named 'nequip'", False),
        ('torch.OutOfMemoryError: CUDA out of memory.', False),
    ],
)
def test_missing_modifier(line, is_missing):
    """The line of the output that says so is quoted; the first is of nequip 0.19.1 with a package without Triton."""
    assert missing_modifier(f'Traceback:\n  {line}\n') == (line if is_missing else None)
