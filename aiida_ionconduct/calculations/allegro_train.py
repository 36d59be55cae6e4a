"""Train an Allegro potential and package it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import yaml
from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec

from aiida_ionconduct.allegro.configuration import (
    CHECKPOINT,
    FILES,
    LAST_CHECKPOINT,
    METRICS,
    PREDICTIONS,
    PREDICTIONS_SUFFIX,
    RESUME_MODULE,
    RESUME_SOURCE,
    nequip_configuration,
)
from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.allegro.references import per_element_energies
from aiida_ionconduct.calculations.base import (
    EngineCalcJob,
    complaint_about_format,
    complaint_about_models,
    set_option_defaults,
    stop_after,
    validator,
)
from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.data.model import is_made_here
from aiida_ionconduct.data.reduced import complaint_about_file

CONFIGURATION = 'training.yaml'
MODEL = 'model.nequip.zip'
INITIAL_MODEL = 'initial.nequip.zip'
MONITOR = {'entry_point': 'ionconduct.training', 'minimum_poll_interval': 30}


def _validate_inputs(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Refuse files that are not trusted, elements without training frames, and frames that lack the stress."""
    complaint = complaint_about_models(inputs)
    if complaint is None and 'checkpoint' in inputs:
        complaint = complaint_about_checkpoint(inputs['checkpoint'], inputs.get('trust_model'))
    if complaint:
        return complaint
    if not all(name in inputs for name in FILES):
        return None
    known = set(inputs['train'].elements)
    if 'initial_model' in inputs:
        missing = inputs['initial_model'].missing_types(known)
        if missing:
            return f'the initial model does not know {", ".join(missing)}: train a new one.'
    elif 'energy_shifts' in inputs:
        return 'energy_shifts replace those of an initial model: give initial_model, too.'
    for name in ('validation', 'test'):
        unknown = sorted(set(inputs[name].elements) - known)
        if unknown:
            return f'the {name} set contains {", ".join(unknown)}, which no training frame does.'
    if 'parameters' in inputs and inputs['parameters'].get_dict().get('stress_coefficient'):
        without = [name for name in FILES if not inputs[name].base.attributes.get('has_stress')]
        if without:
            return f'the {" and ".join(without)} frames have no stress: set stress_coefficient to 0.'
    return None


def _validate_initial_model(model: AllegroModelData, _: Any) -> str | None:
    """Refuse a compiled model."""
    return complaint_about_format(model, 'initial model')


def complaint_about_checkpoint(checkpoint: orm.FolderData, trust_model: orm.Bool | None) -> str | None:
    """Return why a checkpoint cannot be loaded, because it lacks a file or is not trusted, or None."""
    if complaint := complaint_about_file(checkpoint, CHECKPOINT):
        return f'{complaint}: begin the training anew, without `checkpoint`.'
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


class AllegroTrainCalculation(EngineCalcJob):
    """``nequip-train`` on a training, a validation and a test set, then ``nequip-package`` of the best checkpoint."""

    CACHE_VERSION = 2
    WALLTIME_STATUS = 420
    PROGRESS = ('checkpoint', 'epoch', -1)

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:  # type: ignore[override]  # as AiiDA itself
        """Define the process specification."""
        super().define(spec)
        spec.input('code', valid_type=orm.AbstractCode, help='The `nequip-train` command.')
        spec.input('package_code', valid_type=orm.AbstractCode, help='The `nequip-package` command.')
        for name in FILES:
            spec.input(name, valid_type=DatasetData, help=f'The {name} frames.')
        spec.input(
            'parameters',
            valid_type=orm.Dict,
            validator=validator(TrainingParameters),
            help='Model and training parameters: `allegro.parameters.TrainingParameters`, see the docs page '
            '"Parameters".',
        )
        spec.input(
            'initial_model',
            valid_type=AllegroModelData,
            required=False,
            validator=_validate_initial_model,
            help='A packaged model whose weights the training starts from.',
        )
        spec.input(
            'energy_shifts',
            valid_type=orm.Dict,
            required=False,
            help='Of `fit_energy_shifts`: the energies of atoms that replace those of `initial_model`, in `shifts_eV` '
            'by chemical symbol.',
        )
        spec.input(
            'checkpoint',
            valid_type=orm.FolderData,
            required=False,
            help='The output `checkpoint` of an earlier training, which goes on from there with the state of its '
            'optimiser.',
        )
        set_option_defaults(spec, parser_name='ionconduct.allegro.train', scheduler_stdout='training.out')
        spec.inputs.validator = _validate_inputs

        spec.output('model', valid_type=AllegroModelData, help='The packaged model of the best epoch.')
        spec.output('output_parameters', valid_type=orm.Dict, help='Metrics, best epoch and learning curves.')
        spec.output(
            'checkpoint',
            valid_type=orm.FolderData,
            help='The last and the best epoch, from which another training can go on.',
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
        spec.exit_code(
            410,
            'ERROR_OUT_OF_MEMORY',
            message='The device ran out of memory: {detail}. Lower the batch size.',
            invalidates_cache=True,  # a larger device is not part of the hash
        )
        spec.exit_code(
            420,
            'ERROR_OUT_OF_WALLTIME',
            message='The training stopped at the wall time limit; it can go on from the checkpoint in the outputs.',
        )

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the configuration and the frames."""
        initial_model, checkpoint = self.inputs.get('initial_model'), self.inputs.get('checkpoint')
        parameters, type_names = self.inputs.parameters.get_dict(), self.inputs.train.elements
        if initial_model:  # the neighbour lists reach as far as the model sees
            parameters['r_max'], type_names = initial_model.r_max, initial_model.type_names
        walltime = self.node.get_option('max_wallclock_seconds')
        configuration = nequip_configuration(
            TrainingParameters.check(parameters),
            type_names,
            initial_model=INITIAL_MODEL if initial_model else None,
            atom_energies=None
            if initial_model
            else per_element_energies(self.inputs.train.get_frames(), self.inputs.train.isolated_energies_eV),
            energy_shifts=self.inputs.energy_shifts['shifts_eV'] if 'energy_shifts' in self.inputs else None,
            resume=bool(checkpoint),
            max_time_s=stop_after(walltime) if walltime else None,
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
            MODEL, f'{PREDICTIONS}{PREDICTIONS_SUFFIX}', METRICS, CHECKPOINT, LAST_CHECKPOINT
        ]  # fmt: skip
        return calcinfo
