"""Files with labelled frames: extended XYZ, everything that ASE reads, npz archives, and folders of DeePMD."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms, units

from aiida_ionconduct.readers.packed import available_bytes

NPZ_NAMES = {
    'positions': ('r', 'positions', 'coords', 'coordinates', 'pos'),
    'numbers': ('z', 'numbers', 'nuclear_charges', 'atomic_numbers'),
    'energy': ('e', 'energy', 'energies', 'total_energy'),
    'forces': ('f', 'forces', 'force'),
    'cell': ('cell', 'cells', 'lattice', 'lattices', 'box'),
    'pbc': ('pbc',),
    'stress': ('stress', 'stresses'),
    'virial': ('virial', 'virials'),
}
"""What the arrays of an npz archive may be called, in lower case: the names of sGDML, of nequip and of others."""
ENERGY_UNITS = {'ev': 1.0, 'kcal/mol': units.kcal / units.mol, 'hartree': units.Hartree, 'ha': units.Hartree}
LENGTH_UNITS = {'ang': 1.0, 'angstrom': 1.0, 'å': 1.0, 'bohr': units.Bohr, 'au': units.Bohr}
MEMORY_FRACTION = 4
"""An archive may take this part of the free memory, since its frames take more than its arrays."""


def read_raw_frames(path: Path) -> tuple[list[Atoms], list[str]]:
    """Return all frames of a file or folder as they are, and notes on what was assumed.

    :raises ValueError: if it cannot be read.
    """
    if path.is_dir():
        return _read_deepmd(path)
    if path.suffix == '.npz':
        return _read_npz(path)
    with path.open('rb') as handle:
        is_text = b'\0' not in handle.read(4096)
    if path.suffix in ('.xyz', '.extxyz') or (is_text and not path.suffix):
        try:
            return read_extended_xyz(path.read_text()), []
        except Exception as exception:
            if path.suffix:
                raise ValueError(f'the dataset is not a readable extended-XYZ file: {exception}') from exception
    try:
        frames = ase.io.read(path, ':')
    except Exception as exception:  # a reader of the library may raise anything
        raise ValueError(
            f'the dataset `{path}` is not a readable extended-XYZ file, npz archive or folder of DeePMD, and ASE '
            f'cannot read it: {exception or type(exception).__name__}. Write it as extended XYZ with energies and '
            'forces.'
        ) from exception
    return (frames if isinstance(frames, list) else [frames]), [f'read by ASE {ase.__version__}.']


def read_extended_xyz(text: str) -> list[Atoms]:
    """Return all frames of an extended-XYZ text."""
    frames = ase.io.read(io.StringIO(text), index=':', format='extxyz')
    return frames if isinstance(frames, list) else [frames]


def _atoms(
    numbers: np.ndarray,
    positions: np.ndarray,
    *,
    cell: np.ndarray | None,
    info: Mapping[str, Any],
    forces: np.ndarray,
) -> Atoms:
    """Return a frame that states its labels as extended XYZ does before they are recognized."""
    frame = Atoms(numbers=numbers, positions=positions, cell=cell, pbc=cell is not None)
    frame.info.update(info)
    frame.arrays['forces'] = forces
    return frame


def _read_npz(path: Path) -> tuple[list[Atoms], list[str]]:
    """Return the frames of an npz archive with one array for each property."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > available_bytes() / MEMORY_FRACTION:
            raise ValueError(f'its arrays take {size / 1e9:.1f} GB, which does not fit into the memory')
        with np.load(path, allow_pickle=False) as archive:
            given = {name.lower(): archive[name] for name in archive.files}
        arrays = {
            kind: next((given[name] for name in names if name in given), None) for kind, names in NPZ_NAMES.items()
        }
        missing = [kind for kind in ('positions', 'numbers', 'energy', 'forces') if arrays[kind] is None]
        if missing:
            raise ValueError(f'it has no array of {", ".join(missing)} among {", ".join(sorted(given))}')
        energy_unit, note = _unit(given, 'e_unit', ENERGY_UNITS, 'eV')
        length_unit, other_note = _unit(given, 'r_unit', LENGTH_UNITS, 'Å')
        frames = list(_npz_frames(arrays, energy_unit, length_unit))
    except (OSError, ValueError, IndexError, TypeError, zipfile.BadZipFile) as exception:
        raise ValueError(f'the dataset `{path}` is not a readable npz archive: {exception}.') from exception
    return frames, [note, other_note]


def _unit(given: Mapping[str, np.ndarray], name: str, known: Mapping[str, float], default: str) -> tuple[float, str]:
    """Return the unit that an archive states, and a note."""
    if name not in given:
        return 1.0, f'the archive states no {name}: {default} was assumed.'
    stated = str(given[name]).lower()
    if stated not in known:
        raise ValueError(f'its {name} is {stated}, known are {", ".join(known)}')
    return known[stated], f'the archive states its {name} as {stated}.'


def _npz_frames(arrays: Mapping[str, Any], energy_unit: float, length_unit: float) -> Iterator[Atoms]:
    """Yield the frames of an npz archive."""
    positions = np.asarray(arrays['positions'], dtype=float) * length_unit
    energies = np.asarray(arrays['energy'], dtype=float).ravel() * energy_unit
    forces = np.asarray(arrays['forces'], dtype=float) * energy_unit / length_unit
    if not len(positions) == len(energies) == len(forces):
        raise ValueError(f'it has {len(positions)} positions, {len(energies)} energies and {len(forces)} forces')
    numbers, cells = np.asarray(arrays['numbers']), arrays['cell']
    for index in range(len(positions)):
        info: dict[str, Any] = {'energy': float(energies[index])}
        for name in ('stress', 'virial'):
            if arrays[name] is not None:
                info[name] = np.asarray(arrays[name][index], dtype=float)
        cell = None
        if cells is not None:
            cell = np.asarray(cells if np.shape(cells) in ((3, 3), (9,)) else cells[index], dtype=float) * length_unit
            cell = cell.reshape(3, 3) if cell.size == 9 else cell
        kinds = numbers if numbers.ndim == 1 else numbers[index]
        yield _atoms(kinds, positions[index], cell=cell, info=info, forces=forces[index])


def _read_deepmd(path: Path) -> tuple[list[Atoms], list[str]]:
    """Return the frames of all systems of DeePMD in a folder; units are eV and Å.

    :raises ValueError: if there is none, or a system lacks its elements.
    """
    systems = sorted(file.parent for file in path.rglob('type.raw'))
    if not systems:
        raise ValueError(f'the folder `{path}` holds no system of DeePMD: there is no type.raw in it.')
    frames: list[Atoms] = []
    for system in systems:
        try:
            frames += _deepmd_frames(system)
        except (OSError, ValueError, IndexError) as exception:
            raise ValueError(
                f'the system of DeePMD in `{system}` cannot be read: {exception}. It needs type.raw, type_map.raw, and '
                'in folders set.* the files coord.npy, box.npy, energy.npy and force.npy.'
            ) from exception
    return frames, [f'read as DeePMD, {len(systems)} systems, in eV and Å.']


def _deepmd_frames(system: Path) -> Iterator[Atoms]:
    """Yield the frames of one system."""
    names = (system / 'type_map.raw').read_text().split()
    types = np.loadtxt(system / 'type.raw', dtype=int, ndmin=1)
    sets = sorted(system.glob('set.*'))
    if not sets:
        raise ValueError('there is no folder set.*')
    for folder in sets:
        stored = {file.stem: np.load(file, allow_pickle=False) for file in folder.glob('*.npy')}
        n_frames = len(stored['coord']) if 'coord' in stored else 0
        missing = sorted({'coord', 'box', 'energy', 'force'} - stored.keys())
        if (system / 'nopbc').exists():
            missing = [name for name in missing if name != 'box']
        if missing:
            raise ValueError(f'{folder.name} lacks {", ".join(f"{name}.npy" for name in missing)}')
        kinds = stored.get('real_atom_types', np.tile(types, (n_frames, 1)))
        for index in range(n_frames):
            info: dict[str, Any] = {'energy': float(np.ravel(stored['energy'])[index])}
            if 'virial' in stored:
                info['virial'] = stored['virial'][index].reshape(3, 3).astype(float)
            cell = None if (system / 'nopbc').exists() else stored['box'][index].reshape(3, 3).astype(float)
            frame = Atoms(_symbols(names, kinds[index]))
            yield _atoms(
                frame.numbers,
                stored['coord'][index].reshape(-1, 3).astype(float),
                cell=cell,
                info=info,
                forces=stored['force'][index].reshape(-1, 3).astype(float),
            )


def _symbols(names: Sequence[str], kinds: np.ndarray) -> list[str]:
    """Return the chemical symbols of the types of DeePMD."""
    return [names[kind] for kind in kinds]
