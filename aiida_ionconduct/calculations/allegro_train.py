"""Train an Allegro potential and package it."""

import hashlib

import yaml
from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo

from aiida_ionconduct.allegro.configuration import (
    CHECKPOINT,
    FILES,
    LAST_CHECKPOINT,
    METRICS,
    PREDICTIONS,
    RESUME_MODULE,
    RESUME_SOURCE,
    nequip_configuration,
)
from aiida_ionconduct.calculations.gpus import GpuCalcJob
from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.data.model import TRUST_HELP, is_made_here

CONFIGURATION = 'training.yaml'
MODEL = 'model.nequip.zip'
INITIAL_MODEL = 'initial.nequip.zip'
MONITOR = {'entry_point': 'ionconduct.training', 'minimum_poll_interval': 30}
WALLTIME_FRACTION, WALLTIME_RESERVE_S = 0.9, 120
"""The training stops by itself at this fraction of the wall time and so long before its end, for the test on held-out
frames and the package; half of the wall time it has in any case."""


def stop_after(walltime_s: float) -> float:
    """Return the time after which a training stops, s."""
    return max(WALLTIME_FRACTION * walltime_s - WALLTIME_RESERVE_S, walltime_s / 2)


def validate_parameters(parameters, _):
    """Refuse unknown training parameters before the job is submitted."""
    try:
        nequip_configuration(parameters.get_dict(), ['H'])
    except ValueError as exception:
        return str(exception)


def validate_inputs(inputs, _):
    """Refuse held-out elements that are not trained on, frames without stress to train on it, and files of anyone."""
    for name in ('initial_model', 'checkpoint'):
        complaint = name in inputs and CHECKS[name](inputs[name], inputs.get('trust_model'))
        if complaint:
            return complaint
    if not all(name in inputs for name in FILES):
        return None
    known = set(inputs['train'].elements)
    if 'initial_model' in inputs:
        missing = inputs['initial_model'].missing_types(known)
        if missing:
            return f'the initial model does not know {", ".join(missing)}: train a new one.'
    for name in ('validation', 'test'):
        unknown = sorted(set(inputs[name].elements) - known)
        if unknown:
            return f'the {name} set contains {", ".join(unknown)}, which no training frame does.'
    if 'parameters' in inputs and inputs['parameters'].get_dict().get('stress_coefficient'):
        without = [name for name in FILES if not inputs[name].base.attributes.get('has_stress')]
        if without:
            return f'the {" and ".join(without)} frames have no stress: set stress_coefficient to 0.'
    return None


def check_initial_model(model, trust_model) -> str | None:
    """Refuse a model to start from that is compiled, or of anyone."""
    if model.model_format != 'package':
        return f'the initial model {model.filename} is compiled: give the package.'
    return model.check(trust_model)


def check_checkpoint(checkpoint, trust_model) -> str | None:
    """Refuse a checkpoint that lacks a file, or of anyone."""
    names = checkpoint.base.repository.list_object_names()
    missing = sorted({CHECKPOINT, LAST_CHECKPOINT} - set(names))
    if missing:
        return f'the checkpoint lacks {", ".join(missing)}: give the output `checkpoint` of a training.'
    if trust_model is not None and trust_model.value:
        return None
    for name in (CHECKPOINT, LAST_CHECKPOINT):
        if not is_made_here(hashlib.sha256(checkpoint.base.repository.get_object_content(name, mode='rb')).hexdigest()):
            return (
                f'the checkpoint {name} was not made by a training in this profile, and loading it can run anything as '
                'you. If you know where it comes from, set trust_model=True.'
            )
    return None


CHECKS = {'initial_model': check_initial_model, 'checkpoint': check_checkpoint}


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
            help='Model and training parameters, any of `allegro.configuration.DEFAULTS`.',
        )
        spec.input(
            'initial_model',
            valid_type=AllegroModelData,
            required=False,
            help='A packaged model whose weights the training starts from.',
        )
        spec.input(
            'checkpoint',
            valid_type=orm.FolderData,
            required=False,
            help='The output of an earlier training, which goes on from there with the state of its optimiser.',
        )
        spec.input('trust_model', valid_type=orm.Bool, required=False, help=TRUST_HELP)
        options = spec.inputs['metadata']['options']
        options['parser_name'].default = 'ionconduct.allegro.train'
        options['resources'].default = {'num_machines': 1, 'num_mpiprocs_per_machine': 1}
        options['withmpi'].default = False
        options['scheduler_stdout'].default = 'training.out'
        spec.inputs.validator = validate_inputs

        spec.output('model', valid_type=AllegroModelData, help='The packaged model of the best epoch.')
        spec.output('output_parameters', valid_type=orm.Dict, help='Metrics, best epoch and learning curves.')
        spec.output(
            'checkpoint', valid_type=orm.FolderData, help='The last and the best epoch, from which it can go on.'
        )
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
            330,
            'ERROR_INCOMPLETE',
            message='The training was killed, or failed, before its end; it can go on from its checkpoint.',
            invalidates_cache=True,
        )
        spec.exit_code(
            400,
            'ERROR_DIVERGED',
            message='The training diverged: the loss is not finite. Lower the learning rate.',
        )
        spec.exit_code(410, 'ERROR_OUT_OF_MEMORY', message='The device ran out of memory. Lower the batch size.')
        spec.exit_code(
            420,
            'ERROR_OUT_OF_WALLTIME',
            message='The training stopped at the wall time limit; it can go on from the checkpoint in the outputs.',
        )

    def prepare_for_submission(self, folder):
        """Write the configuration and the frames."""
        initial_model, checkpoint = self.inputs.get('initial_model'), self.inputs.get('checkpoint')
        parameters, type_names, package = self.inputs.parameters.get_dict(), self.inputs.train.elements, None
        if initial_model:  # neighbours as far as it sees
            parameters['r_max'], type_names, package = initial_model.r_max, initial_model.type_names, INITIAL_MODEL
        walltime = self.node.get_option('max_wallclock_seconds')
        configuration = nequip_configuration(
            parameters, type_names, package, resume=bool(checkpoint), max_time_s=walltime and stop_after(walltime)
        )
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
        if checkpoint:
            calcinfo.local_copy_list += [(checkpoint.uuid, name, name) for name in (CHECKPOINT, LAST_CHECKPOINT)]
            with folder.open(f'{RESUME_MODULE}.py', 'w') as handle:
                handle.write(RESUME_SOURCE.read_text())
            calcinfo.prepend_text = 'export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"'
        calcinfo.retrieve_temporary_list = [
            MODEL, f'{PREDICTIONS}_dataset0.xyz', METRICS, CHECKPOINT, LAST_CHECKPOINT
        ]  # fmt: skip
        return calcinfo
