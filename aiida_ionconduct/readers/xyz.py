"""Extended XYZ."""

from __future__ import annotations

import pathlib
import re

import numpy as np

from aiida_ionconduct.readers.text import line_starts, open_text, read_rows
from aiida_ionconduct.readers.trajectory import Trajectory, unwrap_if_inside

LATTICE = re.compile(rb'Lattice="([^"]*)"')
PROPERTIES = re.compile(rb'Properties=(\S+)')
NUMBER = {name: re.compile(rb'\b' + name.encode() + rb'=(\S+)') for name in ('time_ps', 'temperature_K')}


def read_extxyz(path: str | pathlib.Path) -> Trajectory:
    """Read the positions of an extended XYZ file; ``time_ps`` and ``temperature_K`` are taken where frames state them.

    :raises ValueError: if a frame has no lattice, its atoms or columns are not those of the first frame, or steps are
        too long to unwrap.
    """
    content = open_text(path)
    lines = line_starts(content)
    try:
        n_atoms = int(content[lines[0] : lines[1]])
    except (ValueError, IndexError) as exception:
        raise ValueError(f'`{path}` does not begin with a number of atoms: it is no XYZ file.') from exception
    per_frame, notes = n_atoms + 2, []
    n_frames = (len(lines) - 1) // per_frame
    heads = [content[lines[k] : lines[k + 2]].partition(b'\n') for k in range(0, n_frames * per_frame, per_frame)]
    comments = [comment for _, _, comment in heads]
    properties = {match.group(1) if (match := PROPERTIES.search(text)) else b'species:S:1:pos:R:3' for text in comments}
    if any(head.strip() != str(n_atoms).encode() for head, _, _ in heads) or len(properties) > 1:
        raise ValueError(f'the frames of `{path}` differ in their atoms or columns.')
    if not n_frames:
        raise ValueError(f'`{path}` ends within its first frame.')
    columns = _column_names(properties.pop().decode())
    missing = sorted({'species', 'pos0'} - set(columns))
    if missing:
        raise ValueError(f'`{path}` has no column {", ".join(missing)}.')
    rows = [lines[k + 2] for k in range(0, n_frames * per_frame, per_frame)]
    positions, _, cut = read_rows(content, rows, n_atoms, columns=columns, coordinates=['pos0', 'pos1', 'pos2'])
    if cut or (len(lines) - 1) % per_frame:
        notes.append('the file ends within a frame, which was left out.')
    cells = _lattices(comments[: len(positions)], path)
    first = content[lines[2] : lines[per_frame]].decode().splitlines()
    temperatures = _numbers(comments, 'temperature_K')
    times = _numbers(comments[: len(positions)], 'time_ps')
    return Trajectory(
        positions=unwrap_if_inside(positions, cells, notes),
        symbols=[line.split()[columns.index('species')] for line in first],
        cell=cells if cells.ndim == 2 else cells.mean(axis=0),
        times_ps=times,
        temperature_K=None if temperatures is None else float(temperatures.mean()),
        notes=notes,
    )


def _column_names(properties: str) -> list[str]:
    """Return the names of the columns, such as ``species``, ``pos0``, ``pos1``; a vector has one for each component."""
    words = properties.split(':')
    names = []
    for name, count in zip(words[::3], words[2::3], strict=True):
        names += [name] if int(count) == 1 else [f'{name}{index}' for index in range(int(count))]
    return names


def _lattices(comments: list[bytes], path: str | pathlib.Path) -> np.ndarray:
    """Return the cell (3, 3) in Å, or (frames, 3, 3) where the cells differ.

    :raises ValueError: if a frame states no lattice.
    """
    matches = [LATTICE.search(comment) for comment in comments]
    if None in matches:
        raise ValueError(f'frame {matches.index(None)} of `{path}` states no lattice.')
    texts = [match.group(1) for match in matches if match]
    known = {text: np.array(text.split(), dtype=float).reshape(3, 3) for text in set(texts)}
    return known[texts[0]] if len(known) == 1 else np.array([known[text] for text in texts])


def _numbers(comments: list[bytes], name: str) -> np.ndarray | None:
    """Return a number that every frame states, (frames,); None if a frame does not state it."""
    matches = [NUMBER[name].search(comment) for comment in comments]
    return None if None in matches else np.array([match.group(1) for match in matches if match], dtype=float)
