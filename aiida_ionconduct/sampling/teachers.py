"""The pretrained potentials that are known by name, and how any other ASE calculator is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ase.calculators.calculator import get_calculator_class
from ase.calculators.calculator import names as ase_names

from aiida_ionconduct.parameters import nearest_key


class Teacher(NamedTuple):
    """An ASE calculator: where it is, and the names of its arguments."""

    title: str
    """What results call it."""
    target: str
    """The class, or the function that returns a calculator, with the path of its module."""
    device: str | None = 'device'
    """The argument for the device; None if it has none."""
    dtype: str | None = None
    """The argument for the floating-point type; None if the type is fixed."""
    arguments: Mapping[str, Any] = {}
    """Arguments where the user states none."""
    install: str = ''
    """The command that installs it."""

    @property
    def module(self) -> str:
        """The top-level module."""
        return self.target.partition('.')[0]


TEACHERS = {
    'sevennet': Teacher(
        'SevenNet',
        'sevenn.calculator.SevenNetCalculator',
        arguments={'model': '7net-0'},
        install="pip install 'aiida-ionconduct[pretrained]'",
    ),
    'chgnet': Teacher(
        'CHGNet', 'chgnet.model.dynamics.CHGNetCalculator', device='use_device', install='pip install chgnet'
    ),
    'mace': Teacher('MACE', 'mace.calculators.mace_mp', dtype='default_dtype', install='pip install mace-torch'),
    'orb': Teacher('Orb', 'orb_models.forcefield.calculator.ORBCalculator', install='pip install orb-models'),
    'mattersim': Teacher('MatterSim', 'mattersim.forcefield.MatterSimCalculator', install='pip install mattersim'),
}
"""Pretrained potentials by the names that a protocol uses. All but SevenNet are installed by the user."""


def teacher_named(name: str) -> Teacher:
    """Return the calculator of a name: one of :data:`TEACHERS`, a name of ASE such as ``emt``, or ``module.Class``.

    :raises ValueError: for a name that is none of these, with the nearest name.
    """
    if name in TEACHERS:
        return TEACHERS[name]
    if name in ase_names:
        kind = get_calculator_class(name)
        return Teacher(kind.__name__, f'{kind.__module__}.{kind.__qualname__}', device=None)
    if '.' in name.strip('.'):
        return Teacher(name.rpartition('.')[2], name)
    raise ValueError(
        f'there is no such calculator: {nearest_key(name, [*TEACHERS, *ase_names])} Any other ASE calculator is named '
        'by its module and class, such as `mace.calculators.mace_mp`'
    )


def calculator_arguments(
    teacher: Teacher, arguments: Mapping[str, Any], *, device: str | None, dtype: str | None
) -> dict[str, Any]:
    """Return the arguments of a calculator with its device and its floating-point type.

    :param arguments: of the user, which go before those of the table.
    :param device: ``cpu`` or ``cuda``; None leaves the choice to the calculator.
    :param dtype: ``float32`` or ``float64``; None leaves the choice to the calculator.
    :raises ValueError: if the calculator cannot be told the device or the type.
    """
    combined = {**teacher.arguments, **arguments}
    if dtype is not None:
        if teacher.dtype is None:
            raise ValueError(
                f'{teacher.title} takes no floating-point type by the name `dtype`: set it to null, or give the '
                'argument by its own name in `arguments`'
            )
        combined.setdefault(teacher.dtype, dtype)
    if device is not None:
        if teacher.device is not None:
            combined.setdefault(teacher.device, device)
        elif device != 'cpu':
            raise ValueError(f'{teacher.title} runs on cpu only: set `device` to cpu')
    return combined
