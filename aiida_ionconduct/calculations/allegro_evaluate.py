"""Energies and forces of some frames by several potentials."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import ase.io
import numpy as np
import yaml
from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.allegro.configuration import FRAMES, PREDICTIONS_SUFFIX, evaluation_configuration
from aiida_ionconduct.calculations.ase_sampling import cells_of
from aiida_ionconduct.calculations.base import (
    EngineCalcJob,
    complaint_about_format,
    complaint_about_models,
    set_option_defaults,
)
from aiida_ionconduct.data import AllegroModelData, DatasetData


def _elements(frames: orm.TrajectoryData | DatasetData) -> list[str]:
    """Return the chemical symbols that occur in some frames."""
    return frames.elements if isinstance(frames, DatasetData) else list(frames.symbols)


def _frames(frames: orm.TrajectoryData | DatasetData) -> list[Atoms]:
    """Return frames as ASE structures."""
    return frames.get_frames() if isinstance(frames, DatasetData) else cells_of(frames)


def _validate_inputs(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Refuse models that are compiled, do not know an element of the frames, or are not trusted."""
    for label, model in inputs.get('models', {}).items():
        complaint = complaint_about_format(model, f'model {label}')
        if complaint:
            return complaint
        missing = model.missing_types(_elements(inputs['frames'])) if 'frames' in inputs else []
        if missing:
            return f'the model {label} does not know {", ".join(missing)}.'
    return complaint_about_models(inputs)


class AllegroEvaluateCalculation(EngineCalcJob):
    """``nequip-train`` as a test of each model in turn; the frames need no labels."""

    CACHE_VERSION = 1

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:  # type: ignore[override]  # as AiiDA itself
        """Define the process specification."""
        super().define(spec)
        spec.input('code', valid_type=orm.AbstractCode, help='The `nequip-train` command.')
        spec.input(
            'frames',
            valid_type=(orm.TrajectoryData, DatasetData),
            help='The frames: unlabelled frames of one composition, or a training set.',
        )
        spec.input_namespace('models', valid_type=AllegroModelData, help='Packaged models, by labels.')
        spec.input(
            'accelerator',
            valid_type=orm.Str,
            default=lambda: orm.Str('auto'),
            help='The accelerator of Lightning, such as `cpu` or `gpu`.',
        )
        spec.input(
            'without_shifts',
            valid_type=orm.Bool,
            required=False,
            help='Whether the energies of atoms, which a model adds by element, are left out of its energies.',
        )
        spec.inputs.validator = _validate_inputs
        set_option_defaults(spec, parser_name='ionconduct.allegro.evaluate')

        spec.output(
            'predictions',
            valid_type=orm.ArrayData,
            help='For every model, `forces_LABEL` in eV/Å, (frames, atoms, 3), and `energies_LABEL` in eV, (frames,). '
            'Of a training set, whose frames may differ in size, the forces are (atoms of all frames, 3).',
        )
        spec.exit_code(
            310,
            'ERROR_OUTPUT_PREDICTIONS_MISSING',
            message='The model {label} has written no predictions, or not of all frames; see the output.',
            invalidates_cache=True,
        )

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the frames, and a configuration for every model."""
        frames = []
        for atoms in _frames(self.inputs.frames):
            frame = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
            frame.calc = SinglePointCalculator(frame, energy=0.0, forces=np.zeros(frame.positions.shape))  # never read
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
                model.type_names,
                r_max=model.r_max,
                package=package,
                predictions=label,
                accelerator=self.inputs.accelerator.value,
                without_shifts='without_shifts' in self.inputs and self.inputs.without_shifts.value,
            )
            with folder.open(f'{label}.yaml', 'w') as handle:
                yaml.safe_dump(configuration, handle, sort_keys=False)
            code = CodeInfo()
            code.code_uuid = self.inputs.code.uuid
            code.cmdline_params = ['--config-dir', '.', '--config-name', f'{label}.yaml', 'hydra.run.dir=.']
            calcinfo.codes_info.append(code)
            calcinfo.local_copy_list.append((model.uuid, model.filename, package))
            calcinfo.retrieve_temporary_list.append(f'{label}{PREDICTIONS_SUFFIX}')
        return calcinfo
