"""Dumps of LAMMPS: text (``dump … custom``, ``dump … atom``) and binary."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aiida_ionconduct.lammps.dump import read_dump
from aiida_ionconduct.readers.frames import CUT, PACKED_CUT, Clock, Frames
from aiida_ionconduct.readers.identity import in_one_order, mean_charges
from aiida_ionconduct.readers.packed import Content, open_text
from aiida_ionconduct.readers.text import dump_frames, read_rows

FIRST = re.compile(rb'ITEM: TIMESTEP\s+\d+\s+(ITEM: .*?ITEM: ATOMS[^\n]*\n)', re.DOTALL)
TIME = re.compile(rb'ITEM: TIME\s+([-+.\deE]+)\s')  # stands before the step, if it is written
UNITS = {'metal': 1.0, 'real': 1e-3}
"""Units whose lengths are in Å, and their time in ps."""
KINDS = (('xu', 'yu', 'zu'), ('xsu', 'ysu', 'zsu'), ('x', 'y', 'z'), ('xs', 'ys', 'zs'))
"""Columns that positions are taken from, the best first: unwrapped, then wrapped, each first in Å, then scaled."""
FLAGS = ('ix', 'iy', 'iz')
LABELS = ('type', 'element', 'typelabel')
HEADER_LIMIT = 1 << 16
"""Bytes within which the header of the first frame must end."""


class Header(NamedTuple):
    """The header of a frame: origin (3,) and vectors (3, 3) of the box in Å, number of atoms, names of the columns."""

    origin: np.ndarray
    cell: np.ndarray
    n_atoms: int
    columns: list[str]


def read_text(path: str | Path) -> Frames:
    """Read a text dump.

    :raises ValueError: if the file is no text dump, has no positions, or its atoms change.
    """
    content, packed_cut = open_text(path)
    match = FIRST.search(content, 0, HEADER_LIMIT)
    if match is None:
        raise ValueError(f'`{path}` holds no frame of a LAMMPS dump.')
    start = bytes(content[: match.start()])
    unit_ps = _time_unit(start, path)
    first = _parse_header(match.group(1), path)
    frames = dump_frames(content, 2 * first.n_atoms * len(first.columns))
    if not len(frames):
        raise ValueError(f'`{path}` ends within its first frame.')
    headers = [first] if frames[:, 3].all() else _read_headers(content, frames, first, path)
    kind = next((kind for kind in KINDS if set(kind) <= set(first.columns)), None)
    if kind is None:
        raise ValueError(f'`{path}` has no positions: dump id, element and xu, yu, zu.')
    flags = FLAGS if 'u' not in kind[0] and set(FLAGS) <= set(first.columns) else ()
    cells, origins = (np.array([getattr(header, name) for header in headers]) for name in ('cell', 'origin'))
    names = [name for name in LABELS if name in first.columns]
    rows = read_rows(
        content,
        frames[:, 2],
        first.n_atoms,
        columns=first.columns,
        coordinates=kind,
        image_flags=flags,
        atom_id='id' if 'id' in first.columns else None,
        labels=names,
        charge='q' if 'q' in first.columns else None,
        cells=cells,
        origins=origins if kind[0].startswith('xs') else None,
    )
    positions, order, charges = in_one_order(rows, path, 'add `dump_modify … sort id` to the input of LAMMPS')
    words = _first_words(content, int(frames[0, 2]), first, names)
    words = {name: [column[row] for row in order] for name, column in words.items()}
    n_frames = len(positions)
    clocks = [Clock(name='ITEM: TIMESTEP', values=frames[:n_frames, 0], is_step=True)]
    if TIME.search(content, 0, match.start()):
        times = np.array([time.group(1) for time in TIME.finditer(content)][:n_frames], dtype=float)
        if len(times) < n_frames:
            raise ValueError(f'`{path}` states ITEM: TIME in {len(times)} of {n_frames} frames only.')
        clocks.append(Clock(name='ITEM: TIME', values=times, unit_ps=unit_ps))
    result = Frames(
        path=Path(path),
        positions=positions,
        cells=cells[:n_frames] if len(cells) > 1 else cells[0],
        wrapping='unwrapped' if 'u' in kind[0] or flags else 'wrapped',
        wrapping_source=f'columns {" ".join((*kind, *flags))}',
        by_id='id' if rows.ids is not None else None,
        clocks=clocks,
    )
    label = next((name for name in ('typelabel', 'element') if name in words), None)
    result.words, result.words_source = (words[label], f'column {label}') if label else (None, '')
    result.types = words.get('type')
    if charges is not None:
        result.charges = mean_charges(charges, result.notes)
    if rows.cut or content.rfind(b'ITEM: TIMESTEP') >= frames[-1, 2]:
        result.notes.append(CUT)
    if packed_cut:
        result.notes.append(PACKED_CUT)
    return result


def _time_unit(start: bytes, path: str | Path) -> float | None:
    """Return the unit of time in ps that a dump states, None if it states none.

    :param start: the text before the first frame.
    :raises ValueError: for units whose lengths are not in Å.
    """
    match = re.search(rb'ITEM: UNITS\s+(\S+)', start)
    if match is None:
        return None
    units = match.group(1).decode(errors='replace')
    if units not in UNITS:
        raise ValueError(f'`{path}` is in {units} units: write it in metal or real units, in Å.')
    return UNITS[units]


def _read_headers(content: Content, frames: np.ndarray, first: Header, path: str | Path) -> list[Header]:
    """Return the header of every frame.

    :param frames: of :func:`~aiida_ionconduct.readers.text.dump_frames`.
    :raises ValueError: if the atoms or columns of a frame are not those of the first frame.
    """
    headers, text, header = [], None, first
    for frame, (_, begin, end, _) in enumerate(frames):
        if content[begin:end] != text:
            text = content[begin:end]
            header = _parse_header(bytes(text), path)
            if (header.n_atoms, header.columns) != (first.n_atoms, first.columns):
                raise ValueError(f'frame {frame} of `{path}` has other atoms or columns than the first.')
        headers.append(header)
    return headers


def _parse_header(text: bytes, path: str | Path) -> Header:
    """Read what stands between the step and the first atom.

    :raises ValueError: if the box or the number of atoms is missing.
    """
    parts = [section.decode(errors='replace').splitlines() for section in text.split(b'ITEM: ')[1:]]
    sections = {lines[0].strip(): [line.split() for line in lines[1:]] for lines in parts if lines}
    box = next((name for name in sections if name.startswith('BOX BOUNDS')), None)
    if box is None or 'NUMBER OF ATOMS' not in sections:
        raise ValueError('a frame of the dump states no box or no number of atoms.')
    try:
        rows = np.array(sections[box], dtype=float)[:3]
        n_atoms = int(sections['NUMBER OF ATOMS'][0][0])
        if 'abc' in box:
            origin, cell = rows[:, 3], rows[:, :3]
        else:
            xy, xz, yz = rows[:, 2] if rows.shape[1] == 3 else (0.0, 0.0, 0.0)
            # A tilted box states the bounds of the box around it.
            low = rows[:, 0] - [min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0]
            high = rows[:, 1] - [max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0]
            lengths = high - low
            origin, cell = low, np.array([[lengths[0], 0, 0], [xy, lengths[1], 0], [xz, yz, lengths[2]]])
    except (ValueError, IndexError) as exception:
        raise ValueError(f'a frame of `{path}` has a header that cannot be read: {exception}.') from exception
    if n_atoms < 1 or not np.isfinite(cell).all() or abs(np.linalg.det(cell)) < 1e-6:
        raise ValueError(
            f'a frame of `{path}` has a header that cannot be: {n_atoms} atoms in the cell {cell.tolist()}.'
        )
    columns = next((name for name in sections if name.startswith('ATOMS')), 'ATOMS').split()[1:]
    return Header(origin, cell, n_atoms, columns)


def _first_words(content: Content, start: int, header: Header, names: list[str]) -> dict[str, list[str]]:
    """Return the words that label the atoms of the first frame, in the order of the file, by column.

    :param start: where the first row begins.
    """
    columns = {name: header.columns.index(name) for name in names}
    words: dict[str, list[str]] = {name: [] for name in names}
    end = start
    for _ in range(header.n_atoms if names else 0):
        begin, end = end, content.find(b'\n', end) + 1
        row = bytes(content[begin:end]).split()
        for name, column in columns.items():
            words[name].append(row[column].decode(errors='replace'))
    return words


def read_binary(path: str | Path) -> Frames:
    """Read a binary dump with unwrapped coordinates; it holds neither symbols nor a cell.

    :raises ValueError: as :func:`~aiida_ionconduct.lammps.dump.read_dump`, or if the dump has no columns xu, yu, zu.
    """
    dump = read_dump(path)
    if not set(KINDS[0]) <= set(dump.columns):
        raise ValueError(f'`{path}` has no columns xu yu zu.')
    values = dump.values[:, :, [dump.columns.index(name) for name in KINDS[0]]]
    types = dump.values[:, :, dump.columns.index('type')].astype(int) if 'type' in dump.columns else None
    by_id = 'id' if 'id' in dump.columns else None
    if by_id:
        order = np.argsort(dump.values[:, :, dump.columns.index('id')], axis=1, kind='stable')
        ids = np.take_along_axis(dump.values[:, :, dump.columns.index('id')], order, 1)
        if (ids != ids[0]).any():
            raise ValueError(f'the frames of `{path}` hold different atoms.')
        if (order != np.arange(order.shape[1])).any():
            values = np.take_along_axis(values, order[:, :, None], 1)
            types = None if types is None else np.take_along_axis(types, order, 1)
    if types is not None and (types != types[0]).any():
        frame, atom = map(int, np.argwhere(types != types[0])[0])
        raise ValueError(f'in frame {frame} of `{path}`, the type of atom {atom} differs from the first frame.')
    return Frames(
        path=Path(path),
        positions=values,
        wrapping='unwrapped',
        wrapping_source='columns xu yu zu',
        by_id=by_id,
        types=None if types is None else [str(kind) for kind in types[0]],
        clocks=[Clock(name='steps of the binary dump', values=np.asarray(dump.steps), is_step=True)],
        notes=[CUT] if dump.truncated else [],
    )
