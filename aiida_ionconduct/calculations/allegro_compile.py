"""Compile a packaged Allegro potential for the machine that runs LAMMPS."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import ase.io
import numpy as np
import yaml
from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.allegro.acceleration import acceleration, acceleration_arguments
from aiida_ionconduct.allegro.agreement import reference_frame
from aiida_ionconduct.allegro.configuration import ACCELERATORS, FRAMES, PREDICTIONS_SUFFIX, evaluation_configuration
from aiida_ionconduct.allegro.package import complaint_about_architecture
from aiida_ionconduct.allegro.parameters import CompileParameters, Target
from aiida_ionconduct.calculations.base import (
    EngineCalcJob,
    complaint_about_format,
    set_option_defaults,
    validator,
)
from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.lammps.parameters import CommandLine
from aiida_ionconduct.lammps.script import ENERGY_FILE, FORCES_FILE, STRUCTURE_FILE, single_point_script
from aiida_ionconduct.lammps.structure import data_file, species_order

PACKAGE = 'model.nequip.zip'
REFERENCE = 'reference'
REFERENCE_FILE = f'{REFERENCE}{PREDICTIONS_SUFFIX}'
CHECK_SCRIPT = 'check.in'
"""The energy and the forces by nequip, and the input of LAMMPS for the compiled model."""
OWN_CACHE = 'export TORCHINDUCTOR_CACHE_DIR="$PWD/inductor_cache"'
"""Torch names the files of a compilation by the code of the model, which is the same for models of one architecture
with other weights or another cutoff. In the cache that all jobs share by default, two compilations of such models at a
time overwrite each other's files before they are packaged."""


class CompileTarget(NamedTuple):
    """How a model is compiled for one pair style of LAMMPS."""

    filename: str
    """The file that is made."""
    model_format: str
    """The format of the file, by which LAMMPS knows the pair style."""
    options: tuple[str, ...] = ()
    """The options before the device, of a command that takes a device."""


TARGETS: dict[Target, CompileTarget] = {
    'pair_allegro': CompileTarget(
        'model.nequip.pt2', 'aotinductor', ('--mode', 'aotinductor', '--target', 'pair_allegro', '--device')
    ),
    'mliap': CompileTarget('model.nequip.lmp.pt', 'mliap'),
}


def _validate_model(model: AllegroModelData, _: Any) -> str | None:
    """Refuse a compiled model, and a model of another architecture than Allegro."""
    complaint = complaint_about_architecture(model.base.attributes.get('architecture', None))
    return complaint_about_format(model) or (f'{model.filename} {complaint}' if complaint else None)


def checked_frame(node: orm.StructureData | DatasetData) -> Atoms:
    """Return the frame for which LAMMPS and nequip are compared.

    :param node: a structure, or a training set, of which one frame is taken.
    """
    return reference_frame(node.get_frames() if isinstance(node, DatasetData) else [node.get_ase()])


class AllegroCompileCalculation(EngineCalcJob):
    """``nequip-compile`` for LAMMPS' ``pair_style allegro``, or ``nequip-prepare-lmp-mliap`` for its ``mliap``.

    With the inputs of ``check``, nequip evaluates a frame with the package, and LAMMPS evaluates it with the compiled
    model, which is an output only if the energies and the forces are the same.
    """

    CACHE_VERSION = 4

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
        spec.input_namespace(
            'check',
            required=False,
            populate_defaults=False,
            help='How the compiled model is compared with nequip; without it the model is not compared.',
        )
        spec.input('check.train_code', valid_type=orm.AbstractCode, help='The `nequip-train` command.')
        spec.input('check.lammps_code', valid_type=orm.AbstractCode, help='The LAMMPS that will run the model.')
        spec.input(
            'check.frame',
            valid_type=(orm.StructureData, DatasetData),
            help='The frame; of a training set, the first frame with the most elements. Its atoms are displaced.',
        )
        spec.input(
            'check.settings',
            valid_type=orm.Dict,
            required=False,
            validator=validator(CommandLine),
            help='How LAMMPS is called: `lammps.parameters.CommandLine`, see the docs page "Parameters".',
        )
        set_option_defaults(spec, parser_name='ionconduct.allegro.compile')

        spec.output('model', valid_type=AllegroModelData, help='The compiled model, for this machine only.')
        spec.exit_code(
            310,
            'ERROR_OUTPUT_MODEL_MISSING',
            message='No compiled model was made; see the output.',
            invalidates_cache=True,
        )
        spec.exit_code(
            311,
            'ERROR_OUTPUT_MODEL_INVALID',
            message='The compiled model cannot be used: {detail}',
            invalidates_cache=True,
        )
        spec.exit_code(
            320,
            'ERROR_CHECK_MISSING',
            message='The compiled model could not be compared with nequip: {missing} wrote no result; see the output.',
            invalidates_cache=True,
        )
        spec.exit_code(
            330,
            'ERROR_MODEL_DIFFERS',
            message='The compiled model is not used: LAMMPS and nequip differ by {difference}. Give a model whose '
            'architecture pair_style allegro can run, or install pair_style allegro of the same version as nequip.',
            invalidates_cache=True,
        )
        spec.exit_code(
            321,
            'ERROR_MODIFIER_MISSING',
            message='A modifier cannot be had where the model is compiled: {detail}',
            invalidates_cache=True,
        )

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Hand the package over and name the compiled file."""
        parameters = CompileParameters.check(self.inputs.parameters.get_dict())
        target = TARGETS[parameters.target]
        chosen = acceleration(parameters, self.inputs.model.get_content(mode='rb'))
        for name, reason in chosen.left_out.items():
            self.report(f'compiling without {name}: {reason}')
        codeinfo = CodeInfo()
        codeinfo.code_uuid = self.inputs.code.uuid
        codeinfo.cmdline_params = [
            *acceleration_arguments(chosen),
            *((*target.options, parameters.device) if target.options else ()),
            '--tf32' if parameters.tf32 else '--no-tf32',
            PACKAGE,
            target.filename,
        ]
        calcinfo = CalcInfo()
        calcinfo.codes_info = [codeinfo]
        calcinfo.prepend_text = OWN_CACHE
        calcinfo.local_copy_list = [(self.inputs.model.uuid, self.inputs.model.filename, PACKAGE)]
        calcinfo.retrieve_temporary_list = [target.filename]
        if 'check' in self.inputs:
            calcinfo.codes_info += self.prepare_check(folder, parameters)
            calcinfo.retrieve_temporary_list += [REFERENCE_FILE, ENERGY_FILE, FORCES_FILE]
        return calcinfo

    def prepare_check(self, folder: Folder, parameters: CompileParameters) -> list[CodeInfo]:
        """Write the inputs of nequip and of LAMMPS for one frame, and return how both are called.

        :param parameters: of the compilation.
        """
        check, model = self.inputs.check, self.inputs.model
        frame = checked_frame(check.frame)
        configuration = evaluation_configuration(
            model.type_names,
            r_max=model.r_max,
            package=PACKAGE,
            predictions=REFERENCE,
            accelerator=ACCELERATORS[parameters.device],
        )
        with folder.open(f'{REFERENCE}.yaml', 'w') as handle:
            yaml.safe_dump(configuration, handle, sort_keys=False)
        frame.calc = SinglePointCalculator(frame, energy=0.0, forces=np.zeros((len(frame), 3)))  # never read
        text = io.StringIO()
        ase.io.write(text, frame, format='extxyz')
        for name, content in (
            (FRAMES, text.getvalue()),
            (STRUCTURE_FILE, data_file(frame)),
            (CHECK_SCRIPT, single_point_script(species_order(frame.symbols), TARGETS[parameters.target].model_format)),
        ):
            with folder.open(name, 'w') as handle:
                handle.write(content)
        settings = CommandLine.check(check.settings.get_dict() if 'settings' in check else {})
        nequip, lammps = CodeInfo(), CodeInfo()
        nequip.code_uuid = check.train_code.uuid
        nequip.cmdline_params = ['--config-dir', '.', '--config-name', f'{REFERENCE}.yaml', 'hydra.run.dir=.']
        lammps.code_uuid = check.lammps_code.uuid
        lammps.cmdline_params = ['-in', CHECK_SCRIPT, *settings.arguments()]
        return [nequip, lammps]
