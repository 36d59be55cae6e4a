"""Trajectory files of other programs, as unwrapped arrays: LAMMPS dumps, extended XYZ, XDATCAR, npz. No AiiDA."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from aiida_ionconduct.readers.arrays import read_npz
from aiida_ionconduct.readers.lammps import read_binary, read_text
from aiida_ionconduct.readers.trajectory import Trajectory, unwrap
from aiida_ionconduct.readers.xdatcar import read_xdatcar
from aiida_ionconduct.readers.xyz import read_extxyz

FORMATS = {
    'lammps-text': read_text,
    'lammps-binary': read_binary,
    'extxyz': read_extxyz,
    'xdatcar': read_xdatcar,
    'npz': read_npz,
}

__all__ = ('FORMATS', 'Trajectory', 'guess_format', 'read_trajectory', 'unwrap')


def read_trajectory(
    path: str | pathlib.Path, file_format: str | None = None, types: Sequence[str] | None = None
) -> Trajectory:
    """Read a trajectory.

    :param file_format: one of :data:`FORMATS`; by the name and the first bytes if not given.
    :param types: chemical symbols of the types 1, 2, … of a LAMMPS text dump without a column ``element``.
    :raises ValueError: if the format is unknown or the file cannot be read, saying what to do.
    :raises OSError: if the file cannot be opened.
    """
    file_format = file_format or guess_format(path)
    if file_format == 'lammps-text':
        return read_text(path, types)
    return FORMATS[file_format](path)


def guess_format(path: str | pathlib.Path) -> str:
    """Return the format of a file by its first bytes and its name.

    :raises ValueError: if it is none of :data:`FORMATS`.
    """
    path = pathlib.Path(path)
    with path.open('rb') as handle:
        start = handle.read(64)
    name = path.name.removesuffix('.gz')
    if start.startswith(b'ITEM:') or (path.suffix == '.gz' and name.endswith(('.lammpstrj', '.dump'))):
        return 'lammps-text'
    if b'DUMPCUSTOM' in start:
        return 'lammps-binary'
    if name.endswith('.npz'):
        return 'npz'
    if name.endswith(('.extxyz', '.xyz')):
        return 'extxyz'
    if 'XDATCAR' in name.upper():
        return 'xdatcar'
    raise ValueError(f'`{path}` is no known trajectory: choose --format among {", ".join(FORMATS)}.')
