"""Single self-consistent calculations of pw.x on many frames, one after the other in one job."""

from __future__ import annotations

from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo, CodeRunMode
from aiida.common.exceptions import InputValidationError
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec
from aiida_quantumespresso.calculations.pw import PwCalculation


class PwFramesCalculation(PwCalculation):
    """``pw.x`` on some frames of a trajectory.

    Every job of AiiDA costs seconds of its own and a place in the queue of the cluster: frames of a training set share
    a job. The inputs are those of ``PwCalculation``, with ``frames`` in place of its structure.
    """

    CACHE_VERSION = 1

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        for name in ('structure', 'parent_folder', 'vdw_table', 'hubbard_file'):
            spec.inputs.pop(name)
        for name in list(spec.outputs):
            if name.startswith('output_'):
                spec.outputs.pop(name)
        spec.input('metadata.options.parser_name', valid_type=str, default='ionconduct.pw.frames')
        spec.input('frames', valid_type=orm.TrajectoryData, help='The unlabelled frames, of one composition.')
        spec.input('indices', valid_type=orm.List, help='The indices of the frames that are calculated.')
        spec.output(
            'labelled',
            valid_type=orm.TrajectoryData,
            required=False,
            help='The frames that reached self-consistency: `energy` in eV, `forces` in eV/Å, `stress` in GPa; the '
            'step ids are the indices.',
        )
        spec.output(
            'output_parameters',
            valid_type=orm.Dict,
            help='`unconverged` and `unfinished`: the indices of frames without labels.',
        )
        spec.default_output_node = 'output_parameters'
        spec.exit_code(
            320,
            'ERROR_INTERRUPTED',
            message='pw.x did not finish {n_unfinished} of {n_frames} frames; the others are in the outputs.',
            invalidates_cache=True,
        )

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write an input file for every frame; the runs follow each other and share their scratch folder."""
        frames, settings = self.inputs.frames, {}
        if 'settings' in self.inputs:
            settings = {key.upper(): value for key, value in self.inputs.settings.get_dict().items()}
        flags = self._add_parallelization_flags_to_cmdline_params(settings.pop('CMDLINE', []))
        for subfolder in (self._PSEUDO_SUBFOLDER, self._OUTPUT_SUBFOLDER):
            folder.get_subfolder(subfolder, create=True)

        codes: list[CodeInfo] = []
        calc_info = CalcInfo(
            {'codes_info': codes, 'codes_run_mode': CodeRunMode.SERIAL, 'retrieve_list': ['frame_*.out']}
        )
        for index in self.inputs.indices:
            unused = dict(settings)
            content, calc_info.local_copy_list = self._generate_pwcp_inputdata(
                self.inputs.parameters,
                unused,
                self.inputs.pseudos,
                frames.get_step_structure(frames.get_index_from_stepid(index)),
                self.inputs.kpoints,
            )
            if unused:
                raise InputValidationError(f'`settings` that are not for single frames: {", ".join(sorted(unused))}')
            with folder.open(f'frame_{index:04d}.in', 'w') as handle:
                handle.write(content)
            code_info = {
                'code_uuid': self.inputs.code.uuid,
                'cmdline_params': [*flags, '-in', f'frame_{index:04d}.in'],
                'stdout_name': output_name(index),
            }
            codes.append(CodeInfo(code_info))
        return calc_info


def output_name(index: int) -> str:
    """Return the name of the file that holds the output of pw.x for a frame."""
    return f'frame_{index:04d}.out'
