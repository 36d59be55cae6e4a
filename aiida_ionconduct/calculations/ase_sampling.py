"""Energies, forces and molecular dynamics by any ASE calculator, such as a pretrained potential."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import ase.io
from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec
from ase import Atoms

from aiida_ionconduct.calculations.base import EngineCalcJob, set_option_defaults, stop_after
from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.sampling import sampler

SCRIPT = 'sampler.py'
KEYS = {'title', 'target', 'arguments'}


def _validate_teacher(node: orm.Dict, _: Any) -> str | None:
    """Refuse a calculator without its class or its arguments."""
    missing = sorted(KEYS - set(node.get_dict()))
    return f'the teacher lacks {", ".join(missing)}.' if missing else None


def _validate_inputs(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Refuse an empty list of tasks, and tasks whose first cell is missing."""
    if not {'tasks', 'cells'} <= inputs.keys():
        return None
    indices = [task['index'] for task in inputs['tasks'].get_list()]
    if not indices:
        return 'there are no tasks: give at least one.'
    n_cells = inputs['cells'].numsteps
    outside = [index for index in indices if not 0 <= index < n_cells]
    return f'the tasks start from the cells {outside}, but there are {n_cells} cells.' if outside else None


class AseSamplingCalculation(EngineCalcJob):
    """Tasks of :mod:`~aiida_ionconduct.sampling.tasks` with an ASE calculator, in the Python that has it."""

    CACHE_VERSION = 2
    WALLTIME_STATUS = 400
    PROGRESS = ('restart', 'n_frames', 0)

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:  # type: ignore[override]  # as AiiDA itself
        """Define the process specification."""
        super().define(spec)
        spec.input('code', valid_type=orm.AbstractCode, help='The Python that has ASE and the calculator.')
        spec.input('cells', valid_type=orm.TrajectoryData, help='The cells to start from, of one composition.')
        spec.input('tasks', valid_type=orm.List, help='What is done, see `sampling.tasks`.')
        spec.input(
            'teacher',
            valid_type=orm.Dict,
            validator=_validate_teacher,
            help='The calculator: its `title`, its class as `target`, and its `arguments`.',
        )
        spec.input('dynamics', valid_type=orm.Dict, help='`timestep_fs`, `friction_per_ps` and `max_force_eV_per_A`.')
        spec.input(
            'restart',
            valid_type=orm.SinglefileData,
            required=False,
            help='The output `restart` of an earlier job with the same tasks, which goes on from its frames.',
        )
        set_option_defaults(spec, parser_name='ionconduct.ase.sampling', scheduler_stdout='sampling.out')
        spec.inputs.validator = _validate_inputs

        spec.output('dataset', valid_type=DatasetData, required=False, help='The frames of all tasks, labelled.')
        spec.output(
            'output_parameters',
            valid_type=orm.Dict,
            help='The calculator with its version and the SHA-256 of its weights, device and floating-point type; the '
            'runs that exploded.',
        )
        spec.output(
            'restart',
            valid_type=orm.SinglefileData,
            required=False,
            help='The whole frames of a job that did not come to its end.',
        )
        spec.default_output_node = 'output_parameters'
        spec.exit_code(310, 'ERROR_CALCULATOR', message='{detail}', invalidates_cache=True)
        spec.exit_code(
            320,
            'ERROR_INCOMPLETE',
            message='The job was killed before its end; another can go on from the output `restart`, if there is one.',
            invalidates_cache=True,
        )
        spec.exit_code(
            330,
            'ERROR_OUT_OF_MEMORY',
            message='The memory was too small: {detail}. Take smaller cells or a smaller model.',
            invalidates_cache=True,
        )
        spec.exit_code(
            400,
            'ERROR_OUT_OF_WALLTIME',
            message='The job stopped at the wall time limit; another can go on from the output `restart`.',
        )
        spec.exit_code(410, 'ERROR_NO_FRAMES', message='No frame was left: every run exploded before its first frame.')

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the settings and the cells, and a copy of the script."""
        walltime = self.node.get_option('max_wallclock_seconds')
        settings = {
            'teacher': self.inputs.teacher.get_dict(),
            'tasks': self.inputs.tasks.get_list(),
            'dynamics': self.inputs.dynamics.get_dict(),
            'max_time_s': stop_after(walltime) if walltime else None,
        }
        with folder.open(sampler.SETTINGS, 'w') as handle:
            json.dump(settings, handle)
        text = io.StringIO()
        ase.io.write(text, cells_of(self.inputs.cells), format='extxyz')
        with folder.open(sampler.CELLS, 'w') as handle:
            handle.write(text.getvalue())
        with open(sampler.__file__, encoding='utf-8') as source, folder.open(SCRIPT, 'w') as handle:
            handle.write(source.read())
        code = CodeInfo()
        code.code_uuid = self.inputs.code.uuid
        code.cmdline_params = [SCRIPT]
        calcinfo = CalcInfo()
        calcinfo.codes_info = [code]
        calcinfo.local_copy_list = []
        if 'restart' in self.inputs:
            restart = self.inputs.restart
            calcinfo.local_copy_list = [(restart.uuid, restart.filename, sampler.EARLIER)]
        calcinfo.retrieve_list = [sampler.TEACHER, sampler.ENDING]
        calcinfo.retrieve_temporary_list = [sampler.FRAMES]
        return calcinfo


def cells_of(trajectory: orm.TrajectoryData) -> list[Atoms]:
    """Return unlabelled cells of a node as ASE structures."""
    return [
        Atoms(trajectory.symbols, positions=positions, cell=cell, pbc=True)
        for positions, cell in zip(trajectory.get_positions(), trajectory.get_array('cells'), strict=True)
    ]
