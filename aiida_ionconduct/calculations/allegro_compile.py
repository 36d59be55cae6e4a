"""Compile a packaged Allegro potential for the machine that runs LAMMPS."""

from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo

from aiida_ionconduct.calculations.gpus import GpuCalcJob
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.data.model import TRUST_HELP

PACKAGE = 'model.nequip.zip'
TARGETS = {
    'pair_allegro': ('model.nequip.pt2', ('--mode', 'aotinductor', '--target', 'pair_allegro', '--device')),
    'mliap': ('model.nequip.lmp.pt', ()),
}
"""By target: the file that is made, and the options before the device that only ``nequip-compile`` takes."""
PARAMETERS = {'device': 'cpu', 'tf32': False, 'target': 'pair_allegro'}


def validate_model(model, _):
    """Only a package can be compiled."""
    if model.model_format != 'package':
        return f'the model is already compiled ({model.filename}): give the package it came from.'


def validate_inputs(inputs, _):
    """Refuse a file that may be anything."""
    if 'model' in inputs:
        return inputs['model'].check(inputs.get('trust_model'))


def validate_parameters(parameters, _):
    """Refuse unknown keys."""
    values = parameters.get_dict()
    unknown = sorted(set(values) - set(PARAMETERS))
    if unknown:
        return f'unknown compile parameters {", ".join(unknown)}: choose from {", ".join(PARAMETERS)}.'
    if values.get('target', 'pair_allegro') not in TARGETS:
        return f'target is {values["target"]!r}: choose from {", ".join(TARGETS)}.'


class AllegroCompileCalculation(GpuCalcJob):
    """``nequip-compile`` for LAMMPS' ``pair_style allegro``, or ``nequip-prepare-lmp-mliap`` for its ``mliap``."""

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        spec.input(
            'code',
            valid_type=orm.AbstractCode,
            help='The `nequip-compile` command; for the target `mliap`, `nequip-prepare-lmp-mliap`.',
        )
        spec.input('model', valid_type=AllegroModelData, validator=validate_model, help='The packaged model.')
        spec.input('trust_model', valid_type=orm.Bool, required=False, help=TRUST_HELP)
        spec.input(
            'parameters',
            valid_type=orm.Dict,
            default=lambda: orm.Dict(PARAMETERS),
            validator=validate_parameters,
            help='`device` (`cpu` or `cuda`), `tf32`, and `target` (`pair_allegro` or `mliap`).',
        )
        spec.inputs.validator = validate_inputs
        options = spec.inputs['metadata']['options']
        options['parser_name'].default = 'ionconduct.allegro.compile'
        options['resources'].default = {'num_machines': 1, 'num_mpiprocs_per_machine': 1}
        options['withmpi'].default = False

        spec.output('model', valid_type=AllegroModelData, help='The compiled model, for this machine only.')
        spec.exit_code(
            310,
            'ERROR_OUTPUT_MODEL_MISSING',
            message='No compiled model was made; see the output.',
            invalidates_cache=True,
        )

    def prepare_for_submission(self, folder):
        """Hand the package over and name the compiled file."""
        parameters = PARAMETERS | self.inputs.parameters.get_dict()
        compiled, options = TARGETS[parameters['target']]
        codeinfo = CodeInfo()
        codeinfo.code_uuid = self.inputs.code.uuid
        codeinfo.cmdline_params = [
            *((*options, parameters['device']) if options else ()),
            '--tf32' if parameters['tf32'] else '--no-tf32', PACKAGE, compiled,
        ]  # fmt: skip
        calcinfo = CalcInfo()
        calcinfo.codes_info = [codeinfo]
        calcinfo.local_copy_list = [(self.inputs.model.uuid, self.inputs.model.filename, PACKAGE)]
        calcinfo.retrieve_temporary_list = [compiled]
        return calcinfo
