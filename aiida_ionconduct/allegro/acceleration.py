"""Which accelerations a model is compiled with: modifiers, constant folding and options of TorchInductor."""

from __future__ import annotations

import io
import pathlib
import re
import zipfile
from typing import Any, NamedTuple

import yaml

from aiida_ionconduct.allegro.parameters import CompileParameters, Device

TRITON = 'enable_TritonContracter'
"""The modifier of Allegro that computes tensor products by a kernel in Triton, on a GPU alone."""
KERNEL_FILE = '_flashallegro.py'
"""The module of Allegro with this kernel, which nequip-package leaves out where Triton is not installed."""

MODIFIER_ERROR = re.compile(
    r"""^.*(?:is[ ]not[ ]a[ ]registered[ ]model[ ]modifier
        |No[ ]module[ ]named[ ].*(?:triton|flashallegro|cueq|cuequivariance|openequivariance)).*$""",
    re.MULTILINE | re.VERBOSE | re.IGNORECASE,
)
"""What an output says of a compilation in which a modifier cannot be had."""

MAX_LENGTH = 200
"""Of the quoted line of an output, in characters."""


class Acceleration(NamedTuple):
    """The accelerations of a compilation."""

    modifiers: tuple[str, ...] = ()
    constant_fold: bool = False
    inductor_configs: dict[str, str | bool | int | float] = {}
    left_out: dict[str, str] = {}
    """Why an acceleration that is the default of the device is not taken, by its name."""

    def described(self) -> dict[str, Any]:
        """Return the accelerations as attributes of the compiled model."""
        return {
            'modifiers': list(self.modifiers),
            'constant_fold': self.constant_fold,
            'inductor_configs': dict(self.inductor_configs),
            'accelerations_left_out': dict(self.left_out),
        }


DEFAULTS: dict[Device, Acceleration] = {
    'cpu': Acceleration(),
    'cuda': Acceleration((TRITON,), constant_fold=True, inductor_configs={'max_autotune': 1}),
}
"""What the parameters take that are null."""

NO_ACCELERATION: dict[str, Any] = {'modifiers': [], 'constant_fold': False, 'inductor_configs': {}}
"""The parameters of a compilation without any acceleration."""


def acceleration(parameters: CompileParameters, package: bytes) -> Acceleration:
    """Return the accelerations that parameters ask for, those of the device where they are null.

    A stated modifier is taken as it is. The default leaves out the kernel in Triton where the package shows that it
    cannot be used. A model for ML-IAP is not compiled by AOTInductor: of all accelerations, it takes modifiers only.

    :param package: the bytes of the packaged model.
    """
    default = DEFAULTS[parameters.device]
    left_out = {}
    modifiers = tuple(default.modifiers if parameters.modifiers is None else parameters.modifiers)
    if parameters.modifiers is None and TRITON in modifiers:
        obstacle = triton_obstacle(package)
        if obstacle:
            left_out[TRITON] = obstacle
            modifiers = tuple(modifier for modifier in modifiers if modifier != TRITON)
    if parameters.target == 'mliap':
        return Acceleration(modifiers, left_out=left_out)
    fold, configs = parameters.constant_fold, parameters.inductor_configs
    return Acceleration(
        modifiers,
        default.constant_fold if fold is None else fold,
        default.inductor_configs if configs is None else configs,
        left_out,
    )


def triton_obstacle(package: bytes) -> str | None:
    """Return why a packaged model cannot use the kernel in Triton, or None if nothing is known against it.

    :param package: the bytes of the packaged model.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            paths = {pathlib.PurePath(path).name: path for path in archive.namelist()}
            if '_contract.py' in paths and KERNEL_FILE not in paths:
                return (
                    'the package does not hold the kernel, because nequip-package ran where Triton is not installed: '
                    'package the model again where torch is built for CUDA'
                )
            configuration = yaml.safe_load(archive.read(paths['config.yaml'])) if 'config.yaml' in paths else {}
    except (zipfile.BadZipFile, yaml.YAMLError):
        return None
    model = ((configuration or {}).get('training_module') or {}).get('model') or {}
    if model.get('num_layers') == 1:
        return 'the model has one layer, whose tensor product is diagonal: the kernel is for two layers and more'
    return None


def acceleration_arguments(chosen: Acceleration) -> list[str]:
    """Return the arguments of nequip-compile for accelerations; another option must follow the last list."""
    arguments = ['--constant-fold'] if chosen.constant_fold else []
    for option, words in (
        ('--modifiers', list(chosen.modifiers)),
        ('--inductor-configs', [f'{name}={_text(value)}' for name, value in chosen.inductor_configs.items()]),
    ):
        arguments += [option, *words] if words else []
    return arguments


def _text(value: str | bool | float) -> str:
    """Return a value as TorchInductor reads it from a text."""
    return '1' if value is True else str(value)


def missing_modifier(output: str) -> str | None:
    """Return the line in which a compilation says that a modifier cannot be had, or None.

    :param output: what nequip-compile has written.
    """
    match = MODIFIER_ERROR.search(output)
    return match.group().strip()[:MAX_LENGTH] if match else None
