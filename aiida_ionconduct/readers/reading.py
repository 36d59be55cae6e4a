"""The reader of each file format."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence

from aiida_ionconduct.readers.arrays import read_npz
from aiida_ionconduct.readers.formats import TrajectoryFormat, guess_format
from aiida_ionconduct.readers.lammps import read_binary, read_text
from aiida_ionconduct.readers.options import ReadingOptions
from aiida_ionconduct.readers.trajectory import Assumption, Trajectory
from aiida_ionconduct.readers.xdatcar import read_xdatcar
from aiida_ionconduct.readers.xyz import read_extxyz

READERS: dict[TrajectoryFormat, Callable[[str | pathlib.Path], Trajectory]] = {
    'lammps-text': read_text,
    'lammps-binary': read_binary,
    'extxyz': read_extxyz,
    'xdatcar': read_xdatcar,
    'npz': read_npz,
}


def read_trajectory(
    path: str | pathlib.Path, file_format: TrajectoryFormat | None = None, types: Sequence[str] | None = None
) -> Trajectory:
    """Read a trajectory.

    :param file_format: by :func:`~aiida_ionconduct.readers.formats.guess_format` if not given.
    :param types: chemical symbols of the types 1, 2, … of a LAMMPS text dump without a column ``element``.
    :return: the frames, unwrapped.
    :raises ValueError: if the format is unknown or the file cannot be read, saying what to do.
    :raises OSError: if the file cannot be opened.
    """
    file_format = file_format or guess_format(path)
    if file_format == 'lammps-text':
        return read_text(path, types)
    return READERS[file_format](path)


def read_runs(paths: Sequence[str | pathlib.Path], options: ReadingOptions) -> list[Trajectory]:
    """Read files, and return the runs that they hold.

    :return: every run with unwrapped positions, one order of atoms, and a known time between frames.
    :raises ValueError: if a file cannot be read or contradicts itself or the options, saying what to do.
    :raises OSError: if a file cannot be opened.
    """
    runs = []
    for path in map(pathlib.Path, paths):
        run = read_trajectory(path, options.file_format, options.types)
        run.dt_ps = options.dt_ps or run.interval_ps(options.timestep_fs)
        if run.dt_ps is None:
            raise ValueError(
                f'`{path}` does not tell the time between two frames: give --dt-ps, or --timestep-fs where steps are '
                'numbered.'
            )
        run.temperature_K = options.temperature_K or run.temperature_K
        run.positions = run.positions[round(options.discard_ps / run.dt_ps) :]
        run.paths = [path]
        run.assumptions = [Assumption('time between frames', f'{run.dt_ps:g} ps', 'option or file')]
        runs.append(run)
    return runs
