"""The file formats of trajectories, and which of them a file has; without NumPy, as the command line lists them."""

from __future__ import annotations

import pathlib
from typing import Literal, get_args

TrajectoryFormat = Literal['lammps-text', 'lammps-binary', 'extxyz', 'xdatcar', 'npz', 'cp.x', 'ase', 'mdanalysis']

UTF8_MARK, UTF16_MARKS = b'\xef\xbb\xbf', (b'\xff\xfe', b'\xfe\xff')
"""Byte order marks, which programs of Windows write at the beginning of text."""
MDANALYSIS = ('.dcd', '.xtc', '.trr', '.h5md')


def guess_format(path: str | pathlib.Path) -> TrajectoryFormat:
    """Return the format of a file by its first bytes and its name.

    :raises ValueError: if the file has none of the formats, or begins with a byte order mark.
    """
    from aiida_ionconduct.readers.packed import first_bytes, unpacked_name

    path = pathlib.Path(path)
    start, name = first_bytes(path), unpacked_name(path)
    if start.startswith((UTF8_MARK, *UTF16_MARKS)):
        command = 'tail -c +4' if start.startswith(UTF8_MARK) else 'iconv -f UTF-16 -t UTF-8'
        raise ValueError(
            f'`{path}` begins with a byte order mark, as programs of Windows write it: `{command} {path.name} > NEW` '
            'writes it without.'
        )
    if start.startswith(b'ITEM:') or (path.name != name and name.endswith(('.lammpstrj', '.dump'))):
        return 'lammps-text'
    if b'DUMPCUSTOM' in start[:64]:
        return 'lammps-binary'
    if name.endswith('.npz'):
        return 'npz'
    if name.endswith(('.extxyz', '.xyz')):
        return 'extxyz'
    if 'XDATCAR' in name.upper() or b'Direct configuration=' in start:
        return 'xdatcar'
    if name.endswith('.pos'):
        return 'cp.x'
    if name.lower().endswith(MDANALYSIS):
        return 'mdanalysis'
    if b'Program PWSCF' in start or _ase_knows(path):
        return 'ase'
    raise ValueError(
        f'`{path}` is no known trajectory: choose --file-format among {", ".join(get_args(TrajectoryFormat))}, or '
        'write it as `dump custom` of LAMMPS or extended XYZ.'
    )


def _ase_knows(path: pathlib.Path) -> bool:
    """Whether ASE recognises the format of a file."""
    from ase.io.formats import UnknownFileTypeError, filetype

    try:
        return filetype(str(path), guess=False) is not None
    except (UnknownFileTypeError, OSError, ValueError, StopIteration):
        return False
