"""Which row of a frame is which atom, and which element it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase.units import Bohr
from scipy.optimize import linear_sum_assignment

from aiida_ionconduct.readers.frames import Frames
from aiida_ionconduct.readers.structure import Structure
from aiida_ionconduct.readers.symbols import mass_of, symbol_of
from aiida_ionconduct.readers.text import Rows
from aiida_ionconduct.readers.trajectory import Assumption

CHARGE_NOISE = 1e-6
"""In e, up to which charges count as constant."""
NEAR, MANY = 0.7, 20_000
"""In Å, within which an atom lies at a place of the structure; the number of atoms up to which that is looked at."""
FILLED, FEW = 0.8, 16
"""More than so many atoms of a solid or liquid fill more than this share of the cell."""
LARGER = 2.0
"""Ratio of the volumes of two cells with the same atoms that another unit of length means."""
OTHER_UNITS = {'bohr': Bohr, 'nm': 10.0}
"""Units in Å that positions may have by mistake."""
SMALLEST, TOUCHING, NEIGHBOURS = 2.0, 0.3, 100
"""In Å³, the least volume of an atom (diamond: 5.7); in Å, nearer than any neighbour; how many atoms are looked at."""
ROW_SAMPLES = 100
ROWS_RANDOM = 0.5
"""Mean-squared step, in units of the mean-squared distance of random positions, that means that rows change places."""
SHUFFLED = 0.25
"""A typical step of this share of the distance between random positions means that rows change places."""
EXCHANGED = 0.1
"""Rows of a few atoms change places if another order shortens the squared steps to this share."""


def in_one_order(rows: Rows, path: str | Path, advice: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the positions with atoms in one order, and check that every atom keeps its species.

    :param advice: how the program writes atoms in one order.
    :return: positions (frames, atoms, 3) in Å, the rows of the first frame in that order (atoms,), and charges (frames,
        atoms) in e or None.
    :raises ValueError: if the atoms of a frame are not those of the first frame, or an atom changes its species.
    """
    positions, ids, labels, charges, _ = rows
    if ids is None:
        if labels is not None and (changed := np.argwhere(labels != labels[0])).size:
            frame, row = map(int, changed[0])
            raise ValueError(
                f'in frame {frame} of `{path}`, row {row + 1} holds another species than in the first frame, and there '
                f'are no ids to tell the atoms apart: {advice}.'
            )
        return positions, np.arange(positions.shape[1]), charges
    order = np.argsort(ids[0], kind='stable')
    if (np.diff(ids[0, order]) == 0).any():
        raise ValueError(f'an id stands twice in the first frame of `{path}`.')
    if len(ids) == 1 or (ids == ids[0]).all():
        if not (np.diff(order) == 1).all():
            positions = positions[:, order]
            charges = None if charges is None else charges[:, order]
            labels = None if labels is None else labels[:, order]
    else:
        orders = np.argsort(ids, axis=1, kind='stable')
        other = (np.take_along_axis(ids, orders, 1) != ids[0, order]).any(axis=1)
        if other.any():
            raise ValueError(f'frame {int(np.argmax(other))} of `{path}` holds different atoms than the first.')
        positions = np.take_along_axis(positions, orders[:, :, None], 1)
        charges = None if charges is None else np.take_along_axis(charges, orders, 1)
        labels = None if labels is None else np.take_along_axis(labels, orders, 1)
    if labels is not None and (changed := np.argwhere(labels != labels[0])).size:
        frame, atom = map(int, changed[0])
        raise ValueError(
            f'the atom with id {ids[0, order[atom]]} changes its species in frame {frame} of `{path}`: its charge and '
            'displacement are not those of one ion. Leave out such frames, or do not swap types.'
        )
    return positions, order, charges


def mean_charges(charges: np.ndarray, notes: list[str]) -> np.ndarray:
    """Return the mean charge of each atom over all frames, (atoms,) in e.

    :param charges: (frames, atoms), e.
    :param notes: a note is appended if the charges fluctuate.
    """
    deviation = float(charges.std(axis=0).max())
    if deviation > CHARGE_NOISE:
        notes.append(f'the charges in the file fluctuate by up to {deviation:.2g} e: the mean of each atom is used.')
    mean: np.ndarray = charges.mean(axis=0)
    return mean


def name_atoms(frames: Frames, types: Sequence[str] | None, structure: Structure | None) -> None:
    """Set the symbols and masses of the atoms from all that names them, and the cell if only the structure has it.

    :param types: chemical symbols of the types 1, 2, ….
    :raises ValueError: if two sources contradict each other.
    """
    path = frames.path
    by_source: dict[str, list[str]] = {}
    words = _believable_words(frames, types)
    if words is not None and None not in (symbols := [symbol_of(word) for word in words]):
        by_source[frames.words_source] = [symbol or '' for symbol in symbols]
        masses = [mass_of(word) for word in words]
        if any(masses):
            from ase.data import atomic_masses, atomic_numbers

            standard = [float(atomic_masses[atomic_numbers[symbol or 'X']]) for symbol in symbols]
            frames.masses = np.array([mass or usual for mass, usual in zip(masses, standard, strict=True)])
    if by_type := _symbols_of_types(frames, types):
        by_source['--types' if (frames.types or ['1'])[0].isdigit() else 'column type'] = by_type
    if types and frames.types is None and frames.words_source in by_source:
        _compare_types(list(dict.fromkeys(by_source[frames.words_source])), types, path)
    if structure is not None:
        _compare_structure(frames, structure)
        by_source[f'--structure {structure.path.name}'] = structure.symbols
    for source, symbols_of_source in by_source.items():
        first = next(iter(by_source))
        if symbols_of_source != by_source[first]:
            atom = next(
                k for k, pair in enumerate(zip(symbols_of_source, by_source[first], strict=True)) if len(set(pair)) > 1
            )
            raise ValueError(
                f'`{path}`: atom {atom + 1} is {by_source[first][atom]} by {first}, but {symbols_of_source[atom]} by '
                f'{source}: leave out the source that is wrong, or put it into the order of the trajectory.'
            )
    if by_source:
        source, frames.symbols = next(iter(by_source.items()))
        frames.assumptions.append(Assumption('symbols', _formula(frames.symbols), ', '.join(by_source)))
    if structure is not None and len(by_source) == 1 and frames.types is None and frames.unit is None:
        _compare_places(frames, structure)
    if structure is not None and structure.cell is not None and frames.cells is None:
        frames.cells = structure.cell
        frames.assumptions.append(Assumption('cell', 'constant', f'--structure {structure.path.name}'))


def _compare_types(symbols: list[str], types: Sequence[str], path: Path) -> None:
    """Refuse ``--types`` that contradict a file that names its species itself.

    :param symbols: in the order of the file.
    :raises ValueError: naming both.
    """
    if list(dict.fromkeys(types)) != symbols:
        raise ValueError(
            f'`{path}` names its species itself, {" ".join(symbols)}, but --types says {" ".join(types)}: leave out '
            '--types.'
        )


def _formula(symbols: Sequence[str]) -> str:
    """Return the numbers of atoms by symbol: ``Li32 Cl32``."""
    return ' '.join(f'{symbol}{list(symbols).count(symbol)}' for symbol in dict.fromkeys(symbols))


def _believable_words(frames: Frames, types: Sequence[str] | None) -> list[str] | None:
    """Return the words that name species; None if they are what programs write when they know no elements."""
    words = frames.words
    if words is None or set(words) == {'X'}:
        return None
    n_types = len(set(frames.types or []))
    if (
        frames.words_source == 'column element'
        and set(words) == {'C'}
        and (n_types > 1 or (types and 'C' not in types))
    ):
        frames.notes.append('LAMMPS wrote C for all elements (no `dump_modify element`): that column was ignored.')
        return None
    return words


def _symbols_of_types(frames: Frames, types: Sequence[str] | None) -> list[str] | None:
    """Return the symbols that the types of LAMMPS stand for; None if they are unknown.

    :raises ValueError: if a type has no symbol.
    """
    kinds = frames.types
    if kinds is None:
        return None
    if all(kind.isdigit() for kind in kinds):
        if types is None:
            return None
        missing = sorted({int(kind) for kind in kinds if not 0 < int(kind) <= len(types)})
        if missing:
            raise ValueError(
                f'the dump has atoms of type {missing[0]}, but {len(types)} symbols are given: {" ".join(types)}.'
            )
        return [types[int(kind) - 1] for kind in kinds]
    symbols = [symbol_of(kind) for kind in kinds]
    if None in symbols:
        return None
    if types and not set(symbols) <= set(types):
        raise ValueError(
            f'the dump labels its types {" ".join(sorted(set(kinds)))}, but --types names {" ".join(types)}: leave out '
            '--types.'
        )
    return [symbol or '' for symbol in symbols]


def _compare_structure(frames: Frames, structure: Structure) -> None:
    """Compare the structure with what the trajectory tells of its atoms.

    :raises ValueError: if the numbers of atoms differ, or atoms of one type are different elements.
    """
    n_atoms = frames.positions.shape[1]
    if len(structure.symbols) != n_atoms:
        raise ValueError(
            f'`{structure.path}` has {len(structure.symbols)} atoms and `{frames.path}` has {n_atoms}: give the '
            'structure that the run started from.'
        )
    for kind in dict.fromkeys(frames.types or []):
        atoms = [atom for atom, other in enumerate(frames.types or []) if other == kind]
        symbols = sorted({structure.symbols[atom] for atom in atoms})
        if len(symbols) > 1:
            raise ValueError(
                f'atoms of type {kind} in `{frames.path}` are {" and ".join(symbols)} in `{structure.path}`: the '
                'structure has its atoms in another order. Give it in the order of the ids, or use --types.'
            )


def _compare_places(frames: Frames, structure: Structure) -> None:
    """Compare the first frame with the structure, where nothing else tells which atom is which.

    :raises ValueError: if many atoms lie where the structure has another element.
    """
    cell = frames.cell_of(0) if frames.cells is not None else structure.cell
    if cell is None or frames.fractional or len(structure.symbols) > MANY:
        return
    symbols, wrong = np.array(structure.symbols), 0
    for atom, place in enumerate(frames.positions[0]):
        distances = np.linalg.norm(_shortest(structure.positions - place, cell), axis=1)
        nearest = int(np.argmin(distances))
        wrong += distances[nearest] < NEAR and symbols[nearest] != symbols[atom]
    if wrong > 0.2 * len(symbols):
        raise ValueError(
            f'{wrong} of {len(symbols)} atoms in the first frame of `{frames.path}` lie where `{structure.path}` has '
            'another element: the structure has its atoms in another order. Give it in the order of the trajectory.'
        )


def check_unit(frames: Frames, structure: Structure | None) -> None:
    """Hold the unit of length that a file states against the structure, or against its cell.

    :raises ValueError: if the atoms fill a part of the cell only, and there is no structure to tell the unit.
    """
    if structure is not None and (frames.unit is None or frames.unit[1] == 1):
        _compare_scale(frames, structure)
    if frames.unit is None or frames.unit[1] == 1:
        return
    name, factor = frames.unit
    cell, source = frames.cell_of(0), 'comment of the file'
    if structure is not None:
        stated, plain = (
            _median_distance(first, structure, cell) for first in (frames.positions[0], frames.positions[0] / factor)
        )
        if plain < 0.5 and stated > 2 * plain:
            frames.positions /= factor
            frames.notes.append(
                f'WARNING: the comments state positions in {name}, but by {structure.path.name} they are in Å: read '
                'as Å.'
            )
            name, source = 'angstrom', f'--structure {structure.path.name}'
    elif cell is not None:
        width = np.ptp(frames.positions[0] @ np.linalg.inv(cell), axis=0)
        if (width < FILLED).all() and frames.positions.shape[1] > FEW and (width / factor < 1.1).all():
            raise ValueError(
                f'the atoms of `{frames.path}` fill only {100 * width.max():.0f} % of each cell vector if positions '
                'are in '
                f'{name}, as the comments state: give --structure FILE, whose positions tell the unit.'
            )
    frames.assumptions.append(Assumption('unit of positions', name, source))


def _compare_scale(frames: Frames, structure: Structure) -> None:
    """Compare the lengths in a file with those of the structure, as positions in bohr or nm look like any others.

    :raises ValueError: if the volumes of the cells differ much, or the positions fit the structure in another unit.
    """
    cell = frames.cell_of(0)
    if cell is None or frames.fractional:
        return
    if structure.cell is not None:
        ratio = abs(np.linalg.det(cell) / np.linalg.det(structure.cell))
        if not 1 / LARGER < ratio < LARGER:
            raise ValueError(
                f'the cell of `{frames.path}` has {ratio:.3g} times the volume of the cell of `{structure.path}` for '
                'the same number of atoms: give the structure of this run, or write the trajectory in Å (volumes are '
                '6.75 times larger in bohr and 1000 times smaller in nm).'
            )
    stated = _median_distance(frames.positions[0], structure, cell)
    for name, factor in OTHER_UNITS.items():
        scaled = _median_distance(frames.positions[0] * factor, structure, cell)
        if scaled < 0.5 and stated > 2 * scaled:
            raise ValueError(
                f'the first frame of `{frames.path}` is `{structure.path}` if its positions are in {name}, and not if '
                'they are in Å: write the trajectory in Å.'
            )


def _median_distance(positions: np.ndarray, structure: Structure, cell: np.ndarray | None) -> float:
    """Return the median distance in Å of atoms (atoms, 3), Å, from their places in a structure, but for whole cells."""
    return float(np.median(np.linalg.norm(_shortest(positions - structure.positions, cell), axis=1)))


def check_density(frames: Frames) -> None:
    """Check that atoms have as much room as atoms need, and that they do not lie on top of each other.

    :raises ValueError: if the cell is too small for the atoms.
    """
    cell, first = frames.cell_of(0), frames.positions[0]
    if cell is None or frames.fractional:
        return
    volume = abs(float(np.linalg.det(cell))) / len(first)
    if volume < SMALLEST:
        raise ValueError(
            f'the cell of `{frames.path}` has {volume:.2g} Å³ for each atom, less than any crystal: it seems to be in '
            'nm. Write positions and cell in Å.'
        )
    chosen = np.unique(np.linspace(0, len(first) - 1, min(len(first), NEIGHBOURS)).astype(int))
    distances = np.linalg.norm(_shortest(first - first[chosen, None], cell), axis=2)
    distances[np.arange(len(chosen)), chosen] = np.inf  # of an atom from itself
    if np.median(distances.min(axis=1)) < TOUCHING:
        frames.notes.append(
            f'WARNING: in the first frame of {frames.path.name}, most atoms have a neighbour within {TOUCHING} Å: '
            'check that the file holds positions (not velocities or forces), in Å.'
        )


def _shortest(steps: np.ndarray, cell: np.ndarray | None) -> np.ndarray:
    """Return steps (…, 3) in Å but for whole cells."""
    if cell is None:
        return steps
    fractional = steps @ np.linalg.inv(cell)
    shortest: np.ndarray = (fractional - np.rint(fractional)) @ cell
    return shortest


def check_order(frames: Frames) -> None:
    """Check that atoms without ids keep their rows: their steps must be short against the distances of atoms.

    :raises ValueError: if rows seem to change places.
    """
    if frames.by_id is not None:
        frames.assumptions.append(Assumption('order of atoms', 'sorted by id', f'column {frames.by_id}'))
        return
    frames.assumptions.append(Assumption('order of atoms', 'the same in all frames', 'order of the rows'))
    names = np.array(frames.types or frames.words or ['atom'] * frames.positions.shape[1])
    for name in dict.fromkeys(names.tolist()):
        chosen = np.flatnonzero(names == name)
        if frames.cells is None or len(frames.positions) < 2 or len(chosen) < 2:
            continue
        fractional = frames.positions[:, chosen] @ np.linalg.inv(frames.cells)
        step, other = np.diff(fractional, axis=0), fractional[1:] - np.roll(fractional[:-1], 1, axis=1)
        step -= np.rint(step)
        other -= np.rint(other)
        share = np.median(np.sum(step**2, axis=2), axis=1) / np.median(np.sum(other**2, axis=2), axis=1).clip(1e-30)
        frame = int(np.argmax(share))
        if share[frame] > SHUFFLED and (len(chosen) >= FEW or _exchanged(frames, chosen, frame)):
            raise ValueError(
                f'`{frames.path}` has no ids, and between frames {frame} and {frame + 1} its rows change places (or '
                'frames are too far apart to tell): write ids, in LAMMPS `dump … id type xu yu zu` with '
                '`dump_modify … sort id`.'
            )


def _exchanged(frames: Frames, chosen: np.ndarray, frame: int) -> bool:
    """Whether a few atoms of one species take the places of each other in the next frame, rather than move far."""
    cell = frames.cell_of(frame)
    before, after = (frames.positions[number, chosen] for number in (frame, frame + 1))
    squares = np.sum(_shortest(after[None] - before[:, None], cell) ** 2, axis=2)
    rows, columns = linear_sum_assignment(squares)
    return bool(squares[rows, columns].sum() < EXCHANGED * np.trace(squares))


def check_rows(frames: Frames) -> None:
    """Check the order of rows that programs usually keep: rows that change places move at once as far as ever.

    :raises ValueError: if rows change places in every frame.
    """
    n_frames, cell = len(frames.positions), frames.cell_of(0)
    if frames.by_id is not None or cell is None or n_frames < FEW:
        return
    lags = (1, n_frames // 4)
    begins = np.unique(np.linspace(0, n_frames - 1 - lags[1], ROW_SAMPLES).astype(int))
    names = np.array(frames.types or frames.words or ['atom'] * frames.positions.shape[1])
    for name in dict.fromkeys(names.tolist()):
        chosen = np.flatnonzero(names == name)
        if len(chosen) < FEW:
            continue
        soon, late = (frames.positions[begins + lag][:, chosen] - frames.positions[begins][:, chosen] for lag in lags)
        step = soon @ np.linalg.inv(cell)
        far = np.sum((step - np.rint(step)) ** 2) > ROWS_RANDOM * step.size / 12  # 1/12 for positions at random
        if far and np.sum(late**2) < 2 * np.sum(soon**2):
            raise ValueError(
                f'the rows of {name} in `{frames.path}` change places from frame to frame (or frames are too far apart '
                'to tell): write atoms in one order, or with a column `id`.'
            )
