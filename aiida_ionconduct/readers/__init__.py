"""Trajectory files of other programs, as unwrapped arrays; no AiiDA.

- ``formats``: the names of the file formats, and which format a file has;
- ``reading``: :func:`read_trajectory`, which chooses the reader;
- ``lammps``, ``xyz``, ``xdatcar``, ``arrays``: the readers;
- ``trajectory``: :class:`Trajectory`, which every reader returns, and unwrapping;
- ``text``: columns of numbers in large text files, read by compiled code (``_text.pyx``).

Only ``formats`` is imported at once, everything else at its first use: the command line lists the formats in its help,
and does not wait for NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aiida_ionconduct.readers.formats import TrajectoryFormat, guess_format

if TYPE_CHECKING:
    from aiida_ionconduct.readers.options import ReadingOptions
    from aiida_ionconduct.readers.reading import read_runs, read_trajectory
    from aiida_ionconduct.readers.trajectory import Assumption, Trajectory
    from aiida_ionconduct.readers.wrapping import unwrap

__all__ = (
    'Assumption',
    'ReadingOptions',
    'Trajectory',
    'TrajectoryFormat',
    'guess_format',
    'read_runs',
    'read_trajectory',
    'unwrap',
)

_MODULES = {
    'Assumption': 'trajectory',
    'ReadingOptions': 'options',
    'Trajectory': 'trajectory',
    'read_runs': 'reading',
    'read_trajectory': 'reading',
    'unwrap': 'wrapping',
}


def __getattr__(name: str) -> Any:
    """Import the names that need NumPy when they are first used."""
    if name not in _MODULES:
        raise AttributeError(f'module `{__name__}` has no attribute `{name}`.')
    return getattr(importlib.import_module(f'{__name__}.{_MODULES[name]}'), name)
