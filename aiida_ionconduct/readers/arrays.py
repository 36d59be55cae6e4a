"""NumPy archives."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from aiida_ionconduct.readers.frames import Clock, Frames
from aiida_ionconduct.readers.packed import available_bytes

NAMES = {
    'positions': ('positions', 'pos'),
    'symbols': ('symbols', 'species'),
    'cell': ('cell', 'cells'),
    'dt_ps': ('dt_ps',),
    'dt_fs': ('dt_fs',),
    'times_ps': ('times_ps', 'time_ps'),
    'steps': ('steps',),
    'temperature_K': ('temperature_K',),
    'charges': ('charges',),
    'masses': ('masses',),
}
"""The names under which each array is looked for; only the positions must be there."""


def read_npz(path: str | Path) -> Frames:
    """Read an archive of ``numpy.savez`` without unpickling anything.

    :raises ValueError: if the archive has no positions (frames, atoms, 3), or holds pickled objects.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            size, free = sum(item.file_size for item in packed.infolist()), available_bytes()
        if size > free:
            raise ValueError(f'`{path}` unpacks to {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB of memory are free.')
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[key] for name, keys in NAMES.items() for key in keys if key in archive}
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, SyntaxError, NotImplementedError) as exception:
        if isinstance(exception, FileNotFoundError | PermissionError):
            raise
        raise ValueError(f'`{path}` is no archive of numpy.savez.') from exception
    positions = arrays.get('positions')
    if positions is None or positions.ndim != 3 or positions.shape[2] != 3 or not positions.size:
        raise ValueError(f'`{path}` has no array `positions` of shape (frames, atoms, 3).')
    n_frames, n_atoms, _ = positions.shape
    shapes = {
        'cell': ((3, 3), (n_frames, 3, 3)),
        'symbols': ((n_atoms,),),
        'charges': ((n_atoms,),),
        'masses': ((n_atoms,),),
        'steps': ((n_frames,),),
        'times_ps': ((n_frames,),),
        'dt_ps': ((),),
        'dt_fs': ((),),
    }
    for name, allowed in shapes.items():
        if name in arrays and arrays[name].shape not in allowed:
            expected = ' or '.join(map(str, allowed))
            raise ValueError(f'the array `{name}` of `{path}` has shape {arrays[name].shape}, expected {expected}.')
    stated = [float(arrays[name]) * unit for name, unit in (('dt_ps', 1.0), ('dt_fs', 1e-3)) if name in arrays]
    return Frames(
        path=Path(path),
        positions=positions.astype(float, copy=False),
        cells=arrays.get('cell'),
        wrapping_source='array positions',
        words=[str(symbol) for symbol in arrays['symbols']] if 'symbols' in arrays else None,
        words_source='array symbols',
        dt_ps=stated[0] if stated else None,
        dt_source='array dt',
        clocks=[
            Clock(name=f'array {name}', values=arrays[name], unit_ps=unit, is_step=unit is None)
            for name, unit in (('steps', None), ('times_ps', 1.0))
            if name in arrays
        ],
        temperature_K=float(arrays['temperature_K']) if 'temperature_K' in arrays else None,
        charges=arrays.get('charges'),
        masses=arrays.get('masses'),
    )
