"""The file formats of trajectories, and which of them a file has; without NumPy, as the command line lists them."""

from __future__ import annotations

import pathlib
from typing import Literal, get_args

TrajectoryFormat = Literal['lammps-text', 'lammps-binary', 'extxyz', 'xdatcar', 'npz']


def guess_format(path: str | pathlib.Path) -> TrajectoryFormat:
    """Return the format of a file by its first bytes and its name.

    :raises ValueError: if the file has none of the formats.
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
    raise ValueError(
        f'`{path}` is no known trajectory: choose --file-format among {", ".join(get_args(TrajectoryFormat))}.'
    )
