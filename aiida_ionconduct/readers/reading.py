"""The reader of each file format."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence

from aiida_ionconduct.readers.arrays import read_npz
from aiida_ionconduct.readers.formats import TrajectoryFormat, guess_format
from aiida_ionconduct.readers.lammps import read_binary, read_text
from aiida_ionconduct.readers.trajectory import Trajectory
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
