"""Parser of :class:`~aiida_ionconduct.calculations.lammps_md.LammpsMdCalculation`."""

from __future__ import annotations

import pathlib
import re

import numpy as np
from aiida import orm
from aiida.parsers import Parser

from aiida_ionconduct.data import IonTrajectoryData
from aiida_ionconduct.lammps.dump import read_dump
from aiida_ionconduct.lammps.log import Log, Stage, read_centres_of_mass, read_log
from aiida_ionconduct.lammps.script import CENTRES_FILE, THERMO, TRAJECTORY_FILE, check_parameters
from aiida_ionconduct.lammps.structure import lammps_rotation, species_order
from aiida_ionconduct.structures import minimum_distances

EXPLOSIONS = re.compile('Fix halt condition|Lost atoms|Non-numeric|Bond atoms missing|Atom .* is out of range')
"""What LAMMPS says when atoms have left it: the temperature limit of our script, or its own checks."""


class LammpsMdParser(Parser):
    """Store the trajectory and describe the run, whole or not."""

    def parse(self, **kwargs):
        """Parse the log and the temporarily retrieved files, salvaging what a stopped run has left."""
        try:
            log = read_log(self.retrieved.base.repository.get_object_content(self.node.get_option('output_filename')))
        except FileNotFoundError:
            return self.exit_codes.ERROR_OUTPUT_LOG_MISSING
        parameters = check_parameters(self.node.inputs.parameters.get_dict())
        distances, unreadable = {}, None
        if log.production is not None:
            try:
                trajectory = self.get_trajectory(
                    pathlib.Path(kwargs['retrieved_temporary_folder']), log.production, parameters
                )
            except (OSError, ValueError) as error:
                unreadable = str(error)
            else:
                self.out('trajectory', trajectory)
                distances = minimum_distances(trajectory.positions, trajectory.symbols, trajectory.cell)
        description = describe(log, len(self.node.inputs.structure.sites), parameters['timestep_fs'])
        self.out('output_parameters', orm.Dict({**description, 'minimum_distances': distances}))
        return self.get_exit_code(log, unreadable)

    def get_trajectory(self, folder: pathlib.Path, production: Stage, parameters: dict) -> IonTrajectoryData:
        """Return the production run, in the orientation of the input structure.

        :raises OSError, ValueError: if a file is missing or unreadable, or not even one frame is finite.
        """
        structure = self.node.inputs.structure
        symbols = [structure.get_kind(site.kind_name).symbol for site in structure.sites]
        back = lammps_rotation(structure.cell).T
        positions = up_to_first_nonfinite(read_dump(folder / TRAJECTORY_FILE).values) @ back
        _, centres = read_centres_of_mass((folder / CENTRES_FILE).read_text())
        if not len(positions):
            raise ValueError('the first frame has positions that are not finite.')
        return IonTrajectoryData(
            positions=positions,
            centres_of_mass=up_to_first_nonfinite(centres) @ back,
            thermo=up_to_first_nonfinite(production.thermo),
            symbols=symbols,
            species=species_order(symbols),
            cell=structure.cell,
            temperature_K=parameters['temperature_K'],
            timestep_fs=parameters['timestep_fs'],
            frame_interval_ps=parameters['frame_stride'] * parameters['timestep_fs'] / 1000,
            com_interval_ps=parameters['com_stride'] * parameters['timestep_fs'] / 1000,
            seed=parameters['seed'],
            thermo_columns=list(THERMO.values()),
            ensemble='NVE',
        )

    def get_exit_code(self, log: Log, unreadable: str | None):
        """Return the exit code, or ``None`` for a run that came to its end in good order."""
        codes = self.exit_codes
        exploded = [error for error in log.errors if EXPLOSIONS.search(error)]
        if exploded or any(not np.isfinite(stage.thermo).all() for stage in log.stages):
            detail = exploded[0] if exploded else 'energies are not finite'
            return codes.ERROR_EXPLODED.format(detail=detail)
        if log.errors:
            return codes.ERROR_LAMMPS.format(detail=log.errors[0])
        if log.out_of_walltime:
            return codes.ERROR_OUT_OF_WALLTIME
        if not log.complete or log.production is None:
            return codes.ERROR_INCOMPLETE
        if unreadable:
            return codes.ERROR_OUTPUT_TRAJECTORY_MISSING.format(detail=unreadable)
        return None


def up_to_first_nonfinite(array: np.ndarray) -> np.ndarray:
    """Return the leading part of an array in which every value is finite.

    :param array: shape (n, …).
    """
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    return array if finite.all() else array[: int(np.argmin(finite))]


def describe(log: Log, n_atoms: int, timestep_fs: float) -> dict:
    """Return the flat description of a run; entries that an interrupted run has no data for are left out.

    The drift is the slope of the total energy over the production run by least squares, the RMS that of the total
    energy about this line.

    :param log: the log.
    :param n_atoms: number of atoms.
    :param timestep_fs: time step.
    """
    result = {
        'lammps_version': log.version,
        'completed': log.complete and not log.out_of_walltime,
        'errors': log.errors,
        'wall_time_s': sum(stage.loop_time_s or 0.0 for stage in log.stages),
    }
    production = log.production
    table = up_to_first_nonfinite(production.thermo) if production else np.empty((0, 0))
    if not len(table):
        return result
    thermo = dict(zip(THERMO.values(), table.T, strict=True))
    result['n_steps'] = int(thermo['step'][-1]) if production.n_steps is None else production.n_steps
    if production.loop_time_s:
        result['steps_per_second'] = production.n_steps / production.loop_time_s
    potential = thermo['potential_energy_eV'] / n_atoms
    result |= {
        'mean_temperature_K': float(thermo['temperature_K'].mean()),
        'mean_potential_energy_eV_per_atom': float(potential.mean()),
        'min_potential_energy_eV_per_atom': float(potential.min()),
        'max_potential_energy_eV_per_atom': float(potential.max()),
    }
    if len(table) > 2:
        time_ps = (thermo['step'] - thermo['step'].mean()) * timestep_fs / 1000
        total = (thermo['total_energy_eV'] - thermo['total_energy_eV'].mean()) / n_atoms
        drift = time_ps @ total / (time_ps @ time_ps)
        result['nve_drift_eV_per_atom_per_ps'] = float(drift)
        result['nve_energy_rms_eV_per_atom'] = float(np.sqrt(np.mean((total - drift * time_ps) ** 2)))
    return result
