"""The parameters of a training and of a compilation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from aiida_ionconduct.parameters import Parameters

Accelerator = Literal['auto', 'cpu', 'gpu', 'cuda', 'mps', 'tpu']
"""What Lightning computes on."""
Device = Literal['cpu', 'cuda']
Target = Literal['pair_allegro', 'mliap']


class TrainingParameters(Parameters):
    """Architecture of an Allegro model and course of its training; a protocol states what differs from the defaults."""

    r_max: float = Field(default=5.0, gt=0, description='cutoff radius, in Å')
    l_max: int = Field(default=2, ge=0, description='highest rotation order of the tensor features')
    parity: bool = Field(default=False, description='whether the tensor features distinguish parities')
    num_layers: int = Field(default=2, ge=1, description='Allegro layers')
    num_scalar_features: int = Field(default=64, ge=1, description='scalar features of a pair')
    num_tensor_features: int = Field(default=16, ge=1, description='tensor features of a pair')
    num_bessels: int = Field(default=8, ge=1, description='radial Bessel functions')
    mlp_depth: int = Field(default=1, ge=0, description='hidden layers of the MLP in every Allegro layer')
    mlp_width: int = Field(default=64, ge=1, description='neurons in a hidden layer of these MLPs')
    embed_mlp_depth: int = Field(
        default=0, ge=0, description='hidden layers of the two-body embedding; 0 takes `mlp_depth`'
    )
    embed_mlp_width: int = Field(
        default=0, ge=0, description='neurons in a hidden layer of the two-body embedding; 0 takes `mlp_width`'
    )
    readout_width: int = Field(default=32, ge=1, description='neurons in the hidden layer of the readout')
    zbl: bool = Field(default=True, description='whether the ZBL repulsion of the nuclei is added at short range')
    model_dtype: Literal['float32', 'float64'] = Field(default='float32', description='precision of the model')
    max_epochs: int = Field(default=200, ge=1, description='epochs, at most')
    schedule_epochs: int = Field(
        default=0,
        ge=0,
        description='epochs over which the learning rate falls, of a training that a later training goes on with; 0 '
        'takes `max_epochs`',
    )
    batch_size: int = Field(default=5, ge=1, description='frames in a batch')
    learning_rate: float = Field(default=0.005, gt=0, description='learning rate at the start; it falls to a hundredth')
    ema_decay: float = Field(default=0.99, ge=0, le=1, description='decay of the moving average of the weights')
    energy_coefficient: float = Field(default=1.0, ge=0, description='weight of the energy per atom in the loss')
    forces_coefficient: float = Field(default=10.0, ge=0, description='weight of the forces in the loss')
    stress_coefficient: float = Field(
        default=0.0, ge=0, description='weight of the stress in the loss; above 0, every frame must have its stress'
    )
    gradient_clip: float = Field(default=10.0, ge=0, description='largest norm of the gradient; 0 does not clip it')
    early_stopping_patience: int = Field(
        default=0,
        ge=0,
        description='epochs without a better validation loss after which the training stops; 0 never stops it',
    )
    accelerator: Accelerator = Field(default='auto', description='the accelerator of Lightning')
    seed: int = Field(
        default=1, ge=0, lt=2**32, description='seed of the first weights, the shuffles and the statistics of the data'
    )


Option = Annotated[str, Field(pattern=r'^[^\W\d][\w.]*$')]
"""The name of a modifier of nequip, or of an option of TorchInductor."""
Configs = dict[Option, str | bool | int | float]
"""Options of TorchInductor by name."""


class AccelerationParameters(Parameters):
    """What makes a compiled model faster; null takes the default of the device."""

    modifiers: list[Option] | None = Field(
        default=None,
        description='modifiers of nequip-compile; null takes enable_TritonContracter on cuda where the model can use '
        'it, and none on cpu',
    )
    constant_fold: bool | None = Field(
        default=None, description='whether constants are folded at the first call of the model; null: on cuda only'
    )
    inductor_configs: Configs | None = Field(
        default=None,
        description='options of TorchInductor by name; null takes max_autotune on cuda, and none on cpu',
    )

    @field_validator('inductor_configs')
    @classmethod
    def _check_configs(
        cls, configs: dict[str, str | bool | int | float] | None
    ) -> dict[str, str | bool | int | float] | None:
        for name, value in (configs or {}).items():
            if value is False or str(value).lower() in ('false', '0', '') or '=' in str(value):
                raise ValueError(
                    f'has {name}: {value!r}, but nequip-compile passes values as text, and TorchInductor takes every '
                    'text for true: leave the option out to keep it off'
                )
        return configs


class CompileParameters(AccelerationParameters):
    """For which device and which pair style of LAMMPS a model is compiled, and what makes it faster."""

    device: Device = Field(default='cpu', description='the device that will run the dynamics')
    tf32: bool = Field(default=False, description='whether products of matrices on the GPU may use TF32')
    target: Target = Field(default='pair_allegro', description='the pair style of LAMMPS')
