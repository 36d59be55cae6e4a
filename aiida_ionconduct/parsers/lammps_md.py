"""Parser of :class:`~aiida_ionconduct.calculations.lammps_md.LammpsMdCalculation`."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import ExitCode
from aiida.parsers import Parser

from aiida_ionconduct.calculations.functions.trajectories import describe_trajectory, in_mean_cell
from aiida_ionconduct.calculations.lammps_md import get_start
from aiida_ionconduct.data import IonTrajectoryData
from aiida_ionconduct.data.trajectory import ARRAYS
from aiida_ionconduct.labels import seed_label
from aiida_ionconduct.lammps.dump import read_dump
from aiida_ionconduct.lammps.log import (
    Log,
    LogStage,
    find_explosion,
    read_centres_of_mass,
    read_log,
    replica_thermo,
)
from aiida_ionconduct.lammps.parameters import MdParameters
from aiida_ionconduct.lammps.restart import restart_files
from aiida_ionconduct.lammps.script import (
    CENTRES_FILE,
    EQUILIBRATION,
    PRODUCTION,
    TRAJECTORY_FILE,
    Start,
    thermo_columns,
)
from aiida_ionconduct.lammps.structure import lammps_rotation, species_order
from aiida_ionconduct.parsers.base import cause_of_failure, exit_code_of, ran_out_of_memory, success
from aiida_ionconduct.sampling.statement import ATTRIBUTE

Series = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Arrays by name, each with the steps of its first index."""
Restart = tuple[Start, pathlib.Path]

STRIDES = {'positions': 'frame_stride', 'centres_of_mass': 'com_stride'}


class LammpsMdParser(Parser):
    """Store the trajectories, a restart file and a description of the run, whether or not it came to its end."""

    CACHE_VERSION = 3

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Parse the log and the temporarily retrieved files, salvaging what a stopped run has left."""
        try:
            name = str(self.node.get_option('output_filename'))
            log = read_log(self.retrieved.base.repository.get_object_content(name, 'r'))
        except FileNotFoundError:
            cause = cause_of_failure(self.node)
            return exit_code_of(self, cause) if cause else self.exit_codes.ERROR_OUTPUT_LOG_MISSING
        folder = pathlib.Path(kwargs['retrieved_temporary_folder'])
        self.given = self.node.inputs.parameters.get_dict()  # numbers are stored as they were given
        self.run = MdParameters.stored(self.given)
        structure = self.node.inputs.structure
        self.symbols = [structure.get_kind(site.kind_name).symbol for site in structure.sites]
        earlier = self.node.inputs.restart if 'restart' in self.node.inputs else None
        self.start = get_start(earlier, self.run.timestep_fs)
        # The first step that the run before this one does not have.
        self.first = self.start.step + 1 if self.start and self.start.stage == PRODUCTION else 0
        explosion = find_explosion(log, self.run, len(self.symbols))
        unreadable: str | None = None
        missing, trajectories = '', {}
        files = [] if explosion else restart_files(folder)
        restart = next(iter(files), None)
        # To go on from within a production that is not stored would leave a gap.
        before_production = restart if restart and restart[0].stage == EQUILIBRATION else None
        if log.production is None:
            restart = before_production
        elif self.run.ensemble == 'npt':
            self.store_cell(log.production, restart, complete=log.complete)
        else:
            try:
                arrays = self.read_arrays(folder, log.production)
            except (OSError, ValueError) as error:
                unreadable, restart = str(error), before_production
            else:
                missing = self.missing_frames(arrays) if log.complete and not log.out_of_walltime else ''
                restart = self.choose_restart(files, arrays)
                if restart and (missing or not log.complete):
                    arrays = cut(arrays, last=restart[0].step)
                trajectories = self.store_trajectories(arrays)
        if restart:
            self.store_restart(*restart)
        self.store_parameters(log, trajectories, explosion)
        return self.get_exit_code(log, explosion=explosion, unreadable=unreadable, missing=missing)

    def read_arrays(self, folder: pathlib.Path, production: LogStage) -> Series:
        """Return the frames, the centres of mass and the thermodynamics of the production, of all replicas.

        Steps that the earlier run has had are left out, and so is everything from the first value that is not finite.

        :raises OSError: if a file is missing.
        :raises ValueError: if a file is unreadable, or no frame is finite.
        """
        n_replicas = len(self.run.seeds)
        dump = read_dump(folder / TRAJECTORY_FILE)
        steps, centres = read_centres_of_mass(folder / CENTRES_FILE)
        table = production.thermo
        if not table.size:
            table = np.empty((0, 1 + n_replicas * (len(thermo_columns(self.run)) - 1)))
        arrays = {
            'positions': (dump.steps, dump.values),
            'centres_of_mass': (steps, centres),
            'thermo': (table[:, 0], replica_thermo(table, n_replicas).swapaxes(0, 1)),
        }
        arrays = {name: up_to_first_nonfinite(*values) for name, values in cut(arrays, self.first, math.inf).items()}
        if not len(arrays['positions'][0]):
            raise ValueError('there is no frame that is whole, finite and new.')
        return arrays

    def missing_frames(self, arrays: Series) -> str:
        """Return what a run that came to its end has not written: LAMMPS does not notice when a disk is full."""
        for name, key in STRIDES.items():
            steps, stride = arrays[name][0], getattr(self.run, key)
            last = self.run.production_steps // stride * stride
            if not len(steps) or steps[-1] < last:
                return f'the {name} end at step {int(steps[-1]) if len(steps) else "none"} instead of {last}'
        return ''

    def choose_restart(self, files: list[Restart], arrays: Series) -> Restart | None:
        """Return the latest restart file with a frame before it and no gap between it and the frames on the disk."""
        missing = []
        for name, key in STRIDES.items():
            steps, stride = arrays[name][0], getattr(self.run, key)
            missing.append(steps[-1] + stride if len(steps) else -(-self.first // stride) * stride)
        first, end = arrays['positions'][0][0], min(missing)
        return next(((at, path) for at, path in files if at.stage == PRODUCTION and first <= at.step < end), None)

    def store_trajectories(self, arrays: Series) -> dict[str, IonTrajectoryData]:
        """Attach the production of every replica, in the orientation of the input structure."""
        structure, run, n_atoms = self.node.inputs.structure, self.run, len(self.symbols)
        species = species_order(self.symbols)
        back = lammps_rotation(structure.cell).T
        to_ps = run.timestep_fs / 1000
        teachers = self.node.inputs.model.labelled_by
        (steps, positions), (com_steps, centres), (_, thermo) = (arrays[name] for name in ARRAYS)
        trajectories = {}
        for index, seed in enumerate(run.seeds):
            atoms = slice(index * n_atoms, (index + 1) * n_atoms)
            rows = slice(index * len(species), (index + 1) * len(species))
            trajectories[seed_label(seed)] = IonTrajectoryData(
                positions=rotated(positions[:, atoms], back),
                centres_of_mass=centres[:, rows] @ back,
                thermo=thermo[:, index],
                symbols=self.symbols,
                species=species,
                cell=structure.cell,
                temperature_K=self.given['temperature_K'],
                timestep_fs=self.given['timestep_fs'],
                frame_interval_ps=run.frame_stride * to_ps,
                com_interval_ps=run.com_stride * to_ps,
                start_ps=float(steps[0]) * to_ps,
                com_start_ps=float(com_steps[0]) * to_ps if len(com_steps) else 0.0,
                seed=seed,
                thermo_columns=thermo_columns(run),
                ensemble=run.ensemble.upper(),
                **({ATTRIBUTE: teachers} if teachers else {}),
            )
        self.out('trajectories', trajectories)  # type: ignore[arg-type]  # a namespace
        return trajectories

    def store_restart(self, at: Start, path: pathlib.Path) -> None:
        """Attach the restart file from which another run can go on, if this run has made any progress."""
        if self.start is not None and at == self.start:
            return
        node = orm.SinglefileData(path, filename=f'{at.stage}.restart')
        node.base.attributes.set_many(
            {
                **at._asdict(),
                'timestep_fs': self.given['timestep_fs'],
                'seeds': self.run.seeds,
                'n_atoms': len(self.symbols),
            }
        )
        self.out('restart', node)

    def store_cell(self, production: LogStage, restart: Restart | None, *, complete: bool) -> None:
        """Attach the cell of a run at constant pressure, up to where the next segment goes on, and the mean cell."""
        table = production.thermo
        last = restart[0].step if restart and not complete else math.inf
        steps, rows = cut({'thermo': (table[:, 0], table)}, self.first, last)['thermo']
        rows = up_to_first_nonfinite(steps, rows)[1]
        if not len(rows):
            return
        thermo = orm.ArrayData(dict(zip(thermo_columns(self.run), rows.T, strict=True)))
        self.out('thermo', thermo)
        self.out('mean_structure', in_mean_cell(self.node.inputs.structure, [thermo]))

    def store_parameters(self, log: Log, trajectories: dict[str, IonTrajectoryData], explosion: str | None) -> None:
        """Attach, for every replica, what the log says of the run and what the trajectory says of the replica."""
        run = describe_log(log, self.start)
        if explosion:
            run['explosion'] = explosion
        parameters = {}
        for seed in self.run.seeds:
            label = seed_label(seed)
            described = describe_trajectory(trajectories[label]) if label in trajectories else {}
            parameters[label] = orm.Dict({'minimum_distances': {}, **described, **run})
        self.out('output_parameters', parameters)  # type: ignore[arg-type]  # a namespace

    def get_exit_code(self, log: Log, *, explosion: str | None, unreadable: str | None, missing: str) -> ExitCode:
        """Return the exit code, which is 0 for a run that came to its end in good order.

        :param explosion: how the run exploded.
        :param unreadable: why the files of the production cannot be read.
        :param missing: which frames are missing.
        """
        codes = self.exit_codes
        if explosion:
            return codes.ERROR_EXPLODED.format(detail=explosion)
        cause = None if log.complete else cause_of_failure(self.node, *log.errors)
        if ran_out_of_memory(self) and not log.complete and (cause is None or cause.kind != 'memory'):
            return codes.ERROR_OUT_OF_MEMORY.format(detail='says the scheduler')
        if cause and cause.kind in ('memory', 'installation'):
            return exit_code_of(self, cause)
        if log.errors:
            return codes.ERROR_LAMMPS.format(detail=log.errors[0])
        if log.out_of_walltime:
            return codes.ERROR_OUT_OF_WALLTIME
        if not log.complete or log.production is None:
            return exit_code_of(self, cause) if cause else codes.ERROR_INCOMPLETE
        if unreadable:
            return codes.ERROR_OUTPUT_TRAJECTORY_MISSING.format(detail=unreadable)
        if missing:
            return codes.ERROR_FRAMES_MISSING.format(detail=missing)
        return success(self)


def cut(arrays: Series, first: int = 0, last: float = math.inf) -> Series:
    """Return the part of some arrays that lies between two steps, both included."""
    cuts = {name: slice(*np.searchsorted(steps, (first, last + 0.5))) for name, (steps, _) in arrays.items()}
    return {name: (steps[cuts[name]], values[cuts[name]]) for name, (steps, values) in arrays.items()}


def up_to_first_nonfinite(steps: np.ndarray, array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps and the values of an array before the first value that is not finite.

    :param steps: shape (n,).
    :param array: shape (n, …).
    """
    finite = np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    end = len(array) if finite.all() else int(np.argmin(finite))
    return steps[:end], array[:end]


def rotated(positions: np.ndarray, matrix: np.ndarray, block: int = 1000) -> np.ndarray:
    """Return positions times a matrix in single precision.

    :param positions: shape (frames, atoms, 3), best a view of a file.
    :param matrix: shape (3, 3).
    :param block: frames to work on at a time; all positions may not fit into memory twice.
    """
    if np.array_equal(matrix, np.eye(3)):  # most cells are oriented as LAMMPS wants them
        return positions.astype(np.float32)
    result = np.empty(positions.shape, dtype=np.float32)
    for begin in range(0, len(positions), block):
        part = slice(begin, begin + block)
        result[part] = positions[part] @ matrix
    return result


def describe_log(log: Log, start: Start | None) -> dict[str, Any]:
    """Return what the log says of a run; ``n_steps`` counts from the start of the production."""
    result: dict[str, Any] = {
        'lammps_version': log.version,
        'completed': log.complete and not log.out_of_walltime,
        'errors': log.errors,
        'wall_time_s': sum(stage.loop_time_s or 0.0 for stage in log.stages),
    }
    production = log.production
    if production and production.loop_time_s and production.n_steps is not None:
        result['steps_per_second'] = production.n_steps / production.loop_time_s
        done = start.step if start and start.stage == PRODUCTION else 0
        result['n_steps'] = done + production.n_steps
    if production and production.cpu_use_percent is not None:
        result['cpu_use_percent'] = production.cpu_use_percent
    if log.peak_memory_MB is not None:
        result['peak_memory_MB'] = log.peak_memory_MB
    return result
