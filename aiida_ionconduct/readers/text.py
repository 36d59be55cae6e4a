"""Trajectories as text: columns of numbers, read from a mapped file without loading it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aiida_ionconduct.readers._text import find_frames, parse_frames
from aiida_ionconduct.readers.packed import Content, available_bytes

CHUNK = 1 << 26
ID, CHARGE, LABEL = 6, 7, -2
"""Numbers of columns to the compiled reader; 0, 1, 2 are the coordinates and 3, 4, 5 the image flags."""


class Rows(NamedTuple):
    """What the rows of all whole frames hold.

    ``positions`` (frames, rows, 3); ``ids`` (frames, rows), or (1, rows) if the ids are the same in all frames, or
    None if they are not asked for; ``labels``, the same for a number that stands for the words which label an atom;
    ``charges`` (frames, rows) or None; ``cut``, whether the file ends within a frame, which was left out.
    """

    positions: np.ndarray
    ids: np.ndarray | None
    labels: np.ndarray | None
    charges: np.ndarray | None
    cut: bool


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
    labels: Sequence[str] = (),
    charge: str | None = None,
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
    :param labels: names of the columns with the words that label an atom (type, element), to be compared.
    :param charge: name of the column with charges, if they are wanted.
    :param cells: (1 or frames, 3, 3), Å, for image flags and scaled coordinates.
    :param origins: (1 or frames, 3), Å; if given, the coordinates are scaled, in units of the cell.
    :raises ValueError: if no frame is whole, a frame before the last one cannot be read, or the memory is too small.
    """
    wanted = {name: index for index, name in enumerate((*coordinates, *image_flags))}
    wanted |= dict.fromkeys(labels, LABEL)
    wanted |= {atom_id: ID} if atom_id else {}
    wanted |= {charge: CHARGE} if charge else {}
    used = max(columns.index(name) for name in wanted) + 1
    targets = np.array([wanted.get(name, -1) for name in columns[:used]], dtype=np.intp)
    offsets, whole = np.ascontiguousarray(starts, dtype=np.intp), np.zeros(len(starts), dtype=np.intp)
    _check_size(len(content) - int(offsets[0]), len(starts), n_rows, used)
    text, positions = np.frombuffer(content, np.uint8), np.empty((len(starts), n_rows, 3))
    boxes = np.zeros((1, 3, 3)) if cells is None else np.ascontiguousarray(cells)
    lows = np.zeros((1, 3)) if origins is None else np.ascontiguousarray(origins)
    others, nothing = np.zeros((len(starts), 2), dtype=np.int64), np.empty((0, 0), dtype=np.int64)
    charges = np.empty((len(starts), n_rows)) if charge else np.empty((0, 0))

    def parse(
        n_frames: int, ids: np.ndarray, words: np.ndarray, known: tuple[np.ndarray, np.ndarray] | None = None
    ) -> None:
        known_ids, known_words = known or (nothing.ravel(), nothing.ravel())
        parse_frames(
            text,
            offsets[:n_frames],
            targets,
            boxes,
            lows,
            origins is not None,
            positions,
            ids,
            words,
            charges[:n_frames],
            known_ids,
            known_words,
            others,
            whole,
        )

    # The ids and labels of all frames are large and mostly the same: those of the first frame are compared.
    def array(asked: bool, n_frames: int) -> np.ndarray:
        return np.empty((n_frames, n_rows), dtype=np.int64) if asked else nothing

    ids, words = array(atom_id is not None, 1), array(bool(labels), 1)
    if len(ids) or len(words):
        parse(1, ids, words)
    parse(len(starts), nothing, nothing, (ids.ravel(), words.ravel()))
    n_whole = _whole_frames(whole, n_rows, used)
    if others[:n_whole].any():
        ids, words = array(atom_id is not None, len(starts)), array(bool(labels), len(starts))
        parse(len(starts), ids, words)
    return Rows(
        positions[:n_whole],
        ids[:n_whole] if len(ids) else None,
        words[:n_whole] if len(words) else None,
        charges[:n_whole] if charge else None,
        n_whole < len(starts),
    )


def _check_size(n_bytes: int, n_frames: int, n_rows: int, n_columns: int) -> None:
    """Refuse a number of atoms that the file cannot hold, or positions that do not fit into memory.

    :param n_bytes: from the first row to the end of the file.
    :raises ValueError: saying which.
    """
    shortest = n_rows * 2 * n_columns
    if n_rows < 1 or (n_frames - 1) * shortest > n_bytes:
        raise ValueError(f'a frame states {n_rows} atoms, but its rows do not follow: the file is cut or damaged.')
    if n_frames == 1 and shortest > n_bytes + n_columns:
        raise ValueError('the file ends within its first frame, or holds words where numbers are expected.')
    if (needed := 24 * n_frames * n_rows) > (free := available_bytes()):
        raise ValueError(
            f'{n_frames} frames of {n_rows} atoms take {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB of memory are '
            'free: read every second or tenth frame only (write the file again with fewer frames).'
        )


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
