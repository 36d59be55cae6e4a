"""The section ``pretrained`` of a protocol: the teacher, what it samples, and how the potential is taught."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from typing_extensions import Self

from aiida_ionconduct.allegro.parameters import Device, TrainingParameters
from aiida_ionconduct.parameters import Parameters
from aiida_ionconduct.sampling.teachers import calculator_arguments, teacher_named

Sampling = Literal['aimd', 'pretrained']
"""What explores: AIMD, or molecular dynamics with a pretrained potential."""
Labels = Literal['dft', 'pretrained']
"""Whose energies and forces the potential learns in the end."""
MAX_STRAIN = 0.2


def _known(name: str) -> str:
    teacher_named(name)
    return name


Strain = Annotated[float, Field(ge=-MAX_STRAIN, le=MAX_STRAIN)]
PositiveTemperature = Annotated[float, Field(gt=0)]


class PretrainedParameters(Parameters):
    """The pretrained potential: what it samples, and how the potential learns from it."""

    calculator: Annotated[str, AfterValidator(_known)] = Field(
        default='sevennet',
        description='the pretrained potential: `sevennet`, `chgnet`, `mace`, `orb`, `mattersim`, a calculator of ASE '
        'by its name there, or any other ASE calculator as `module.Class`',
    )
    arguments: dict[str, Any] = Field(
        default={}, description='further arguments of the calculator, such as `model: 7net-l3i5`'
    )
    device: Device | None = Field(default=None, description='device of the calculator; null takes `resources.device`')
    dtype: Literal['float32', 'float64'] | None = Field(
        default=None, description='floating-point type of the calculator, if it can be told; null takes its own'
    )
    temperatures_K: Annotated[list[PositiveTemperature], Field(min_length=1)] | None = Field(
        default=None,
        description='temperatures of the MD in K, at and above the production; null takes the highest temperature of '
        'the production and 1.5 times as much',
    )
    timestep_fs: float = Field(default=2.0, gt=0, description='time step of the MD in fs')
    friction_per_ps: float = Field(default=10.0, gt=0, description='friction of the Langevin thermostat in 1/ps')
    steps: int = Field(default=500, ge=1, description='time steps of each MD run')
    stride: int = Field(default=20, ge=1, description='time steps between two frames of a run')
    strains: list[Strain] = Field(
        default=[-0.02, 0.02, 0.04],
        description='linear strains of further cells, each with an MD run at the highest temperature',
    )
    n_orderings: int = Field(
        default=2, ge=0, description='other orderings of an alloy, each with an MD run at the highest temperature'
    )
    n_hops: int = Field(default=20, ge=0, description='cells with a mobile ion displaced along a hop')
    n_rattled: int = Field(default=60, ge=0, description='cells with random displacements, see the section `rattle`')
    seed: int = Field(default=1, ge=0, lt=2**31, description='seed of velocities, thermostats and displacements')
    max_force_eV_per_A: float = Field(
        default=30.0, gt=0, description='a run of MD ends at a frame with a larger force in eV/Å, which is left out'
    )
    relax_steps: int = Field(
        default=200,
        ge=0,
        description='steps of the relaxation by the pretrained potential, before that by DFT; 0 leaves it out',
    )
    relax_force_eV_per_A: float = Field(
        default=0.03, gt=0, description='largest force in eV/Å at which this relaxation ends'
    )
    n_frames: int = Field(default=100, ge=1, description='frames that DFT labels, chosen for their diversity')
    training: TrainingParameters = Field(
        default=TrainingParameters(),
        description='parameters that differ in the training on the labels of the pretrained potential',
    )

    @model_validator(mode='after')
    def _check_arguments(self) -> Self:
        calculator_arguments(teacher_named(self.calculator), self.arguments, device=self.device, dtype=self.dtype)
        if self.stride > self.steps:
            raise ValueError(
                f'stride is {self.stride}, more than the {self.steps} steps of a run: no frame would be left'
            )
        return self
