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
"""Under which names the arrays are looked for; all but the positions may be missing."""


def read_npz(path: str | pathlib.Path) -> Trajectory:
    """Read an archive of ``numpy.savez``; nothing in it is unpickled.

    :raises ValueError: if it has no positions (frames, atoms, 3), or holds pickled objects.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[key] for name, keys in NAMES.items() for key in keys if key in archive}
    except zipfile.BadZipFile as exception:
        raise ValueError(f'`{path}` is no archive of numpy.savez.') from exception
    positions = found.get('positions')
    if positions is None or positions.ndim != 3 or positions.shape[2] != 3:
        raise ValueError(f'`{path}` has no array `positions` of shape (frames, atoms, 3).')
    cell = found.get('cell')
    if cell is not None and cell.shape != (3, 3):
        raise ValueError(f'the array `cell` of `{path}` has shape {cell.shape}, expected (3, 3).')
    dt = float(found['dt_ps']) if 'dt_ps' in found else float(found['dt_fs']) / 1000 if 'dt_fs' in found else None
    notes: list[str] = []
    return Trajectory(
        positions=positions if cell is None else unwrap_if_inside(positions, cell, notes),
        symbols=[str(symbol) for symbol in found['symbols']] if 'symbols' in found else None,
        cell=cell,
        times_ps=None if dt is None else dt * np.arange(len(positions)),
        temperature_K=float(found['temperature_K']) if 'temperature_K' in found else None,
        notes=notes,
    )
