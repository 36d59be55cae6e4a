"""The structure that names the atoms of a trajectory: any file that ASE reads, or a LAMMPS data file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, chemical_symbols

from aiida_ionconduct.readers.symbols import symbol_of

SECTION = re.compile(r'^(Masses|Atoms|Atom Type Labels|Velocities|[A-Z][A-Za-z ]*(?:Coeffs|s))\s*(?:#\s*(\S+))?$')
STYLES = {'atomic': (1, 2), 'charge': (1, 3), 'molecular': (2, 3), 'bond': (2, 3), 'angle': (2, 3), 'full': (2, 4)}
"""Columns of the type and of x in the section ``Atoms``, by ``atom_style``."""
MASS_TOLERANCE = 0.3
"""In u, within which a mass names an element."""


class Structure(NamedTuple):
    """Chemical symbols, positions (atoms, 3) in Å, and the cell (3, 3) in Å, None if there is none."""

    path: Path
    symbols: list[str]
    positions: np.ndarray
    cell: np.ndarray | None


def read_structure(path: str | Path) -> Structure:
    """Read a structure.

    :raises ValueError: if the file is no structure, saying what can be given.
    """
    path = Path(path)
    head = path.read_bytes()[: 1 << 20].decode(errors='replace')
    try:
        if re.search(r'^\s*\d+\s+atoms\s*$', head, re.MULTILINE) and 'xlo' in head:
            return _read_lammps_data(path)
        import ase.io

        atoms = cast('Atoms', ase.io.read(path))
    except Exception as exception:  # a reader of a library may raise anything on a file of another kind
        reason = str(exception) or type(exception).__name__
        raise ValueError(
            f'`{path}` cannot be read as a structure ({reason}): give a file that ASE reads (CIF, POSCAR, extended '
            'XYZ, …) or a LAMMPS data file with masses.'
        ) from exception
    cell = atoms.cell.array if atoms.cell.rank == 3 else None
    return Structure(path, list(atoms.symbols), atoms.positions, cell)


def _read_lammps_data(path: Path) -> Structure:
    """Read a LAMMPS data file, with the atoms in the order of their ids.

    :raises ValueError: if types have no element, or the atoms cannot be read.
    """
    sections: dict[str, list[str]] = {}
    styles: dict[str, str | None] = {}
    header, name = [], ''
    for line in path.read_text(errors='replace').splitlines()[1:]:
        match = SECTION.match(line.strip())
        if match:
            name = match.group(1)
            sections[name], styles[name] = [], match.group(2)
        elif name and line.strip():
            sections[name].append(line)
        elif line.strip():
            header.append(line.partition('#')[0].split())
    bounds = {
        words[2][0]: (float(words[0]), float(words[1]))
        for words in header
        if len(words) > 3 and words[3:] and words[2] in ('xlo', 'ylo', 'zlo')
    }
    tilt = next((words for words in header if words[3:] == ['xy', 'xz', 'yz']), None)
    xy, xz, yz = map(float, tilt[:3]) if tilt else (0.0, 0.0, 0.0)
    lengths = [high - low for low, high in (bounds['x'], bounds['y'], bounds['z'])]
    cell = np.array([[lengths[0], 0, 0], [xy, lengths[1], 0], [xz, yz, lengths[2]]])
    rows = [line.partition('#')[0].split() for line in sections.get('Atoms', [])]
    if not rows:
        raise ValueError('it has no section Atoms')
    style = styles['Atoms'] or next((s for s, (_, x) in STYLES.items() if len(rows[0]) in (x + 3, x + 6)), 'full')
    if style not in STYLES:
        raise ValueError(f'atom_style {style} is not known')
    kind, x = STYLES[style]
    rows.sort(key=lambda row: int(row[0]))
    elements = _elements(sections)
    unknown = sorted({row[kind] for row in rows} - set(elements))
    if unknown:
        raise ValueError(f'type {unknown[0]} has no mass or label that names an element')
    positions = np.array([row[x : x + 3] for row in rows], dtype=float)
    return Structure(path, [elements[row[kind]] for row in rows], positions, cell)


def _elements(sections: dict[str, list[str]]) -> dict[str, str]:
    """Return the chemical symbol of each type of a LAMMPS data file: by its label, its comment, else its mass."""
    elements: dict[str, str] = {}
    labels = dict(line.split()[:2] for line in sections.get('Atom Type Labels', []))
    for number, label in labels.items():
        if symbol := symbol_of(label):
            elements[number] = elements[label] = symbol
    for line in sections.get('Masses', []):
        text, _, comment = line.partition('#')
        word, mass = text.split()[0], float(text.split()[1])
        nearest = int(np.nanargmin(np.abs(atomic_masses[1:] - mass))) + 1
        by_mass = chemical_symbols[nearest] if abs(atomic_masses[nearest] - mass) < MASS_TOLERANCE else None
        by_comment = symbol_of(comment.split()[0]) if comment.split() else None
        symbol = by_comment or by_mass
        if symbol:
            elements.setdefault(word, symbol)
            elements.setdefault(labels.get(word, word), elements[word])
    return elements
