"""XYZ: extended, and the plain files of CP2K, i-PI and LAMMPS."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase.cell import Cell
from ase.units import Bohr

from aiida_ionconduct.readers.frames import CUT, PACKED_CUT, Clock, Frames
from aiida_ionconduct.readers.identity import in_one_order, mean_charges
from aiida_ionconduct.readers.packed import Content, open_text
from aiida_ionconduct.readers.text import line_starts, read_rows

LATTICE = re.compile(rb'\b(?:Lattice|cell)\s*=\s*(?:"([^"]*)"|\'([^\']*)\'|\{([^}]*)\})', re.IGNORECASE)
PROPERTIES = re.compile(rb'\bProperties\s*=\s*["\']?([^\s"\']+)', re.IGNORECASE)
PLAIN = b'species:S:1:pos:R:3'
IDS = ('id', 'ids', 'atom_id', 'atom_ids', 'index', 'indices', 'atom_index')
CHARGES = ('q', 'charge', 'charges', 'initial_charges')
SPECIES = ('species', 'element', 'elements', 'symbol', 'symbols', 'Z', 'z', 'numbers', 'atomic_numbers', 'type')
POSITIONS = ('unwrapped_position', 'unwrapped_positions', 'pos_unwrapped', 'pos', 'positions', 'position')
"""Names of columns, the best first."""
NUMBER = rb'\s*[=:]\s*"?([-+]?[\d.]+(?:[eE][-+]?\d+)?)'
STEP = re.compile(rb'(?:\b(?:timestep|md_?step|step)|^\s*i(?=\s*=))' + NUMBER, re.IGNORECASE)
TIME = re.compile(rb'\b(time|time_ps|time_fs|t_ps|t_fs)' + NUMBER, re.IGNORECASE)
TEMPERATURE = re.compile(rb'\btemperature_K' + NUMBER, re.IGNORECASE)
CP2K = re.compile(rb'^\s*i\s*=\s*\d+\s*,\s*time\s*=')
GPUMD = re.compile(rb'^\s*Time=\S+\s+pbc=')
IPI = re.compile(rb'CELL[({](\w+)[)}]:((?:\s+[-+.\deE]+){6,9})')
IPI_UNIT = re.compile(rb'\b(positions|cell)\{(\w+)\}')
IPI_OTHER = re.compile(rb'\b(?:v|f|p|velocities|forces|momenta|v_centroid|f_centroid|p_centroid|forces_\w+)\{\w+\}')
LENGTHS = {b'atomic_unit': Bohr, b'angstrom': 1.0, b'nanometer': 10.0}
"""Units of i-PI in Å."""


class Names(NamedTuple):
    """The names of all columns, of the coordinates, and of other columns that are read, None where there is none."""

    columns: list[str]
    coordinates: list[str]
    species: str | None
    atom_id: str | None
    charge: str | None


def read_extxyz(path: str | Path) -> Frames:
    """Read an XYZ file; cells, times and steps are taken where the comments state them.

    :raises ValueError: if the atoms or columns of a frame are not those of the first frame.
    """
    content, packed_cut = open_text(path)
    lines = line_starts(content)
    try:
        n_atoms = int(content[lines[0] : lines[1]])
    except (ValueError, IndexError) as exception:
        raise ValueError(f'`{path}` does not begin with a number of atoms: it is no XYZ file.') from exception
    per_frame = n_atoms + 2
    n_frames = (len(lines) - 1) // per_frame if n_atoms > 0 else 0
    if not n_frames:
        raise ValueError(f'`{path}` ends within its first frame.')
    comments = _comments(content, lines, n_frames=n_frames, per_frame=per_frame, path=path)
    first = bytes(content[lines[2] : lines[3]]).decode(errors='replace').split()
    names = _names(comments, first, path)
    starts = lines[2 : 2 + n_frames * per_frame : per_frame]
    rows = read_rows(
        content,
        starts,
        n_atoms,
        columns=names.columns,
        coordinates=names.coordinates,
        atom_id=names.atom_id,
        labels=[names.species] if names.species else [],
        charge=names.charge,
    )
    positions, order, charges = in_one_order(rows, path, 'write a column `id` or one order of atoms')
    comments = comments[: len(positions)]
    words = None
    if names.species:
        column = names.columns.index(names.species)
        texts = bytes(content[lines[2] : lines[per_frame]]).decode(errors='replace').splitlines()
        words = [texts[row].split()[column] for row in order]
    temperatures = _numbers(comments, TEMPERATURE, 1)
    unwrapped = 'unwrapped' in names.coordinates[0]
    frames = Frames(
        path=Path(path),
        positions=positions,
        cells=_lattices(comments, path),
        wrapping='unwrapped' if unwrapped else 'unknown',
        wrapping_source=f'column {names.coordinates[0][:-1]}',
        by_id=names.atom_id if rows.ids is not None else None,
        words=words,
        words_source=f'column {names.species}',
        clocks=_clocks(comments),
        temperature_K=None if temperatures is None else float(temperatures.mean()),
    )
    if comments[0].lstrip().startswith(b'Atoms. Timestep') and words and words[0].isdigit():
        frames.types, frames.words = words, None  # `dump xyz` of LAMMPS writes numbers of types
    if charges is not None:
        frames.charges = mean_charges(charges, frames.notes)
    if rows.cut or (len(lines) - 1) % per_frame or bytes(content[lines[-1] :]).strip():
        frames.notes.append(CUT)
    if packed_cut:
        frames.notes.append(PACKED_CUT)
    if IPI.search(comments[0]):
        _use_unit(frames, _ipi_unit(comments[0], path), path)
    return frames


def _ipi_unit(comment: bytes, path: str | Path) -> bytes:
    """Return the unit of the positions that a comment of i-PI states; i-PI writes atomic units by default.

    :raises ValueError: if the file holds something else than positions.
    """
    if other := IPI_OTHER.search(comment):
        raise ValueError(f'`{path}` of i-PI holds {other.group(0).decode()}, no positions: give the file of positions.')
    units: dict[bytes, bytes] = dict(IPI_UNIT.findall(comment))
    return units.get(b'positions', b'atomic_unit')


def _comments(content: Content, lines: np.ndarray, *, n_frames: int, per_frame: int, path: str | Path) -> list[bytes]:
    """Return the comment of every frame.

    :param lines: where each line begins.
    :raises ValueError: if a frame does not begin with the number of atoms of the first.
    """
    heads = [
        bytes(content[lines[k] : lines[k + 2]]).partition(b'\n') for k in range(0, n_frames * per_frame, per_frame)
    ]
    number = str(per_frame - 2).encode()
    other = next((frame for frame, (head, _, _) in enumerate(heads) if head.strip() != number), None)
    if other is not None:
        raise ValueError(f'the frames of `{path}` differ in their atoms: frame {other} does not have {per_frame - 2}.')
    return [comment for _, _, comment in heads]


def _names(comments: list[bytes], first: list[str], path: str | Path) -> Names:
    """Return the names of the columns.

    :param first: words of the first row.
    :raises ValueError: if the frames differ, or there are no positions.
    """
    known = [match.group(1) if (match := PROPERTIES.search(text)) else PLAIN for text in comments]
    other = next((frame for frame, text in enumerate(known) if text != known[0]), None)
    if other is not None:
        raise ValueError(f'the frames of `{path}` differ in their columns: frame {other} has not those of the first.')
    words = known[0].decode(errors='replace').split(':')
    columns, kinds = [], {}
    try:
        for name, kind, count in zip(words[::3], words[1::3], words[2::3], strict=True):
            kinds[name] = kind
            columns += [name] if int(count) == 1 else [f'{name}{index}' for index in range(int(count))]
    except ValueError as exception:
        raise ValueError(f'the Properties of `{path}` cannot be read: {":".join(words)}.') from exception
    vector = next((name for name in POSITIONS if {f'{name}{axis}' for axis in range(3)} <= set(columns)), None)
    if vector is None:
        raise ValueError(f'`{path}` has no column pos.')
    species = next((name for name in SPECIES if name in columns), None)
    atom_id = next((name for name in IDS if name in columns and kinds.get(name) == 'I'), None)
    if atom_id and 'index' in atom_id and len(first) > columns.index(atom_id) and first[columns.index(atom_id)] == '-1':
        atom_id = None
    charge = next((name for name in CHARGES if name in columns and kinds.get(name) == 'R'), None)
    return Names(columns, [f'{vector}{axis}' for axis in range(3)], species, atom_id, charge)


def _lattices(comments: list[bytes], path: str | Path) -> np.ndarray | None:
    """Return the cell (3, 3) in Å, or (frames, 3, 3) where the cells differ; None if no frame states a cell.

    :raises ValueError: if only some frames state a lattice, or it cannot be read.
    """
    reader = _ipi_cell if IPI.search(comments[0]) else _lattice
    texts: list[bytes | None] = []
    for comment in comments:
        match = (IPI if reader is _ipi_cell else LATTICE).search(comment)
        texts.append(match.group(0) if match else None)
    stated = [text for text in texts if text is not None]
    if not stated:
        return None
    if len(stated) < len(texts):
        raise ValueError(f'frame {texts.index(None)} of `{path}` states no lattice.')
    unit = LENGTHS.get(dict(IPI_UNIT.findall(comments[0])).get(b'cell', b'atomic_unit'), 1.0)
    try:
        known = {text: reader(text) * (unit if reader is _ipi_cell else 1.0) for text in set(stated)}
        if any(not np.isfinite(cell).all() or abs(np.linalg.det(cell)) < 1e-6 for cell in known.values()):
            return None if len(known) == 1 and not next(iter(known.values())).any() else _no_cell()
    except ValueError as exception:
        raise ValueError(f'the lattice of a frame of `{path}` cannot be read: {exception}.') from exception
    cells: np.ndarray = known[stated[0]] if len(known) == 1 else np.array([known[text] for text in stated])
    return cells


def _no_cell() -> np.ndarray:
    """Refuse a cell without volume.

    :raises ValueError: always.
    """
    raise ValueError('it has no volume')


def _lattice(text: bytes) -> np.ndarray:
    """Return the cell (3, 3) that ``Lattice="…"`` states."""
    match = LATTICE.search(text)
    values = next(group for group in match.groups() if group is not None) if match else b''
    numbers = np.array(values.replace(b',', b' ').split(), dtype=float)
    cell: np.ndarray = np.diag(numbers) if numbers.size == 3 else numbers.reshape(3, 3)
    return cell


def _ipi_cell(text: bytes) -> np.ndarray:
    """Return the cell (3, 3) that i-PI states, in the unit of the file."""
    match = IPI.search(text)
    kind, values = match.groups() if match else (b'', b'')
    numbers = np.array(values.split(), dtype=float)
    if kind == b'abcABC':
        return np.asarray(Cell.fromcellpar(numbers[:6]).array)
    return np.asarray(numbers[:9].reshape(3, 3).T)


def _use_unit(frames: Frames, unit: bytes, path: str | Path) -> None:
    """Turn the positions of i-PI into Å.

    :raises ValueError: for a unit that is not known.
    """
    if unit not in LENGTHS:
        raise ValueError(f'`{path}` has its positions in {unit.decode(errors="replace")}: write them in angstrom.')
    frames.positions *= LENGTHS[unit]
    frames.unit = (unit.decode(), LENGTHS[unit])


def _clocks(comments: list[bytes]) -> list[Clock]:
    """Return the steps and times that all frames state."""
    clocks = []
    steps = _numbers(comments, STEP, 1)
    if steps is None and comments[0].lstrip().startswith(b'Atoms. Timestep'):
        steps = _numbers(comments, STEP, 1)
    if steps is not None and (steps == np.rint(steps)).all():
        match = STEP.search(comments[0])
        key = re.split(rb'[=:]', match.group(0))[0].strip().decode() if match else 'step'
        clocks.append(Clock(name=f'{key}= of the comments', values=steps.astype(np.int64), is_step=True))
    match = TIME.search(comments[0])
    times = _numbers(comments, TIME, 2)
    if match and times is not None:
        key = match.group(1).decode()
        unit = {'ps': 1.0, 'fs': 1e-3}.get(key.lower().rpartition('_')[2])
        if CP2K.match(comments[0]) or GPUMD.match(comments[0]):
            unit = 1e-3
        clocks.append(Clock(name=f'{key}= of the comments', values=times, unit_ps=unit))
    return clocks


def _numbers(comments: list[bytes], pattern: re.Pattern[bytes], group: int) -> np.ndarray | None:
    """Return a number that every frame states, (frames,); None if a frame does not state it."""
    if pattern.search(comments[0]) is None:
        return None
    matches = [pattern.search(comment) for comment in comments]
    if None in matches:
        return None
    try:
        return np.array([match.group(group) for match in matches if match], dtype=float)
    except ValueError:
        return None
