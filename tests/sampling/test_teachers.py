"""How a protocol names an ASE calculator, and what it is told about device and floating-point type."""

import pytest
from ase.calculators.emt import EMT

from aiida_ionconduct.parameters import ParameterError
from aiida_ionconduct.sampling.parameters import PretrainedParameters
from aiida_ionconduct.sampling.teachers import calculator_arguments, teacher_named


def test_default_is_sevennet():
    teacher = teacher_named(PretrainedParameters().calculator)
    assert teacher.target == 'sevenn.calculator.SevenNetCalculator'
    assert calculator_arguments(teacher, {}, device='cuda', dtype=None) == {'model': '7net-0', 'device': 'cuda'}


@pytest.mark.parametrize(
    ('name', 'arguments'),
    [
        ('mace', {'device': 'cpu', 'default_dtype': 'float64'}),
        ('my.module.Calculator', None),
        ('chgnet', None),
    ],
)
def test_device_and_type_by_the_names_of_the_calculator(name, arguments):
    """A type that a calculator cannot be told is refused, with the way out."""
    teacher = teacher_named(name)
    if arguments is None:
        with pytest.raises(ValueError, match='by its own name in `arguments`'):
            calculator_arguments(teacher, {}, device='cpu', dtype='float64')
    else:
        assert calculator_arguments(teacher, {}, device='cpu', dtype='float64') == arguments


def test_calculator_of_ase_by_its_name():
    """It has no device, so that only cpu is accepted."""
    teacher = teacher_named('emt')
    assert teacher.target == f'{EMT.__module__}.EMT'
    assert calculator_arguments(teacher, {}, device='cpu', dtype=None) == {}
    with pytest.raises(ValueError, match='cpu only'):
        calculator_arguments(teacher, {}, device='cuda', dtype=None)


def test_arguments_of_the_user_go_first():
    arguments = {'model': '7net-l3i5', 'device': 'cuda:1'}
    assert calculator_arguments(teacher_named('sevennet'), arguments, device='cpu', dtype=None) == arguments


@pytest.mark.parametrize(('name', 'nearest'), [('chgnt', 'chgnet'), ('sevenet', 'sevennet')])
def test_misspelt_name(name, nearest):
    with pytest.raises(ParameterError, match=f'did you mean `{nearest}`'):
        PretrainedParameters.check({'calculator': name})


def test_run_without_a_frame_is_refused():
    with pytest.raises(ParameterError, match='no frame would be left'):
        PretrainedParameters.check({'steps': 10, 'stride': 20})
