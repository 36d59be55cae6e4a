"""Trajectory files of other programs, as unwrapped arrays; no AiiDA.

:mod:`.formats`: the names of the file formats, and which of them a file has.
:mod:`.reading`: :func:`read_trajectory`, which chooses the reader.
:mod:`.lammps`, :mod:`.xyz`, :mod:`.xdatcar`, :mod:`.arrays`: one reader for each program or format.
:mod:`.trajectory`: :class:`Trajectory`, which every reader returns, and unwrapping.
:mod:`.text`: columns of numbers out of large text files, by the compiled ``_text.pyx``.

Only the formats are imported at once: the command line lists them, and NumPy takes longer to import than its help.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aiida_ionconduct.readers.formats import TrajectoryFormat, guess_format

if TYPE_CHECKING:
    from aiida_ionconduct.readers.reading import read_trajectory
    from aiida_ionconduct.readers.trajectory import Trajectory, unwrap

__all__ = ('Trajectory', 'TrajectoryFormat', 'guess_format', 'read_trajectory', 'unwrap')

_MODULES = {'Trajectory': 'trajectory', 'read_trajectory': 'reading', 'unwrap': 'trajectory'}


def __getattr__(name: str) -> Any:
    """Import the names that need NumPy when they are first used."""
    if name not in _MODULES:
        raise AttributeError(f'module `{__name__}` has no attribute `{name}`.')
    return getattr(importlib.import_module(f'{__name__}.{_MODULES[name]}'), name)
