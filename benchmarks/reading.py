"""Reading a text dump of LAMMPS: `aiida-ionconduct analyse` against ASE's reader, same file, same run.

LAMMPS itself writes the dump, of 132 atoms with image flags. Both readers give the same positions.
"""

import pathlib
import sys
import tempfile
import time
from collections.abc import Callable

import ase.io
import numpy as np
from tabulate import tabulate

from aiida_ionconduct.readers import read_trajectory
from lib.argon_frames import N_ATOMS, write_frames

N_FRAMES = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
TARGET, REPEATS = 20.0, 3
DUMP = """
dump text all custom 1 trajectory.lammpstrj id type element x y z ix iy iz
dump_modify text sort id element Ar
"""


def best(read: Callable) -> tuple[float, object]:
    """Return the shortest of some reading times, and what was read."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        trajectory = read()
        times.append(time.perf_counter() - start)
    return min(times), trajectory


def main():
    """Write the dump, read it twice, print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_frames(folder, N_FRAMES, 300.0, DUMP)
        path = folder / 'trajectory.lammpstrj'
        our_s, ours = best(lambda: read_trajectory(path))
        ase_s, frames = best(lambda: ase.io.read(path, ':', format='lammps-dump-text'))
        size = path.stat().st_size / 1e6
    assert ours.positions.shape == (N_FRAMES, N_ATOMS, 3)
    # ASE leaves positions wrapped, so they are compared up to whole cells.
    steps = ours.positions - np.array([frame.positions for frame in frames])
    wrapped = steps @ np.linalg.inv(ours.cell)
    assert np.abs(wrapped - np.rint(wrapped)).max() * np.abs(ours.cell).max() < 1e-9
    rows = [('aiida-ionconduct', our_s), ('ASE', ase_s)]
    print(f'{N_FRAMES} frames of {N_ATOMS} atoms, {size:.0f} MB of text\n')
    print(tabulate([(label, f'{s:.2f} s', f'{size / s:.0f} MB/s') for label, s in rows], headers=('', 'read', '')))
    ratio = ase_s / our_s
    print(f'RESULT reading_speedup={ratio:.0f} target={TARGET:.0f} {"met" if ratio >= TARGET else "missed"}')
    sys.exit(ratio < TARGET)


if __name__ == '__main__':
    main()
