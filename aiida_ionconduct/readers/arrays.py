"""NumPy archives."""

from __future__ import annotations

import pathlib
import zipfile

import numpy as np

from aiida_ionconduct.readers.trajectory import Trajectory, unwrap_if_inside

NAMES = {
    'positions': ('positions', 'pos'),
    'symbols': ('symbols', 'species'),
    'cell': ('cell',),
    'dt_ps': ('dt_ps',),
    'dt_fs': ('dt_fs',),
    'temperature_K': ('temperature_K',),
}
"""The names under which each array is looked for; only the positions must be there."""


def read_npz(path: str | pathlib.Path) -> Trajectory:
    """Read an archive of ``numpy.savez`` without unpickling anything.

    :raises ValueError: if the archive has no positions (frames, atoms, 3), or holds pickled objects.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[key] for name, keys in NAMES.items() for key in keys if key in archive}
    except zipfile.BadZipFile as exception:
        raise ValueError(f'`{path}` is no archive of numpy.savez.') from exception
    positions = arrays.get('positions')
    if positions is None or positions.ndim != 3 or positions.shape[2] != 3:
        raise ValueError(f'`{path}` has no array `positions` of shape (frames, atoms, 3).')
    cell = arrays.get('cell')
    if cell is not None and cell.shape != (3, 3):
        raise ValueError(f'the array `cell` of `{path}` has shape {cell.shape}, expected (3, 3).')
    dt_ps = None
    if 'dt_ps' in arrays:
        dt_ps = float(arrays['dt_ps'])
    elif 'dt_fs' in arrays:
        dt_ps = float(arrays['dt_fs']) / 1000
    notes: list[str] = []
    return Trajectory(
        positions=positions if cell is None else unwrap_if_inside(positions, cell, notes),
        symbols=[str(symbol) for symbol in arrays['symbols']] if 'symbols' in arrays else None,
        cell=cell,
        times_ps=None if dt_ps is None else dt_ps * np.arange(len(positions)),
        temperature_K=float(arrays['temperature_K']) if 'temperature_K' in arrays else None,
        notes=notes,
    )
