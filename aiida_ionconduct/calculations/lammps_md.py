"""Molecular dynamics with an Allegro potential in LAMMPS: one structure, one temperature, one velocity seed."""

from __future__ import annotations

from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.engine import CalcJob

from aiida_ionconduct.data import AllegroModelData, IonTrajectoryData
from aiida_ionconduct.lammps import script
from aiida_ionconduct.lammps.structure import data_file, species_order

EXIT_CODES = (
    (302, 'ERROR_OUTPUT_LOG_MISSING', 'LAMMPS wrote no log: the code did not start. See the scheduler output.'),
    (303, 'ERROR_OUTPUT_TRAJECTORY_MISSING', 'The trajectory or the centres of mass cannot be read: {detail}'),
    (310, 'ERROR_LAMMPS', 'LAMMPS stopped with an error: {detail}'),
    (320, 'ERROR_INCOMPLETE', 'LAMMPS was killed; what it had written is in the outputs.'),
    (400, 'ERROR_OUT_OF_WALLTIME', 'LAMMPS stopped at the wall time limit; what it had written is in the outputs.'),
    (410, 'ERROR_EXPLODED', 'The run exploded; what came before is in the outputs: {detail}'),
)
"""Below 400 the cause is outside the inputs, and the cache must not give it back."""

WALLTIME_FRACTION = 0.95
"""LAMMPS stops by itself at this fraction of the wall time, to leave time for a restart file and a whole last frame."""


def validate_structure(structure: orm.StructureData, _) -> str | None:
    """Refuse what is no fully periodic crystal of whole atoms."""
    if structure.is_alloy or structure.has_vacancies:
        return 'the structure has partly occupied sites: make an ordered supercell of it first.'
    if not all(structure.pbc):
        return f'the structure must be periodic in all three directions, its pbc are {structure.pbc}.'
    return None


def validate_model(model: AllegroModelData, _) -> str | None:
    """Refuse a model that is not compiled."""
    if model.model_format != 'aotinductor':
        return f'the model {model.filename} is not compiled: run AllegroCompileCalculation on it first.'
    return None


def validate_parameters(parameters: orm.Dict, _) -> str | None:
    """Refuse unknown, missing and impossible parameters."""
    try:
        script.check_parameters(parameters.get_dict())
    except ValueError as error:
        return str(error)
    return None


def validate_inputs(inputs, _) -> str | None:
    """Refuse a model that does not know all species of the structure."""
    if not {'structure', 'model'} <= inputs.keys():  # one of them comes later, from a work chain
        return None
    missing = inputs['model'].missing_types(inputs['structure'].get_symbols_set())
    if missing:
        return (
            f'the model knows {", ".join(inputs["model"].type_names)}, not {", ".join(missing)}: '
            'train one on the elements of the structure.'
        )
    return None


class LammpsMdCalculation(CalcJob):
    """Langevin equilibration and NVE production in one LAMMPS run."""

    @classmethod
    def define(cls, spec):
        """Define inputs, outputs and exit codes."""
        super().define(spec)
        spec.input('code', valid_type=orm.AbstractCode, help='A LAMMPS with `pair_style allegro`.')
        spec.input('structure', valid_type=orm.StructureData, validator=validate_structure, help='The supercell.')
        spec.input('model', valid_type=AllegroModelData, validator=validate_model, help='The compiled potential.')
        spec.input(
            'parameters',
            valid_type=orm.Dict,
            validator=validate_parameters,
            help='What is run: '
            + '; '.join(f'`{name}`, {entry.requirement}' for name, entry in script.PARAMETERS.items()),
        )
        spec.inputs.validator = validate_inputs
        options = spec.inputs['metadata']['options']
        options['parser_name'].default = 'ionconduct.lammps.md'
        options['input_filename'].default = 'lammps.in'
        options['output_filename'].default = 'lammps.log'
        options['resources'].default = {'num_machines': 1, 'num_mpiprocs_per_machine': 1}
        options['withmpi'].default = False

        spec.output('trajectory', valid_type=IonTrajectoryData, help='The production run.')
        spec.output('output_parameters', valid_type=orm.Dict, help='Speed, energy conservation, mean values.')
        spec.default_output_node = 'output_parameters'
        for status, label, message in EXIT_CODES:
            spec.exit_code(status, label, message, invalidates_cache=status < 400)

    def prepare_for_submission(self, folder):
        """Write the structure and the script, and hand over the model."""
        atoms = self.inputs.structure.get_ase()
        options = self.inputs.metadata.options
        walltime = options.get('max_wallclock_seconds')
        with folder.open(script.STRUCTURE_FILE, 'w') as handle:
            handle.write(data_file(atoms))
        with folder.open(options.input_filename, 'w') as handle:
            handle.write(
                script.md_script(
                    species_order(atoms.symbols),
                    self.inputs.parameters.get_dict(),
                    timeout_s=walltime and int(WALLTIME_FRACTION * walltime),
                )
            )

        codeinfo = CodeInfo()
        codeinfo.code_uuid = self.inputs.code.uuid
        codeinfo.cmdline_params = ['-in', options.input_filename, '-log', options.output_filename, '-screen', 'none']
        calcinfo = CalcInfo()
        calcinfo.codes_info = [codeinfo]
        calcinfo.local_copy_list = [(self.inputs.model.uuid, self.inputs.model.filename, script.MODEL_FILE)]
        calcinfo.retrieve_list = [options.output_filename]
        calcinfo.retrieve_temporary_list = [script.TRAJECTORY_FILE, script.CENTRES_FILE]
        return calcinfo
