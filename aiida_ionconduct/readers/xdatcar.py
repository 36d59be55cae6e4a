"""XDATCAR of VASP."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from aiida_ionconduct.readers.frames import CUT, PACKED_CUT, Clock, Frames
from aiida_ionconduct.readers.packed import Content, open_text
from aiida_ionconduct.readers.text import read_rows

AXES = ('a', 'b', 'c')
BLOCKS = tuple(re.compile(word + rb'[ \t]*(\d+|\*+)[^\n]*\n') for word in (rb'Direct configuration=', rb'Konfig='))
"""Lines before a frame; a pattern that begins with plain text is searched for at the speed of memory."""
OLD = re.compile(rb'\A\s*(\d+)\s+\d+\s+\d+\s*\n[^\n]*\n[^\n]*\n\s*CAR\s*\n[^\n]*\n')
BLANK = re.compile(rb'\n[ \t]*\r?\n')
HEADER_BYTES = 4096
"""Most bytes of a header that is repeated before a frame."""


def read_xdatcar(path: str | Path) -> Frames:
    """Read an XDATCAR with a constant or a changing cell.

    :raises ValueError: if the file is no XDATCAR.
    """
    content, packed_cut = open_text(path)
    if old := OLD.match(content[:HEADER_BYTES]):
        return _read_old(content, int(old.group(1)), old.end(), path)
    matches = next((matches for block in BLOCKS if (matches := list(block.finditer(content)))), [])
    if not matches:
        raise ValueError(f'`{path}` holds no `Direct configuration=`: it is no XDATCAR of VASP 5 or later.')
    header = bytes(content[: matches[0].start()])
    cell, names, counts = _parse_header(header, path)
    n_atoms = sum(counts)
    if n_atoms * 6 > len(content):
        raise ValueError(f'the header of `{path}` states {n_atoms} atoms, which do not follow.')
    rows = read_rows(content, [match.end() for match in matches], n_atoms, columns=AXES, coordinates=AXES)
    cells = [cell]
    for match in matches[1 : len(rows.positions)]:
        end = content.rfind(b'\n', 0, match.start()) + 1
        if content[end - len(header) : end] == header:
            cells.append(cells[0])
            continue
        line = content.rfind(b'\n', 0, max(end - 1, 0)) + 1
        # A row of coordinates has points, the numbers of atoms have none: then a header stands before the frame.
        if b'.' not in content[line:end]:
            lines = bytes(content[max(0, end - HEADER_BYTES) : end]).splitlines()
            length = 7 if names else 6
            cell, other_names, other_counts = _parse_header(b'\n'.join(lines[-length:]), path)
            if (other_names, other_counts) != (names, counts):
                raise ValueError(f'frame {len(cells)} of `{path}` has other atoms than the first.')
        cells.append(cell)
    constant = all(other is cells[0] or (other == cells[0]).all() for other in cells)
    boxes = cells[0] if constant else np.array(cells)
    frames = Frames(
        path=Path(path),
        positions=rows.positions @ boxes,
        cells=boxes,
        wrapping='unknown',
        wrapping_source='XDATCAR',
        clocks=[
            Clock(
                name='Direct configuration=',
                values=_count_on([match.group(1) for match in matches[: len(rows.positions)]]),
                is_step=True,
                is_count=True,
            )
        ],
        notes=[CUT] * rows.cut + [PACKED_CUT] * packed_cut,
    )
    groups = [str(index) for index, count in enumerate(counts, 1) for _ in range(count)]
    if names:
        frames.words = [name for name, count in zip(names, counts, strict=True) for _ in range(count)]
        frames.words_source = 'header of the XDATCAR'
    else:
        frames.types = groups
    return frames


def _count_on(words: list[bytes]) -> np.ndarray:
    """Return the numbers of the frames; where only stars are printed, the last interval is counted on."""
    numbers: list[int] = []
    for word in words:
        if not word.startswith(b'*'):
            numbers.append(int(word))
        else:
            gap = numbers[-1] - numbers[-2] if len(numbers) > 1 else 1
            numbers.append((numbers[-1] if numbers else 0) + gap)
    return np.array(numbers, dtype=np.int64)


def _parse_header(text: bytes, path: str | Path) -> tuple[np.ndarray, list[str], list[int]]:
    """Return the cell (3, 3) in Å, the words of the species (none before VASP 5), and the numbers of their atoms.

    :raises ValueError: if the header cannot be read.
    """
    lines = text.decode(errors='replace').splitlines()[:7]
    try:
        scale = float(lines[1])
        cell = np.array([line.split() for line in lines[2:5]], dtype=float)
        cell *= scale if scale > 0 else (-scale / abs(np.linalg.det(cell))) ** (1 / 3)
        names = lines[5].split()
        if all(word.isdigit() for word in names):
            names, counts = [], [int(word) for word in names]
        else:
            counts = [int(word) for word in lines[6].split()]
        if (names and len(names) != len(counts)) or min(counts) < 1 or not abs(np.linalg.det(cell)) > 1e-6:
            raise ValueError('numbers that cannot be')
    except (ValueError, IndexError, ZeroDivisionError) as exception:
        raise ValueError(
            f'the header of `{path}` cannot be read: scale, cell, species and their counts.'
        ) from exception
    return cell, names, counts


def _read_old(content: Content, n_atoms: int, end: int, path: str | Path) -> Frames:
    """Read an XDATCAR of VASP 4: frames behind blank lines, without a cell and without species.

    :param end: where the header ends.
    """
    starts = [match.end() for match in BLANK.finditer(content, end - 1)]
    starts = [start for start in starts if start < len(content)] or [end]
    rows = read_rows(content, starts, n_atoms, columns=AXES, coordinates=AXES)
    return Frames(
        path=Path(path),
        positions=rows.positions,
        wrapping='unknown',
        wrapping_source='XDATCAR',
        fractional=True,
        notes=[CUT] if rows.cut else [],
    )
