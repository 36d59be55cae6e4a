"""Compile a packaged Allegro potential for the machine that runs LAMMPS."""

from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo

from aiida_ionconduct.calculations.gpus import GpuCalcJob
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.data.model import TRUST_HELP

PACKAGE = 'model.nequip.zip'
COMPILED = 'model.nequip.pt2'


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
    unknown = sorted(set(parameters.get_dict()) - {'device', 'tf32'})
    if unknown:
        return f'unknown compile parameters {", ".join(unknown)}: choose from device, tf32.'


class AllegroCompileCalculation(GpuCalcJob):
    """``nequip-compile`` to an AOTInductor file for LAMMPS' ``pair_style allegro``."""

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        spec.input('code', valid_type=orm.AbstractCode, help='The `nequip-compile` command.')
        spec.input('model', valid_type=AllegroModelData, validator=validate_model, help='The packaged model.')
        spec.input('trust_model', valid_type=orm.Bool, required=False, help=TRUST_HELP)
        spec.input(
            'parameters',
            valid_type=orm.Dict,
            default=lambda: orm.Dict({'device': 'cpu', 'tf32': False}),
            validator=validate_parameters,
            help='`device` (`cpu` or `cuda`) and `tf32`.',
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
        parameters = self.inputs.parameters.get_dict()
        codeinfo = CodeInfo()
        codeinfo.code_uuid = self.inputs.code.uuid
        codeinfo.cmdline_params = [
            '--mode', 'aotinductor', '--target', 'pair_allegro', '--device', parameters.get('device', 'cpu'),
            '--tf32' if parameters.get('tf32') else '--no-tf32', PACKAGE, COMPILED,
        ]  # fmt: skip
        calcinfo = CalcInfo()
        calcinfo.codes_info = [codeinfo]
        calcinfo.local_copy_list = [(self.inputs.model.uuid, self.inputs.model.filename, PACKAGE)]
        calcinfo.retrieve_temporary_list = [COMPILED]
        return calcinfo
