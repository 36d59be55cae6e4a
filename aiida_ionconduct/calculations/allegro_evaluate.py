"""Energies and forces of some frames by several potentials."""

import io

import ase.io
import numpy as np
import yaml
from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.allegro.configuration import FRAMES, evaluation_configuration
from aiida_ionconduct.calculations.gpus import GpuCalcJob
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.data.model import TRUST_HELP


def validate_inputs(inputs, _):
    """Refuse models that are compiled, do not know an element of the frames, or come from anyone."""
    for label, model in inputs.get('models', {}).items():
        if model.model_format != 'package':
            return f'the model {label} ({model.filename}) is compiled: give the package it came from.'
        missing = model.missing_types(inputs['frames'].symbols) if 'frames' in inputs else []
        if missing:
            return f'the model {label} does not know {", ".join(missing)}.'
        complaint = model.check(inputs.get('trust_model'))
        if complaint:
            return complaint
    return None


class AllegroEvaluateCalculation(GpuCalcJob):
    """``nequip-train`` as a test of each model in turn; the frames need no labels."""

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        spec.input('code', valid_type=orm.AbstractCode, help='The `nequip-train` command.')
        spec.input('frames', valid_type=orm.TrajectoryData, help='The frames, of one composition.')
        spec.input_namespace('models', valid_type=AllegroModelData, help='Packaged models by labels.')
        spec.input(
            'accelerator', valid_type=orm.Str, default=lambda: orm.Str('auto'), help='Of Lightning: `cpu`, `gpu`.'
        )
        spec.input('trust_model', valid_type=orm.Bool, required=False, help=TRUST_HELP)
        spec.inputs.validator = validate_inputs
        options = spec.inputs['metadata']['options']
        options['parser_name'].default = 'ionconduct.allegro.evaluate'
        options['resources'].default = {'num_machines': 1, 'num_mpiprocs_per_machine': 1}
        options['withmpi'].default = False

        spec.output(
            'predictions',
            valid_type=orm.ArrayData,
            help='By the label of the model, `forces_LABEL` (frames, atoms, 3) in eV/Å and `energies_LABEL` in eV.',
        )
        spec.exit_code(
            310,
            'ERROR_OUTPUT_PREDICTIONS_MISSING',
            message='The model {label} has written no predictions, or not of all frames; see the output.',
            invalidates_cache=True,
        )

    def prepare_for_submission(self, folder):
        """Write the frames and one configuration a model."""
        trajectory = self.inputs.frames
        frames = []
        for positions, cell in zip(trajectory.get_positions(), trajectory.get_cells(), strict=True):
            frame = Atoms(trajectory.symbols, positions=positions, cell=cell, pbc=True)
            frame.calc = SinglePointCalculator(frame, energy=0.0, forces=np.zeros(positions.shape))  # never read
            frames.append(frame)
        text = io.StringIO()
        ase.io.write(text, frames, format='extxyz')
        with folder.open(FRAMES, 'w') as handle:
            handle.write(text.getvalue())
        calcinfo = CalcInfo()
        calcinfo.codes_info, calcinfo.local_copy_list, calcinfo.retrieve_temporary_list = [], [], []
        for label, model in sorted(self.inputs.models.items()):
            package = f'{label}.nequip.zip'
            configuration = evaluation_configuration(
                model.type_names, model.r_max, package, label, self.inputs.accelerator.value
            )
            with folder.open(f'{label}.yaml', 'w') as handle:
                yaml.safe_dump(configuration, handle, sort_keys=False)
            code = CodeInfo()
            code.code_uuid = self.inputs.code.uuid
            code.cmdline_params = ['--config-dir', '.', '--config-name', f'{label}.yaml', 'hydra.run.dir=.']
            calcinfo.codes_info.append(code)
            calcinfo.local_copy_list.append((model.uuid, model.filename, package))
            calcinfo.retrieve_temporary_list.append(f'{label}_dataset0.xyz')
        return calcinfo
