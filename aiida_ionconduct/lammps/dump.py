"""Reader of the native binary dumps of LAMMPS (``dump … custom … file.bin``)."""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple

import numpy as np

MAGIC = b'DUMPCUSTOM'
REVISION = 2
INT, BIGINT, DOUBLE = '<i4', '<i8', '<f8'


class Dump(NamedTuple):
    """All whole frames of a dump.

    Atoms are in the order of the file, so the dump should have been written with ``dump_modify … sort id``.
    """

    steps: np.ndarray
    """Shape (frames,)."""
    values: np.ndarray
    """Shape (frames, atoms, columns)."""
    columns: list[str]
    """Names of the columns."""
    truncated: bool
    """The file ends within a frame: LAMMPS was killed."""


def _frame_layout(start: np.ndarray) -> tuple[np.dtype[Any], list[str]]:
    """Work out the layout of a frame from the first bytes of a dump.

    Format revision 2 of LAMMPS' ``DumpCustom`` (since 2020): a magic string whose length is stored negative, byte
    order, revision, step, number of atoms, box, number of columns, units, time, names of the columns, then one chunk
    of doubles from each process that wrote.

    :param start: the bytes of the file, at least to the size of the first chunk.
    :return: structured dtype with ``step`` and one field ``values<i>`` per chunk among others; names of the columns.
    :raises ValueError: if the file is not such a dump, or ends before the first chunk.
    """
    fields: list[tuple[Any, ...]] = []

    def take(name: str, kind: str, count: int = 1) -> Any:
        offset = np.dtype(fields).itemsize
        name = f'skip{len(fields)}' if name == 'skip' else name
        fields.append((name, kind) if count == 1 else (name, kind, (count,)))
        try:
            values = np.frombuffer(start, kind, count, offset)
        except ValueError as error:
            raise ValueError('the dump ends within the header of its first frame.') from error
        return values[0] if count == 1 else values

    length = -take('skip', BIGINT)
    if length != len(MAGIC) or take('skip', f'S{length}') != MAGIC or take('skip', INT) != 1:
        raise ValueError('this is not a binary dump of LAMMPS, style custom, little endian.')
    revision = take('skip', INT)
    if revision != REVISION:
        raise ValueError(f'the dump has format revision {revision}, only {REVISION} is read.')
    take('step', BIGINT)
    n_atoms = take('n_atoms', BIGINT)
    triclinic = take('skip', INT)
    if triclinic not in (0, 1):
        raise ValueError('the dump is in general triclinic form: write it with `dump_modify triclinic/general no`.')
    take('skip', INT, 6)  # boundary conditions
    take('skip', DOUBLE, 9 if triclinic else 6)
    n_columns = take('skip', INT)
    if take('skip', INT):
        raise ValueError('the dump states its units, in the first frame only: write it with `dump_modify units no`.')
    if take('skip', 'i1'):
        take('time', DOUBLE)
    names = take('skip', f'S{take("skip", INT)}').decode().split()
    n_chunks = take('skip', INT)
    for chunk in range(n_chunks):
        size = int(take('skip', INT))
        if chunk == n_chunks - 1:
            fields.append((f'values{chunk}', DOUBLE, (size,)))
        else:
            take(f'values{chunk}', DOUBLE, size)
    layout = np.dtype(fields)
    n_bytes = sum(layout[name].itemsize for name in layout.fields or () if name.startswith('values'))
    if len(names) != n_columns or n_bytes != n_atoms * n_columns * np.dtype(DOUBLE).itemsize:
        raise ValueError('the dump contradicts itself about its number of columns or values.')
    return layout, names


def read_dump(path: str | pathlib.Path) -> Dump:
    """Map a binary dump, up to its last whole frame.

    Nothing is loaded for a dump that one process wrote: ``values`` is a view of the file.

    :param path: a dump of one fixed set of atoms.
    :return: see :class:`Dump`.
    :raises ValueError: if the file holds no whole frame, is not a binary dump, or its frames differ in layout.
    """
    size = pathlib.Path(path).stat().st_size
    if size == 0:
        raise ValueError('the dump is empty.')
    content = np.memmap(path, np.uint8, 'r')
    layout, columns = _frame_layout(content)
    n_frames = size // layout.itemsize
    if n_frames == 0:
        raise ValueError('the dump ends within its first frame.')
    frames = content[: n_frames * layout.itemsize].view(layout)
    # In a constant cell, frames differ in step, time and the values alone.
    constant = [name for name in layout.fields or () if not name.startswith(('step', 'time', 'values'))]
    for name in constant:
        if (frames[name] != frames[name][0]).any():
            raise ValueError('the frames of the dump differ in cell, number of atoms or layout.')
    chunks = [frames[name] for name in layout.fields or () if name.startswith('values')]
    values = chunks[0] if len(chunks) == 1 else np.concatenate(chunks, axis=1)
    return Dump(frames['step'], values.reshape(n_frames, -1, len(columns)), columns, size % layout.itemsize > 0)
