"""Molecular dynamics with an Allegro potential in LAMMPS: one structure and temperature, one seed or several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec

from aiida_ionconduct.calculations.base import EngineCalcJob, complaint_about_models, set_option_defaults, validator
from aiida_ionconduct.data import AllegroModelData, IonTrajectoryData
from aiida_ionconduct.data.reduced import complaint_about_file
from aiida_ionconduct.engines.schedulers import gpus_cannot_be_asked
from aiida_ionconduct.lammps import script
from aiida_ionconduct.lammps.parameters import CommandLine, MdParameters
from aiida_ionconduct.lammps.structure import data_file, species_order

EXIT_CODES = (
    (302, 'ERROR_OUTPUT_LOG_MISSING', 'LAMMPS wrote no log: the code did not start. See the scheduler output.'),
    (303, 'ERROR_OUTPUT_TRAJECTORY_MISSING', 'The trajectory or the centres of mass cannot be read: {detail}'),
    (310, 'ERROR_LAMMPS', 'LAMMPS stopped with an error: {detail}'),
    (320, 'ERROR_INCOMPLETE', 'LAMMPS was killed; what it had written is in the outputs.'),
    (321, 'ERROR_FRAMES_MISSING', 'LAMMPS came to its end, but {detail}: is the disk full?'),
    (330, 'ERROR_OUT_OF_MEMORY', 'The run does not fit into memory: {detail}'),
    (400, 'ERROR_OUT_OF_WALLTIME', 'LAMMPS stopped at the wall time limit; what it had written is in the outputs.'),
    (410, 'ERROR_EXPLODED', 'The run exploded; what came before is in the outputs: {detail}'),
)
"""Below 400 the cause is outside the inputs, and caching must not reuse the job."""

WALLTIME_FRACTION = 0.95
"""LAMMPS stops by itself at this fraction of the wall time, to leave time for a restart file and a whole last frame."""

UNSAFE_THERMOSTAT = (
    'WARNING: fix langevin with `zero yes` has crashed with Kokkos on GPUs (LAMMPS issue 4912), and local temperatures '
    'were wrong with ML-IAP (Allegro issue 133): take `thermostat: nose-hoover` among the parameters of the run.'
)


def get_start(restart: orm.SinglefileData | None, timestep_fs: float) -> script.Start | None:
    """Return where a run begins that continues from a restart file.

    :param timestep_fs: time step of the run, which may be a fraction of the earlier one.
    :raises ValueError: if the time of the restart file is not a whole number of time steps of the run.
    """
    if restart is None:
        return None
    attributes = restart.base.attributes.all
    step = attributes['step'] * attributes['timestep_fs'] / timestep_fs
    if abs(step - round(step)) > 1e-6:
        raise ValueError(
            f'the restart file stands at step {attributes["step"]} of {attributes["timestep_fs"]} fs, which is not a '
            f'whole number of steps of {timestep_fs} fs: keep the time step, or take an integer fraction of it.'
        )
    return script.Start(attributes['stage'], round(step))


def _validate_structure(structure: orm.StructureData, _: Any) -> str | None:
    """Refuse a structure with partly occupied sites or without periodicity in all directions."""
    if structure.is_alloy or structure.has_vacancies:
        return 'the structure has partly occupied sites: make an ordered supercell of it first.'
    if not all(structure.pbc):
        return f'the structure must be periodic in all three directions, its pbc are {structure.pbc}.'
    return None


def _validate_model(model: AllegroModelData, _: Any) -> str | None:
    """Refuse a model that is not compiled."""
    if model.model_format not in script.POTENTIALS:
        return f'the model {model.filename} is not compiled: run AllegroCompileCalculation on it first.'
    return None


def unsafe_thermostat(run: MdParameters, settings: CommandLine, model_format: str) -> bool:
    """Return whether a run has Langevin dynamics where they are known to fail: with Kokkos or ML-IAP.

    :param model_format: of the model.
    """
    production = (run.production_thermostat or run.thermostat) if run.ensemble == 'nvt' else None
    equilibration = run.thermostat if run.equilibration_steps else None
    on_gpus = settings.kokkos_gpus is not None or model_format == 'mliap'
    return on_gpus and 'langevin' in (production, equilibration)


def _complaint_about_pair_style(model: AllegroModelData, settings: CommandLine) -> str | None:
    """Return that the settings of the pair style do not belong to a model for ML-IAP, or None."""
    if model.model_format == 'mliap' and settings.options:
        return (
            f'the settings{settings.options} belong to pair_style allegro of this package, and the model '
            f'{model.filename} is for ML-IAP: leave out `edges` and `pad`.'
        )
    if settings.kokkos_gpus is not None and settings.options:
        return (
            f'the settings{settings.options} belong to pair_style allegro of this package, which Kokkos does not '
            'have: leave out `edges` and `pad`, or `kokkos_gpus`.'
        )
    return None


def _validate_inputs(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Refuse a model without a species, a model that is not trusted, GPUs without a scheduler, a foreign restart."""
    if {'structure', 'model'} <= inputs.keys():  # a work chain may give one of the two later
        missing = inputs['model'].missing_types(inputs['structure'].get_symbols_set())
        if missing:
            return (
                f'the model knows {", ".join(inputs["model"].type_names)}, not {", ".join(missing)}: '
                'train one on the elements of the structure.'
            )
    complaint = complaint_about_models(inputs)
    if complaint is None and 'code' in inputs and inputs.get('metadata', {}).get('options', {}).get('gpus'):
        complaint = gpus_cannot_be_asked(inputs['code'].computer.scheduler_type)
    if complaint is None and {'settings', 'model'} <= inputs.keys():
        settings = CommandLine.check(inputs['settings'].get_dict())
        complaint = _complaint_about_pair_style(inputs['model'], settings)
    if complaint:
        return complaint
    if {'structure', 'restart', 'parameters'} <= inputs.keys():
        return _complaint_about_restart(inputs['restart'], inputs['structure'], inputs['parameters'].get_dict())
    return None


def _complaint_about_restart(
    restart: orm.SinglefileData, structure: orm.StructureData, parameters: dict[str, Any]
) -> str | None:
    """Return why a run cannot continue from a restart file, or None."""
    known = restart.base.attributes.all
    if not {'stage', 'step', 'timestep_fs', 'seeds', 'n_atoms'} <= known.keys():
        return 'the restart is not an output of LammpsMdCalculation: give the output `restart` of a run.'
    if complaint := complaint_about_file(restart, restart.filename):
        return f'{complaint}: begin the run anew, without `restart`.'
    if known['n_atoms'] != len(structure.sites) or known['seeds'] != parameters['seeds']:
        return (
            f'the restart belongs to {known["n_atoms"]} atoms and the seeds {known["seeds"]}, the run has '
            f'{len(structure.sites)} atoms and the seeds {parameters["seeds"]}.'
        )
    try:
        start = get_start(restart, parameters['timestep_fs'])
    except ValueError as error:
        return str(error)
    if start and start.stage == script.PRODUCTION and start.step >= parameters['production_steps']:
        return f'the restart stands at step {start.step}: ask for more than that in production_steps.'
    return None


class LammpsMdCalculation(EngineCalcJob):
    """Equilibration and production in one LAMMPS run, from the start or from a restart file."""

    CACHE_VERSION = 2
    WALLTIME_STATUS = 400

    @classmethod
    def has_progress(cls, node: orm.CalcJobNode) -> bool:
        """Return whether a run has left a restart file, which a run without progress does not."""
        return 'restart' in node.outputs

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:  # type: ignore[override]  # as AiiDA itself
        """Define inputs, outputs and exit codes."""
        super().define(spec)
        spec.input('code', valid_type=orm.AbstractCode, help='A LAMMPS with `pair_style allegro`.')
        spec.input('structure', valid_type=orm.StructureData, validator=_validate_structure, help='The supercell.')
        spec.input('model', valid_type=AllegroModelData, validator=_validate_model, help='The compiled potential.')
        spec.input(
            'parameters',
            valid_type=orm.Dict,
            validator=validator(MdParameters),
            help='The parameters of the run: `lammps.parameters.MdParameters`, see the docs page "Parameters".',
        )
        spec.input(
            'restart',
            valid_type=orm.SinglefileData,
            required=False,
            help='The output `restart` of an earlier run, which is continued up to `production_steps` in total.',
        )
        spec.input(
            'settings',
            valid_type=orm.Dict,
            required=False,
            validator=validator(CommandLine),
            help='How LAMMPS is called: `lammps.parameters.CommandLine`, see the docs page "Parameters".',
        )
        spec.inputs.validator = _validate_inputs
        set_option_defaults(
            spec, parser_name='ionconduct.lammps.md', input_filename='lammps.in', output_filename='lammps.log'
        )

        spec.output_namespace('trajectories', valid_type=IonTrajectoryData, help='The production by seed: `seed1`.')
        spec.output_namespace(
            'output_parameters', valid_type=orm.Dict, help='By seed: speed, energy conservation, mean values.'
        )
        spec.output(
            'restart',
            valid_type=orm.SinglefileData,
            required=False,
            help='The restart file from which another run can continue this one.',
        )
        spec.output(
            'thermo',
            valid_type=orm.ArrayData,
            required=False,
            help='Thermodynamics and cell of a run at constant pressure, by step.',
        )
        spec.output(
            'mean_structure',
            valid_type=orm.StructureData,
            required=False,
            help='The structure in the mean cell of the second half of a run at constant pressure.',
        )
        for status, label, message in EXIT_CODES:
            spec.exit_code(status, label, message, invalidates_cache=status < 400)

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the structure and the script, and hand over the model."""
        atoms = self.inputs.structure.get_ase()
        options, model = self.inputs.metadata.options, self.inputs.model
        run = MdParameters.check(self.inputs.parameters.get_dict())
        walltime = options.get('max_wallclock_seconds')
        start = get_start(self.inputs.get('restart'), run.timestep_fs)
        copied = [(model.uuid, model.filename, script.POTENTIALS[model.model_format].filename)]
        if start is None:
            seeds = run.seeds if len(run.seeds) > 1 else ()
            with folder.open(script.STRUCTURE_FILE, 'w') as handle:
                handle.write(data_file(atoms, seeds, run.first_temperature_K))
        else:
            copied.append((self.inputs.restart.uuid, self.inputs.restart.filename, script.START_FILE))
        settings = CommandLine.check(self.inputs.settings.get_dict() if 'settings' in self.inputs else {})
        if unsafe_thermostat(run, settings, model.model_format):
            self.report(UNSAFE_THERMOSTAT)
        with folder.open(options.input_filename, 'w') as handle:
            handle.write(
                script.md_script(
                    species_order(atoms.symbols),
                    len(atoms),
                    run,
                    start=start,
                    timeout_s=walltime and int(WALLTIME_FRACTION * walltime),
                    model_format=model.model_format,
                    masses=atoms.get_masses(),
                    pair_options=settings.options,
                    report_memory=settings.report_memory,
                )
            )

        codeinfo = CodeInfo()
        codeinfo.code_uuid = self.inputs.code.uuid
        codeinfo.cmdline_params = [
            *('-in', options.input_filename, '-log', options.output_filename, '-screen', 'none'),
            *settings.arguments(),
        ]
        calcinfo = CalcInfo()
        calcinfo.codes_info = [codeinfo]
        calcinfo.local_copy_list = copied
        calcinfo.retrieve_list = [options.output_filename]
        calcinfo.retrieve_temporary_list = [script.TRAJECTORY_FILE, script.CENTRES_FILE, f'*{script.RESTART_SUFFIX}*']
        return calcinfo
