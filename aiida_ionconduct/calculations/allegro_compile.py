"""Compile a packaged Allegro potential for the machine that runs LAMMPS."""

from __future__ import annotations

from typing import Any, NamedTuple

from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec

from aiida_ionconduct.allegro.parameters import CompileParameters, Target
from aiida_ionconduct.calculations.base import (
    EngineCalcJob,
    complaint_about_format,
    set_option_defaults,
    validator,
)
from aiida_ionconduct.data import AllegroModelData

PACKAGE = 'model.nequip.zip'


class CompileTarget(NamedTuple):
    """How a model is compiled for one pair style of LAMMPS."""

    filename: str
    """The file that is made."""
    options: tuple[str, ...] = ()
    """The options before the device, of a command that takes a device."""


TARGETS: dict[Target, CompileTarget] = {
    'pair_allegro': CompileTarget(
        'model.nequip.pt2', ('--mode', 'aotinductor', '--target', 'pair_allegro', '--device')
    ),
    'mliap': CompileTarget('model.nequip.lmp.pt'),
}


def _validate_model(model: AllegroModelData, _: Any) -> str | None:
    """Refuse a compiled model."""
    return complaint_about_format(model)


class AllegroCompileCalculation(EngineCalcJob):
    """``nequip-compile`` for LAMMPS' ``pair_style allegro``, or ``nequip-prepare-lmp-mliap`` for its ``mliap``."""

    CACHE_VERSION = 1

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:  # type: ignore[override]  # as AiiDA itself
        """Define the process specification."""
        super().define(spec)
        spec.input(
            'code',
            valid_type=orm.AbstractCode,
            help='The `nequip-compile` command; for the target `mliap`, `nequip-prepare-lmp-mliap`.',
        )
        spec.input('model', valid_type=AllegroModelData, validator=_validate_model, help='The packaged model.')
        spec.input(
            'parameters',
            valid_type=orm.Dict,
            default=lambda: orm.Dict(CompileParameters().model_dump()),
            validator=validator(CompileParameters),
            help='For what the model is compiled: `allegro.parameters.CompileParameters`, see the docs page '
            '"Parameters".',
        )
        set_option_defaults(spec, parser_name='ionconduct.allegro.compile')

        spec.output('model', valid_type=AllegroModelData, help='The compiled model, for this machine only.')
        spec.exit_code(
            310,
            'ERROR_OUTPUT_MODEL_MISSING',
            message='No compiled model was made; see the output.',
            invalidates_cache=True,
        )

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Hand the package over and name the compiled file."""
        parameters = CompileParameters.check(self.inputs.parameters.get_dict())
        target = TARGETS[parameters.target]
        codeinfo = CodeInfo()
        codeinfo.code_uuid = self.inputs.code.uuid
        codeinfo.cmdline_params = [
            *((*target.options, parameters.device) if target.options else ()),
            '--tf32' if parameters.tf32 else '--no-tf32',
            PACKAGE,
            target.filename,
        ]
        calcinfo = CalcInfo()
        calcinfo.codes_info = [codeinfo]
        calcinfo.local_copy_list = [(self.inputs.model.uuid, self.inputs.model.filename, PACKAGE)]
        calcinfo.retrieve_temporary_list = [target.filename]
        return calcinfo
