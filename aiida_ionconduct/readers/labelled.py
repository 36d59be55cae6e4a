"""Labelled frames of others: recognized, converted and checked, so that no training takes them for something else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress

from aiida_ionconduct.choices import StressUnit
from aiida_ionconduct.readers.label_formats import read_raw_frames
from aiida_ionconduct.readers.label_keys import LabelKeys, find_key, value_of
from aiida_ionconduct.readers.label_units import FACTORS, find_stress_unit

DETECTED = LabelKeys()
"""No name is stated."""
ISOLATED = re.compile(r'isolated_?atoms?', re.IGNORECASE)
"""What `config_type` says of an isolated atom."""
MIN_VACUUM_A = 8.0
"""A gap of this width without atoms is a vacuum: no layer, wire or molecule is a bulk crystal."""
NUMBERS_WITH_UNITS = {'temperature_K': 'K', 'time_ps': 'ps', 'correlation_time_ps': 'ps'}
NUMBER = re.compile(r'\s*([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)\s*([A-Za-z]*)\s*')


@dataclass
class LabelledFrames:
    """Frames whose calculators hold energy (eV), forces (eV/Å) and, where all frames have it, stress (eV/Å³)."""

    frames: list[Atoms]
    isolated_eV: dict[str, float] = field(default_factory=dict)
    """Energies of isolated atoms by chemical symbol."""
    notes: list[str] = field(default_factory=list)
    """What was assumed or converted, in sentences."""
    mended: bool = False
    """Whether the frames are other than those of the file."""

    def mend(self, note: str) -> None:
        """Note that the frames were changed."""
        self.notes.append(note)
        self.mended = True


def read_labelled_frames(
    path: Path, keys: LabelKeys = DETECTED, stress_unit: StressUnit | None = None
) -> LabelledFrames:
    """Return the labelled frames of a file or folder.

    :param keys: the names of the labels, where several fit.
    :param stress_unit: the unit of the stress, where energies and magnitudes do not tell.
    :raises ValueError: if the file cannot be read, or its frames cannot be trained on, with what to do.
    """
    raw, notes = read_raw_frames(path)
    labelled = label_frames(raw, keys, stress_unit)
    labelled.notes[:0] = notes
    labelled.mended |= bool(notes)
    return labelled


def label_frames(
    raw: Sequence[Atoms], keys: LabelKeys = DETECTED, stress_unit: StressUnit | None = None
) -> LabelledFrames:
    """Return frames with their labels in ASE's units and places.

    :param raw: frames as a file states them.
    :raises ValueError: as :func:`read_labelled_frames`.
    """
    if not raw:
        raise ValueError('the dataset has no frames.')
    isolated = [frame for frame in raw if _is_isolated(frame)]
    bulk = [frame for frame in raw if not _is_isolated(frame)]
    if not bulk:
        raise ValueError('the dataset has only isolated atoms: add frames of the material.')
    energy_key = find_key('energy', bulk, keys.energy)
    forces_key = find_key('forces', bulk, keys.forces, energy_key or 'energy')
    stress_key = find_key('stress', bulk, keys.stress, energy_key or 'energy')
    result = LabelledFrames([_with_labels(frame, energy_key, forces_key) for frame in bulk])
    renamed = {'energy': energy_key, 'forces': forces_key}
    for name, key in renamed.items():
        if key not in (None, name):
            result.mend(f'the {name} of the frames is `{key}`.')
    _use_isolated_atoms(result, isolated, energy_key or 'energy')
    _mend_periodicity(result)
    _mend_info(result)
    if energy_key and forces_key:
        _add_stress(result, bulk, stress_key, stress_unit)
    return result


def _is_isolated(frame: Atoms) -> bool:
    """Return whether a frame is an isolated atom, or a cell of one atom, which has no forces to learn from."""
    return len(frame) == 1 or bool(ISOLATED.fullmatch(str(frame.info.get('config_type', ''))))


def _with_labels(frame: Atoms, energy_key: str | None, forces_key: str | None) -> Atoms:
    """Return a copy of a frame with energy and forces in its calculator, as far as it states them."""
    copy = Atoms(frame.symbols, positions=frame.positions, cell=frame.cell, pbc=frame.pbc)
    copy.info = dict(frame.info)
    results: dict[str, Any] = {}
    for name, key in (('energy', energy_key), ('forces', forces_key)):
        value = None if key is None else value_of(frame, key)
        copy.info.pop(key, None)
        if value is not None:
            results[name] = float(value.ravel()[0]) if name == 'energy' else value
    if results:
        copy.calc = SinglePointCalculator(copy, **results)
    return copy


def _use_isolated_atoms(result: LabelledFrames, isolated: Sequence[Atoms], energy_key: str) -> None:
    """Take isolated atoms as references of the energy instead of frames."""
    if not isolated:
        return
    for frame in isolated:
        energy = value_of(frame, energy_key)
        if len(frame) == 1 and energy is not None and np.isfinite(energy).all():
            result.isolated_eV[str(frame.symbols[0])] = float(energy.ravel()[0])
    named = ', '.join(f'{symbol} {energy:.6g} eV' for symbol, energy in sorted(result.isolated_eV.items()))
    result.mend(
        f'{len(isolated)} isolated atoms are references of the energy ({named or "without energies"}), not frames.'
    )


def _mend_periodicity(result: LabelledFrames) -> None:
    """Make frames periodic that have a lattice and fill it; refuse frames that are no bulk crystal.

    :raises ValueError: naming the first frame without a lattice, or with a vacuum.
    """
    n_mended = 0
    for index, frame in enumerate(result.frames):
        if frame.pbc.all():
            continue
        if frame.cell.rank < 3:
            raise ValueError(
                f'frame {index} of the dataset has no lattice: molecular dynamics of a crystal needs frames that are '
                'periodic in three directions. Leave out molecules and clusters.'
            )
        if frame.pbc.any() or _has_vacuum(frame):
            periodic = ' '.join('T' if value else 'F' for value in frame.pbc)
            raise ValueError(
                f'frame {index} of the dataset is not a bulk crystal: it has pbc="{periodic}"'
                f'{" and a vacuum" if not frame.pbc.any() else ""}. Leave out layers, molecules and clusters.'
            )
        frame.pbc = True
        if frame.calc:  # ASE gives no results for atoms that have changed since
            frame.calc = SinglePointCalculator(frame, **frame.calc.results)
        n_mended += 1
    if n_mended:
        result.mend(f'{n_mended} frames have a lattice that atoms fill, but pbc="F F F": they are taken as periodic.')


def _has_vacuum(frame: Atoms) -> bool:
    """Return whether a layer of the cell has no atoms, along any of its vectors."""
    heights = 1 / np.linalg.norm(np.linalg.inv(frame.cell.array), axis=0)
    scaled = np.sort(frame.cell.scaled_positions(frame.positions) % 1, axis=0)
    gaps = np.diff(np.vstack([scaled, scaled[:1] + 1]), axis=0).max(axis=0)
    return bool((gaps * heights > MIN_VACUUM_A).any())


def _mend_info(result: LabelledFrames) -> None:
    """Turn sources and runs into words, and temperatures and times into numbers."""
    notes: dict[str, int] = {}
    for frame in result.frames:
        for name in ('source', 'run'):
            if name in frame.info and not isinstance(frame.info[name], str):
                frame.info[name] = str(frame.info[name])
                result.mended = True
        for name, unit in NUMBERS_WITH_UNITS.items():
            if name not in frame.info or _is_number(frame.info[name]):
                continue
            stated = frame.info.pop(name)
            match = NUMBER.fullmatch(stated) if isinstance(stated, str) else None
            if match and match.group(2) in ('', unit):
                frame.info[name] = float(match.group(1))
                note = f'{name}="{stated}" is read as {frame.info[name]:g} {unit}'
            else:
                note = f'{name}="{stated}" is not a number in {unit} and was left out'
            notes[note] = notes.get(note, 0) + 1
    for note, count in notes.items():
        result.mend(f'{note} ({count} frames).')


def _is_number(value: Any) -> bool:
    """Return whether a value is a finite number."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and bool(np.isfinite(value))


def _add_stress(result: LabelledFrames, bulk: Sequence[Atoms], key: str | None, stress_unit: StressUnit | None) -> None:
    """Add the stress to the frames if all have it, converted to eV/Å³ with the sign of ASE.

    :param bulk: the frames as the file states them.
    :param key: the name of the stress or the virial.
    :raises ValueError: if the unit cannot be told, or a frame without labels is met.
    """
    if key is None:
        return
    values = [value_of(frame, key) for frame in bulk]
    present = [value for value in values if value is not None and value.size in (6, 9)]
    for frame in result.frames:
        frame.info.pop(key, None)
    if len(present) < len(bulk):
        result.mend(
            f'{len(bulk) - len(present)} of {len(bulk)} frames have no stress: the stress of the others is not used.'
        )
        return
    if any(frame.calc is None or len(frame.calc.results) < 2 for frame in result.frames):
        return  # the dataset is refused for what these frames lack
    is_virial = 'virial' in key.lower()
    for frame, value in zip(result.frames, present, strict=True):
        stress = full_3x3_to_voigt_6_stress(value.reshape(3, 3)) if value.size == 9 else value.ravel()
        frame.calc.results['stress'] = -stress / frame.get_volume() if is_virial else stress
    if is_virial:
        result.mend(f'the virial `{key}` was converted to the stress, -virial/volume.')
    elif key != 'stress':
        result.mend(f'the stress of the frames is `{key}`.')
    unit, note = find_stress_unit(result.frames, stress_unit)
    for frame in result.frames if unit != 'eV/A^3' else ():
        frame.calc.results['stress'] = FACTORS[unit] * frame.calc.results['stress']
    if unit != 'eV/A^3':
        result.mend(note)
    elif note:
        result.notes.append(note)
