"""Dumps of LAMMPS: text (``dump … custom``, ``dump … atom``) and binary."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aiida_ionconduct.lammps.dump import read_dump
from aiida_ionconduct.readers.text import Content, dump_frames, open_text, read_rows
from aiida_ionconduct.readers.trajectory import Trajectory, unwrap

FIRST = re.compile(rb'ITEM: TIMESTEP\s+\d+\s+(ITEM: .*?ITEM: ATOMS[^\n]*\n)', re.DOTALL)
TIME = re.compile(rb'ITEM: TIME\s+([-+.\deE]+)\s')  # stands before the step, if it is written
KINDS = (('xu', 'yu', 'zu'), ('xsu', 'ysu', 'zsu'), ('x', 'y', 'z'), ('xs', 'ys', 'zs'))
"""Columns that positions are taken from, the best first: unwrapped, then wrapped, each first in Å, then scaled."""
FLAGS = ('ix', 'iy', 'iz')


class Header(NamedTuple):
    """The header of a frame: origin (3,) and vectors (3, 3) of the box in Å, number of atoms, names of the columns."""

    origin: np.ndarray
    cell: np.ndarray
    n_atoms: int
    columns: list[str]


def read_text(path: str | pathlib.Path, types: Sequence[str] | None = None) -> Trajectory:
    """Read a text dump.

    :param types: chemical symbols of the types 1, 2, …, where the dump has no column ``element``.
    :raises ValueError: if the file is no text dump, has no positions, its atoms change, or steps are too long to
        unwrap.
    """
    content = open_text(path)
    match = FIRST.search(content)
    if match is None:
        raise ValueError(f'`{path}` holds no frame of a LAMMPS dump.')
    _check_units(content[: match.start()], path)
    first = _parse_header(match.group(1))
    frames = dump_frames(content, 2 * first.n_atoms * len(first.columns))
    headers = [first] if frames[:, 3].all() else _read_headers(content, frames, first, path)
    kind = next((kind for kind in KINDS if set(kind) <= set(first.columns)), None)
    if kind is None:
        raise ValueError(f'`{path}` has no positions: dump id, element and xu, yu, zu.')
    flags = FLAGS if 'u' not in kind[0] and set(FLAGS) <= set(first.columns) else ()
    cells, origins = (np.array([getattr(header, name) for header in headers]) for name in ('cell', 'origin'))
    positions, ids, cut = read_rows(
        content,
        frames[:, 2],
        first.n_atoms,
        columns=first.columns,
        coordinates=kind,
        image_flags=flags,
        atom_id='id' if 'id' in first.columns else None,
        cells=cells,
        origins=origins if kind[0].startswith('xs') else None,
    )
    labels = _atom_labels(content, int(frames[0, 2]), first, types)
    if ids is not None:
        positions, order = _by_id(positions, ids)
        labels = [labels[index] for index in order] if labels else None
    cells = cells[: len(positions)]
    notes: list[str] = []
    if cut or content.rfind(b'ITEM: TIMESTEP') >= frames[-1, 2]:
        notes.append('the file ends within a frame, which was left out.')
    if 'u' not in kind[0] and not flags:
        notes.append(
            'the dump has neither unwrapped coordinates nor image flags: every atom was unwrapped the shortest way.'
        )
        positions = unwrap(positions, cells if len(cells) > 1 else cells[0])
    times = [match.group(1) for match in TIME.finditer(content)] if TIME.search(content, 0, match.start()) else []
    in_ps = 1e-3 if b'real' in content[: match.start()] else 1.0
    return _without_repeats(
        Trajectory(
            positions=positions,
            symbols=labels,
            cell=cells.mean(axis=0) if len(cells) > 1 else cells[0],
            steps=frames[: len(positions), 0],
            times_ps=np.array(times[: len(positions)], dtype=float) * in_ps if times else None,
            notes=notes,
        )
    )


def _check_units(start: bytes, path: str | pathlib.Path) -> None:
    """Refuse a dump that states units whose lengths are not in Å.

    :param start: the text before the first frame.
    :raises ValueError: naming the units.
    """
    units = re.search(rb'ITEM: UNITS\s+(\S+)', start)
    if units and units.group(1) not in (b'metal', b'real'):
        raise ValueError(f'`{path}` is in {units.group(1).decode()} units: write it in metal or real units, in Å.')


def _read_headers(content: Content, frames: np.ndarray, first: Header, path: str | pathlib.Path) -> list[Header]:
    """Return the header of every frame.

    :param frames: of :func:`~aiida_ionconduct.readers.text.dump_frames`.
    :raises ValueError: if the atoms or columns of a frame are not those of the first frame.
    """
    headers, text, header = [], None, first
    for frame, (_, begin, end, _) in enumerate(frames):
        if content[begin:end] != text:
            text = content[begin:end]
            header = _parse_header(text)
            if (header.n_atoms, header.columns) != (first.n_atoms, first.columns):
                raise ValueError(f'frame {frame} of `{path}` has other atoms or columns than the first.')
        headers.append(header)
    return headers


def _parse_header(text: bytes) -> Header:
    """Read what stands between the step and the first atom.

    :raises ValueError: if the box or the number of atoms is missing.
    """
    parts = [section.decode().splitlines() for section in text.split(b'ITEM: ')[1:]]
    sections = {lines[0].strip(): [line.split() for line in lines[1:]] for lines in parts}
    box = next((name for name in sections if name.startswith('BOX BOUNDS')), None)
    if box is None or 'NUMBER OF ATOMS' not in sections:
        raise ValueError('a frame of the dump states no box or no number of atoms.')
    rows = np.array(sections[box], dtype=float)
    if 'abc' in box:
        origin, cell = rows[:, 3], rows[:, :3]
    else:
        xy, xz, yz = rows[:, 2] if rows.shape[1] == 3 else (0.0, 0.0, 0.0)
        # A tilted box states the bounds of the box around it.
        low = rows[:, 0] - [min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0]
        high = rows[:, 1] - [max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0]
        lengths = high - low
        origin, cell = low, np.array([[lengths[0], 0, 0], [xy, lengths[1], 0], [xz, yz, lengths[2]]])
    columns = next(name for name in sections if name.startswith('ATOMS')).split()[1:]
    return Header(origin, cell, int(sections['NUMBER OF ATOMS'][0][0]), columns)


def _atom_labels(content: Content, start: int, header: Header, types: Sequence[str] | None) -> list[str] | None:
    """Return the chemical symbols of the first frame, in the order of the file; None if they are unknown.

    :param start: where the first row begins.

    :raises ValueError: if a type has no symbol.
    """
    name = 'element' if 'element' in header.columns else 'type'
    if name not in header.columns or (name == 'type' and types is None):
        return None
    column = header.columns.index(name)
    end = start
    words = []
    for _ in range(header.n_atoms):
        begin, end = end, content.find(b'\n', end) + 1
        words.append(content[begin:end].split()[column].decode())
    if name == 'element' or types is None:
        return words
    missing = sorted({int(word) for word in words if int(word) > len(types)})
    if missing:
        raise ValueError(
            f'the dump has atoms of type {missing[0]}, but {len(types)} symbols are given: {" ".join(types)}.'
        )
    return [types[int(word) - 1] for word in words]


def _by_id(positions: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the frames with atoms in the order of their ids, and the rows of the first frame in that order.

    :param positions: (frames, atoms, 3).
    :param ids: (1 or frames, atoms).
    :raises ValueError: if the atoms of a frame are not those of the first frame.
    """
    order = np.argsort(ids[0], kind='stable')
    if (ids == ids[0]).all():
        return (positions if (np.diff(order) == 1).all() else positions[:, order]), order
    orders = np.argsort(ids, axis=1, kind='stable')
    if (np.take_along_axis(ids, orders, 1) != ids[0, order]).any():
        raise ValueError('the frames of the dump hold different atoms.')
    return np.take_along_axis(positions, orders[:, :, None], 1), order


def _without_repeats(run: Trajectory) -> Trajectory:
    """Leave out frames that repeat the step of the frame before, as a restarted run writes them."""
    if run.steps is None:
        return run
    keep = np.concatenate([[True], np.diff(run.steps) != 0])
    if not keep.all():
        run.notes.append(f'{np.sum(~keep)} frames repeat the step before and were left out.')
        run.positions, run.steps = run.positions[keep], run.steps[keep]
        run.times_ps = run.times_ps[keep] if run.times_ps is not None else None
    return run


def read_binary(path: str | pathlib.Path) -> Trajectory:
    """Read a binary dump with unwrapped coordinates; it holds neither symbols nor a cell.

    :raises ValueError: as :func:`~aiida_ionconduct.lammps.dump.read_dump`, or if the dump has no columns xu, yu, zu.
    """
    dump = read_dump(path)
    if not set(KINDS[0]) <= set(dump.columns):
        raise ValueError(f'`{path}` has no columns xu yu zu.')
    values = dump.values[:, :, [dump.columns.index(name) for name in KINDS[0]]]
    if 'id' in dump.columns:
        values, _ = _by_id(values, dump.values[:, :, dump.columns.index('id')])
    notes = ['the file ends within a frame, which was left out.'] if dump.truncated else []
    return _without_repeats(Trajectory(positions=values, steps=np.asarray(dump.steps), notes=notes))
