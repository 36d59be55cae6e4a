"""Trajectories as text: columns of numbers, read from a mapped file without loading it."""

from __future__ import annotations

import gzip
import mmap
import pathlib
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from aiida_ionconduct.readers._text import find_frames, parse_frames

CHUNK = 1 << 26

Content: TypeAlias = bytes | mmap.mmap
"""The bytes of a file, in memory or mapped."""


class Rows(NamedTuple):
    """What the rows of all whole frames hold.

    ``positions`` (frames, rows, 3); ``ids`` (frames, rows), or (1, rows) if the ids are the same in all frames, or
    None if they are not asked for; ``cut``, whether the file ends within a frame, which was left out.
    """

    positions: np.ndarray
    ids: np.ndarray | None
    cut: bool


def open_text(path: str | pathlib.Path) -> Content:
    """Map a file into memory, or unpack a file whose name ends in ``.gz``.

    :raises ValueError: if the file is empty.
    """
    path = pathlib.Path(path)
    if path.suffix == '.gz':
        return gzip.decompress(path.read_bytes())
    if not path.stat().st_size:
        raise ValueError(f'`{path}` is empty.')
    with path.open('rb') as handle:
        return mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)


def line_starts(content: Content) -> np.ndarray:
    """Return where each line begins, and where the next line after the last line feed would begin.

    A line is whole if another start follows its own.
    """
    text = np.frombuffer(content, np.uint8)
    ends = [np.flatnonzero(text[start : start + CHUNK] == ord('\n')) + start for start in range(0, len(text), CHUNK)]
    return np.concatenate([[0], *(end + 1 for end in ends)])


def dump_frames(content: Content, shortest: int) -> np.ndarray:
    """Return where the frames of a LAMMPS dump are.

    :param shortest: least number of bytes that the rows of a frame take.
    :return: (frames, 4): number of the MD step, start of the header behind it, start of the rows, and whether the
        header is the same as in the first frame.
    """
    frames = np.empty((len(content) // max(shortest, 1) + 1, 4), dtype=np.int64)
    return frames[: find_frames(np.frombuffer(content, np.uint8), shortest, frames)]


def read_rows(
    content: Content,
    starts: Sequence[int] | np.ndarray,
    n_rows: int,
    *,
    columns: Sequence[str],
    coordinates: Sequence[str],
    image_flags: Sequence[str] = (),
    atom_id: str | None = None,
    cells: np.ndarray | None = None,
    origins: np.ndarray | None = None,
) -> Rows:
    """Read the rows of every frame; a last frame that is not whole is left out.

    :param starts: where the first row of each frame begins.
    :param n_rows: rows of a frame.
    :param columns: names of the columns in the text; other columns may follow.
    :param coordinates: names of the three columns with coordinates.
    :param image_flags: names of the three columns with image flags, if there are any.
    :param atom_id: name of the column with the ids of atoms, if they are wanted.
    :param cells: (1 or frames, 3, 3), Å, for image flags and scaled coordinates.
    :param origins: (1 or frames, 3), Å; if given, the coordinates are scaled, in units of the cell.
    :raises ValueError: if no frame is whole, or a frame before the last one cannot be read.
    """
    # To the compiled reader, 0, 1, 2 are the coordinates of a row, 3, 4, 5 its image flags, and 6 is its id.
    wanted = {name: index for index, name in enumerate((*coordinates, *image_flags))}
    if atom_id is not None:
        wanted[atom_id] = 6
    used = max(columns.index(name) for name in wanted) + 1
    targets = np.array([wanted.get(name, -1) for name in columns[:used]], dtype=np.intp)
    offsets, whole = np.ascontiguousarray(starts, dtype=np.intp), np.zeros(len(starts), dtype=np.intp)
    text, positions = np.frombuffer(content, np.uint8), np.empty((len(starts), n_rows, 3))
    boxes = np.zeros((1, 3, 3)) if cells is None else np.ascontiguousarray(cells)
    lows = np.zeros((1, 3)) if origins is None else np.ascontiguousarray(origins)
    others, nothing = np.zeros(len(starts), dtype=np.int64), np.empty(0, dtype=np.int64)

    def parse(n_frames: int, ids: np.ndarray, expected: np.ndarray) -> None:
        scaled = origins is not None
        begins = offsets[:n_frames]
        parse_frames(text, begins, targets, boxes, lows, scaled, positions, ids, expected, others, whole)

    ids = None
    if atom_id is not None:  # the ids of all frames are large and mostly the same
        ids = np.empty((1, n_rows), dtype=np.int64)
        parse(1, ids, nothing)
    parse(len(starts), nothing[:, None], nothing if ids is None else ids[0])
    if others.any():
        ids = np.empty((len(starts), n_rows), dtype=np.int64)
        parse(len(starts), ids, nothing)
    n_whole = _whole_frames(whole, n_rows, used)
    return Rows(positions[:n_whole], ids[:n_whole] if ids is not None else None, n_whole < len(starts))


def _whole_frames(rows_read: np.ndarray, n_rows: int, n_columns: int) -> int:
    """Return the number of frames of which all rows were read: all frames, or all but the last one.

    :param rows_read: (frames,), how many rows of each frame could be read.
    :raises ValueError: if no frame is whole, or a frame before the last one is not.
    """
    broken = np.flatnonzero(rows_read < n_rows)
    if not len(broken):
        return len(rows_read)
    frame = int(broken[0])
    if frame < len(rows_read) - 1:
        raise ValueError(
            f'row {rows_read[frame] + 1} of frame {frame} does not hold {n_columns} columns with the numbers asked.'
        )
    if not frame:
        raise ValueError('the file ends within its first frame, or holds words where numbers are expected.')
    return frame
