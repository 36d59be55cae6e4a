"""Molecular dynamics with an Allegro potential in LAMMPS: one structure and temperature, one seed or several."""

from __future__ import annotations

from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo

from aiida_ionconduct.calculations.gpus import GpuCalcJob, check_scheduler
from aiida_ionconduct.data import AllegroModelData, IonTrajectoryData
from aiida_ionconduct.data.model import TRUST_HELP
from aiida_ionconduct.lammps import script
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
"""Below 400 the cause is outside the inputs, and the cache must not give it back."""

WALLTIME_FRACTION = 0.95
"""LAMMPS stops by itself at this fraction of the wall time, to leave time for a restart file and a whole last frame."""

SETTINGS = ('kokkos_gpus', 'cmdline')


def seed_label(seed: int) -> str:
    """Return the label of what belongs to a seed in the outputs of a run."""
    return f'seed{seed}'


def get_start(restart: orm.SinglefileData | None, timestep_fs: float) -> script.Start | None:
    """Return where a run begins that continues from a restart file, in its own time steps.

    :raises ValueError: if that is no whole number.
    """
    if restart is None:
        return None
    attributes = restart.base.attributes.all
    step = attributes['step'] * attributes['timestep_fs'] / timestep_fs
    if abs(step - round(step)) > 1e-6:
        raise ValueError(
            f'the restart file stands at step {attributes["step"]} of {attributes["timestep_fs"]} fs, which is no '
            f'whole number of steps of {timestep_fs} fs: keep the time step, or take an integer fraction of it.'
        )
    return script.Start(attributes['stage'], round(step))


def validate_structure(structure: orm.StructureData, _) -> str | None:
    """Refuse what is no fully periodic crystal of whole atoms."""
    if structure.is_alloy or structure.has_vacancies:
        return 'the structure has partly occupied sites: make an ordered supercell of it first.'
    if not all(structure.pbc):
        return f'the structure must be periodic in all three directions, its pbc are {structure.pbc}.'
    return None


def validate_model(model: AllegroModelData, _) -> str | None:
    """Refuse a model that is not compiled."""
    if model.model_format not in script.POTENTIALS:
        return f'the model {model.filename} is not compiled: run AllegroCompileCalculation on it first.'
    return None


def validate_parameters(parameters: orm.Dict, _) -> str | None:
    """Refuse unknown, missing and impossible parameters."""
    try:
        script.check_parameters(parameters.get_dict())
    except ValueError as error:
        return str(error)
    return None


def validate_settings(settings: orm.Dict, _) -> str | None:
    """Refuse unknown settings."""
    values = settings.get_dict()
    unknown = sorted(set(values) - set(SETTINGS))
    if unknown:
        return f'unknown settings {", ".join(unknown)}; known are {", ".join(SETTINGS)}.'
    gpus = values.get('kokkos_gpus', 1)
    if isinstance(gpus, bool) or not isinstance(gpus, int) or gpus < 1:
        return f'kokkos_gpus is {gpus!r}, but must be the number of GPUs of a machine, at least 1.'
    return None


def validate_inputs(inputs, _) -> str | None:
    """Refuse a model without a species of the structure, GPUs that cannot be asked for, a restart of another run."""
    if {'structure', 'model'} <= inputs.keys():  # one of them may come later, from a work chain
        missing = inputs['model'].missing_types(inputs['structure'].get_symbols_set())
        if missing:
            return (
                f'the model knows {", ".join(inputs["model"].type_names)}, not {", ".join(missing)}: '
                'train one on the elements of the structure.'
            )
    if 'model' in inputs:
        complaint = inputs['model'].check(inputs.get('trust_model'))
        if complaint:
            return complaint
    if 'code' in inputs and inputs.get('metadata', {}).get('options', {}).get('gpus'):
        complaint = check_scheduler(inputs['code'].computer.scheduler_type)
        if complaint:
            return complaint
    if {'structure', 'restart', 'parameters'} <= inputs.keys():
        return check_restart(inputs['restart'], inputs['structure'], inputs['parameters'].get_dict())
    return None


def check_restart(restart: orm.SinglefileData, structure: orm.StructureData, parameters: dict) -> str | None:
    """Return why a run cannot continue from a restart file, or None."""
    known = restart.base.attributes.all
    if not {'stage', 'step', 'timestep_fs', 'seeds', 'n_atoms'} <= known.keys():
        return 'the restart is not an output of LammpsMdCalculation, which says what it belongs to: give one that is.'
    if known['n_atoms'] != len(structure.sites) or known['seeds'] != parameters['seeds']:
        return (
            f'the restart belongs to {known["n_atoms"]} atoms and the seeds {known["seeds"]}, the run has '
            f'{len(structure.sites)} atoms and the seeds {parameters["seeds"]}.'
        )
    try:
        start = get_start(restart, parameters['timestep_fs'])
    except ValueError as error:
        return str(error)
    if start.stage == script.PRODUCTION and start.step >= parameters['production_steps']:
        return f'the restart stands at step {start.step}: ask for more than that in production_steps.'
    return None


class LammpsMdCalculation(GpuCalcJob):
    """Equilibration and production in one LAMMPS run, from the start or from a restart file."""

    @classmethod
    def define(cls, spec):
        """Define inputs, outputs and exit codes."""
        super().define(spec)
        spec.input('code', valid_type=orm.AbstractCode, help='A LAMMPS with `pair_style allegro`.')
        spec.input('structure', valid_type=orm.StructureData, validator=validate_structure, help='The supercell.')
        spec.input('model', valid_type=AllegroModelData, validator=validate_model, help='The compiled potential.')
        spec.input('trust_model', valid_type=orm.Bool, required=False, help=TRUST_HELP)
        spec.input(
            'parameters',
            valid_type=orm.Dict,
            validator=validate_parameters,
            help='What is run: '
            + '; '.join(f'`{name}`, {entry.requirement}' for name, entry in script.PARAMETERS.items()),
        )
        spec.input(
            'restart',
            valid_type=orm.SinglefileData,
            required=False,
            help='Output `restart` of an earlier run, which is continued up to `production_steps` in total.',
        )
        spec.input(
            'settings',
            valid_type=orm.Dict,
            required=False,
            validator=validate_settings,
            help='How LAMMPS is called: `kokkos_gpus`, the GPUs of a machine for a LAMMPS built with Kokkos; '
            '`cmdline`, further words of the command line.',
        )
        spec.inputs.validator = validate_inputs
        options = spec.inputs['metadata']['options']
        options['parser_name'].default = 'ionconduct.lammps.md'
        options['input_filename'].default = 'lammps.in'
        options['output_filename'].default = 'lammps.log'
        options['resources'].default = {'num_machines': 1, 'num_mpiprocs_per_machine': 1}
        options['withmpi'].default = False

        spec.output_namespace('trajectories', valid_type=IonTrajectoryData, help='The production by seed: `seed1`.')
        spec.output_namespace(
            'output_parameters', valid_type=orm.Dict, help='By seed: speed, energy conservation, mean values.'
        )
        spec.output('restart', valid_type=orm.SinglefileData, required=False, help='From where a run can go on.')
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

    def prepare_for_submission(self, folder):
        """Write the structure and the script, and hand over the model."""
        atoms = self.inputs.structure.get_ase()
        options, model = self.inputs.metadata.options, self.inputs.model
        parameters = script.check_parameters(self.inputs.parameters.get_dict())
        walltime = options.get('max_wallclock_seconds')
        start = get_start(self.inputs.get('restart'), parameters['timestep_fs'])
        copied = [(model.uuid, model.filename, script.POTENTIALS[model.model_format][0])]
        if start is None:
            seeds = parameters['seeds'] if len(parameters['seeds']) > 1 else None
            with folder.open(script.STRUCTURE_FILE, 'w') as handle:
                handle.write(data_file(atoms, seeds, parameters['velocity_temperature_K']))
        else:
            copied.append((self.inputs.restart.uuid, self.inputs.restart.filename, script.START_FILE))
        with folder.open(options.input_filename, 'w') as handle:
            handle.write(
                script.md_script(
                    species_order(atoms.symbols),
                    len(atoms),
                    parameters,
                    start=start,
                    timeout_s=walltime and int(WALLTIME_FRACTION * walltime),
                    model_format=model.model_format,
                )
            )

        settings = self.inputs.settings.get_dict() if 'settings' in self.inputs else {}
        codeinfo = CodeInfo()
        codeinfo.code_uuid = self.inputs.code.uuid
        codeinfo.cmdline_params = [
            *('-in', options.input_filename, '-log', options.output_filename, '-screen', 'none'),
            *kokkos_arguments(settings.get('kokkos_gpus', 0)),
            *settings.get('cmdline', []),
        ]
        calcinfo = CalcInfo()
        calcinfo.codes_info = [codeinfo]
        calcinfo.local_copy_list = copied
        calcinfo.retrieve_list = [options.output_filename]
        calcinfo.retrieve_temporary_list = [script.TRAJECTORY_FILE, script.CENTRES_FILE, f'*{script.RESTART_SUFFIX}*']
        return calcinfo


def kokkos_arguments(gpus: int) -> list[str]:
    """Return the words by which LAMMPS uses Kokkos on some GPUs of a machine, one a process."""
    if not gpus:
        return []
    return ['-k', 'on', 'g', str(gpus), '-sf', 'kk', '-pk', 'kokkos', 'newton', 'on', 'neigh', 'half']
