"""XDATCAR of VASP."""

from __future__ import annotations

import itertools
import pathlib
import re

import numpy as np

from aiida_ionconduct.readers.text import open_text, read_rows
from aiida_ionconduct.readers.trajectory import Trajectory, unwrap

AXES = ('a', 'b', 'c')
BLOCK = re.compile(rb'Direct configuration=\s*(\d+)[^\n]*\n')


def read_xdatcar(path: str | pathlib.Path) -> Trajectory:
    """Read an XDATCAR with a constant or a changing cell; positions are unwrapped by the shortest way.

    :raises ValueError: if the file is no XDATCAR, or steps are too long to unwrap.
    """
    content = open_text(path)
    matches = list(BLOCK.finditer(content))
    if not matches:
        raise ValueError(f'`{path}` holds no `Direct configuration=`: it is no XDATCAR of VASP 5 or later.')
    cell, symbols = _parse_header(content[: matches[0].start()], path)
    starts = [match.end() for match in matches]
    values, _, cut = read_rows(content, starts, len(symbols), columns=AXES, coordinates=AXES)
    cells = [cell]
    if len(matches) > 1 and b'\n' in content[matches[0].end() : matches[1].start()].strip():
        # If the cell changes, the header is repeated before every configuration.
        between = [content[a.end() : b.start()] for a, b in itertools.pairwise(matches)]
        headers = [text.splitlines()[len(symbols) :] for text in between]
        if headers[0]:
            cells += [_parse_header(b'\n'.join(lines), path)[0] for lines in headers]
    boxes = cell if len(cells) == 1 else np.array(cells[: len(values)])
    steps = np.array([int(match.group(1)) for match in matches[: len(values)]])
    return Trajectory(
        positions=unwrap(values @ boxes, boxes),
        symbols=symbols,
        cell=boxes if boxes.ndim == 2 else boxes.mean(axis=0),
        steps=steps,
        notes=['the file ends within a frame, which was left out.'] if cut else [],
    )


def _parse_header(text: bytes, path: str | pathlib.Path) -> tuple[np.ndarray, list[str]]:
    """Return the cell and the chemical symbols that a header states.

    :raises ValueError: if the header cannot be read.
    """
    lines = text.decode().splitlines()[:7]
    try:
        cell = float(lines[1]) * np.array([line.split() for line in lines[2:5]], dtype=float)
        names, counts = lines[5].split(), [int(word) for word in lines[6].split()]
        return cell, [name for name, count in zip(names, counts, strict=True) for _ in range(count)]
    except (ValueError, IndexError) as exception:
        raise ValueError(
            f'the header of `{path}` cannot be read: scale, cell, species and their counts.'
        ) from exception
