"""LAMMPS' binary restart files: the step at which they were written, and whether they are whole."""

from __future__ import annotations

import pathlib
import struct

from aiida_ionconduct.lammps.script import EQUILIBRATION, PRODUCTION, RESTART_SUFFIX, Start

MAGIC = b'LammpS RestartT\0'
VERSION, UNITS, NTIMESTEP = 0, 4, 5
INTEGER_SIZES = {1, 2, 3, 48}
"""Records that state the size of an integer type."""


def restart_step(content: bytes) -> int:
    """Return the time step at which a restart file was written.

    The header of LAMMPS' ``WriteRestart``: a magic string, byte order, revision, then records of a number and a value;
    the step is among the first. A file that was written to its end repeats the magic string there.

    :param content: the bytes of the file.
    :raises ValueError: if the file is not a restart file, or was cut short.
    """
    if not content.startswith(MAGIC) or struct.unpack_from('<i', content, len(MAGIC)) != (1,):
        raise ValueError('this is not a restart file of LAMMPS, little endian.')
    if not content.endswith(MAGIC):
        raise ValueError('the restart file is cut short.')
    offset = len(MAGIC) + 8
    while True:
        (record,) = struct.unpack_from('<i', content, offset)
        offset += 4
        if record == NTIMESTEP:
            return int(struct.unpack_from('<q', content, offset)[0])
        if record in (VERSION, UNITS):
            offset += 4 + struct.unpack_from('<i', content, offset)[0]
        elif record in INTEGER_SIZES:
            offset += 4
        else:
            raise ValueError(f'the header of the restart file has an unknown record {record} before its step.')


def restart_files(folder: pathlib.Path) -> list[tuple[Start, pathlib.Path]]:
    """Return the whole restart files that a run left in a folder, the latest first.

    :param folder: the folder, with the files named as in :mod:`~aiida_ionconduct.lammps.script`.
    """
    files = []
    for stage in (EQUILIBRATION, PRODUCTION):
        for path in folder.glob(f'{stage}{RESTART_SUFFIX}*'):
            try:
                files.append((Start(stage, restart_step(path.read_bytes())), path))
            except (ValueError, struct.error):
                continue
    return sorted(files, key=lambda item: (item[0].stage == PRODUCTION, item[0].step), reverse=True)
