"""Trajectories as text: rows of columns, mapped and not loaded."""

from __future__ import annotations

import gzip
import mmap
import pathlib
from collections.abc import Sequence

import numpy as np

from aiida_ionconduct.readers._text import find_frames, parse_frames

CHUNK = 1 << 26


def open_text(path: str | pathlib.Path) -> bytes | mmap.mmap:
    """Map a file, or unpack one that ends in ``.gz``.

    :raises ValueError: if it is empty.
    """
    path = pathlib.Path(path)
    if path.suffix == '.gz':
        return gzip.decompress(path.read_bytes())
    if not path.stat().st_size:
        raise ValueError(f'`{path}` is empty.')
    with path.open('rb') as handle:
        return mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)


def line_starts(content: bytes | mmap.mmap) -> np.ndarray:
    """Return where the lines begin; the last value is where another one would, so only whole lines have an end."""
    text = np.frombuffer(content, np.uint8)
    found = [np.flatnonzero(text[at : at + CHUNK] == ord('\n')) + at + 1 for at in range(0, len(text), CHUNK)]
    return np.concatenate([[0], *found])


def dump_frames(content: bytes | mmap.mmap, shortest: int) -> np.ndarray:
    """Return step, header, rows and whether the header is the first one of every frame of a LAMMPS dump: (frames, 4).

    :param shortest: bytes that the rows of a frame take at least.
    """
    found = np.empty((len(content) // max(shortest, 1) + 1, 4), dtype=np.int64)
    return found[: find_frames(np.frombuffer(content, np.uint8), shortest, found)]


def read_rows(
    content: bytes | mmap.mmap,
    starts: Sequence[int],
    n_rows: int,
    columns: Sequence[str],
    wanted: Sequence[str],
    cells: np.ndarray | None = None,
    origins: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """Return the positions of every frame, the ids of their rows, and whether the file ends within the last frame.

    That frame is then left out.

    :param starts: where the first row of each frame begins.
    :param columns: names of the columns in the text; other columns may follow.
    :param wanted: names of three columns with coordinates, three with image flags, one with ids; the latter four are
        empty where there are none.
    :param cells: (1 or frames, 3, 3), Å, for image flags and scaled coordinates.
    :param origins: (1 or frames, 3), Å; if given, the coordinates are scaled, in units of the cell.
    :return: (frames, rows, 3); (frames, rows), or (1, rows) if they are the same in all frames, or None; bool.
    :raises ValueError: if no frame is whole, or a frame before the last one cannot be read.
    """
    used = max(columns.index(name) for name in wanted if name) + 1
    targets = np.array([wanted.index(name) if name in wanted else -1 for name in columns[:used]], dtype=np.intp)
    offsets, whole = np.ascontiguousarray(starts, dtype=np.intp), np.zeros(len(starts), dtype=np.intp)
    text, positions = np.frombuffer(content, np.uint8), np.empty((len(starts), n_rows, 3))
    boxes = np.zeros((1, 3, 3)) if cells is None else np.ascontiguousarray(cells)
    lows = np.zeros((1, 3)) if origins is None else np.ascontiguousarray(origins)
    others, nothing = np.zeros(len(starts), dtype=np.int64), np.empty(0, dtype=np.int64)

    def parse(n_frames: int, ids: np.ndarray, expected: np.ndarray):
        scaled = origins is not None
        where = offsets[:n_frames]
        parse_frames(text, where, targets, boxes, lows, scaled, positions, ids, expected, others, whole)

    ids = None
    if wanted[6:] and wanted[6]:  # the ids of all frames are large and mostly the same
        ids = np.empty((1, n_rows), dtype=np.int64)
        parse(1, ids, nothing)
    parse(len(starts), nothing[:, None], nothing if ids is None else ids[0])
    if others.any():
        ids = np.empty((len(starts), n_rows), dtype=np.int64)
        parse(len(starts), ids, nothing)
    broken = np.flatnonzero(whole < n_rows)
    end = len(starts)
    if len(broken):
        end = int(broken[0])
        if end < len(starts) - 1:
            raise ValueError(
                f'row {whole[end] + 1} of frame {end} does not hold {used} columns with the numbers asked.'
            )
        if not end:
            raise ValueError('the file ends within its first frame, or holds words where numbers are expected.')
    return positions[:end], ids[:end] if ids is not None else None, end < len(starts)
