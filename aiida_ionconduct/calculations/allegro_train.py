"""Train an Allegro potential and package it."""

import yaml
from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo

from aiida_ionconduct.calculations.allegro_config import (
    CHECKPOINT,
    FILES,
    METRICS,
    PREDICTIONS,
    nequip_configuration,
)
from aiida_ionconduct.calculations.gpus import GpuCalcJob
from aiida_ionconduct.data import AllegroModelData, DatasetData

CONFIGURATION = 'training.yaml'
MODEL = 'model.nequip.zip'
INITIAL_MODEL = 'initial.nequip.zip'


def validate_parameters(parameters, _):
    """Refuse unknown training parameters before the job is submitted."""
    try:
        nequip_configuration(parameters.get_dict(), ['H'])
    except ValueError as exception:
        return str(exception)


class AllegroTrainCalculation(GpuCalcJob):
    """``nequip-train`` on a training, a validation and a test set, then ``nequip-package`` of the best checkpoint."""

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        spec.input('code', valid_type=orm.AbstractCode, help='The `nequip-train` command.')
        spec.input('package_code', valid_type=orm.AbstractCode, help='The `nequip-package` command.')
        for name in FILES:
            spec.input(name, valid_type=DatasetData, help=f'The {name} frames.')
        spec.input(
            'parameters',
            valid_type=orm.Dict,
            validator=validate_parameters,
            help='Model and training parameters, any of `allegro_config.DEFAULTS`.',
        )
        spec.input(
            'initial_model',
            valid_type=AllegroModelData,
            required=False,
            help='A packaged model whose weights the training starts from.',
        )
        options = spec.inputs['metadata']['options']
        options['parser_name'].default = 'ionconduct.allegro.train'
        options['resources'].default = {'num_machines': 1, 'num_mpiprocs_per_machine': 1}
        options['withmpi'].default = False
        options['scheduler_stdout'].default = 'training.out'
        spec.inputs.validator = cls.validate_elements

        spec.output('model', valid_type=AllegroModelData, help='The packaged model of the best epoch.')
        spec.output('output_parameters', valid_type=orm.Dict, help='Metrics, best epoch and learning curves.')
        spec.output('parity', valid_type=orm.ArrayData, help='Reference and predicted values on the test frames.')
        spec.default_output_node = 'output_parameters'

        spec.exit_code(
            310,
            'ERROR_OUTPUT_METRICS_MISSING',
            message='The training wrote no metrics; see its output.',
            invalidates_cache=True,
        )
        spec.exit_code(
            320,
            'ERROR_OUTPUT_MODEL_MISSING',
            message='No packaged model was made; see the output.',
            invalidates_cache=True,
        )
        spec.exit_code(
            400,
            'ERROR_DIVERGED',
            message='The training diverged: the loss is not finite. Lower the learning rate.',
        )
        spec.exit_code(410, 'ERROR_OUT_OF_MEMORY', message='The device ran out of memory. Lower the batch size.')

    @staticmethod
    def validate_elements(inputs, _):
        """Refuse validation or test frames with elements the training frames do not have."""
        if not all(name in inputs for name in FILES):
            return None
        known = set(inputs['train'].elements)
        if 'initial_model' in inputs:
            if inputs['initial_model'].model_format != 'package':
                return f'the initial model {inputs["initial_model"].filename} is compiled: give the package.'
            missing = inputs['initial_model'].missing_types(known)
            if missing:
                return f'the initial model does not know {", ".join(missing)}: train a new one.'
        for name in ('validation', 'test'):
            unknown = sorted(set(inputs[name].elements) - known)
            if unknown:
                return f'the {name} set contains {", ".join(unknown)}, which no training frame does.'
        return None

    def prepare_for_submission(self, folder):
        """Write the configuration and the frames."""
        initial_model = self.inputs.get('initial_model')
        parameters, type_names, package = self.inputs.parameters.get_dict(), self.inputs.train.elements, None
        if initial_model:  # neighbours as far as it sees
            parameters['r_max'], type_names, package = initial_model.r_max, initial_model.type_names, INITIAL_MODEL
        configuration = nequip_configuration(parameters, type_names, package)
        with folder.open(CONFIGURATION, 'w') as handle:
            yaml.safe_dump(configuration, handle, sort_keys=False)
        train = CodeInfo()
        train.code_uuid = self.inputs.code.uuid
        train.cmdline_params = ['--config-dir', '.', '--config-name', CONFIGURATION, 'hydra.run.dir=.']
        package = CodeInfo()
        package.code_uuid = self.inputs.package_code.uuid
        package.cmdline_params = ['build', CHECKPOINT, MODEL]
        calcinfo = CalcInfo()
        calcinfo.codes_info = [train, package]
        calcinfo.local_copy_list = [
            (self.inputs[name].uuid, self.inputs[name].filename, filename) for name, filename in FILES.items()
        ]
        if initial_model:
            calcinfo.local_copy_list.append((initial_model.uuid, initial_model.filename, INITIAL_MODEL))
        calcinfo.retrieve_temporary_list = [MODEL, f'{PREDICTIONS}_dataset0.xyz', METRICS]
        return calcinfo
